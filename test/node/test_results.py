# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What the node publishes about an image, over DDS, with a real bundle of made-up networks."""

from __future__ import annotations

import numpy as np
import pytest
from harness import BLUE, GREY, PURPLE, RED, scene
from vl4ad_ros.runtime.detector import Detector


@pytest.mark.parametrize('picture', [
    scene(), scene(90, 301), scene(1, 1), scene(480, 640, BLUE)], ids=lambda p: str(p.shape))
def test_mask_is_the_offline_detector_s_pixel_for_pixel(bench, mock_bundle, picture):
    offline = Detector.open(mock_bundle)
    expected = offline.detect(picture, offline.encode(offline.default_vocabulary)).mask(0.5)
    header = bench.send(picture)
    mask = bench.answer(header)
    assert (mask.encoding, mask.height, mask.width) == ('mono8', *picture.shape[:2])
    assert mask.step * mask.height == len(mask.data)
    assert np.array_equal(np.frombuffer(mask.data, np.uint8).reshape(expected.shape), expected)
    offline.close()
