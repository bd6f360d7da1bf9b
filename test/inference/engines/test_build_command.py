# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""`vl4ad build` as a process of its own, with a stand-in of TensorRT in its build processes."""

from __future__ import annotations

import json
from pathlib import Path
import resource
import signal
import subprocess
import sys
import time

import pytest
from stand_in import environment, has_ended
from vl4ad_ros.inference.tensorrt.cache import EngineCache
from vl4ad_ros.inference.tensorrt.files import UNFINISHED

PROGRAM = Path(__file__).with_name('stand_in.py')


@pytest.fixture
def start(installed, engine_bundle, folder, tmp_path):
    """Return a function that starts `vl4ad build` in another process."""
    started = []

    def popen(*arguments, before=None):
        started.append(subprocess.Popen(
            [sys.executable, PROGRAM, 'vl4ad', 'build', engine_bundle.directory, '--cache-dir',
             folder, *arguments], text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            preexec_fn=before, env=environment(tmp_path / 'fake')))
        return started[-1]
    yield popen
    for process in started:
        process.kill()
        process.communicate()


@pytest.fixture
def build(start):
    """Return a function that runs it and returns exit code and all that it said."""
    def run(*arguments, **options):
        process = start(*arguments, **options)
        out, err = process.communicate(timeout=60)
        return process.returncode, out + err
    return run


def test_built_stored_and_found_again(build, folder):
    code, said = build()
    assert code == 0 and 'agrees with the reference' in said
    sidecar = json.loads(next(folder.glob('*.json')).read_text())
    assert sidecar['deviation']['uncertainty'] < 1e-4 and sidecar['key']['gpu'] == 'Orin'
    code, said = build()
    assert code == 0 and 'is there already' in said and 'building' not in said


def test_two_at_once_build_one(start, folder):
    processes = [start() for _ in range(2)]
    said = [process.communicate(timeout=60)[1] for process in processes]
    assert [process.returncode for process in processes] == [0, 0], said
    assert ''.join(said).count('building an engine of') == 1
    assert ''.join(said).count('is there already') == 1
    assert len(list(folder.glob('*.engine'))) == 1


def test_killed_in_the_middle(start, build, folder, installed):
    usable = 0
    for attempt in range(6):
        process = start('--force')
        while 'building an engine of' not in (line := process.stderr.readline()):
            assert line, 'it ended before it built'
        time.sleep(0.05 * attempt)
        process.kill()
        process.communicate()
        for entry in EngineCache(folder).entries():
            assert not isinstance(entry, Exception), entry
            usable += 1
    assert usable < 6, 'every build was over before it was killed: the test proves nothing'
    assert all(has_ended(pid) for pid in installed.counts.all('pid'))
    code, _ = build('--prune')
    assert code == 0
    assert not list(folder.glob(f'{UNFINISHED}*'))
    assert build()[0] == 0


@pytest.mark.parametrize('number, code', [
    (signal.SIGINT, 130), (signal.SIGTERM, 130), (signal.SIGKILL, -signal.SIGKILL)])
def test_its_end_ends_the_build_process(start, installed, folder, number, code):
    installed.faults.hangs = True
    command = start()
    end = time.monotonic() + 60
    while not installed.counts.all('pid'):
        assert command.poll() is None and time.monotonic() < end, command.communicate()
        time.sleep(0.02)
    pid, = installed.counts.all('pid')
    assert not has_ended(pid, 0.1)
    command.send_signal(number)
    _, said = command.communicate(timeout=60)
    assert command.returncode == code and 'Traceback' not in said
    assert has_ended(pid)
    assert [file.name for file in folder.iterdir()] == ['lock']


def test_a_crash_is_one_message(build, installed, folder):
    installed.faults.ends_by = {'vision.gather.onnx': 'SIGSEGV',
                                'vision.grid-sample.onnx': 'SIGABRT'}
    code, said = build()
    assert code == 1 and 'vl4ad: error: no engine of' in said and 'Traceback' not in said
    assert 'SIGSEGV (Segmentation fault)' in said and 'SIGABRT (Aborted)' in said
    assert 'Run: vl4ad export' in said
    assert [file.name for file in folder.iterdir()] == ['lock']


def test_a_full_disk(build, folder):
    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (4000, 4000))
    code, said = build(before=limit)
    assert code == 1
    assert 'cannot be written (File too large): 1 MiB needed' in said and '--prune' in said
    assert [file.name for file in folder.iterdir()] == ['lock']


def test_an_altered_engine_is_said_and_replaced(build, folder):
    build()
    engine = next(folder.glob('*.engine'))
    content = bytearray(engine.read_bytes())
    content[len(content) // 2] ^= 1
    engine.write_bytes(content)
    assert 'it is altered' in build('--list')[1]
    code, said = build()
    assert code == 0 and 'it is altered' in said and 'building an engine of' in said
    assert 'altered' not in build('--list')[1]
