# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The messages of Autoware that ros_pypi builds are on the wire those of Autoware."""

import json
from pathlib import Path

import pytest

pytest.importorskip('autoware_perception_msgs',
                    reason='autoware_perception_msgs is not installed; ./run test')
ament_index = pytest.importorskip('ament_index_python')

# Of the definitions of autoware_msgs 7025d8f (1.12.0), comments left out; it covers nested types.
UPSTREAM = 'RIHS01_2facd6b15786cbd1f720cdd23d22e6d60d2e7e83b8dff8fd401330e24edb187b'


def test_the_type_hash_is_that_of_upstream():
    try:
        share = Path(ament_index.get_package_share_directory('autoware_perception_msgs'))
    except (LookupError, OSError):
        pytest.skip('autoware_perception_msgs is not in AMENT_PREFIX_PATH; ./run test sets it')
    description = share / 'msg' / 'DetectedObjects.json'
    if not description.exists():
        pytest.skip('this ROS has no type hashes (they came after Humble)')
    hashes = {entry['type_name']: entry['hash_string']
              for entry in json.loads(description.read_text())['type_hashes']}
    assert hashes['autoware_perception_msgs/msg/DetectedObjects'] == UPSTREAM
