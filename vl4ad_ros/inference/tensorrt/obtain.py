# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Find an engine that agrees with the reference frames, or build one and compare it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
import datetime
import platform
import shlex
import time
from typing import Any

from vl4ad_ros.bundle import Bundle, BundleError
from vl4ad_ros.bundle.manifest import Graph, SAMPLING
from vl4ad_ros.bundle.reference import Deviation, excess, load_reference, measure
from vl4ad_ros.inference.backend import BackendOptions, build_command
from vl4ad_ros.inference.errors import BackendError, EngineMissing, FatalBackendError
from vl4ad_ros.inference.tensorrt.builder import build_engine
from vl4ad_ros.inference.tensorrt.cache import differences, EngineCache, Key, StoredEngine
from vl4ad_ros.inference.tensorrt.compile import GraphRefused
from vl4ad_ros.inference.tensorrt.cuda import find_device
from vl4ad_ros.inference.tensorrt.files import write_summed
from vl4ad_ros.inference.tensorrt.library import Library, NAME
from vl4ad_ros.inference.tensorrt.runner import EngineRunner

Log = Callable[[str], None]


class Engines:
    """The engines of one bundle on one GPU."""

    def __init__(self, library: Library, bundle: Bundle, options: BackendOptions, log: Log,
                 warn: Log) -> None:
        """
        Look for the GPU, and for the bundle's graphs in the precision that is asked for.

        :param library: TensorRT.
        :param bundle: an open bundle.
        :param options: `device`, `precision` and `cache_dir` are used.
        :param log: is called with lines on what is being done.
        :param warn: is called with lines on what was refused, and why.
        :raises BackendUnavailable: if there is no such GPU.
        :raises BundleError: if the bundle has no graph in that precision.
        :raises BackendError: if there is no folder for engines.
        """
        self.device = find_device(options.device)
        self.cache = EngineCache(options.cache_dir)
        self._library, self._bundle, self._options = library, bundle, options
        self._graphs = bundle.graphs_for(options.precision)
        self._log, self._warn = log, warn
        self._refusals: list[str] = []

    def find(self) -> tuple[Graph, StoredEngine]:
        """
        Return the first graph, in the order of `SAMPLING`, that has a usable engine, and that.

        :raises EngineMissing: if there is none; says why, and which command builds one.
        """
        found = self._usable()
        if found is None:
            raise EngineMissing(self._why_missing())
        return found

    def build(self, force: bool = False) -> tuple[Graph, StoredEngine]:
        """
        Return a graph and its usable engine, which is built now unless there is one already.

        A graph whose engine cannot be built, crashes the compiler or does not agree with the
        reference is passed over, and the next one is tried.

        :param force: build in any case.
        :raises BundleError: if the bundle has no reference frames.
        :raises BackendError: if no graph gives a usable engine; the message lists every attempt.
            Also if the builder cannot start or the engine cannot be written.
        """
        with self.cache.lock(self._log):
            if not force and (found := self._usable()):
                self._log(f'{found[1].file} is there already')
                return found
            load_reference(self._bundle)
            if self._options.precision == 'auto' and self._graphs[0].dtype == 'fp32':
                self._warn(f'{self._bundle.directory} has its network in fp32 only; an engine in '
                           'half precision is smaller and usually faster: see vl4ad convert '
                           '--dtype, or run: '
                           + shlex.join(['vl4ad', 'export', str(self._bundle.directory),
                                         '--dtype', 'fp16']))
            attempts = []
            for graph in self._graphs:
                try:
                    return graph, self._build(graph)
                except GraphRefused as error:
                    attempts.append(f'{graph.file} ({graph.dtype}, {graph.sampling}): {error}')
                    self._warn(f'refused: {attempts[-1]}')
        raise BackendError(
            f'no engine of {self._bundle.directory} can be used:\n  ' + '\n  '.join(attempts)
            + f'\nAnother form of the network may work. Run: {self._export()}, then vl4ad build '
            'with the new bundle. Without an engine the onnxruntime backend runs the bundle on '
            'the CPU')

    def runner(self, graph: Graph, plan: Any) -> EngineRunner:
        """
        Load an engine.

        :param graph: what it was built from.
        :param plan: its content, a buffer of bytes.
        :raises BackendError: see `EngineRunner`.
        :raises BundleError: see `EngineRunner`.
        """
        return EngineRunner(self._library, plan, self._bundle, graph.file, self.device)

    def _key(self, graph: Graph) -> Key:
        return Key.of(self._library, self._bundle, graph, self.device)

    def _usable(self) -> tuple[Graph, StoredEngine] | None:
        for graph in self._graphs:
            try:
                stored = self.cache.load(self._key(graph))
                if stored is None:
                    continue
                # The tolerance may have become tighter since the engine was built.
                if outside := excess(stored.deviation, graph.dtype):
                    raise EngineMissing(f'engine {stored.file} is refused: {outside}')
                return graph, stored
            except EngineMissing as error:
                self._refusals.append(str(error))
                self._warn(str(error))
        return None

    def _build(self, graph: Graph) -> StoredEngine:
        key, file = self._key(graph), self._bundle.directory / graph.file
        self._log(f'building an engine of {file} with {NAME} {self._library.version} for '
                  f'{self.device.name}, compute capability {self.device.compute_capability}')
        start = time.monotonic()
        timings = self.cache.timings(key)
        compiled = build_engine(self._library, file, self.device.index, timings, self._log)
        seconds = time.monotonic() - start
        if len(compiled.timings):
            write_summed(timings, compiled.timings)
        return self.cache.store(key, compiled.plan, self._compare(graph, compiled.plan), {
            'built': datetime.datetime.now(datetime.timezone.utc).isoformat(timespec='seconds'),
            'seconds': round(seconds, 1),
            'host': {'system': platform.platform(), 'python': platform.python_version()},
            'log': compiled.log})

    def _compare(self, graph: Graph, plan: Any) -> Deviation:
        """Return how far an engine is from the reference, if that is within its tolerance."""
        reference = load_reference(self._bundle)
        try:
            with closing(self.runner(graph, plan)) as runner:
                deviation = measure(reference, runner.run)
        except FatalBackendError:
            raise
        except (BackendError, BundleError) as error:
            raise GraphRefused(f'its engine does not run: {error}') from error
        if outside := excess(deviation, graph.dtype):
            raise GraphRefused(f'its engine does not agree with the reference: {outside}')
        self._log(f'the engine agrees with the reference: {deviation}')
        return deviation

    def _export(self) -> str:
        """Return the command that exports a form of the network that was not tried."""
        tried = {graph.sampling for graph in self._graphs}
        forms = [form for form in SAMPLING if form not in (*tried, 'none') and 'none' not in tried]
        option = (['--sampling', forms[0], '--dtype', self._graphs[0].dtype] if forms
                  else ['--dtype', 'fp32' if self._graphs[0].dtype != 'fp32' else 'fp16'])
        return shlex.join(['vl4ad', 'export', str(self._bundle.directory), *option])

    def _why_missing(self) -> str:
        wanted = [self._key(graph).content for graph in self._graphs]
        stored = [(differences(key, content), name) for name, key in self.cache.keys()
                  for content in wanted if key.get('library') == NAME]
        differing, nearest = min(stored, default=([], ''), key=lambda pair: len(pair[0]))
        reasons = list(dict.fromkeys(self._refusals)) or [
            f'{self.cache.folder} has no engine of {self._bundle.directory} for '
            f'{NAME} {self._library.version} on {self.device.name}'
            + (f'; the nearest, {nearest}, has {", ".join(differing)}' if nearest else '')]
        return '; '.join(reasons) + f'; run: {build_command(self._bundle, self._options)}'
