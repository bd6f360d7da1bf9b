# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What the node publishes about an image, over DDS, with a real bundle of made-up networks."""

from __future__ import annotations

from threading import Event
import time

from harness import GREY, PURPLE, RED, scene
import numpy as np
import pytest
from vl4ad_ros.inference.detector import Detector
from vl4ad_ros.node.messages import image as to_message


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


def answered(bench, picture, count: int = 1) -> list:
    """Send pictures one by one; return the last one's alerts message, None if there is none."""
    for _ in range(count):
        header = bench.send(picture)
        bench.answer(header, 'detections')
    # The alerts of a frame come after its detections and may still be on their way.
    end = time.monotonic() + 0.3
    while time.monotonic() < end:
        bench.executor.spin_once(timeout_sec=0.05)
        found = [m for m in bench.received['alerts'] if m.header == header]
        if found:
            return found[0]


def test_alerts_begin_when_the_window_is_full_with_stable_ids_and_the_input_s_header(bench):
    bench.ask(scene(30, 30, GREY))  # another size: tracking begins anew
    frames = []
    for step in range(7):
        header = bench.send(scene(at=(60 + 3 * step, 40), thing=RED))
        frames.append((header, bench.answer(header, 'detections')))
    messages = [bench.answer(header, 'alerts') for header, _ in frames[4:]]
    assert [len(d.detections) for _, d in frames] == [1] * 7
    assert not {m.header.stamp.nanosec for m in bench.received['alerts']} & {
        header.stamp.nanosec for header, _ in frames[:4]}
    assert [len(a.detections) for a in messages] == [1] * 3
    (header, detections), alert = frames[-1], messages[-1].detections[0]
    assert alert.header == header and detections.detections[0].header == header
    assert len({a.detections[0].id for a in messages}) == 1 and alert.id
    assert not detections.detections[0].id
    assert abs(alert.bbox.center.position.x - 98) < 6
    assert abs(alert.bbox.center.position.y - 60) < 6
    assert abs(alert.bbox.size_x - 40) < 10 and abs(alert.bbox.size_y - 40) < 10


def test_each_result_has_the_score_of_what_it_names(bench, offline):
    bench.ask(scene(30, 30, GREY))
    alert = answered(bench, scene(thing=RED), 5).detections[0]
    anomaly, named = (result.hypothesis for result in alert.results)
    assert anomaly.class_id == 'anomaly' and 0.5 < anomaly.score <= 1.0
    prediction = offline(scene(thing=RED))
    box = (alert.bbox.center.position.x - alert.bbox.size_x / 2,
           alert.bbox.center.position.y - alert.bbox.size_y / 2, alert.bbox.size_x,
           alert.bbox.size_y)
    assert (named.class_id, named.score) == prediction.anomaly_class_in(box, 0.5)
    assert bench.set(alert__name_floor=1.0).successful
    unnamed = bench.ask(scene(thing=RED), 'detections').detections[0]
    assert bench.set(alert__name_floor=0.3).successful
    assert [r.hypothesis.class_id for r in unnamed.results] == ['anomaly']


def test_alert_is_cleared_after_its_release(bench):
    def alerts(picture) -> int:
        return len(bench.ask(picture, 'alerts').detections)
    answered(bench, scene(50, 50, GREY))
    answered(bench, scene(), 4)
    assert alerts(scene()) == 1
    assert [alerts(scene(thing=GREY)) for _ in range(6)] == [1, 1, 1, 1, 0, 0]
    assert [alerts(scene()) for _ in range(3)] == [0, 0, 1]


def back(bench, seconds: float):
    """Return a picture whose stamp is so much older than now."""
    message = to_message(bench.header(), scene(), 'rgb8')
    ns = 10 ** 9 * message.header.stamp.sec + message.header.stamp.nanosec - int(1e9 * seconds)
    message.header.stamp.sec, message.header.stamp.nanosec = divmod(ns, 10 ** 9)
    return message


def test_late_frames_have_no_alerts_and_keep_none_away(bench):
    answered(bench, scene(50, 50, GREY))
    answered(bench, scene(), 5)
    assert answered(bench, back(bench, 0.3)) is None
    bench.status('image', lambda s: 'left out of tracking' in s.message
                 or any(v.key == 'stamps late' and int(v.value) for v in s.values))
    assert len(answered(bench, scene()).detections) == 1


@pytest.mark.parametrize('seconds', [1000.0, -3600.0])
def test_a_jump_in_time_begins_anew_and_is_reported(bench, seconds):
    answered(bench, scene(50, 50, GREY))
    assert len(answered(bench, scene(), 5).detections) == 1
    before = int(value(bench.status('image'), 'resets'))
    assert answered(bench, back(bench, seconds)) is None
    status = bench.status('image', lambda s: int(value(s, 'resets')) > before)
    assert ('back by' if seconds > 0 else 'no frame for') in value(status, 'last reset')
    assert 'warming up: 1 of 5 frames since a reset' in value(status, 'alerts withheld because')
    answered(bench, scene(50, 50, GREY))


def test_inference_slower_than_the_stall_timeout_alerts(bench, monkeypatch):
    """Slower than health.stall_timeout_s, which used to reset tracking on every frame."""
    detect = Detector.detect

    def slow(self, image, prompts):
        time.sleep(0.25)
        return detect(self, image, prompts)
    answered(bench, scene(50, 50, GREY))
    assert bench.set(health__stall_timeout_s=0.1).successful
    monkeypatch.setattr(Detector, 'detect', slow)
    try:
        for i in range(5):
            header = bench.send(scene())
            bench.answer(header, 'detections')
            if i == 2:
                status = bench.status('image')
                assert 'warming up: 3 of 5' in value(status, 'alerts withheld because')
        assert len(bench.answer(header, 'alerts').detections) == 1
    finally:
        assert bench.set(health__stall_timeout_s=1.0).successful


def value(status, key: str) -> str:
    return next(v.value for v in status.values if v.key == key)


def test_size_change_starts_anew_but_ids_are_not_given_twice(bench):
    bench.ask(scene(50, 50, GREY))
    first, second = (answered(bench, picture, 5).detections[0].id
                     for picture in (scene(), scene(240, 320)))
    assert first != second


@pytest.mark.parametrize('stamp', [(0, 0), (5, 5)])
def test_zero_and_constant_stamps_are_tracked_by_receipt(bench, stamp):
    bench.ask(scene(50, 50, GREY))
    kind = 'constant' if stamp[0] else 'zero'
    before = int(value(bench.status('image'), f'stamps {kind}'))
    count = len(bench.received['alerts'])
    for i in range(7):
        message = to_message(bench.header(), scene(), 'rgb8')
        message.header.stamp.sec, message.header.stamp.nanosec = stamp
        masks = len(bench.received['mask'])
        bench.send(message)
        bench.until(lambda: len(bench.received['mask']) > masks, 'the mask')
    bench.until(lambda: any(m.detections for m in bench.received['alerts'][count:]), 'an alert')
    status = bench.status('image', lambda s: int(value(s, f'stamps {kind}')) >= before + 5)
    assert status.level == b'\x01'
    bench.ask(scene(30, 30))


def test_the_largest_regions_are_published_and_the_rest_is_counted(bench):
    picture = scene(240, 400, GREY)
    for x in range(0, 400, 40):
        for y in range(0, 240, 40):
            picture[y:y + 20, x:x + 20] = RED
    assert bench.set(region__max_count=7, region__min_area=0.0).successful
    try:
        assert len(bench.ask(picture, 'detections').detections) == 7
        bench.status('image', lambda s: int(value(s, 'regions left over')) == 60 - 7)
    finally:
        assert bench.set(region__max_count=100, region__min_area=0.0005).successful


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
        bench.ask(scene(thing=thing))
    assert bench.set(alert__confirm_hits=3).successful
    bench.ask(scene(thing=GREY))
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
        bench.status('model', lambda s: s.level == b'\x02' and '5 failures in a row' in s.message
                     and 'out of memory' in s.message)
    assert bench.change('activate')
    bench.wait_for_match()
    bench.ask(scene())
    bench.status('model', lambda s: s.level == b'\x00')


def test_what_fails_on_one_frame_costs_that_frame_only(bench, monkeypatch):
    outputs = bench.detector_node._loaded.cameras._cameras['']._outputs
    with monkeypatch.context() as patch:
        patch.setattr(outputs, 'publish', None)
        bench.send(scene())
        bench.status('image', lambda s: 'processing failed: TypeError' in s.message)
    assert bench.state == 'active'
    bench.ask(scene())
