# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""MIoU against cases worked out by hand, and the shape of predictions. Needs torch."""

import numpy as np
import pytest

torch = pytest.importorskip('torch')
pytest.importorskip('open_clip')

from small import SMALL  # noqa: E402
from vl4ad_workshop.network.vl4ad import Texts, Vl4ad  # noqa: E402
from vl4ad_workshop.training.real import validation  # noqa: E402
from vl4ad_workshop.training.real.config import ValidationConfig  # noqa: E402
from vl4ad_workshop.training.real.distribution import Processes  # noqa: E402
from vl4ad_workshop.training.real.labelled import Labelled  # noqa: E402
from vl4ad_workshop.training.real.validation import Agreement, predict, validate  # noqa: E402


def texts(network, classes):
    concepts = torch.nn.functional.normalize(torch.randn(classes, network.config.embed_dim), dim=1)
    return Texts(concepts, torch.arange(classes), classes, torch.zeros(classes))


def test_iou_by_hand():
    # Class 2 is predicted but never labelled: it spoils class 0 and has no IoU of its own.
    got = Agreement(np.array([[6, 1, 1], [2, 4, 0], [0, 0, 0]]))
    assert got.iou[:2] == pytest.approx([6 / 10, 4 / 7]) and np.isnan(got.iou[2])
    assert got.mean_iou == pytest.approx((6 / 10 + 4 / 7) / 2)
    assert Agreement(np.zeros((2, 2))).mean_iou == 0


def test_pixels_without_a_label_do_not_count(monkeypatch):
    truth = np.array([[0, 0, 1, -1]], np.int16)
    picture = Labelled(np.zeros((1, 4, 3), np.uint8), truth, (0, 1), (False, True))
    monkeypatch.setattr(validation, 'predict', lambda *_: torch.tensor([[0, 1, 1, 0]]))
    seen = []
    got = validate(None, Texts(None, None, 2, None), [picture] * 3, ValidationConfig(pictures=2),
                   Processes(0, 1, torch.device('cpu')), lambda n, *_: seen.append(n))
    assert got.confusion.tolist() == [[2, 2], [0, 2]] and seen == [0, 1]


def test_predictions_have_the_pictures_size():
    torch.manual_seed(0)
    network = Vl4ad(SMALL).eval()
    image = np.random.default_rng(0).integers(0, 256, (50, 70, 3), np.uint8)
    sizes = []
    network.register_forward_pre_hook(lambda _, inputs: sizes.append(tuple(inputs[0].shape)))
    with torch.no_grad():
        for short, long in ((64, 200), (64, 80)):
            got = predict(network, texts(network, 3), image, ValidationConfig(
                short_side=short, long_side=long))
            assert got.shape == (50, 70) and got.max() < 3
    assert sizes == [(1, 64, 90, 3), (1, 57, 80, 3)]
