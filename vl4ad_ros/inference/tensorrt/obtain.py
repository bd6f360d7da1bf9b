# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Find an engine that has been compared with the reference, or build one and compare it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import asdict
import datetime
import platform
import shlex
import time
from typing import Any

from vl4ad_ros.bundle import Bundle, BundleError
from vl4ad_ros.bundle.manifest import Graph
from vl4ad_ros.bundle.reference import Deviation, excess, load_reference, measure
from vl4ad_ros.inference.backend import BackendOptions
from vl4ad_ros.inference.errors import BackendError, EngineMissing, FatalBackendError
from vl4ad_ros.inference.tensorrt.cache import (
    any_device, differences, EngineCache, Key, StoredEngine)
from vl4ad_ros.inference.tensorrt.compile import compile_graph, GraphRefused
from vl4ad_ros.inference.tensorrt.cuda import Device, find_device, Gpu
from vl4ad_ros.inference.tensorrt.files import read_summed, write_summed
from vl4ad_ros.inference.tensorrt.library import Library
from vl4ad_ros.inference.tensorrt.runner import EngineRunner

Log = Callable[[str], None]


class Engines:
    """The engines of one bundle for one library and GPU."""

    def __init__(self, library: Library, bundle: Bundle, options: BackendOptions, log: Log,
                 warn: Log, device: Device | None = None) -> None:
        """
        Look for the GPU unless `device` is `any_device`.

        :param log: told what is being done.
        :param warn: told what was refused, and why.
        :raises BackendUnavailable: if there is no GPU, or the library has no code for it.
        :raises BundleError: if the bundle has no graph in the precision that is asked for.
        """
        self.device = device or find_device(options.device)
        library.check_target(self.device.name, self.device.compute_capability)
        self.cache = EngineCache(options.cache_dir)
        self._library, self._bundle, self._options = library, bundle, options
        self._graphs = bundle.graphs_for(options.precision)
        self._log, self._warn, self._refusals = log, warn, []

    def find(self) -> tuple[Graph, StoredEngine]:
        """
        Return the first graph, in the order of `SAMPLING`, whose engine may be used.

        An engine that was built without a GPU is compared with the reference here.

        :raises EngineMissing: if there is none; says why, and which command builds one.
        """
        found = self._usable()
        if not found and any(map(self.cache.holds, map(self._key_ahead, self._graphs))):
            with self.cache.lock(self._log):
                found = self._usable() or self._adopted()
        if not found:
            raise EngineMissing(self._why_missing())
        return found

    def build(self, force: bool = False) -> tuple[Graph, StoredEngine]:
        """
        Return a usable engine, built now unless there is one already.

        :param force: build in any case.
        :raises BundleError: if the bundle has no reference frames.
        :raises BackendError: if no form of the network gives a usable engine; lists every
            attempt. Also if the engine cannot be written.
        """
        with self.cache.lock(self._log):
            if not force and (found := self._usable() or self._adopted()):
                self._log(f'{found[1].file} is there already')
                return found
            load_reference(self._bundle)
            attempts = []
            for graph in self._graphs:
                try:
                    return graph, self._build(graph)
                except GraphRefused as error:
                    attempts.append(f'{graph.file} ({graph.dtype}, {graph.sampling}): {error}')
                    self._warn(f'refused: {attempts[-1]}')
        raise BackendError(
            f'no engine of {self._bundle.directory} may be used:\n  '
            + '\n  '.join(attempts) + '\nadd another form of the network with `vl4ad export '
            f'{self._bundle.directory} --sampling FORM` (or --dtype bf16 or fp32) and build '
            'again, or use --backend torch or onnxruntime')

    def _key(self, graph: Graph) -> Key:
        return Key.of(self._library, self._bundle, graph, self.device)

    def _key_ahead(self, graph: Graph) -> Key:
        """Return the key of the same engine built without a GPU."""
        return Key.of(self._library, self._bundle, graph,
                      any_device(self.device.compute_capability))

    @property
    def _is_ahead(self) -> bool:
        return self.device == any_device(self.device.compute_capability)

    def _refuse(self, why: str) -> None:
        self._refusals.append(why)
        self._warn(why)

    def _usable(self) -> tuple[Graph, StoredEngine] | None:
        for graph in self._graphs:
            try:
                if stored := self.cache.load(self._key(graph)):
                    outside = '' if self._is_ahead else _outside(stored, graph)
                    if not outside:
                        return graph, stored
                    self._refuse(f'engine {stored.file} is refused: {outside}')
            except EngineMissing as error:
                self._refuse(str(error))
        return None

    def _adopted(self) -> tuple[Graph, StoredEngine] | None:
        """Return an engine built without a GPU, if it agrees with the reference on this one."""
        for graph in () if self._is_ahead else self._graphs:
            try:
                if stored := self.cache.load(self._key_ahead(graph)):
                    self._log(f'comparing {stored.file}, built without a GPU, with the reference')
                    deviation = self._compare(graph, stored.plan)
                    facts = {k: v for k, v in stored.sidecar.items() if k not in ('key', 'engine')}
                    return graph, self.cache.store(
                        self._key(graph), stored.plan, {**facts, 'deviation': deviation})
            except (EngineMissing, GraphRefused) as error:
                self._refuse(str(error))
        return None

    def _build(self, graph: Graph) -> StoredEngine:
        key, file = self._key(graph), self._bundle.directory / graph.file
        gpu = 'any GPU' if self._is_ahead else self.device.name
        self._log(f'building an engine of {file} with {self._library.name} '
                  f'{self._library.version} for {gpu} of compute capability '
                  f'{self.device.compute_capability}')
        start = time.monotonic()
        if self._library.is_rtx:
            compiled = compile_graph(
                self._library, file, self.device.compute_capability, None, self._log)
        else:
            with closing(Gpu(self.device.index)):  # the builder takes the thread's GPU
                compiled = compile_graph(
                    self._library, file, None, read_summed(self.cache.timings(key)), self._log)
            write_summed(self.cache.timings(key), compiled.timings)
        seconds = time.monotonic() - start
        return self.cache.store(key, compiled.plan, {
            'deviation': None if self._is_ahead else self._compare(graph, compiled.plan),
            'built': datetime.datetime.now(datetime.timezone.utc).isoformat(timespec='seconds'),
            'seconds': round(seconds, 1),
            'host': {'system': platform.platform(), 'python': platform.python_version()},
            'log': compiled.log})

    def _compare(self, graph: Graph, plan: Any) -> dict[str, float]:
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
        self._log(f'agrees with the reference: {deviation}')
        return asdict(deviation)

    def runner(self, graph: Graph, plan: Any) -> EngineRunner:
        """Load an engine that was built from `graph`."""
        return EngineRunner(self._library, plan, self._bundle, graph.file, self.device,
                            self.cache.kernels(self._key(graph)))

    def _why_missing(self) -> str:
        wanted = [self._key(graph).content for graph in self._graphs]
        stored = [(differences(key, content), name) for name, key in self.cache.keys()
                  for content in wanted if key.get('library') == self._library.name]
        differing, nearest = min(stored, default=([], ''), key=lambda pair: len(pair[0]))
        reasons = list(dict.fromkeys(self._refusals)) or [
            f'{self.cache.folder} has no engine of {self._bundle.directory} for '
            f'{self._library.name} {self._library.version} on {self.device.name}'
            + (f'; the nearest, {nearest}, has {", ".join(differing)}' if nearest else '')]
        command = ['vl4ad', 'build', str(self._bundle.directory), '--backend', self._library.name]
        for flag, value, default in (
                ('--device', self._options.device, 0),
                ('--precision', self._options.precision, 'auto'),
                ('--cache-dir', self._options.cache_dir, None)):
            command += [flag, str(value)] if value != default else []
        return '; '.join(reasons) + f'; run: {shlex.join(command)}'


def _outside(stored: StoredEngine, graph: Graph) -> str:
    """Return why the deviation that was measured rules an engine out, ``''`` if it does not."""
    try:
        return excess(Deviation(**stored.sidecar['deviation']), graph.dtype)
    except TypeError as error:
        return f'its deviation from the reference cannot be read ({error})'
