# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The node as a process of its own: signals, start values, large images."""

from __future__ import annotations

from contextlib import contextmanager
import os
from pathlib import Path
import re
import signal
import subprocess
import sys
import time

from harness import Outside, scene
import pytest
from rcl_interfaces.srv import SetParameters
from rclpy.qos import qos_profile_parameters, qos_profile_sensor_data
from sensor_msgs.msg import Image
from vl4ad_ros.node.dds import profile_path, use_profile, VARIABLES
from vl4ad_ros.node.detector_node import DetectorNode
import yaml

ROOT = Path(__file__).resolve().parents[2]


@contextmanager
def process(*ros_args: str):
    """Run the node; kill what is left of it at the end."""
    node = subprocess.Popen(
        [sys.executable, '-m', 'vl4ad_ros.node', '--ros-args', *ros_args], cwd=ROOT, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True)
    try:
        yield node
    finally:
        node.kill()
        node.wait()


@contextmanager
def active_process(context, bundle: Path, name: str):
    """Run the node until it is active; yield it and what is around it."""
    remap = ('-r', f'__node:={name}', '-r', f'image:=/{name}/image')
    with process('-p', f'model.bundle:={bundle}', *remap) as node:
        outside = Outside(context, name=name, topic=f'/{name}/image')
        try:
            assert outside.change('configure') and outside.change('activate')
            outside.wait_for_match()
            yield node, outside
        finally:
            outside.close()


@pytest.mark.parametrize('signals', [
    (signal.SIGINT,), (signal.SIGTERM,), (signal.SIGINT, signal.SIGINT, signal.SIGINT)],
    ids=['INT', 'TERM', 'INT three times'])
def test_signal_while_frames_flow_ends_it_with_0_and_without_a_traceback(
        signals, ros, mock_bundle):
    with active_process(ros, mock_bundle, 'ended') as (node, outside):
        outside.ask(scene())
        for _ in range(5):
            outside.send(scene(480, 640))
        for number in signals:
            node.send_signal(number)
            outside.spin_for(0.02)
        output, _ = node.communicate(timeout=60)
    assert node.returncode == 0, output
    assert 'Traceback' not in output and 'Error' not in output


def test_signal_before_anything_is_configured_ends_it_with_0():
    with process('-r', '__node:=early') as node:
        with pytest.raises(subprocess.TimeoutExpired):
            node.wait(timeout=1.5)
        node.send_signal(signal.SIGINT)
        output, _ = node.communicate(timeout=60)
    assert node.returncode == 0 and 'Traceback' not in output


def wait_until_it_listens(node: subprocess.Popen) -> None:
    """Wait until the program takes signals, which Python itself does not."""
    deadline = time.monotonic() + 60
    taken = 1 << (signal.SIGTERM - 1) | 1 << (signal.SIGINT - 1)
    while time.monotonic() < deadline and node.poll() is None:
        status = Path(f'/proc/{node.pid}/status').read_text()
        if int(re.search('SigCgt:\\s*([0-9a-f]+)', status)[1], 16) & taken == taken:
            return
        time.sleep(0.002)
    raise AssertionError(f'no handler of signals was set; exit code {node.poll()}')


@pytest.mark.skipif(not Path('/proc/self/status').exists(), reason='needs /proc')
@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize('delay', [0.0, 0.05, 0.15, 0.3, 0.4, 0.5, 0.6, 0.8, 1.2])
def test_signal_at_any_moment_of_the_start_ends_it_with_0(number, delay):
    with process('-r', f'__node:=early_{int(1000 * delay)}') as node:
        wait_until_it_listens(node)
        time.sleep(delay)
        node.send_signal(number)
        output, _ = node.communicate(timeout=60)
    assert node.returncode == 0 and 'Traceback' not in output, output


@pytest.mark.parametrize('arguments, reason', [
    (('--no-such-flag',), 'no-such-flag'), (('--params-file', '/none.yaml'), 'none.yaml'),
    (('-r', '__node:=a-b'), 'a-b'), (('-p', 'threshold'), 'threshold'),
    (('-p', 'x:=\udcff'), 'surrogates')])
def test_arguments_that_ros_does_not_take_end_it_with_a_sentence_and_2(arguments, reason):
    with process(*arguments) as node:
        output, _ = node.communicate(timeout=60)
    assert node.returncode == 2 and 'Traceback' not in output
    assert output.splitlines()[-1].startswith('vl4ad_detector cannot start: ')
    assert reason in output.splitlines()[-1]


@pytest.mark.parametrize('parameters, reason', [
    ({'threshold': 1}, 'threshold: expected double in 0.0 to 1.0, such as 0.5'),
    ({'threshold': 3.0}, 'threshold: expected double in 0.0 to 1.0, such as 0.5'),
    ({'prompts': {'known': []}}, 'prompts.known is an empty list; expected at least one entry'),
    ({'prompts': {'known': 'road'}}, 'prompts.known: expected string[]'),
    ({'prompts': {'known': ['road', 'road'], 'anomaly': ['cow']}}, "prompts.known[1] 'road'"),
    ({'alert': {'confirm_hits': 9}}, 'alert.confirm_hits 9 is more than alert.confirm_window 5'),
])
def test_unusable_parameter_file_is_refused_by_key(parameters, reason, ros, tmp_path):
    file = tmp_path / 'parameters.yaml'
    file.write_text(yaml.safe_dump({'/**': {'ros__parameters': parameters}}))
    with pytest.raises(ValueError, match=re.escape(reason)):
        DetectorNode(context=ros, cli_args=['--ros-args', '--params-file', str(file)])


def test_unusable_start_value_ends_it_with_one_line_and_2():
    with process('-p', 'threshold:=1') as node:
        output, _ = node.communicate(timeout=60)
    assert node.returncode == 2
    assert 'threshold: expected double' in output.splitlines()[-1] and 'Traceback' not in output


def test_large_best_effort_images_arrive_with_the_profile(ros, mock_bundle):
    """Without it, Fast DDS drops most 1080p images (6 MB) in its 512 kB segment, silently."""
    with active_process(ros, mock_bundle, 'large') as (_, outside):
        outside.node.destroy_publisher(outside.camera)
        outside.camera = outside.node.create_publisher(
            Image, '/large/image', qos_profile_sensor_data)
        outside.wait_for_match()
        headers = []
        for _ in range(15):
            headers.append(outside.send(scene(1080, 1920, side=400)))
            outside.spin_for(0.15)
        outside.answer(headers[-1])
        answered = [m.header for m in outside.received['mask']]
        assert sum(header in answered for header in headers) >= 13
        assert outside.received['mask'][-1].height == 1080


def test_two_hundred_parameter_calls_at_once_are_answered(ros, mock_bundle):
    """
    The node keeps 1000 requests, and answers each.

    Its client must do the same: with the default profile of services it has room for ten, and
    loses answers while it does not spin.
    """
    with active_process(ros, mock_bundle, 'called') as (_, outside):
        client = outside.node.create_client(
            SetParameters, '/called/set_parameters', qos_profile=qos_profile_parameters)
        outside.until(client.service_is_ready, 'the service')
        for _ in range(3):
            outside.send(scene())
        futures = [client.call_async(outside.setting(threshold=0.2 + i / 1000)[1])
                   for i in range(200)]
        outside.until(lambda: all(future.done() for future in futures), 'all answers')
        assert all(future.result().results[0].successful for future in futures)
        assert outside.get('threshold') == 0.399


def test_health_check_of_the_containers(ros, mock_bundle):
    def check(name: str) -> tuple[int, str]:
        done = subprocess.run([sys.executable, ROOT / 'docker' / 'healthcheck.py', name],
                              stderr=subprocess.PIPE, text=True, timeout=60)
        return done.returncode, done.stderr
    with active_process(ros, mock_bundle, 'checked') as (_, outside):
        assert check('/checked') == (0, '')
        assert outside.change('deactivate')
        assert check('/checked') == (1, '/checked is not active\n')


def test_profile_is_used_unless_the_user_has_one(monkeypatch):
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    use_profile()
    assert [os.environ[name] for name in VARIABLES] == [str(profile_path())] * 2
    assert profile_path().is_file()
    for name in VARIABLES:
        monkeypatch.delenv(name)
    monkeypatch.setenv(VARIABLES[0], '/mine.xml')
    use_profile()
    assert [os.environ[name] for name in VARIABLES] == ['/mine.xml'] * 2
