# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Rates, distances, sizes and flicker of alerts, and how far a vehicle drove."""

from pathlib import Path
import shutil

from bags import START_NS, write_bag
import numpy as np
import pytest
from rosbags.rosbag2 import StoragePlugin, Writer
from vl4ad_ros.evaluation.alert_figures import alert_figures, false_alert_rates
from vl4ad_ros.evaluation.alert_metrics import (
    Alert, FrameResult, score_alerts, Truth, TruthFrame)
from vl4ad_ros.evaluation.bag_reader import CameraBag, Span
from vl4ad_ros.evaluation.driven_way import driven_way, DrivenWay, NO_DISTANCES, NO_WAY, ODOMETRY
from vl4ad_ros.evaluation.figures import described, totals
from vl4ad_ros.evaluation.message_types import typestore
from vl4ad_ros.evaluation.pixel_metrics import PixelMetrics
import yaml

SMALL, LARGE, BESIDE = (10, 10, 12, 12), (40, 0, 100, 100), (10, 80, 15, 15)


def truth(frames=6, has_objects=True):
    """Return frames at 10 Hz with a small object 3 and a large one 7."""
    label, ids = np.zeros((120, 160), np.uint8), np.zeros((120, 160), np.uint16)
    for number, (x, y, w, h) in ((3, SMALL), (7, LARGE)):
        label[y:y + h, x:x + w], ids[y:y + h, x:x + w] = 1, number
    frame = TruthFrame.of(label, ids)
    return Truth(dict.fromkeys(range(frames), frame), [i * 10**8 for i in range(frames)],
                 has_objects=has_objects)


def results(*frames):
    """Return results whose alerts are {id: box}, None where nothing is known."""
    return [FrameResult(i, 0, None if f is None else tuple(
        Alert(a, 0.9, box) for a, box in f.items())) for i, f in enumerate(frames)]


def figures(*frames, way=DrivenWay(), minutes=0.5):
    """Return the figures and the reasons."""
    found = alert_figures(score_alerts(results(*frames), truth()), truth(), way, minutes)
    return found.figures, found.undefined


def test_duplicates_are_further_ids_on_the_same_object():
    found, _ = figures({'a': SMALL}, {'a': SMALL}, {'b': SMALL}, {'c': SMALL, 'd': LARGE})
    assert (found['duplicate_alerts'], found['anomalies_missed']) == (2, 0)
    found, _ = figures({'a': SMALL}, {'a': SMALL, 'x': BESIDE})
    assert (found['duplicate_alerts'], found['anomalies_missed']) == (0, 1)


def test_flicker_counts_changes_of_the_picture_between_known_frames():
    found, _ = figures({}, {'a': SMALL}, None, {'a': SMALL, 'b': LARGE}, {}, {'c': SMALL})
    assert found['state_changes_per_minute'] == 3 / 0.5
    found, _ = figures(*[{'a': SMALL}] * 6)
    assert found['state_changes_per_minute'] == 0


def test_sizes():
    found, _ = figures({}, {'a': LARGE}, {'a': LARGE})
    assert found['alerts_by_size'] == {
        'small': {'anomalies': 1, 'alerted': 0, 'time_to_alert_s': None},
        'medium': {'anomalies': 0, 'alerted': 0, 'time_to_alert_s': None},
        'large': {'anomalies': 1, 'alerted': 1, 'time_to_alert_s': 0.1}}


def test_rates_have_intervals():
    found, why = figures({'x': BESIDE}, {}, {'y': BESIDE}, way=DrivenWay(500.0))
    assert found['false_alerts_per_minute'] == 4 and found['false_alerts_per_km'] == 4
    low, high = found['false_alerts_per_km_interval']
    assert (low, high) == (pytest.approx(0.2422 / 0.5, abs=1e-3),
                           pytest.approx(7.2247 / 0.5, abs=1e-3))
    assert found['false_alerts_per_minute_interval'] == [low, high] and 'way_km' not in why
    found, why = figures(way=DrivenWay(0.0))
    assert found['false_alerts_per_km'] is None
    assert why['false_alerts_per_km'] == 'the vehicle did not move'


def test_what_the_recording_does_not_say_is_null_with_the_reason():
    found, why = figures({'a': SMALL}, {'a': SMALL})
    for name in ('way_km', 'false_alerts_per_km', 'false_alerts_per_km_interval'):
        assert found[name] is None and why[name] == NO_WAY
    assert found['distance_at_alert_m'] is None and why['distance_at_alert_m'] == NO_DISTANCES
    found, why = figures({}, {})
    assert found['time_to_alert_s'] is None and why['time_to_alert_s'] == 'no object was alerted'
    written = described(found | {'undefined': why}, {})
    assert written['way_km'] is None and written['undefined']['way_km'] == NO_WAY
    assert set(written['definitions']) >= {'way_km', 'undefined', 'alerts_by_size'}


def test_distance_at_the_first_alert():
    way = DrivenWay(100.0, {3: {1: 30.0, 2: 28.0}, 7: {2: 12.0}})
    found, _ = figures({}, {'a': SMALL}, {'a': SMALL, 'b': LARGE}, way=way)
    assert found['distance_at_alert_m'] == (30 + 12) / 2
    found, why = figures({}, way=way)
    assert found['distance_at_alert_m'] is None
    assert why['distance_at_alert_m'] == 'no object was alerted'


def test_totals_have_rates_over_all_recordings():
    one = {'duration_s': 30.0, 'false_alerts': 2, 'way_km': 0.5, 'alerts_by_size': {
        'small': {'anomalies': 2, 'alerted': 1, 'time_to_alert_s': 0.1}}}
    two = one | {'false_alerts': 0, 'way_km': 1.5}
    found = totals([one, two, {'error': 'damaged'}], PixelMetrics().result())
    assert (found['false_alerts_per_minute'], found['false_alerts_per_km']) == (2, 1)
    assert found['alerts_by_size'] == {'small': {'anomalies': 4, 'alerted': 2}}
    found = totals([one, two | {'way_km': None}], PixelMetrics().result())
    assert found['false_alerts_per_km'] is None
    assert found['undefined']['false_alerts_per_km'] == NO_WAY


def test_rates_of_nothing_are_undefined():
    found, why = false_alert_rates(0, 0.0, None)
    assert found['false_alerts_per_minute'] is None
    assert why['false_alerts_per_minute'] == 'the recording has no duration'


@pytest.fixture(scope='module')
def recording(tmp_path_factory):
    """Return a bag with 12 frames at 10 Hz."""
    return write_bag(tmp_path_factory.mktemp('bags') / 'bag', 12)


def with_odometry(bag: Path, folder: Path, seconds) -> Path:
    """Return a recording with positions 1 m apart, of which every second one is to the left."""
    shutil.copytree(bag, folder)
    odometry = folder.with_name('odometry')
    store = typestore()
    t = store.types
    zero = np.zeros(36)
    twist = t['geometry_msgs/msg/TwistWithCovariance'](t['geometry_msgs/msg/Twist'](
        *[t['geometry_msgs/msg/Vector3'](0, 0, 0)] * 2), zero)
    with Writer(odometry, version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        connection = writer.add_connection('/odometry', ODOMETRY, typestore=store)
        for i, second in enumerate(seconds):
            time_ns = START_NS + int(second * 1e9)
            header = t['std_msgs/msg/Header'](t['builtin_interfaces/msg/Time'](
                *divmod(time_ns, 10**9)), 'odom')
            pose = t['geometry_msgs/msg/PoseWithCovariance'](t['geometry_msgs/msg/Pose'](
                t['geometry_msgs/msg/Point'](float(i // 2), float((i + 1) // 2), 0.0),
                t['geometry_msgs/msg/Quaternion'](0, 0, 0, 1)), zero)
            writer.write(connection, time_ns, store.serialize_cdr(
                t[ODOMETRY](header, 'base', pose, twist), ODOMETRY))
    file, = odometry.glob('*.mcap')
    shutil.copy(file, folder / 'odometry.mcap')
    about = yaml.safe_load((folder / 'metadata.yaml').read_text())
    about['rosbag2_bagfile_information']['relative_file_paths'].append('odometry.mcap')
    (folder / 'metadata.yaml').write_text(yaml.safe_dump(about))
    return folder


def test_the_way_is_that_of_the_odometry(recording, tmp_path):
    assert driven_way(CameraBag(recording), 'base_link') == DrivenWay()
    path = with_odometry(recording, tmp_path / 'bag', np.arange(-0.5, 2.0, 0.05))
    bag = CameraBag(path)
    whole = driven_way(bag, 'base_link')
    assert whole.length_m == pytest.approx(22, abs=1) and whole.distances == {}
    half = driven_way(CameraBag(path, span=Span(0.0, 0.5)), 'base_link')
    assert half.length_m == pytest.approx(10, abs=1)


def test_odometry_that_ends_too_early_does_not_count(recording, tmp_path):
    path = with_odometry(recording, tmp_path / 'bag', np.arange(-2.0, -1.2, 0.05))
    assert driven_way(CameraBag(path), 'base_link').length_m is None
