# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The real TensorRT for RTX builds without a GPU; each command is a process of its own."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time

import pytest
from vl4ad_ros.bundle.writer import write_manifest
from vl4ad_ros.inference.tensorrt.cache import EngineCache
from vl4ad_ros.inference.tensorrt.files import UNFINISHED

pytest.importorskip('tensorrt_rtx', reason='needs tensorrt-rtx (pip install tensorrt-rtx)')


@pytest.fixture
def start(engine_bundle, folder):
    """Return a function that starts `vl4ad build` for an RTX 4090 in another process."""
    def popen(*arguments, bundle=engine_bundle.directory, before=None):
        return subprocess.Popen(
            [sys.executable, '-m', 'vl4ad_ros.cli', 'build', str(bundle), '--backend',
             'tensorrt-rtx', '--compute-capability', '8.9', '--cache-dir', str(folder),
             *arguments], text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            preexec_fn=before, env={**os.environ, 'OMP_NUM_THREADS': '1'})
    return popen


@pytest.fixture
def build(start):
    """Return a function that runs it and returns exit code and all that it said."""
    def run(*arguments, **options):
        process = start(*arguments, **options)
        out, err = process.communicate(timeout=120)
        return process.returncode, out + err
    return run


def test_built_stored_and_found_again(build, folder):
    code, said = build()
    assert code == 0 and 'NOT compared with the reference yet' in said
    sidecar = json.loads(next(folder.glob('*.json')).read_text())
    assert sidecar['deviation'] is None and sidecar['key']['gpu'] == 'any'
    assert any('Engine generation completed' in line for line in sidecar['log'])
    code, said = build()
    assert code == 0 and 'is there already' in said and 'building' not in said


def test_two_at_once_build_one(start, folder):
    processes = [start() for _ in range(2)]
    said = [process.communicate(timeout=120)[1] for process in processes]
    assert [process.returncode for process in processes] == [0, 0], said
    assert ''.join(said).count('building an engine of') == 1
    assert ''.join(said).count('is there already') == 1
    assert len(list(folder.glob('*.engine'))) == 1


def test_killed_in_the_middle(start, build, folder):
    usable = 0
    for attempt in range(6):
        process = start('--force')
        assert 'building an engine of' in process.stderr.readline()
        time.sleep(0.03 * attempt)
        process.kill()
        process.communicate()
        for entry in EngineCache(folder).entries():
            assert not isinstance(entry, Exception), entry
            usable += 1
    assert usable < 6, 'every build was over before it was killed: the test proves nothing'
    code, said = build('--prune')
    assert code == 0
    assert not list(folder.glob(f'{UNFINISHED}*'))
    assert build()[0] == 0


def test_a_full_disk(build, folder):
    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (500_000, 500_000))
    code, said = build(before=limit)
    assert code == 1
    assert 'cannot be written (File too large): 2 MiB needed' in said and '--prune' in said
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


def test_nodes_that_cannot_be_built_are_named(build, mock_bundle, engine_bundle, tmp_path):
    for file in (*mock_bundle.iterdir(), engine_bundle.directory / 'reference.npz'):
        (tmp_path / file.name).write_bytes(file.read_bytes())
    manifest = json.loads((tmp_path / 'manifest.json').read_text())
    del manifest['files']
    write_manifest(tmp_path, {**manifest, 'reference': 'reference.npz'})
    code, said = build(bundle=tmp_path)
    assert code == 1
    assert 'vision.onnx (fp32, grid-sample)' in said and 'Unsupported reduction type' in said


def test_a_gpu_that_rtx_does_not_know(build):
    code, said = build('--compute-capability', '8.7')
    assert code == 1 and 'compute capability 8.7, only for 7.5' in said
