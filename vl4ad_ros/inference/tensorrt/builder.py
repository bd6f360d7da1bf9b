# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Build an engine in a child process, and say why if that process does not deliver one."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from contextlib import ExitStack
import json
import mmap
import os
from pathlib import Path
import signal
import subprocess
import sys
import tempfile
from typing import Any, IO

from vl4ad_ros.inference.errors import BackendError, BackendUnavailable, DeviceMemoryError
from vl4ad_ros.inference.tensorrt import build_process
from vl4ad_ros.inference.tensorrt.build_process import RECORD
from vl4ad_ros.inference.tensorrt.compile import Compiled, GraphRefused
from vl4ad_ros.inference.tensorrt.files import explain_failed_writes, UNFINISHED
from vl4ad_ros.inference.tensorrt.library import Library, LOG_LINES, NAME
from vl4ad_ros.signals import undisturbed

_TOLD_LINES = 10
"""Number of the last log lines that the message of a crash contains."""
_KINDS = {kind.__name__: kind for kind in (BackendUnavailable, DeviceMemoryError)}
"""Errors that mean the same here as in the child. A GPU that is lost to the child is not lost
to this process, so that `FatalBackendError` is not among them."""


class BuilderCrashed(GraphRefused):
    """The child process ended before it had built an engine."""


def build_engine(library: Library, graph: Path, device: int, timings: Path,
                 log: Callable[[str], None]) -> Compiled:
    """
    Build an engine, which takes minutes. The calling thread waits for it.

    Whatever ends this call (an error, Ctrl-C, the end of this process) ends the child process too.
    The child's output goes to a file without a name, so that nothing is left behind.

    :param library: TensorRT, of which only the version is used here.
    :param graph: ONNX graph with its external data beside it.
    :param device: index of the GPU, from 0.
    :param timings: file of the timing cache of earlier builds, which need not exist. It is read
        and not written.
    :param log: is called every few seconds with one line on how far the build is.
    :returns: the engine, not yet compared with anything.
    :raises GraphRefused: if TensorRT cannot parse or build the graph.
    :raises BuilderCrashed: if the child process crashed or was killed; the message has the name
        of the signal and the last lines of the log.
    :raises BackendUnavailable: if the child process cannot import TensorRT or cuda-python.
    :raises DeviceMemoryError: if the GPU has too little free memory.
    :raises BackendError: if the builder cannot start, or its output cannot be written.
    """
    folder = timings.parent
    with ExitStack() as owned:
        with explain_failed_writes(folder, 0):
            folder.mkdir(parents=True, exist_ok=True)
            output = owned.enter_context(tempfile.TemporaryFile(dir=folder, prefix=UNFINISHED))
        answer, code, said = _run(
            [str(device), str(graph), str(timings), str(output.fileno())], output, log)
        if 'refused' in answer:
            raise GraphRefused(answer['refused'])
        if 'failed' in answer:
            kind, message = answer['failed']
            raise _KINDS.get(kind, BackendError)(message)
        if 'built' not in answer:
            raise BuilderCrashed(_describe_end(library, graph, code, said))
        plan_size, timings_size = answer['built']
        content = memoryview(mmap.mmap(output.fileno(), 0, access=mmap.ACCESS_READ))
        return Compiled(content[:plan_size], content[plan_size:plan_size + timings_size],
                        tuple(said))


def _run(arguments: list[str], output: IO[bytes], log: Callable[[str], None]
         ) -> tuple[dict[str, Any], int, deque[str]]:
    """Run the child process; return its last record, its exit code and its last log lines."""
    answer: dict[str, Any] = {}
    said: deque[str] = deque(maxlen=LOG_LINES)
    try:
        process = subprocess.Popen(
            [sys.executable, '-m', build_process.__name__, str(os.getpid()), *arguments],
            # The child imports from the same folders as this process, and since Python 3.11 not
            # from the current folder, as -m otherwise does.
            env={**os.environ, 'PYTHONSAFEPATH': '1',
                 'PYTHONPATH': os.pathsep.join(path or os.getcwd() for path in sys.path)},
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            encoding='utf-8', errors='replace', pass_fds=[output.fileno()],
            # Ctrl-C in a terminal reaches this process only, which then ends the child.
            start_new_session=True)
    except OSError as error:
        raise BackendError(f'the process that builds an engine cannot be started ({error}); free '
                           'some memory and try again') from error
    assert process.stdout is not None
    try:
        for line in process.stdout:
            raw, _, record = line.partition(RECORD)
            said.extend(filter(None, [raw.strip()]))
            try:
                content = json.loads(record) if record else {}
            except ValueError:  # the child ended in the middle of it
                continue
            if 'log' in content:
                said.append(content['log'])
            elif 'progress' in content:
                log(content['progress'])
            else:
                answer.update(content)
        code = process.wait()
    finally:
        with undisturbed():  # a second Ctrl-C must not leave the child running
            process.kill()
            process.wait()
            process.stdout.close()
    return answer, code, said


def _describe_end(library: Library, graph: Path, code: int, said: deque[str]) -> str:
    """Return the message about a child process that ended without an answer."""
    if code < 0:
        name = next((s.name for s in signal.Signals if s == -code), f'signal {-code}')
        how = f'was ended by {name} ({signal.strsignal(-code)})'
        if -code == signal.SIGKILL:
            how += (', which the kernel sends when memory runs out: look for "Out of memory" in '
                    'dmesg, and end other programs before the next build')
    else:
        how = f'ended with exit code {code}'
    last = list(said)[-_TOLD_LINES:] or ['(empty)']
    return (f'the process in which {NAME} {library.version} built {graph.name} {how}. '
            'The last lines of its log:' + ''.join(f'\n    {line}' for line in last))
