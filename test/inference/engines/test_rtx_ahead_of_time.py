# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
A real compiler builds the graphs: that of TensorRT for RTX, which needs no GPU for it.

It stands in for TensorRT, whose parser and builder have the same Python API. No backend uses it.
What it accepts is well formed. Whether TensorRT's engine gives right answers is not tested here.
The graphs that `vl4ad export` writes are built in test/workshop/network/test_engine_graphs.py.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from vl4ad_ros.inference.tensorrt.builder import build_engine
from vl4ad_ros.inference.tensorrt.compile import GraphRefused
from vl4ad_ros.inference.tensorrt.files import write_summed
from vl4ad_ros.inference.tensorrt.library import Library

rtx = pytest.importorskip(
    'tensorrt_rtx', reason='needs TensorRT for RTX, the one compiler that needs no GPU; run: '
    'pip install tensorrt-rtx')

MODULE = """
import sys
from types import SimpleNamespace
from fake_cuda import FakeCuda
import tensorrt_rtx
sys.modules[__name__] = SimpleNamespace(**{**vars(tensorrt_rtx), '__version__': '10.99'})
FakeCuda().install(SimpleNamespace(setitem=dict.__setitem__))
"""


@pytest.fixture
def build(folder, tmp_path, monkeypatch):
    """Return a function that builds a graph in a build process with the real compiler."""
    (tmp_path / 'tensorrt.py').write_text(MODULE)
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    monkeypatch.syspath_prepend(str(tmp_path))

    def run(graph):
        run.said = []
        return build_engine(Library(rtx), graph, 0, folder / 'x.timings', run.said.append)
    return run


def test_every_form_is_built(build, engine_bundle, folder):
    for graph in engine_bundle.vision.graphs:
        compiled = build(engine_bundle.directory / graph.file)
        assert len(compiled.plan) > 100_000
        assert any('Engine generation completed' in line for line in compiled.log)
    assert list(folder.iterdir()) == []


def test_its_timing_cache_is_taken_again(build, engine_bundle, folder):
    graph = engine_bundle.directory / engine_bundle.vision.graphs[0].file
    timings = build(graph).timings
    assert len(timings) > 0
    write_summed(folder / 'x.timings', timings)
    build(graph)
    assert build.said == []


def test_what_cannot_be_built_is_named(build, mock_bundle):
    with pytest.raises(GraphRefused, match='parse vision.onnx: Unsupported reduction.*Scatter'):
        build(mock_bundle / 'vision.onnx')
