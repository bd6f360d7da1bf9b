# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Several cameras share one node, one worker and one engine, over DDS."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Thread
import time

from harness import Bench, BLUE, GREY, RED, scene
import numpy as np
import pytest
import rclpy
from rclpy.node import Node
from rclpy.parameter import Parameter
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import Header
from vl4ad_ros.inference.detector import Detector
from vl4ad_ros.node import qos
from vl4ad_ros.node.messages import image as to_message

LIMITS = {'health.stall_timeout_s': 30.0, 'health.warn_age_s': 5.0}


@pytest.fixture(scope='module')
def bench(ros, mock_bundle):
    """Yield an active node with the cameras front and left; `bench.camera` is the front one."""
    parameters = {'model.bundle': str(mock_bundle), 'cameras': ['front', 'left'], **LIMITS,
                  **{f'{name}.camera.height_m': 1.4 for name in ('front', 'left')}}
    others = ('left/mask', 'left/detections', 'left/alerts')
    with Bench(ros, parameters, topic='front/image', camera='front',
               watch=(*others, 'obstacles')) as bench:
        bench.left = bench.node.create_publisher(Image, 'left/image', qos.image_result())
        bench.infos = [bench.node.create_publisher(CameraInfo, f'{name}/camera_info',
                                                   qos.image_result())
                       for name in ('front', 'left')]
        assert bench.change('configure') and bench.change('activate')
        bench.wait_for_match(*others, 'obstacles')
        for publisher in (bench.left, *bench.infos):
            bench.until(publisher.get_subscription_count, 'the node to subscribe')
        for publisher in bench.infos:
            publisher.publish(CameraInfo(
                width=200, height=120, distortion_model='plumb_bob', d=[0.0] * 5,
                k=[200.0, 0.0, 99.5, 0.0, 200.0, 29.5, 0.0, 0.0, 1.0]))
        bench.spin_for(0.2)
        yield bench


def ask_left(bench, picture: np.ndarray, name: str = 'mask'):
    """Publish a picture of the left camera; return one output of it."""
    header = bench.header()
    bench.left.publish(to_message(header, picture, 'rgb8'))
    return bench.answer(header, f'left/{name}')


def values(status) -> dict[str, str]:
    return {v.key: v.value for v in status.values}


def test_each_camera_is_answered_on_its_own_topics(bench):
    front, left = bench.ask(scene(), 'front/mask'), ask_left(bench, scene(90, 160, GREY))
    assert (front.height, front.width) == (120, 200) and any(front.data)
    assert (left.height, left.width) == (90, 160) and not any(left.data)
    ours = {name for name, _ in bench.node.get_topic_names_and_types()
            if name.startswith('/vl4ad_detector/')}
    assert {f'/vl4ad_detector/{camera}/{output}' for camera in ('front', 'left') for output in
            ('mask', 'score', 'alerts', 'labels', 'points')} < ours
    assert {'/vl4ad_detector/obstacles', '/vl4ad_detector/markers',
            '/vl4ad_detector/obstacle_points', '/vl4ad_detector/label_info'} < ours
    assert not {'/vl4ad_detector/mask', '/vl4ad_detector/front/obstacles'} & ours
    assert len(bench.node.get_publishers_info_by_topic('/vl4ad_detector/label_info')) == 1


def test_diagnostics_have_a_status_for_each_camera(bench):
    ask_left(bench, scene())
    assert values(bench.status('left image'))['topic'] == '/left/image'
    assert values(bench.status('front image'))['topic'] == '/front/image'


def test_a_camera_that_nobody_publishes_is_named_with_the_topic_to_remap(ros, mock_bundle):
    parameters = {'model.bundle': str(mock_bundle), 'cameras': ['front', 'rear'],
                  'health.stall_timeout_s': 0.5}
    with Bench(ros, parameters, name='one_of_two', topic='front/image', camera='front') as bench:
        assert bench.change('configure') and bench.change('activate')
        bench.wait_for_match()
        status = bench.status('rear image', lambda s: s.level != b'\x00')
        assert 'nothing publishes /rear/image' in status.message
        assert 'remap rear/image:=' in status.message


def test_a_camera_may_have_values_of_its_own_which_can_be_taken_away_again(bench):
    assert bench.set(front__threshold=1.0).successful
    assert not any(bench.ask(scene(), 'front/mask').data)
    assert any(ask_left(bench, scene()).data)
    assert bench.set(threshold=0.999999).successful
    assert not any(ask_left(bench, scene(thing=BLUE)).data)
    refused = bench.set(left__alert__confirm_hits=50)
    assert not refused.successful and "camera 'left': alert.confirm_hits 50" in refused.reason
    assert not bench.set(left__threshold='high').successful
    assert bench.set(threshold=0.5).successful
    assert not any(bench.ask(scene(), 'front/mask').data)
    assert bench.set(front__threshold=None).successful
    assert any(bench.ask(scene(), 'front/mask').data)
    bench.until(lambda: bench.set(front__threshold=0.6).successful, 'a value once more')
    assert bench.set(front__threshold=None).successful


def all_done(status) -> bool:
    """Tell whether each image that was received has been processed, and was counted as such."""
    found = values(status)
    return found['received'] == found['processed']


@contextmanager
def left_camera(ros, misbehave) -> Iterator[None]:
    """Let the left camera misbehave in a thread: it calls `misbehave(publisher, step)`."""
    node, end = Node('left_camera', context=ros), Event()
    publisher = node.create_publisher(Image, 'left/image', qos.image_result())

    def publish() -> None:
        for step in range(10 ** 9):
            if end.is_set():
                return
            misbehave(publisher, step)
    thread = Thread(target=publish)
    thread.start()
    try:
        yield
    finally:
        end.set()
        thread.join()
        node.destroy_node()


def at(seconds: float) -> Header:
    return Header(stamp=rclpy.time.Time(nanoseconds=int(seconds * 1e9)).to_msg(), frame_id='left')


def flood(publisher, step):
    publisher.publish(to_message(at(time.time()), scene(240, 400), 'rgb8'))
    time.sleep(0.001)


def stall(publisher, step):
    if step < 3:
        publisher.publish(to_message(at(time.time()), scene(), 'rgb8'))
    time.sleep(0.05)


def change_size_and_encoding(publisher, step):
    picture = scene(60 + step % 7, 90 + step % 5)
    if step % 2:
        publisher.publish(to_message(at(time.time()), picture, 'bgr8'))
    else:
        publisher.publish(to_message(at(time.time()), picture[..., 0].copy(), 'mono8'))
    time.sleep(0.02)


def jump_in_time(publisher, step):
    stamp = (0.0, 5.0, time.time() + 3600, time.time() - 3600)[step % 4]
    publisher.publish(to_message(at(stamp), scene(), 'rgb8'))
    time.sleep(0.02)


def send_rubbish(publisher, step):
    message = to_message(at(time.time()), scene(), 'rgb8')
    message.encoding, message.height = (('rgb8', 10 ** 6), ('nonsense', 120), ('', 0))[step % 3]
    publisher.publish(message)
    time.sleep(0.01)


@pytest.mark.parametrize('misbehave', [flood, stall, change_size_and_encoding, jump_in_time,
                                       send_rubbish])
def test_a_camera_that_misbehaves_changes_nothing_for_the_others(bench, ros, misbehave):
    for _ in range(5):
        before = bench.ask(scene(), 'front/detections')
    before = bench.answer(before.header, 'front/alerts')
    counts = values(bench.status('front image', all_done))
    with left_camera(ros, misbehave):
        headers = []
        for step in range(12):
            picture = scene()
            picture[0, 0] = step  # A camera that only repeats a picture counts as frozen.
            headers.append(bench.send(picture))
            alerts = bench.answer(headers[-1], 'front/alerts')
            assert [a.id for a in alerts.detections] == [a.id for a in before.detections]
        status = bench.status('front image', all_done)
    assert status.level == b'\x00', status.message
    after = values(status)
    grown = {key: int(after[key]) - int(counts[key]) for key in
             ('received', 'processed', 'alerts published', 'resets', 'bad', 'faults')}
    assert grown == {'received': 12, 'processed': 12, 'alerts published': 12, 'resets': 0,
                     'bad': 0, 'faults': 0}
    assert bench.state == 'active'


def test_frames_of_one_camera_that_fail_do_not_stop_the_node_while_others_succeed(
        bench, monkeypatch):
    detect = Detector.detect

    def fail_for_small(self, image, prompts):
        if image.shape[0] < 100:
            raise RuntimeError('such images crash the network')
        return detect(self, image, prompts)
    monkeypatch.setattr(Detector, 'detect', fail_for_small)
    for _ in range(8):
        bench.left.publish(to_message(bench.header(), scene(90, 160), 'rgb8'))
        bench.ask(scene(), 'front/mask')
    status = bench.status('left image', lambda s: 'such images' in values(s)['last refusal'])
    assert int(values(status)['faults']) >= 5
    assert bench.state == 'active'
    monkeypatch.undo()
    ask_left(bench, scene(90, 160))


def test_what_two_cameras_see_is_one_obstacle_with_both_cameras(bench):
    for _ in range(6):
        front = bench.ask(scene(), 'front/mask')
        header = ask_left(bench, scene(at=(62, 40))).header
    front = bench.answer(front.header, 'front/alerts')
    left = bench.answer(header, 'left/alerts')
    message = bench.until(lambda: next((m for m in bench.received['obstacles']
                                        if m.header.stamp == header.stamp), None), 'obstacles')
    obstacle, = message.detections
    assert message.header.frame_id == 'base_link'
    assert obstacle.id == f'front/{front.detections[0].id}'
    classes = [result.hypothesis.class_id for result in obstacle.results]
    assert classes[0] == 'anomaly' and classes[-2:] == [
        f'camera:{camera}/{alerts.detections[0].id}' for camera, alerts in (
            ('front', front), ('left', left))]
    scores = [result.hypothesis.score for result in obstacle.results]
    assert max(scores[-2:]) <= scores[0] and len(left.detections) == 1
    assert bench.set(left__camera__y_m=30.0).successful  # another pose: another place
    for _ in range(8):  # until the obstacle at its old place has ended
        bench.ask(scene(), 'front/mask')
        header = ask_left(bench, scene(at=(62, 40))).header
    message = bench.until(lambda: next((m for m in bench.received['obstacles']
                                        if m.header.stamp == header.stamp), None), 'obstacles')
    assert len(message.detections) == 2
    assert bench.set(left__camera__y_m=None).successful


def test_cameras_that_ask_for_more_than_there_is_share_it_evenly(ros, mock_bundle, monkeypatch):
    names = ['a', 'b', 'c', 'd']
    parameters = {'model.bundle': str(mock_bundle), 'cameras': names, **LIMITS}
    detect = Detector.detect

    def slow(self, image, prompts):
        time.sleep(0.02)
        return detect(self, image, prompts)
    monkeypatch.setattr(Detector, 'detect', slow)
    with Bench(ros, parameters, name='shared_engine', topic='a/image', camera='a') as bench:
        cameras = {name: bench.node.create_publisher(Image, f'{name}/image', qos.image_result())
                   for name in names}
        assert bench.change('configure') and bench.change('activate')
        for camera in cameras.values():
            bench.until(camera.get_subscription_count, 'the node to subscribe')
        picture = scene(60, 100)
        for name in names:
            if name != 'a':
                bench.watch(f'{name}/detections')
            bench.until(lambda: bench.node.count_publishers(f'/shared_engine/{name}/detections'),
                        'the output')

        def answers() -> list[int]:
            return [len(bench.received[f'{name}/detections']) for name in names]
        for _ in range(80):
            before = sum(answers())
            for name in 'aabacada':  # camera a sends five times as much as each other one
                cameras[name].publish(to_message(bench.header(), picture, 'rgb8'))
            bench.until(lambda: sum(answers()) > before, 'an answer')
        assert max(answers()) <= 1.2 * min(answers()), answers()


def test_cameras_are_named_while_unconfigured_and_their_start_values_come_from_the_file(
        ros, mock_bundle):
    parameters = {'model.bundle': str(mock_bundle), 'front.threshold': 0.8}
    with Bench(ros, parameters, name='named_late', topic='front/image', camera='front') as bench:
        assert bench.set(cameras=['front', 'rear']).successful
        assert bench.change('configure')
        assert bench.get('front.threshold') == 0.8 and bench.get('rear.threshold') is None
        refused = bench.set(cameras=['front'])
        assert not refused.successful and 'cameras can only change while' in refused.reason
        assert bench.change('activate')
        assert any(bench.ask(scene(thing=RED), 'front/mask').data)
        assert bench.change('deactivate') and bench.change('cleanup')
        assert bench.set(cameras=['']).successful
        assert bench.change('configure') and bench.change('activate')
        bench.until(lambda: bench.node.count_publishers('/named_late/mask'), 'the mask')
        assert not bench.node.count_publishers('/named_late/front/mask')


def test_a_bad_start_value_of_a_camera_ends_the_node_with_its_name(ros):
    from vl4ad_ros.node.detector_node import DetectorNode
    from vl4ad_ros.settings import ParameterError
    with pytest.raises(ParameterError, match="camera 'front': threshold is 7.0; expected 0.0"):
        DetectorNode('bad_value', context=ros, parameter_overrides=[
            Parameter('cameras', value=['front']), Parameter('front.threshold', value=7.0)])
