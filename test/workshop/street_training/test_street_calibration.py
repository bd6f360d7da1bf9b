# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The threshold and the score curve that validation composites choose. Needs torch."""

import json

import numpy as np
import pytest

pytest.importorskip('torch')
pytest.importorskip('open_clip')

from mock_bundle import COLOURS, write_mock_bundle  # noqa: E402, I100
from vl4ad_ros.bundle import Bundle  # noqa: E402
from vl4ad_ros.inference.letterbox import Letterbox  # noqa: E402
from vl4ad_workshop.street.street_words import WORDS  # noqa: E402
from vl4ad_workshop.training.street.calibration import calibrate  # noqa: E402
from vl4ad_workshop.training.street.cells import at_cells, at_pixels  # noqa: E402
from vl4ad_workshop.training.street.composites import Composite, Placed  # noqa: E402
from vl4ad_workshop.training.street.recipe import StreetRecipe  # noqa: E402
from vl4ad_workshop.training.street.road_picture import RoadPicture  # noqa: E402


def composite(colour='red', height=40, known_colour='black'):
    """Return a grey road with an object, a known thing and a strip without a label."""
    rgb = np.full((96, 160, 3), COLOURS['grey'], np.uint8)
    instances = np.zeros((96, 160), np.int16)
    labels = np.full((96, 160), WORDS.index('road'), np.int8)
    labels[:8] = -1
    rgb[:8] = COLOURS['purple']
    for number, (x, name, shown) in enumerate(((20, 'object', colour),
                                               (80, 'car', known_colour)), 1):
        box = np.s_[20:20 + height, x:x + 40]
        rgb[box], instances[box], labels[box] = COLOURS[shown], number, WORDS.index(name)
    placed = Placed('cow', height, False), Placed('car', height, True)
    return Composite(RoadPicture('drawn', rgb, labels), instances, placed)


def test_the_threshold_keeps_the_wanted_share(tmp_path):
    write_mock_bundle(tmp_path)
    # Nine cows that the network sees and one that it takes for a car.
    composites = [composite()] * 9 + [composite('black')]
    choice = calibrate(tmp_path, composites, StreetRecipe(keep_objects=0.8))
    assert choice.objects == 10 and choice.kept == pytest.approx(0.9)
    assert choice.known_flagged == {'car': 0.0} and choice.normal_flagged < 0.01
    assert (choice.alpha, choice.beta) == StreetRecipe().ensemble_weights[0]
    bundle = Bundle.open(tmp_path)
    assert (bundle.ensemble.alpha, bundle.ensemble.beta) == (choice.alpha, choice.beta)
    assert bundle.calibration(np.float32([choice.threshold])) == pytest.approx(0.5, abs=1e-3)
    assert bundle.calibration.u[0] < choice.threshold < bundle.calibration.u[-1]
    record = json.loads((tmp_path / 'manifest.json').read_text())['provenance']['validation']
    assert record['objects'] == 10 and record['ap'] == pytest.approx(choice.ap, abs=1e-4)
    # A threshold that keeps all of them flags the cars too.
    assert calibrate(tmp_path, composites, StreetRecipe(keep_objects=1.0)).kept == 1.0


def test_small_objects_do_not_set_the_threshold(tmp_path):
    write_mock_bundle(tmp_path)
    recipe = StreetRecipe(counted_height=32)
    assert calibrate(tmp_path, [composite(), composite('black', 24)], recipe).objects == 1


def test_without_objects_normal_pixels_set_the_threshold(tmp_path):
    write_mock_bundle(tmp_path)
    plain = composite()
    plain = Composite(plain.picture, np.zeros_like(plain.instances), ())
    choice = calibrate(tmp_path, [plain], StreetRecipe())
    assert choice.objects == 0 and choice.ap is None and choice.kept is None
    assert np.isfinite(choice.threshold) and choice.normal_flagged <= 0.01


@pytest.mark.parametrize('size', [(96, 160), (90, 128), (301, 420)])
def test_cells_and_pixels_correspond(size):
    letterbox = Letterbox(size, (96, 160), 4)
    rows, columns = letterbox.map_size
    cells = np.arange(rows * columns).reshape(rows, columns)
    pixels = at_pixels(cells, letterbox)
    assert pixels.shape == size and pixels[0, 0] == 0
    # The last cells may be filled only in part, and the middle may lie outside of the picture.
    inside = np.s_[:rows - 1, :columns - 1]
    assert np.array_equal(at_cells(pixels, letterbox)[inside], cells[inside])
