# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Shared memory of Fast DDS: what killed processes leave, small /dev/shm, and the diagnoses."""

from __future__ import annotations

from contextlib import contextmanager
import fcntl
import os
from pathlib import Path
import re
import subprocess
import sys
from threading import Event, Thread

from diagnostic_msgs.msg import DiagnosticStatus
from domains import own_domain
from harness import Bench
import pytest
from rclpy.node import Node
from vl4ad_ros.node import dds

ROOT = Path(__file__).resolve().parents[2]
HEX = '0123456789abcdef'
HERE = Path(__file__).parent
DIAGNOSED = """
from vl4ad_ros.node.dds import use_profile
use_profile()
import rclpy
from harness import Bench
context = rclpy.Context()
rclpy.init(context=context)
with Bench(context, {}) as bench:
    status = bench.status('model')
print(status.level, status.message)
rclpy.shutdown(context=context)
"""
DRIVER = """
import time
import numpy as np
import rclpy
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import Image
from std_msgs.msg import Header
from vl4ad_ros.node.messages import image as to_message
rclpy.init()
node = rclpy.create_node('driver')
publisher = node.create_publisher(Image, '/lossy/image', qos_profile_sensor_data)
while True:
    publisher.publish(to_message(Header(), np.zeros((2160, 3840, 3), np.uint8), 'rgb8'))
    time.sleep(0.2)
"""
NODE = """
from vl4ad_ros.node.dds import use_profile
use_profile()
import rclpy
rclpy.init()
node = rclpy.create_node('holder')
print('up', flush=True)
input()
"""


def environment(**changes: str) -> dict[str, str]:
    """Return an environment without profile, in a domain that no test uses at the same time."""
    kept = {name: value for name, value in os.environ.items() if name not in dds.VARIABLES}
    return {**kept, 'ROS_DOMAIN_ID': own_domain(), 'PYTHONPATH': str(ROOT), **changes}


@contextmanager
def holder():
    """Run a process with a node, and so with a segment; kill what is left of it at the end."""
    process = subprocess.Popen(
        [sys.executable, '-c', NODE], env=environment(), cwd=ROOT, text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def segments(process: subprocess.Popen) -> list[Path]:
    """Return the segments of a process that said it is up, by the locks it holds."""
    assert process.stdout.readline().startswith('up')
    locks = (Path(os.readlink(path)) for path in Path(f'/proc/{process.pid}/fd').iterdir())
    found = [lock.with_name(lock.name[:-3]) for lock in locks
             if re.fullmatch('fast(rtps|dds)_[0-9a-f]{16}_el', lock.name)]
    assert found and all(path.exists() for path in found)
    return found


@pytest.fixture(scope='module')
def small_memory():
    """Return the words that run a command with 64 MB of /dev/shm, as in a container."""
    words = ['unshare', '--map-root-user', '--mount', 'sh', '-c',
             'mount -t tmpfs -o size=64m tmpfs /dev/shm && exec "$@"', 'sh']
    try:
        refused = subprocess.run([*words, 'true'], stderr=subprocess.PIPE, text=True).stderr
    except FileNotFoundError as error:
        refused = str(error)
    if refused:
        pytest.skip(f'a small /dev/shm cannot be mounted here: {refused.strip()}')
    return words


@pytest.fixture
def node(ros):
    """Yield a node, with which Fast DDS creates the segment of this process."""
    node = Node('with_segment', context=ros)
    yield node
    node.destroy_node()


def test_the_next_start_removes_what_a_killed_process_left():
    with holder() as killed, holder() as living:
        abandoned, kept = segments(killed), segments(living)
        assert sum(path.stat().st_size for path in abandoned) > 2 ** 24
        killed.kill()
        killed.wait()
        with holder() as starting:
            segments(starting)
            for path in abandoned:
                assert not path.exists()
                assert not path.with_name(f'{path.name}_el').exists()
            assert all(path.exists() for path in kept)


def test_segments_of_living_processes_and_of_those_that_start_are_never_removed():
    done = Event()

    def remove_all_the_time() -> None:
        while not done.is_set():
            dds.remove_abandoned_segments()
    thread = Thread(target=remove_all_the_time)
    thread.start()
    try:
        with holder() as first, holder() as second, holder() as third:
            for process in (first, second, third):
                own = segments(process)
                output, _ = process.communicate('\n', timeout=60)
                assert process.returncode == 0 and 'Error' not in output
                assert not any(path.exists() for path in own)
    finally:
        done.set()
        thread.join()


def test_only_segments_without_an_owner_are_removed(tmp_path, monkeypatch):
    monkeypatch.setattr(dds, '_SHARED_MEMORY', tmp_path)
    abandoned, owned = f'fastrtps_{HEX}', f'fastrtps_{HEX[::-1]}'
    being_created, of_lyrical = 'fastrtps_00000000000000aa', 'fastdds_00000000000000bb'
    link, pipe = 'fastrtps_00000000000000cc', 'fastrtps_00000000000000dd'
    others = ('fastrtps_port7411', 'sem.fastrtps_port7411_mutex', 'fastrtps_short', 'else')
    for name in (abandoned, owned, of_lyrical, link, pipe, *others):
        (tmp_path / name).write_bytes(b'12345')
        if name not in (link, pipe):
            (tmp_path / f'{name}_el').touch()
    (tmp_path / f'{being_created}_el').touch()
    (tmp_path / f'{link}_el').symlink_to(tmp_path / 'else')
    os.mkfifo(tmp_path / f'{pipe}_el')
    before = set(tmp_path.iterdir())
    monkeypatch.setattr(os, 'geteuid', lambda: -1)
    assert dds.remove_abandoned_segments() == 0 and set(tmp_path.iterdir()) == before
    monkeypatch.undo()

    monkeypatch.setattr(dds, '_SHARED_MEMORY', tmp_path)
    with (tmp_path / f'{owned}_el').open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert dds.remove_abandoned_segments() == 10
    gone = {path.name for path in before - set(tmp_path.iterdir())}
    assert gone == {abandoned, f'{abandoned}_el', of_lyrical, f'{of_lyrical}_el'}


def test_large_images_arrive_with_64_mb_of_shared_memory(small_memory):
    """The segment of 64 MiB does not fit; without any, half of the images or more get lost."""
    test = 'test_process.py::test_large_best_effort_images_arrive_with_the_profile'
    done = subprocess.run(
        [*small_memory, sys.executable, '-m', 'pytest', '-q', '-p', 'no:cacheprovider',
         str(ROOT / 'test' / 'node' / test)],
        env=environment(), cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert done.returncode == 0 and '1 passed' in done.stdout, done.stdout


@pytest.mark.parametrize('profile, sentence', [
    ('', r'/dev/shm has only 64 MiB, and large images need 256 MiB; images of more than 16\.8 MB '
         'will get lost; start the container with --ipc host or --shm-size=256m'),
    ('fastdds.xml', 'Fast DDS could not create its shared memory: it needs 67 MiB of /dev/shm, '
                    r'where \d\d MiB of 64 MiB are free; large images will get lost; start the '
                    'container with --ipc host or --shm-size=256m')], ids=['small', 'large'])
def test_small_shared_memory_is_diagnosed(profile, sentence, small_memory):
    chosen = {dds.VARIABLES[0]: str(dds.profile_path().with_name(profile))} if profile else {}
    done = subprocess.run(
        [*small_memory, sys.executable, '-c', DIAGNOSED], text=True, cwd=HERE,
        env=environment(**chosen), capture_output=True, check=True)
    level, message = done.stdout.splitlines()[-1].split(' ', 1)
    assert level == str(DiagnosticStatus.WARN)
    assert re.fullmatch(f'unconfigured: {sentence}', message), message
    assert len(re.findall(sentence, done.stderr)) == 1


def test_images_that_get_lost_are_told_from_a_silent_driver(ros, mock_bundle):
    """The driver sends images of 25 MB without the profile, and none arrives."""
    with Bench(ros, {'model.bundle': str(mock_bundle), 'health.stall_timeout_s': 0.5},
               name='lossy', cli_args=['--ros-args', '-r', 'image:=/lossy/image']) as bench:
        assert bench.change('configure') and bench.change('activate')
        domain = {'ROS_DOMAIN_ID': os.environ['ROS_DOMAIN_ID']}
        driver = subprocess.Popen([sys.executable, '-c', DRIVER], env=environment(**domain))
        try:
            status = bench.status('image', lambda s: 'got lost' in s.message)
            assert status.level == DiagnosticStatus.ERROR
            assert 'start it with FASTRTPS_DEFAULT_PROFILES_FILE=' in status.message
            assert int(next(v.value for v in status.values if v.key == 'lost')) > 0
        finally:
            driver.kill()
            driver.wait()


def test_nothing_is_wrong_with_enough_shared_memory(node):
    if dds.profile_path().name != 'fastdds.xml':
        pytest.skip('/dev/shm has less than 256 MiB here')
    assert dds.shared_memory_problem() == ''
    assert dds.largest_image_bytes() == 2 ** 26


def test_shipped_profiles_differ_in_the_size_of_the_segment_alone():
    large, small = (re.sub('<!--.*?-->', '', dds.profile_path().with_name(name).read_text(),
                           flags=re.S) for name in ('fastdds.xml', 'fastdds_small.xml'))
    assert large.replace('<segment_size>67108864<', '<segment_size>16777216<') == small != large


@pytest.mark.parametrize('text, limit', [
    (None, 2 ** 19),
    ('<profiles><transport_descriptors><transport_descriptor><type>SHM</type><segment_size>123'
     '</segment_size></transport_descriptor></transport_descriptors></profiles>', 123),
    ('<profiles/>', 0), ('<profiles', 0)])
def test_limit_is_that_of_the_profile_in_use(text, limit, tmp_path, monkeypatch):
    for name in dds.VARIABLES:
        monkeypatch.delenv(name, raising=False)
    if text is not None:
        (tmp_path / 'mine.xml').write_text(text)
        monkeypatch.setenv(dds.VARIABLES[1], str(tmp_path / 'mine.xml'))
    assert dds.profile_in_use() == (None if text is None else tmp_path / 'mine.xml')
    assert dds.largest_image_bytes() == limit


def test_advice_names_fast_dds_only_where_it_is_used(node, monkeypatch):
    assert 'Fast DDS profile' in dds.why_images_get_lost(0)
    if dds.profile_path().name == 'fastdds.xml':
        assert 'has 144.0 MB and shared memory carries 67.1 MB' in dds.why_images_get_lost(
            8000 * 6000 * 3)
    assert '--ipc host' in dds.why_no_image_comes('/image')
    monkeypatch.setattr(dds, 'get_rmw_implementation_identifier', lambda: 'rmw_cyclonedds_cpp')
    assert dds.profile_in_use() is None and dds.largest_image_bytes() == 0
    assert dds.shared_memory_problem() == ''
    for sentence in (dds.why_images_get_lost(0), dds.why_no_image_comes('/image')):
        assert 'Fast' not in sentence and 'profile' not in sentence and 'ipc' not in sentence
