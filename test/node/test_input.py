# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Bad images, silent cameras and other ways in which the input is not as it should be."""

from __future__ import annotations

from array import array
import struct
import time

import cv2
from harness import Bench, RED, scene
import numpy as np
import pytest
import rclpy
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header, String
from vl4ad_ros.images.with_cv_bridge import cv_bridge_problem
from vl4ad_ros.node import qos
from vl4ad_ros.node.messages import image as to_message

ERROR, WARN = b'\x02', b'\x01'


def spoilt(**fields) -> Image:
    message = to_message(Header(), scene(), 'rgb8')
    for name, value in fields.items():
        setattr(message, name, value)
    return message


def png(rgb: np.ndarray) -> bytes:
    return cv2.imencode('.png', rgb[..., ::-1])[1].tobytes()


BAD = {
    'unknown encoding': (lambda: spoilt(encoding='h264'), "encoding 'h264' is not supported"),
    'no encoding': (lambda: spoilt(encoding=''), "encoding '' is not supported"),
    'lying encoding': (lambda: spoilt(encoding='mono8'), 'has step 600, 3.0 rows of 200 bytes'),
    'truncated': (lambda: spoilt(data=array('B', bytes(100))),
                  '100 bytes of data, expected 72000'),
    'short step': (lambda: spoilt(step=599), 'has step 599, but its rows need 600 bytes'),
    'no pixels': (lambda: spoilt(height=0), 'has no pixels'),
    'nothing': (Image, "encoding '' is not supported"),
}


def values(status) -> dict[str, str]:
    return {v.key: v.value for v in status.values}


@pytest.mark.parametrize('case', BAD)
def test_bad_image_is_named_and_not_answered_and_the_node_lives_on(case, plain_bench):
    make, reason = BAD[case]
    bench = plain_bench
    before = len(bench.received['mask'])
    good = bench.send(scene())
    bench.answer(good)
    message = make()
    message.header = bench.header()
    bench.send(message)
    status = bench.status('image', lambda s: reason in values(s)['last refusal'])
    assert status.level in (WARN, ERROR)
    after = bench.send(scene(60, 70))
    assert (bench.answer(after).height, bench.answer(after).width) == (60, 70)
    assert [m.header for m in bench.received['mask'][before:]] == [good, after]


def test_an_image_of_too_many_pixels_is_refused_by_the_limit(plain_bench):
    bench = plain_bench
    assert bench.set(image__max_pixels=200 * 120 - 1).successful
    try:
        bench.send(scene())
        bench.status('image', lambda s: '200x120 pixels, more than the 23999' in values(s)[
            'last refusal'])
    finally:
        assert bench.set(image__max_pixels=64_000_000).successful
    bench.ask(scene())


def test_nothing_but_bad_images_is_an_error(plain_bench):
    bench, end = plain_bench, time.monotonic() + 60
    bench.received['diagnostics'].clear()
    while not any(s.level == ERROR and 'no image can be used' in s.message
                  for m in bench.received['diagnostics'] for s in m.status):
        assert time.monotonic() < end
        bench.send(spoilt(encoding='h264', header=bench.header()))
        bench.executor.spin_once(timeout_sec=0.05)
    bench.ask(scene())


@pytest.fixture(scope='module')
def plain_bench(ros, mock_bundle):
    """Yield an active node whose camera counts as stalled after half a second."""
    with Bench(ros, {'model.bundle': str(mock_bundle), 'health.stall_timeout_s': 0.5},
               name='plain') as bench:
        assert bench.change('configure') and bench.change('activate')
        bench.wait_for_match()
        yield bench


def test_compressed_topic_follows_the_remapped_image(ros, mock_bundle):
    parameters = {'model.bundle': str(mock_bundle), 'image_transport': 'compressed'}
    remap = ['--ros-args', '-r', 'image:=/front/image_raw']
    with Bench(ros, parameters, image_type=CompressedImage, topic='/front/image_raw/compressed',
               cli_args=remap, name='compressed') as bench:
        assert bench.change('configure') and bench.change('activate')
        bench.wait_for_match()
        message = CompressedImage(header=bench.header(), format='png')
        message.data.frombytes(png(scene()))
        mask = bench.ask(message)
        assert (mask.height, mask.width) == scene().shape[:2] and any(mask.data)
        # 124 kB that would be 6.5 GB once decoded, which used to end the worker.
        bomb = CompressedImage(header=bench.header(), format='png')
        bomb.data.frombytes(png(np.zeros((1, 1, 3), np.uint8)).replace(
            struct.pack('>II', 1, 1), struct.pack('>II', 32000, 32000), 1))
        bench.send(bomb)
        bench.status('image', lambda s: '32000x32000 pixels, more than the 64000000' in values(s)[
            'last refusal'])
        bad = CompressedImage(header=bench.header(), format='jpeg', data=array('B', b'\xff\xd8'))
        bench.send(bad)
        bench.status('image', lambda s: 'is cut off' in values(s)['last refusal'])
        message.header = bench.header()
        bench.ask(message)


def test_a_camera_that_says_nothing_is_reported(ros, mock_bundle):
    with Bench(ros, {'model.bundle': str(mock_bundle), 'health.stall_timeout_s': 0.2},
               name='silent', topic='/silent/image',
               cli_args=['--ros-args', '-r', 'image:=/silent/image']) as bench:
        assert bench.status('model').message == 'unconfigured'
        assert bench.change('configure') and bench.change('activate')
        bench.wait_for_match()
        said = bench.status('image', lambda s: s.level == ERROR).message
        assert 'though it has a publisher: its publisher sends nothing' in said
        assert 'profile' not in said
        bench.ask(scene(thing=RED))
        bench.node.destroy_publisher(bench.camera)
        status = bench.status('image', lambda s: 'nothing publishes /silent/image' in s.message)
        assert status.level == ERROR and 'remap image:=' in status.message


def test_an_incompatible_publisher_is_reported_until_it_has_left(ros, mock_bundle):
    parameters = {'model.bundle': str(mock_bundle),
                  'qos_overrides./strict/image.subscription.reliability': 'reliable'}
    with Bench(ros, parameters, name='strict', topic='/strict/image',
               cli_args=['--ros-args', '-r', 'image:=/strict/image']) as bench:
        bench.node.destroy_publisher(bench.camera)
        bad = bench.node.create_publisher(Image, '/strict/image', qos_profile_sensor_data)
        assert bench.change('configure') and bench.change('activate')
        status = bench.status('image', lambda s: s.level == ERROR)
        assert 'qos_overrides./strict/image.subscription.reliability' in status.message
        bench.camera = bench.node.create_publisher(Image, '/strict/image', qos.image_result())
        bench.wait_for_match()
        bench.ask(scene())
        bench.node.destroy_publisher(bad)
        end = time.monotonic() + 60
        while 'reliability' in bench.status('image').message:
            assert time.monotonic() < end
            bench.ask(scene())


@pytest.fixture(scope='module')
def another():
    """Yield a second context: within one a topic has one type."""
    context = rclpy.Context()
    rclpy.init(context=context)
    yield context
    rclpy.shutdown(context=context)


@pytest.mark.parametrize('transport, remap, published, kind, said', [
    ('raw', '/t1/image/compressed', '/t1/image/compressed', CompressedImage,
     'as sensor_msgs/msg/CompressedImage, not as sensor_msgs/msg/Image; set image_transport: '
     'compressed and image:=/t1/image'),
    ('raw', '/t2/image', '/t2/image', CompressedImage,
     "remap the publisher's topic to /t2/image/compressed and set image_transport: compressed"),
    ('raw', '/t3/image', '/t3/image/compressed', CompressedImage,
     'nothing publishes /t3/image, but /t3/image/compressed is published; set image_transport: '
     'compressed'),
    ('compressed', '/t4/image/compressed', '/t4/image/compressed', CompressedImage,
     'the topic is given without /compressed, which is added; set image:=/t4/image'),
    ('compressed', '/t5/image', '/t5/image', Image,
     'nothing publishes /t5/image/compressed, but /t5/image is published; set image_transport: '
     'raw'),
    ('compressed', '/t6/image', '/t6/image/compressed', Image,
     'as sensor_msgs/msg/Image, not as sensor_msgs/msg/CompressedImage; set image_transport: raw '
     'and image:=/t6/image/compressed'),
    ('raw', '/t7/image', '/t7/image', String,
     'as std_msgs/msg/String, not as sensor_msgs/msg/Image; set image:= to the topic of a camera'),
])
def test_a_topic_of_another_type_says_what_to_set(
        transport, remap, published, kind, said, ros, another, mock_bundle):
    name = published.split('/')[1]
    with Bench(ros, {'model.bundle': str(mock_bundle), 'image_transport': transport}, name=name,
               topic=published, image_type=kind, around=another,
               cli_args=['--ros-args', '-r', f'image:={remap}']) as bench:
        assert bench.change('configure') and bench.change('activate')
        status = bench.status('image', lambda s: said in s.message)
        assert status.level == ERROR


def test_unknown_names_of_a_parameter_file_are_warned_of(ros, tmp_path, capfd):
    (tmp_path / 'mine.yaml').write_text(
        '/**: {ros__parameters: {treshold: 0.4, alert: {confirm_hit: 2}, use_sim_time: false}}')
    arguments = ['--ros-args', '--params-file', str(tmp_path / 'mine.yaml')]
    with Bench(ros, {}, name='typo', cli_args=arguments):
        said = capfd.readouterr().err
    assert "no parameter 'treshold', so its value is ignored; did you mean 'threshold'?" in said
    assert "no parameter 'alert.confirm_hit'" in said and "'alert.confirm_hits'?" in said
    assert 'use_sim_time' not in said


@pytest.mark.parametrize('seconds, said', [
    (0.8, ' ms old (p95 '), (3.0, 'image stamps are 3.'), (3600, 'image stamps are 3600.')])
def test_old_results_are_a_warning_and_stamps_of_another_clock_a_clock_fault(
        seconds, said, ros, mock_bundle):
    with Bench(ros, {'model.bundle': str(mock_bundle), 'health.warn_age_s': 0.01,
                     'health.stall_timeout_s': 60.0, 'alert.confirm_window': 3,
                     'alert.confirm_hits': 2}, name='old') as bench:
        assert bench.change('configure') and bench.change('activate')
        bench.wait_for_match()
        for _ in range(3):
            message = to_message(bench.header(), scene(), 'rgb8')
            stamp = 10 ** 9 * message.header.stamp.sec + message.header.stamp.nanosec
            stamp -= int(1e9 * seconds)
            message.header.stamp.sec, message.header.stamp.nanosec = divmod(stamp, 10 ** 9)
            bench.ask(message)
        status = bench.status('image', lambda s: s.level == WARN)
        assert said in status.message
        assert int(values(status)['age p50 (ms)']) > 1000 * seconds - 100
        assert ('use_sim_time' in status.message) == (seconds > 2)


WRONG = """
import numpy as np
class CvBridge:
    def imgmsg_to_cv2(self, message, desired):
        return np.zeros((message.height, message.width, 3), np.uint8)
"""


def test_the_log_says_which_conversion_is_used(ros, mock_bundle, tmp_path, monkeypatch, capfd):
    """A cv_bridge with wrong pixels is named and not used."""
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / 'cv_bridge.py').write_text(WRONG)
    cv_bridge_problem.cache_clear()
    try:
        with Bench(ros, {'model.bundle': str(mock_bundle)}) as bench:
            assert bench.change('configure') and bench.change('activate')
            assert ('raw images are converted without cv_bridge: its test failed: rgb8 has wrong '
                    'pixels') in capfd.readouterr().err
            bench.wait_for_match()
            assert np.frombuffer(bench.ask(scene(thing=RED)).data, np.uint8).any()
    finally:
        cv_bridge_problem.cache_clear()
