# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Distances of published obstacles against the true ones."""

from bags import make_header, START_NS, write_bag
import numpy as np
import pytest
from rosbags.rosbag2 import StoragePlugin, Writer
from vl4ad_ros.evaluation.alert_figures import alert_figures
from vl4ad_ros.evaluation.alert_metrics import (
    Alert, FrameResult, score_alerts, Truth, TruthFrame)
from vl4ad_ros.evaluation.bag_reader import CameraBag, Span
from vl4ad_ros.evaluation.distance_error import distance_figures, distance_pairs, DistancePair
from vl4ad_ros.evaluation.driven_way import DrivenWay, NO_DISTANCES
from vl4ad_ros.evaluation.figures import totals
from vl4ad_ros.evaluation.message_types import typestore
from vl4ad_ros.evaluation.pixel_metrics import PixelMetrics
from vl4ad_ros.evaluation.true_places import true_distances, TRUE_PLACES_TOPIC, TruePlace
from vl4ad_ros.evaluation.vehicle_messages import true_places
from vl4ad_ros.evaluation.vision_messages import OBSTACLES
from vl4ad_ros.obstacles.box import Box
from vl4ad_ros.obstacles.ground_view import Placement

LEFT, RIGHT, BOTH, NONE = (10, 10, 20, 20), (30, 10, 40, 40), (12, 10, 40, 30), (10, 80, 15, 15)


def truth(frames=4):
    """Return frames with an object 3 and, at its right, an object 7."""
    label, ids = np.zeros((120, 160), np.uint8), np.zeros((120, 160), np.uint16)
    for number, (x, y, w, h) in ((3, LEFT), (7, RIGHT)):
        label[y:y + h, x:x + w], ids[y:y + h, x:x + w] = 1, number
    frame = TruthFrame.of(label, ids)
    return Truth(dict.fromkeys(range(frames), frame), [i * 10**8 for i in range(frames)])


def pairs(boxes, published, true):
    """Return the pairs of alerts with the given boxes and published distances."""
    def alert(name, box, metres):
        place = None if metres is None else Placement(metres, 0.0, (1.0, 0.0, 1.0), 0.0, 1.0, 1.0)
        return Alert(name, 0.9, box, place=place)
    results = [FrameResult(i, 0, None if frame is None else tuple(
        alert(name, box, published.get(i, {}).get(name)) for name, box in frame.items()))
        for i, frame in enumerate(boxes)]
    return [(p.published_m, p.true_m) for p in distance_pairs(results, truth(), true)]


def test_an_alert_has_the_distance_of_its_object():
    true = {3: {0: 20.0, 1: 19.0, 2: 18.0}, 7: {1: 9.0}}
    # In the second frame it overlaps both objects, but the right one with a larger area.
    assert pairs([{'a': LEFT}, {'a': BOTH}, None], {0: {'a': 22.0}, 1: {'a': 10.0}}, true) == [
        (22.0, 20.0), (10.0, 9.0)]
    # An old box that shows nothing any more belongs to the object of before.
    assert pairs([{'a': LEFT}, {'a': NONE}], {0: {'a': 22.0}, 1: {'a': 23.0}}, true) == [
        (22.0, 20.0), (23.0, 19.0)]
    # No place, no object, or no true distance: no pair.
    assert pairs([{'a': LEFT, 'b': NONE}], {0: {'b': 5.0}}, true) == []
    assert pairs([{'a': RIGHT}], {0: {'a': 5.0}}, true) == []


def test_figures_by_range():
    found = distance_figures([DistancePair(p, t) for p, t in (
        (5.5, 5.0), (9.0, 10.0), (30.0, 25.0), (50.0, 45.0))])
    assert found['distance_error_m']['count'] == 4
    assert found['distance_error_m']['median'] == pytest.approx(3.0)
    assert found['distance_error_by_range'] == {
        '0-10 m': {'median': pytest.approx(0.1), 'p95': pytest.approx(0.1), 'count': 2},
        '10-20 m': {'median': None, 'p95': None, 'count': 0},
        '20-40 m': {'median': 0.2, 'p95': 0.2, 'count': 1}}


def test_without_pairs_the_reason_is_said():
    scores = score_alerts([], truth())
    found = alert_figures(scores, truth(), DrivenWay(), 1.0)
    assert found.figures['distance_error_m'] is None
    assert found.undefined['distance_error_m'] == NO_DISTANCES
    found = alert_figures(scores, truth(), DrivenWay(1.0, {3: {0: 5.0}}), 1.0)
    assert found.undefined['distance_error_m'] == 'no obstacle was published for an object'


def test_totals_pool_the_pairs_of_all_recordings():
    found = totals([{'duration_s': 1.0}], PixelMetrics().result(), [DistancePair(11.0, 10.0)])
    assert found['distance_error_m'] == {'median': 1.0, 'p95': 1.0, 'count': 1}
    assert 'distance_error_m' not in totals([{'duration_s': 1.0}], PixelMetrics().result())


@pytest.fixture
def recording(tmp_path):
    """Return a function that records true places beside 6 frames, some of them late or odd."""
    def write(frame_id='base_link'):
        folder = write_bag(tmp_path / 'bag', 6)
        store = typestore()
        with Writer(tmp_path / 'places', version=9, storage_plugin=StoragePlugin.MCAP) as writer:
            connection = writer.add_connection(TRUE_PLACES_TOPIC, OBSTACLES, typestore=store)
            for i in range(6):
                stamp = START_NS + i * 10**8
                box = Box((20.0 - i + 0.5, 0.0, 0.5), (0.0, 1.0), (1.0, 2.0, 1.0), np.zeros(36))
                message = true_places(make_header(stamp + 10**7), [TruePlace(300, 'cow', box)])
                message.header.frame_id = frame_id
                writer.write(connection, stamp + 5 * 10**8, store.serialize_cdr(
                    message, OBSTACLES))
        file, = (tmp_path / 'places').glob('*.mcap')
        file.rename(folder / 'places.mcap')
        (folder / 'metadata.yaml').unlink()
        return folder
    return write


def test_true_places_belong_to_the_frames_of_their_stamps(recording):
    """The distance is that of the near side of a box; a part of a recording has its frames."""
    folder = recording()
    assert true_distances(CameraBag(folder), 'base_link') == {
        300: {i: pytest.approx(20.0 - i) for i in range(6)}}
    assert true_distances(CameraBag(folder, span=Span(0.25)), 'base_link') == {
        300: {i - 3: pytest.approx(20.0 - i) for i in range(3, 6)}}


def test_places_in_another_frame_are_not_compared_and_a_note_says_so(recording):
    bag = CameraBag(recording('map'))
    assert true_distances(bag, 'base_link') == {}
    assert "/ground_truth/obstacles gives positions in 'map', but ground.frame_id" in bag.notes[-1]
