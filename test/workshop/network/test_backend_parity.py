# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Backends on a CPU agree with PyTorch on the shipped bundle; needs torch, no GPU."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

torch = pytest.importorskip('torch')

from vl4ad_ros.bundle import Bundle  # noqa: E402
from vl4ad_ros.bundle.reference import (  # noqa: E402
    load_reference, Maps, other_classes, OUTPUTS, TEXT_INPUTS)
from vl4ad_ros.inference.backend import Backend, BackendOptions, open_backend  # noqa: E402
from vl4ad_ros.inference.letterbox import Letterbox  # noqa: E402
from vl4ad_workshop.network.bundle_network import load_network  # noqa: E402
from vl4ad_workshop.network.classification import Classification  # noqa: E402
from vl4ad_workshop.network.deformable_sampling import set_sampling  # noqa: E402
from vl4ad_workshop.network.export import VisionGraph  # noqa: E402
from vl4ad_workshop.network.vl4ad import Vl4ad  # noqa: E402
from vl4ad_workshop.scenes.still import draw_still  # noqa: E402

# Largest difference of the uncertainty, which is -1 to 0, and largest share of cells with another
# best class, which may differ where two classes tie up to rounding.
TOLERANCE, OTHER_CELLS = 5e-5, 1e-3
# In a frame of one colour the masks lie at their threshold, and rounding decides which pixels a
# layer attends to.
FLAT_TOLERANCE, FLAT_OTHER_CELLS = 1e-2, 2e-2


@pytest.fixture(scope='module')
def bundle() -> Bundle:
    """Return the shipped bundle, whose weights are trained."""
    return Bundle.open('tiny')


@pytest.fixture(scope='module')
def network(bundle) -> Vl4ad:
    """Return the network in PyTorch, in float32 on the CPU."""
    network, _ = load_network(bundle)
    set_sampling(network, 'grid-sample')
    return network


@pytest.fixture(scope='module', params=['openvino', 'onnxruntime'])
def backend(request, bundle) -> Iterator[Backend]:
    """Return each backend in turn."""
    backend = open_backend(bundle, request.param, BackendOptions(threads=1))
    yield backend
    backend.close()


def frames(bundle: Bundle) -> dict[str, np.ndarray]:
    """Return drawn scenes, and frames in which queries have no pixel, at network size."""
    size = (bundle.vision.height, bundle.vision.width)
    drawn = [draw_still(np.random.default_rng(seed), (360, 640)).image for seed in (5, 6)]
    box = Letterbox((360, 640), size, bundle.vision.stride)
    return {
        **{f'drawn {i}': box.to_network(image, bundle.padding_rgb)
           for i, image in enumerate(drawn)},
        'grey': np.full((*size, 3), 128, np.uint8), 'black': np.zeros((*size, 3), np.uint8),
        'white': np.full((*size, 3), 255, np.uint8),
        'noise': np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)}


def test_backends_agree_with_torch(backend, network, bundle):
    texts = [load_reference(bundle).texts[name] for name in TEXT_INPUTS]
    graph = VisionGraph(network, bundle.capacity.classes,
                        Classification(**bundle.network.classification))
    for what, frame in frames(bundle).items():
        with torch.inference_mode():
            expected = Maps(*(value.numpy() for value in graph(
                *(torch.from_numpy(x.copy()) for x in (frame, *texts)))[:len(OUTPUTS)]))
        seen = backend.run(frame, *texts)
        tolerance, cells = ((FLAT_TOLERANCE, FLAT_OTHER_CELLS)
                            if what in ('grey', 'black', 'white') else (TOLERANCE, OTHER_CELLS))
        for name in ('uncertainty', 'anomaly_mass'):
            a, b = getattr(seen, name), getattr(expected, name)
            assert a.dtype == b.dtype and np.isfinite(a).all()
            np.testing.assert_allclose(a, b, rtol=0, atol=tolerance, err_msg=f'{name} {what}')
        assert max(other_classes(seen, expected)) <= cells, what


def test_embeddings_agree_with_torch(backend, network, bundle):
    rng = np.random.default_rng(0)
    for rows, length in ((1, 4), (5, 9), (2, bundle.text.context_length)):
        tokens = rng.integers(1, bundle.text.sot, (rows, length))
        tokens[:, 0], tokens[:, -1] = bundle.text.sot, bundle.text.eot
        with torch.inference_mode():
            expected = network.backbone.encode_text(torch.from_numpy(tokens)).numpy()
        np.testing.assert_allclose(backend.encode_text(tokens), expected, atol=1e-4)
