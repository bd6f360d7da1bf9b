# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
The child process in which TensorRT compiles one graph; `builder.build_engine` starts it.

It is called as ``python -m vl4ad_ros.inference.tensorrt.build_process PARENT DEVICE GRAPH TIMINGS
OUTPUT``: process id of the parent, index of the GPU, ONNX file, file of the timing cache (which
need not exist), and the number of an open file descriptor. The engine and the new timing cache
are written to that descriptor one after the other.

Its reports go to stdout. A report is the character `RECORD` and a JSON object with one entry:

* ``log``: a line of the library's log.
* ``progress``: a line for the user on how far the build is.
* ``built``: sizes in bytes of the engine and of the timing cache. This is the last report.
* ``refused``: why no engine can be built from the graph.
* ``failed``: name of the error class, and its message.

Everything else on stdout and stderr is output of the library or of Python.
"""

from __future__ import annotations

from contextlib import closing
import json
from pathlib import Path
import sys
from typing import Any

from vl4ad_ros.inference.errors import BackendError
from vl4ad_ros.inference.tensorrt.compile import compile_graph, GraphRefused
from vl4ad_ros.inference.tensorrt.cuda import Gpu
from vl4ad_ros.inference.tensorrt.files import explain_failed_writes, read_summed
from vl4ad_ros.inference.tensorrt.library import load_library
from vl4ad_ros.processes import end_with

RECORD = '\x1e'
"""The ASCII character 'record separator', which no log line has."""


def main(arguments: list[str]) -> None:
    """
    Build an engine and report the outcome on stdout.

    :param arguments: see the top of this file.
    """
    parent, device, graph, timings, output = arguments
    end_with(int(parent))
    try:
        _build(int(device), Path(graph), Path(timings), int(output))
    except GraphRefused as error:
        _say('refused', str(error))
    except BackendError as error:
        _say('failed', [type(error).__name__, str(error)])


def _build(device: int, graph: Path, timings: Path, output: int) -> None:
    library = load_library()
    library.logger().listener = lambda line: _say('log', line)
    with closing(Gpu(device)):  # the builder takes the current GPU of the thread
        compiled = compile_graph(
            library, graph, read_summed(timings), lambda line: _say('progress', line))
    parts = [memoryview(compiled.plan), memoryview(compiled.timings)]
    with explain_failed_writes(timings.parent, sum(part.nbytes for part in parts)):
        with open(output, 'wb') as stream:
            for part in parts:
                stream.write(part)
    _say('built', [part.nbytes for part in parts])


def _say(kind: str, content: Any) -> None:
    sys.stdout.write(f'{RECORD}{json.dumps({kind: content})}\n')
    sys.stdout.flush()


if __name__ == '__main__':
    main(sys.argv[1:])
