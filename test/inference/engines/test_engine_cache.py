# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The folder of engines: what is stored is what is read, or it is refused with what differs."""

from __future__ import annotations

import dataclasses
import json
import os
import resource
import signal
import subprocess
import sys
from types import SimpleNamespace

from fake_cuda import ORIN
import pytest
from vl4ad_ros.bundle.reference import Deviation
from vl4ad_ros.inference.errors import BackendError, EngineMissing
from vl4ad_ros.inference.tensorrt.cache import EngineCache, Key
from vl4ad_ros.inference.tensorrt.files import UNFINISHED
from vl4ad_ros.inference.tensorrt.library import Library

DEVIATION = Deviation(0.01, 0.0, 0.0)
RECORD = {'built': '2026-01-01T00:00:00+00:00', 'seconds': 1.0, 'host': {}, 'log': ['INFO: x']}


def library(version='10.3.0'):
    return Library(SimpleNamespace(__version__=version))


@pytest.fixture
def cache(folder):
    return EngineCache(folder)


@pytest.fixture
def key(engine_bundle):
    return Key.of(library(), engine_bundle, engine_bundle.vision.graphs[0], ORIN)


def test_round_trip(cache, key):
    assert cache.load(key) is None
    stored = cache.store(key, b'plan', DEVIATION, RECORD)
    assert bytes(stored.plan) == bytes(cache.load(key).plan) == b'plan'
    assert stored.key == key and stored.deviation == DEVIATION
    sidecar = json.loads(stored.file.with_suffix('.json').read_text())
    assert sidecar.items() >= {**RECORD, 'key': key.content}.items()
    assert sorted(p.name for p in cache.folder.iterdir()) == [f'{key.name}.engine',
                                                              f'{key.name}.json']


@pytest.mark.parametrize('change', [
    lambda b, g, d: (library('10.3.1'), b, g, d),
    lambda b, g, d: (library(), b, g, dataclasses.replace(d, name='Thor')),
    lambda b, g, d: (library(), b, g, dataclasses.replace(d, driver='CUDA 13.0')),
    lambda b, g, d: (library(), b, g, dataclasses.replace(d, compute_capability='11.0')),
    lambda b, g, d: (library(), b, g, dataclasses.replace(d, multiprocessors=8)),
    lambda b, g, d: (library(), b, dataclasses.replace(g, dtype='fp16'), d),
    lambda b, g, d: (library(), b, dataclasses.replace(g, sampling='plugin'), d),
    lambda b, g, d: (library(), dataclasses.replace(b, capacity=dataclasses.replace(
        b.capacity, classes=7)), g, d),
    lambda b, g, d: (library(), dataclasses.replace(b, vision=dataclasses.replace(
        b.vision, height=64)), g, d),
    lambda b, g, d: (library(), dataclasses.replace(b, files={**b.files, g.file: '0'}), g, d),
    lambda b, g, d: (library(), dataclasses.replace(
        b, weights=('w',), files={**b.files, 'w': '0'}), g, d),
    lambda b, g, d: (library(), dataclasses.replace(
        b, files={**b.files, b.reference: '0'}), g, d)])
def test_everything_counts_in_the_key(key, engine_bundle, change):
    other = Key.of(*change(engine_bundle, engine_bundle.vision.graphs[0], ORIN))
    assert other.name != key.name


def test_another_gpu_of_the_same_kind_shares_engines(key, engine_bundle):
    second = dataclasses.replace(ORIN, index=1)
    assert Key.of(library(), engine_bundle, engine_bundle.vision.graphs[0], second) == key


def edit(file, *path, value):
    content = json.loads(file.read_text())
    part = content
    for name in path[:-1]:
        part = part[name]
    part[path[-1]] = value
    file.write_text(json.dumps(content))


@pytest.mark.parametrize('damage, said', [
    (lambda e, s: e.write_bytes(b'plaN'), 'altered .sha256'),
    (lambda e, s: e.write_bytes(b'pla'), '3 bytes instead of 4'),
    (lambda e, s: e.write_bytes(b''), 'cannot be read'),
    (lambda e, s: e.unlink(), 'cannot be read'),
    (lambda e, s: s.write_text('{'), 'cannot be read'),
    (lambda e, s: s.write_text('[]'), 'cannot be read'),
    (lambda e, s: s.write_text('{}'), 'cannot be read'),
    (lambda e, s: s.write_bytes(b'\xff'), 'cannot be read'),
    (lambda e, s: edit(s, 'key', value=None), 'cannot be read'),
    (lambda e, s: edit(s, 'deviation', value=None), 'deviation from the reference cannot be read'),
    (lambda e, s: edit(s, 'engine', 'sha256', value='0' * 64), 'altered'),
    (lambda e, s: edit(s, 'engine', 'bytes', value='4'), 'bytes instead'),
    (lambda e, s: edit(s, 'key', 'driver', value='CUDA 13.0'),
     "driver 'CUDA 13.0' instead of 'CUDA 12.6"),
    (lambda e, s: edit(s, 'key', 'files', value={}), 'files {} instead of'),
    (lambda e, s: edit(s, 'key', 'extra', value=1), 'extra 1 instead of None')])
def test_a_damaged_pair_is_refused(cache, key, damage, said):
    cache.store(key, b'plan', DEVIATION, RECORD)
    damage(cache.folder / f'{key.name}.engine', cache.folder / f'{key.name}.json')
    with pytest.raises(EngineMissing, match=said):
        cache.load(key)
    assert isinstance(next(cache.entries()), EngineMissing)


def test_an_engine_under_another_ones_name_is_refused(cache, key, engine_bundle):
    other = Key.of(library('10.4.0'), engine_bundle, engine_bundle.vision.graphs[0], ORIN)
    cache.store(other, b'plan', DEVIATION, RECORD)
    for kind in ('engine', 'json'):
        (cache.folder / f'{other.name}.{kind}').rename(cache.folder / f'{key.name}.{kind}')
    with pytest.raises(EngineMissing, match="version '10.4.0' instead of '10.3.0'"):
        cache.load(key)
    assert 'do not give its name' in str(next(cache.entries()))


def test_an_engine_without_its_sidecar_is_not_there(cache, key):
    cache.store(key, b'plan', DEVIATION, RECORD)
    (cache.folder / f'{key.name}.json').unlink()
    assert cache.load(key) is None


def test_a_second_store_replaces_the_first(cache, key):
    cache.store(key, b'plan', DEVIATION, RECORD)
    cache.store(key, b'other plan', DEVIATION, RECORD)
    assert bytes(cache.load(key).plan) == b'other plan'


def test_stopped_between_engine_and_sidecar(cache, key, monkeypatch):
    cache.store(key, b'plan', DEVIATION, RECORD)
    replace = os.replace

    def once(source, target):
        replace(source, target)
        raise KeyboardInterrupt
    with monkeypatch.context() as patch:
        patch.setattr(os, 'replace', once)
        with pytest.raises(KeyboardInterrupt):
            cache.store(key, b'other plan', DEVIATION, RECORD)
    assert cache.load(key) is None


def test_a_full_disk(cache, key):
    def limit(size):
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))

    cache.store(key, b'plan', DEVIATION, RECORD)
    limit(100_000)
    try:
        with pytest.raises(BackendError, match='1 MiB needed, .* MiB free; .* --prune'):
            cache.store(key, b'0' * 200_000, DEVIATION, RECORD)
    finally:
        limit(resource.RLIM_INFINITY)
    assert bytes(cache.load(key).plan) == b'plan'
    assert not list(cache.folder.glob(f'{UNFINISHED}*'))
    cache.store(key, b'0' * 200_000, DEVIATION, RECORD)


@pytest.mark.skipif(os.geteuid() != 0, reason='needs root, to mount a small tmpfs')
def test_a_disk_that_is_really_full(tmp_path, key):
    mount = subprocess.run(['mount', '-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', tmp_path],
                           capture_output=True, text=True)
    if mount.returncode:
        pytest.skip(f'cannot mount a tmpfs: {mount.stderr.strip()}')
    try:
        cache = EngineCache(tmp_path)
        with pytest.raises(BackendError, match='No space left on device.*3 MiB needed, 1 MiB'):
            cache.store(key, b'0' * (2 << 20), DEVIATION, RECORD)
        assert list(tmp_path.iterdir()) == []
        cache.store(key, b'plan', DEVIATION, RECORD)
    finally:
        subprocess.run(['umount', tmp_path], check=True)


def test_a_folder_that_cannot_be_written(tmp_path, key):
    (tmp_path / 'file').write_text('')
    with pytest.raises(BackendError, match='cannot be written.*--cache-dir'):
        EngineCache(tmp_path / 'file').store(key, b'plan', DEVIATION, RECORD)
    with pytest.raises(BackendError, match='cannot be written.*--cache-dir'):
        with EngineCache(tmp_path / 'file').lock(print):
            pass


# Stores an engine of 64 MB again and again; each has one byte value throughout.
WRITER = """
import json, sys
from vl4ad_ros.inference.tensorrt.cache import EngineCache, Key
cache, key = EngineCache(sys.argv[1]), Key(json.loads(sys.argv[2]))
print('ready', flush=True)
for value in range(1, 256):
    cache.store(key, bytes([value]) * (1 << 26), Deviation(0.0, 0.0, 0.0), {})
"""


def test_killed_at_any_moment(cache, key):
    whole = missing = 0
    for attempt in range(8):
        process = subprocess.Popen(
            [sys.executable, '-c', WRITER, cache.folder, json.dumps(key.content)],
            stdout=subprocess.PIPE, text=True)
        process.stdout.readline()
        try:
            process.wait(0.02 + 0.06 * attempt)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
        stored = cache.load(key)
        missing += stored is None
        if stored is not None:
            whole += 1
            assert bytes(stored.plan) == stored.plan[:1].tobytes() * (1 << 26)
    assert missing, 'no kill came between sidecars: the test proves nothing'
    with cache.lock(print):
        list(cache.prune(lambda key: ''))
    assert {p.suffix for p in cache.folder.iterdir()} <= {'.engine', '.json', ''}
    assert not list(cache.folder.glob(f'{UNFINISHED}*'))


def test_prune(cache, key, engine_bundle):
    other = Key.of(library('10.4.0'), engine_bundle, engine_bundle.vision.graphs[0], ORIN)
    damaged = Key.of(library('10.5.0'), engine_bundle, engine_bundle.vision.graphs[0], ORIN)
    for k in (key, other, damaged):
        cache.store(k, b'plan', DEVIATION, RECORD)
        cache.timings(k).write_bytes(b'')
    (cache.folder / f'{damaged.name}.engine').write_bytes(b'plaN')
    (cache.folder / 'a.engine').write_bytes(b'no sidecar')
    (cache.folder / f'{UNFINISHED}x').write_bytes(b'half')
    (cache.folder / 'notes.txt').write_text("the user's own")
    with cache.lock(print):
        removed = {file.name: why for file, why in cache.prune(
            lambda k: 'too new' if k['version'] == '10.4.0' else '')}
    assert 'missing' in removed.pop('a.engine')
    assert not list(cache.folder.glob(f'{UNFINISHED}*'))
    assert {name for name, why in removed.items() if why == 'too new'} == {
        f'{other.name}.{kind}' for kind in ('engine', 'json')}
    assert 'altered' in removed[f'{damaged.name}.engine']
    assert f'{cache.timings(damaged).name}' in removed
    assert cache.load(key)
    assert {p.name for p in cache.folder.iterdir()} == {
        'lock', 'notes.txt', f'{key.name}.engine', f'{key.name}.json', cache.timings(key).name,
        cache.timings(other).name}
