# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Builds in a child process: what it says is heard, and its end by any cause is survived."""

from __future__ import annotations

import itertools
import os
import resource
import threading

from engine_bundle import write_engine_bundle
from fake_tensorrt import fake_tensorrt, HEADER, install, Notes
import pytest
from stand_in import has_ended
from vl4ad_ros.inference.backend import BackendOptions
from vl4ad_ros.inference.errors import BackendError, BackendUnavailable, DeviceMemoryError
from vl4ad_ros.inference.tensorrt import build_process
from vl4ad_ros.inference.tensorrt.builder import build_engine, BuilderCrashed
from vl4ad_ros.inference.tensorrt.compile import compile_graph, GraphRefused
from vl4ad_ros.inference.tensorrt.files import UNFINISHED, write_summed
from vl4ad_ros.inference.tensorrt.library import Library
from vl4ad_ros.inference.tensorrt.obtain import Engines


@pytest.fixture
def build(installed, engine_bundle, folder):
    """Return a function that builds an engine of the gather form, and hears what is said."""
    def run(log=None):
        said = []
        run.said = said
        return build_engine(Library(installed), engine_bundle.directory / 'vision.gather.onnx', 0,
                            folder / 'x.timings', log or said.append)
    return run


def only_process(trt):
    """Return the id of the one build process that has begun to build."""
    pid, = trt.counts.all('pid')
    return pid


def test_built_elsewhere(build, installed, engine_bundle, folder):
    compiled = build()
    assert bytes(compiled.plan).startswith(HEADER + b'vision.gather.onnx')
    assert bytes(compiled.plan).endswith(
        (engine_bundle.directory / 'vision.gather.onnx').read_bytes())
    assert bytes(compiled.timings) == b' and more'
    assert compiled.log == ('INFO: timing layer 12', 'INFO: built')
    assert only_process(installed) != os.getpid() and has_ended(only_process(installed))
    assert list(folder.iterdir()) == []


def test_timings_are_handed_over(build, installed, folder):
    write_summed(folder / 'x.timings', b'earlier')
    assert bytes(build().timings) == b'earlier and more'
    assert installed.counts.timings == [b'earlier']


def test_progress_is_said(build, installed):
    installed.faults.clock = True
    build()
    assert build.said == ['building, 8 s: Build 2 of 2']


def test_a_refused_graph_says_why(build, installed):
    installed.faults.errors = ('no such operator', 'nor this one')
    with pytest.raises(GraphRefused) as caught:
        build()
    assert not isinstance(caught.value, BuilderCrashed)
    assert 'cannot parse vision.gather.onnx: node /decoder/NonZero (NonZero): no such' in str(
        caught.value) and 'nor this one' in str(caught.value)


def test_a_build_without_result_says_why(build, installed):
    installed.faults.plans = False
    with pytest.raises(GraphRefused, match='cannot build .*: ERROR: no tactic for layer 12'):
        build()


@pytest.mark.parametrize('name, told', [
    ('SIGSEGV', 'SIGSEGV .Segmentation fault'), ('SIGABRT', 'SIGABRT .Aborted'),
    ('SIGKILL', 'SIGKILL .*memory runs out.*dmesg'), ('SIGTERM', 'SIGTERM')])
def test_a_crash_is_told_with_signal_and_log(build, installed, folder, name, told):
    installed.faults.ends_by = {'vision.gather.onnx': name}
    installed.faults.words = f"terminate called after throwing 'x'\n{build_process.RECORD}{{\"b"
    with pytest.raises(BuilderCrashed, match=told) as caught:
        build()
    assert str(caught.value).endswith(
        "its log:\n    INFO: timing layer 12\n    terminate called after throwing 'x'")
    assert list(folder.iterdir()) == []


def test_a_process_that_ends_without_an_answer_is_a_crash(build, tmp_path, monkeypatch):
    (tmp_path / 'tensorrt.py').write_text('raise SystemExit("no licence")')
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(BuilderCrashed, match='exit code 1.*\n    no licence'):
        build()


def test_errors_keep_their_kind(build, installed, tmp_path, monkeypatch):
    for text, kind in (
            ('raise ImportError("libnvinfer.so.10")', BackendUnavailable),
            ('from vl4ad_ros.inference.errors import *; raise DeviceMemoryError("no memory")',
             DeviceMemoryError),
            # The GPU is lost to the build process and not to this one.
            ('from vl4ad_ros.inference.errors import *; raise FatalBackendError("lost")',
             BackendError)):
        (tmp_path / 'tensorrt.py').write_text(text)
        with monkeypatch.context() as patch:
            patch.setenv('PYTHONDONTWRITEBYTECODE', '1')
            patch.syspath_prepend(str(tmp_path))
            with pytest.raises(BackendError) as caught:
                build()
        assert type(caught.value) is kind


def test_after_a_crash_the_next_form_is_tried(installed, engine_bundle, folder):
    installed.faults.ends_by = {'vision.gather.onnx': 'SIGSEGV'}
    said = []
    graph, stored = Engines(Library(installed), engine_bundle, BackendOptions(cache_dir=folder),
                            said.append, said.append).build()
    assert graph.sampling == 'grid-sample' and stored.deviation.uncertainty < 1e-4
    assert any(line.startswith('refused: vision.gather.onnx (fp32, gather): the process')
               and 'SIGSEGV' in line for line in said)


def test_if_all_crash_another_form_is_recommended(installed, tmp_path, folder):
    bundle = write_engine_bundle(tmp_path / 'b', ('grid-sample',))
    installed.faults.ends_by = {'vision.grid-sample.onnx': 'SIGSEGV'}
    with pytest.raises(BackendError, match='vl4ad export .* --sampling gather') as caught:
        Engines(Library(installed), bundle, BackendOptions(cache_dir=folder), print, print).build()
    assert 'SIGSEGV' in str(caught.value)
    assert [file.name for file in folder.iterdir()] == ['lock']


def test_a_full_disk(build, folder, installed):
    size, unlimited = 4000, resource.RLIM_INFINITY
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, unlimited))
    try:
        with pytest.raises(BackendError, match='cannot be written .File too large.: 1 MiB needed'):
            build()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (unlimited, unlimited))
    assert list(folder.iterdir()) == []
    assert memoryview(build().plan).nbytes > size


def test_what_ends_the_wait_ends_the_process(build, installed, folder):
    class Enough(Exception):
        pass

    def enough(line):
        raise Enough

    installed.faults.clock = True
    with pytest.raises(Enough):
        build(enough)
    assert has_ended(only_process(installed)) and list(folder.iterdir()) == []


def test_leftovers_of_a_killed_build_are_removed_by_the_next(installed, engine_bundle, folder):
    folder.mkdir()
    (folder / f'{UNFINISHED}x').write_bytes(b'half an engine')
    Engines(Library(installed), engine_bundle, BackendOptions(cache_dir=folder), print,
            print).build()
    assert not list(folder.glob(f'{UNFINISHED}*'))


def test_threads_may_build(build):
    """As the node does, whose executor goes on serving."""
    results = []
    thread = threading.Thread(target=lambda: results.append(build()))
    thread.start()
    thread.join(30)
    assert bytes(results[0].plan).startswith(HEADER)


@pytest.fixture
def compile_here(cuda, engine_bundle):
    """Return a function that compiles in this process."""
    trt = fake_tensorrt(cuda)

    def run(log=print):
        return compile_graph(
            Library(trt), engine_bundle.directory / 'vision.gather.onnx', None, log)
    run.trt = trt
    return run


def test_an_error_in_the_progress_monitor_stops_a_build(compile_here, monkeypatch):
    clock = itertools.count(0, 10)
    monkeypatch.setattr('vl4ad_ros.inference.tensorrt.compile.time.monotonic', lambda: next(clock))

    def closed(line):
        raise BrokenPipeError
    with pytest.raises(BrokenPipeError):
        compile_here(closed)
    assert compile_here.trt.counts.built == []


def test_a_builder_that_does_not_start(compile_here, monkeypatch):
    def fail(logger):
        raise TypeError('factory function returned nullptr')
    monkeypatch.setattr(compile_here.trt, 'Builder', fail)
    with pytest.raises(BackendError, match='cannot start its builder .factory function') as caught:
        compile_here()
    assert not isinstance(caught.value, GraphRefused)


def test_the_stand_in_tells_other_processes_its_faults(cuda, monkeypatch, tmp_path):
    module = install(cuda, monkeypatch, tmp_path / 'shared')
    module.faults.errors = ('one',)
    other = fake_tensorrt(cuda, folder=str(tmp_path / 'shared'))
    assert list(other.faults.errors) == ['one']
    other.counts.add(built='graph')
    assert module.counts.built == Notes(str(tmp_path / 'shared')).built == ['graph']
