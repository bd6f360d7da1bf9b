# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The types of result bags are those of real installations."""

import json
from pathlib import Path

import pytest

from vl4ad_ros.evaluation.message_types import typestore

HASHES = (Path(__file__).resolve().parents[2] / '..' / 'shared' / 'oracles'
          / 'vision_msgs_type_hashes.json')


@pytest.mark.skipif(not HASHES.is_file(), reason='official type hashes not present')
@pytest.mark.parametrize('name', ['Detection2DArray', 'Detection2D', 'BoundingBox2D'])
def test_vision_msgs_hashes(name):
    expected = json.loads(HASHES.read_text())
    kind = f'vision_msgs/msg/{name}'
    assert typestore().hash_rihs01(kind) == expected[kind]
