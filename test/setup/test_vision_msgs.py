# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The vision_msgs that ros_pypi builds are on the wire those of every ROS. Needs rclpy."""

import json
from pathlib import Path

import pytest

vision_msgs = pytest.importorskip('vision_msgs', reason='vision_msgs is not installed; ./run test')
ament_index = pytest.importorskip('ament_index_python')

ROOT = Path(__file__).resolve().parents[2]
ORACLE = ROOT / '..' / 'shared' / 'oracles' / 'vision_msgs_type_hashes.json'
MESSAGES = sorted(path.stem for path in (ROOT / 'ros_pypi/vision_msgs/msg').glob('*.msg'))


@pytest.fixture(scope='module')
def share():
    try:
        return Path(ament_index.get_package_share_directory('vision_msgs'))
    except (LookupError, OSError):
        pytest.skip('vision_msgs is not in AMENT_PREFIX_PATH; ./run test sets it')


def test_type_hashes_are_those_of_upstream(share):
    if not ORACLE.exists():
        pytest.skip(f'no {ORACLE.name} beside this clone to compare with')
    if not list((share / 'msg').glob('*.json')):
        pytest.skip('this ROS has no type hashes (they came after Humble)')
    expected = json.loads(ORACLE.read_text())
    seen = {}
    for name in expected:
        description = json.loads((share / 'msg' / f'{name.split("/")[-1]}.json').read_text())
        seen[name] = next(entry['hash_string'] for entry in description['type_hashes']
                          if entry['type_name'] == name)
    assert seen == expected


def test_definitions_cover_every_type_of_upstream():
    if not ORACLE.exists():
        pytest.skip(f'no {ORACLE.name} beside this clone to compare with')
    assert MESSAGES == sorted(name.split('/')[-1] for name in json.loads(ORACLE.read_text()))


@pytest.mark.parametrize('name', MESSAGES)
def test_message_survives_serialization(name):
    from rclpy.serialization import deserialize_message, serialize_message
    import vision_msgs.msg
    message_type = getattr(vision_msgs.msg, name)
    assert deserialize_message(serialize_message(message_type()), message_type) == message_type()


def test_it_is_a_package_that_no_folder_of_that_name_shadows():
    assert vision_msgs.__file__


def test_nested_fields_survive_serialization():
    from rclpy.serialization import deserialize_message, serialize_message
    from vision_msgs.msg import Detection2D, Detection2DArray, ObjectHypothesisWithPose
    hypothesis = ObjectHypothesisWithPose()
    hypothesis.hypothesis.class_id, hypothesis.hypothesis.score = 'cow', 0.75
    detection = Detection2D(id='7', results=[hypothesis])
    detection.bbox.center.position.x, detection.bbox.size_y = 12.5, 3.25
    sent = Detection2DArray(detections=[detection, Detection2D(id='8')])
    sent.header.frame_id = 'camera_optical'
    assert deserialize_message(serialize_message(sent), Detection2DArray) == sent
