# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Compile an ONNX graph into an engine, in the calling process."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
import time
from typing import Any

from vl4ad_ros.inference.errors import BackendError
from vl4ad_ros.inference.tensorrt.library import Library, NAME

_PROGRESS_S = 5.0
"""Seconds between two progress lines."""


class GraphRefused(BackendError):
    """No usable engine can be built from this graph; another form of the network may work."""


@dataclass(frozen=True)
class Compiled:
    """
    The result of a build.

    :ivar plan: the engine, as a buffer of bytes.
    :ivar timings: timing cache to start the next build with, as a buffer of bytes; empty if the
        library returned none.
    :ivar log: the library's last log lines.
    """

    plan: Any
    timings: Any
    log: tuple[str, ...]


def compile_graph(library: Library, file: Path, timings: bytes | None,
                  log: Callable[[str], None]) -> Compiled:
    """
    Build an engine for the current GPU of the calling thread, which takes minutes.

    A compiler that crashes ends the process. `builder.build_engine` therefore calls this in a
    child process.

    :param library: TensorRT.
    :param file: ONNX graph with its external data beside it. Its tensor types are kept (the
        network is strongly typed), so the precision is chosen when the graph is exported.
    :param timings: timing cache of an earlier build with the same library and GPU; None without.
    :param log: is called every few seconds with one line on how far the build is.
    :raises GraphRefused: if the library cannot parse or build the graph; names the nodes.
    :raises BackendError: if the builder cannot start, for example without a driver.
    """
    trt, logger = library.module, library.logger()
    logger.lines.clear()
    try:
        builder = trt.Builder(logger)
    except Exception as error:  # pybind11 raises TypeError where the library returned nothing
        raise BackendError(f'{NAME} {library.version} cannot start its builder ({error}): '
                           f'{logger.said()}') from error
    # Version 10 keeps the types of the graph only with this flag, version 11 always does.
    flag = getattr(trt.NetworkDefinitionCreationFlag, 'STRONGLY_TYPED', None)
    network = builder.create_network(0 if flag is None else 1 << int(flag))
    parser = trt.OnnxParser(network, logger)
    if not parser.parse_from_file(str(file)):
        errors = [_describe(parser.get_error(index), logger) for index in range(parser.num_errors)]
        raise GraphRefused(
            f'{NAME} {library.version} cannot parse {file.name}: {"; ".join(errors)}')
    config = builder.create_builder_config()
    config.clear_flag(trt.BuilderFlag.TF32)  # float32 in the graph means full float32 precision
    cache = config.create_timing_cache(timings or b'')
    if cache is None or not config.set_timing_cache(cache, False):
        log('the timing cache of earlier builds does not fit this GPU; building without it')
        config.set_timing_cache(config.create_timing_cache(b''), False)
    progress = _progress(trt, log)
    config.progress_monitor = progress
    plan = builder.build_serialized_network(network, config)
    if progress.stopped_by is not None:
        raise progress.stopped_by
    if plan is None:
        raise GraphRefused(f'{NAME} {library.version} cannot build {file.name}: {logger.said()}')
    cache = config.get_timing_cache()
    return Compiled(plan, b'' if cache is None else cache.serialize(), tuple(logger.lines))


def _describe(error: Any, logger: Any) -> str:
    """Return an error of the parser in one line, with its node or else with the log's words."""
    said = ' '.join(error.desc().split())
    node = error.node_name() or (f'number {error.node()}' if error.node() >= 0 else '')
    if node:
        return f'node {node} ({error.node_operator()}): {said}'
    return f'{said} ({" ".join(logger.said().split())})'


def _progress(trt: Any, log: Callable[[str], None]) -> Any:
    """Return a progress monitor that logs every `_PROGRESS_S` seconds how far a build is."""
    class Progress(trt.IProgressMonitor):
        def __init__(self) -> None:
            trt.IProgressMonitor.__init__(self)
            self.stopped_by: BaseException | None = None
            self._start = self._said = time.monotonic()
            self._phases: dict[str, list[int]] = {}

        def phase_start(self, phase_name: str, parent_phase: str | None, num_steps: int) -> None:
            self._phases[phase_name] = [0, num_steps]

        def step_complete(self, phase_name: str, step: int) -> bool:
            # An exception must not pass through the library, which is not written for them.
            try:
                self._phases.setdefault(phase_name, [0, 0])[0] = step + 1
                now = time.monotonic()
                if now - self._said >= _PROGRESS_S:
                    self._said = now
                    log(f'building, {now - self._start:.0f} s: ' + ', '.join(
                        f'{name} {done} of {steps}'
                        for name, (done, steps) in self._phases.items()))
            except BaseException as error:
                self.stopped_by = error
            return self.stopped_by is None

        def phase_finish(self, phase_name: str) -> None:
            self._phases.pop(phase_name, None)

    return Progress()
