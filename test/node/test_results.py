# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What the node publishes about an image, over DDS, with a real bundle of made-up networks."""

from __future__ import annotations

from threading import Event
import time

from harness import GREY, PURPLE, RED, scene
import numpy as np
import pytest
from vl4ad_ros.node.convert import to_message
from vl4ad_ros.runtime.detector import Detector


@pytest.fixture(scope='module')
def offline(mock_bundle):
    """Yield a function from picture to the offline detector's prediction."""
    detector = Detector.open(mock_bundle)
    prompts = detector.encode(detector.default_vocabulary)
    yield lambda picture: detector.detect(picture, prompts)
    detector.close()


def pixels(message, dtype=np.uint8) -> np.ndarray:
    array = np.frombuffer(message.data, dtype)
    return array.reshape(message.height, message.width, *([3] if message.encoding == 'rgb8'
                                                          else []))


@pytest.mark.parametrize('picture', [
    scene(), scene(90, 301), scene(1, 1), scene(480, 640, PURPLE), scene(48, 36)],
    ids=lambda p: str(p.shape))
def test_mask_is_the_offline_detector_s_pixel_for_pixel(bench, offline, picture):
    mask = bench.ask(picture)
    assert (mask.encoding, mask.height, mask.width) == ('mono8', *picture.shape[:2])
    assert np.array_equal(pixels(mask), offline(picture).mask(0.5))


def test_the_mask_marks_the_thing_and_only_the_thing(bench):
    mask = pixels(bench.ask(scene(at=(60, 40), side=40)))
    assert mask[44:76, 64:96].all() and not mask[:30].any() and not mask[:, 110:].any()


def test_score_and_overlay_are_only_published_while_somebody_listens(bench, offline):
    bench.ask(scene())
    assert not bench.received['score'] and not bench.received['overlay']
    subscriptions = [bench.watch(name) for name in ('score', 'overlay')]
    node, path = bench.detector_node, '/vl4ad_detector/'
    bench.until(lambda: all(node.count_subscribers(path + name) for name in ('score', 'overlay')),
                'the node to see its subscribers')
    picture = scene(thing=RED)
    header = bench.send(picture)
    score = bench.answer(header, 'score')
    assert (score.encoding, score.height, score.width) == ('32FC1', *picture.shape[:2])
    assert np.array_equal(pixels(score, np.float32), offline(picture).score)
    overlay = pixels(bench.answer(header, 'overlay'))
    assert overlay.shape == picture.shape
    assert (overlay[60, 70] != RED).any() and (overlay[10, 10] == GREY).all()
    for subscription in subscriptions:
        bench.node.destroy_subscription(subscription)
    bench.until(lambda: not any(node.count_subscribers(path + name)
                                for name in ('score', 'overlay')), 'nobody to listen')
    count = len(bench.received['score'])
    bench.ask(scene())
    assert len(bench.received['score']) == count


def test_alert_after_three_of_five_with_a_stable_id_and_the_input_s_header(bench):
    bench.ask(scene(30, 30, GREY))  # another size: nothing is remembered
    frames = []
    for step in range(5):
        header = bench.send(scene(at=(60 + 3 * step, 40), thing=RED))
        frames.append((header, bench.answer(header, 'detections'), bench.answer(header, 'alerts')))
    assert [len(d.detections) for _, d, _ in frames] == [1] * 5
    assert [len(a.detections) for _, _, a in frames] == [0, 0, 1, 1, 1]
    header, detections, alerts = frames[-1]
    alert = alerts.detections[0]
    assert alert.header == header and detections.detections[0].header == header
    assert len({a.detections[0].id for _, _, a in frames[2:]}) == 1 and alert.id
    assert alert.results[0].hypothesis.class_id == 'cow'
    assert 0.5 < alert.results[0].hypothesis.score <= 1.0
    assert abs(alert.bbox.center.position.x - 92) < 6
    assert abs(alert.bbox.center.position.y - 60) < 6
    assert abs(alert.bbox.size_x - 40) < 10 and abs(alert.bbox.size_y - 40) < 10


def test_alert_is_cleared_after_its_release_and_by_a_jump_back_in_time(bench):
    def alerts(picture) -> int:
        return len(bench.ask(picture, 'alerts').detections)
    assert [alerts(scene()) for _ in range(6)][-1] == 1
    assert [alerts(scene(thing=GREY)) for _ in range(6)] == [1, 1, 1, 1, 0, 0]
    assert [alerts(scene()) for _ in range(3)] == [0, 0, 1]
    message = to_message(bench.header(), scene(), 'rgb8')
    message.header.stamp.sec -= 1000
    assert not bench.ask(message, 'alerts').detections


def test_size_change_starts_anew_but_ids_are_not_given_twice(bench):
    def last(picture):
        return [bench.ask(picture, 'alerts').detections for _ in range(3)][-1][0].id
    bench.ask(scene(50, 50, GREY))
    first, second = last(scene()), last(scene(240, 320))
    assert first != second


@pytest.mark.parametrize('seconds, kind', [(0, 'zero'), (-1, 'zero'), (2 ** 31 - 1, 'future')])
def test_odd_stamp_is_answered_and_reported(bench, seconds, kind):
    message = to_message(bench.header(), scene(), 'rgb8')
    message.header.stamp.sec, message.header.stamp.nanosec = seconds, 0
    bench.received['mask'].clear()
    assert pixels(bench.ask(message)).any()
    bench.status('image', lambda s: any(v.key == f'stamps {kind}' and int(v.value) > 0
                                        for v in s.values))
    bench.ask(scene(30, 30))  # back from the future


def test_limits_that_confirm_a_missed_obstacle_do_not_disturb(bench):
    bench.ask(scene(50, 50, GREY))
    assert bench.set(alert__confirm_window=9).successful
    assert bench.set(alert__confirm_hits=9).successful
    for thing in (RED, RED, RED, GREY):
        assert not bench.ask(scene(thing=thing), 'alerts').detections
    assert bench.set(alert__confirm_hits=3).successful
    bench.ask(scene(thing=GREY), 'alerts')
    assert bench.set(alert__confirm_window=5).successful
    bench.ask(scene(), 'alerts')


def test_latest_frame_wins_and_results_stay_young(bench, monkeypatch):
    """At 50 Hz into 60 ms of work, the age stays at two works: no queue builds up."""
    detect = Detector.detect

    def slow(self, image, prompts):
        time.sleep(0.06)
        return detect(self, image, prompts)
    monkeypatch.setattr(Detector, 'detect', slow)
    before = len(bench.received['mask'])
    headers, ages = [], {}

    def look():
        for message in bench.received['mask'][before + len(ages):]:
            ages[headers.index(message.header)] = time.monotonic()
    sent = []
    for _ in range(60):
        sent.append(time.monotonic())
        headers.append(bench.send(scene()))
        while time.monotonic() < sent[-1] + 0.02:
            bench.executor.spin_once(timeout_sec=0.002)
            look()
    bench.until(lambda: look() or max(ages) == 59, 'the answer to the last frame')
    assert 10 < len(ages) < 30
    assert list(ages) == sorted(ages)
    late = [when - sent[i] for i, when in ages.items()]
    assert np.median(late) < 0.2 and max(late) < 0.5
    status = bench.status('image', lambda s: True)
    assert int(next(v.value for v in status.values if v.key == 'replaced')) >= 20


def test_parameters_and_states_answer_while_an_inference_hangs(bench, monkeypatch):
    go_on, inside = Event(), Event()
    detect = Detector.detect

    def hanging(self, image, prompts):
        inside.set()
        assert go_on.wait(20)
        return detect(self, image, prompts)
    monkeypatch.setattr(Detector, 'detect', hanging)
    header = bench.send(scene())
    bench.until(inside.is_set, 'the inference')
    try:
        assert bench.state == 'active'
        assert bench.set(output__overlay_alpha=0.4).successful
        bench.status('model')
        assert header not in [m.header for m in bench.received['mask']]
    finally:
        go_on.set()
    bench.answer(header)


def test_failing_inference_deactivates_and_says_why(bench, monkeypatch):
    def broken(self, image, prompts):
        raise RuntimeError('out of memory')
    with monkeypatch.context() as patch:
        patch.setattr(Detector, 'detect', broken)
        for _ in range(5):
            bench.send(scene())
            time.sleep(0.05)
        bench.until(lambda: bench.state == 'inactive', 'the node to deactivate itself')
        bench.status('model', lambda s: s.level == b'\x02' and '5 inference failures' in s.message
                     and 'out of memory' in s.message)
    assert bench.change('activate')
    bench.wait_for_match()
    bench.ask(scene())
    bench.status('model', lambda s: s.level == b'\x00')


def test_a_worker_that_dies_deactivates_and_can_be_activated_again(bench, monkeypatch):
    camera = bench.detector_node._camera
    with monkeypatch.context() as patch:
        patch.setattr(camera, '_publish', None)
        bench.send(scene())
        bench.until(lambda: bench.state == 'inactive', 'the node to deactivate itself')
    assert bench.change('activate')
    bench.wait_for_match()
    bench.ask(scene())
