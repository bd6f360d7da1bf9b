# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""From an ONNX file to an engine, with progress on screen."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
import time
from typing import Any

from vl4ad_ros.inference.errors import BackendError
from vl4ad_ros.inference.tensorrt.library import Library

_PROGRESS_S = 5.0


class GraphRefused(BackendError):
    """The library does not take this graph; another form of it may do."""


@dataclass(frozen=True)
class Compiled:
    """
    What a build gives.

    :ivar plan: the engine's bytes, a buffer.
    :ivar timings: bytes to start the next build with; None if the library has none.
    :ivar log: the last lines that the library said.
    """

    plan: Any
    timings: Any
    log: tuple[str, ...]


def compile_graph(library: Library, file: Path, target: str | None, timings: bytes | None,
                  log: Callable[[str], None]) -> Compiled:
    """
    Build an engine for the calling thread's GPU, or for `target`.

    :param file: ONNX with its external data beside it; the precision is in the graph.
    :param target: compute capability, for a library that needs no GPU to build.
    :param timings: of an earlier build for the same library and GPU.
    :raises GraphRefused: with the nodes that cannot be built.
    :raises BackendError: if the builder cannot start, as without a driver.
    """
    trt, logger = library.module, library.logger()
    logger.lines.clear()
    try:
        builder = trt.Builder(logger)
    except Exception as error:  # pybind11 raises TypeError where the library returned nothing
        raise BackendError(f'{library.name} {library.version} cannot build here ({error}): '
                           f'{logger.said()}') from error
    # 10.x computes in the graph's own types only if told to, 11.x always.
    flag = getattr(trt.NetworkDefinitionCreationFlag, 'STRONGLY_TYPED', None)
    network = builder.create_network(0 if flag is None else 1 << int(flag))
    parser = trt.OnnxParser(network, logger)
    if not parser.parse_from_file(str(file)):
        raise GraphRefused(f'{library.name} {library.version} does not take {file.name}: '
                           + '; '.join(map(_describe, map(parser.get_error,
                                                          range(parser.num_errors)))))
    config = builder.create_builder_config()
    config.clear_flag(trt.BuilderFlag.TF32)  # the graph's float32 has a reason
    if target is not None:
        config.num_compute_capabilities = 1
        config.set_compute_capability(library.targets[target], 0)
    else:
        cache = config.create_timing_cache(timings or b'')
        if cache is None or not config.set_timing_cache(cache, False):
            log('the timings of earlier builds do not fit this GPU; building without them')
            config.set_timing_cache(config.create_timing_cache(b''), False)
    progress = _progress(trt, log)
    config.progress_monitor = progress
    plan = builder.build_serialized_network(network, config)
    if progress.stopped_by is not None:
        raise progress.stopped_by
    if plan is None:
        raise GraphRefused(f'{library.name} {library.version} cannot build {file.name}: '
                           f'{logger.said()}')
    kept = config.get_timing_cache() if target is None else None
    return Compiled(plan, kept and kept.serialize(), tuple(logger.lines))


def _describe(error: Any) -> str:
    node = error.node_name() or (f'number {error.node()}' if error.node() >= 0 else '')
    said = ' '.join(error.desc().split())
    return f'node {node} ({error.node_operator()}): {said}' if node else said


def _progress(trt: Any, log: Callable[[str], None]) -> Any:
    """Return a monitor that says every few seconds how far a build is."""
    class Progress(trt.IProgressMonitor):
        def __init__(self) -> None:
            trt.IProgressMonitor.__init__(self)
            self.stopped_by: BaseException | None = None
            self._start = self._said = time.monotonic()
            self._phases: dict[str, list[int]] = {}

        def phase_start(self, phase_name: str, parent_phase: str | None, num_steps: int) -> None:
            self._phases[phase_name] = [0, num_steps]

        def step_complete(self, phase_name: str, step: int) -> bool:
            # An exception must not pass through the library, whose functions throw none.
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
