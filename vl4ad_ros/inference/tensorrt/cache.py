# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The folder of built engines; docs/engines.md says what lies in it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
import hashlib
import json
from pathlib import Path
from typing import Any

from vl4ad_ros.bundle import Bundle
from vl4ad_ros.bundle.manifest import Graph
from vl4ad_ros.files import cache_folder
from vl4ad_ros.inference.errors import BackendError, EngineMissing
from vl4ad_ros.inference.tensorrt.cuda import Device
from vl4ad_ros.inference.tensorrt.files import locked, map_file, UNFINISHED, write_whole
from vl4ad_ros.inference.tensorrt.library import Library

FORMAT = 1
ANY = 'any'  # GPU and driver of an engine that was built without a GPU


def default_folder() -> Path:
    """
    Return ``$XDG_CACHE_HOME/vl4ad_ros/engines``, by default below ``~/.cache``.

    :raises BackendError: if the user has no home folder.
    """
    try:
        return cache_folder() / 'engines'
    except RuntimeError as error:
        raise BackendError(f'{error}, or name a folder for engines (--cache-dir, '
                           'model.cache_dir)') from error


@dataclass(frozen=True)
class Key:
    """
    All that an engine depends on.

    :ivar content: JSON values by name.
    """

    content: Mapping[str, Any]

    @staticmethod
    def of(library: Library, bundle: Bundle, graph: Graph, device: Device) -> Key:
        """Return the key of an engine of `graph` for a GPU, or for `any_device`."""
        files = (graph.file, *bundle.weights, *filter(None, [bundle.reference]))
        return Key({
            'format': FORMAT, 'library': library.name, 'version': library.version,
            'gpu': device.name, 'compute_capability': device.compute_capability,
            'multiprocessors': device.multiprocessors, 'driver': device.driver,
            'graph': graph.file, 'dtype': graph.dtype, 'sampling': graph.sampling,
            'shape': [bundle.vision.height, bundle.vision.width], 'stride': bundle.vision.stride,
            'capacity': {'concepts': bundle.capacity.concepts,
                         'classes': bundle.capacity.classes},
            'files': {file: bundle.files[file] for file in files}})

    @property
    def name(self) -> str:
        """Name of the engine's files: 16 hexadecimal digits."""
        return hashlib.sha256(json.dumps(self.content, sort_keys=True).encode()).hexdigest()[:16]


def any_device(compute_capability: str) -> Device:
    """Return what stands for all GPUs of one compute capability."""
    return Device(0, ANY, compute_capability, 0, ANY)


def differences(seen: Mapping[str, Any], expected: Mapping[str, Any]) -> list[str]:
    """Name the values of two keys that differ."""
    return [f'{name} {seen.get(name)!r} instead of {expected.get(name)!r}'
            for name in sorted({*seen, *expected}) if seen.get(name) != expected.get(name)]


@dataclass(frozen=True)
class StoredEngine:
    """
    An engine whose bytes and sidecar are what was written.

    :ivar plan: its bytes.
    :ivar sidecar: the JSON beside it: ``key``, ``engine`` (``sha256``, ``bytes``), ``deviation``
        (None: not compared with the reference yet), ``built``, ``seconds``, ``host``, ``log``.
    """

    file: Path
    plan: Any
    sidecar: Mapping[str, Any]


class EngineCache:
    """Pairs of ``<key>.engine`` and ``<key>.json`` in one folder."""

    def __init__(self, folder: Path | None) -> None:
        """Use `folder`, or the default one."""
        self.folder = Path(folder) if folder is not None else default_folder()

    def lock(self, log: Callable[[str], None]) -> AbstractContextManager[None]:
        """
        Hold the folder: one build at a time, for GPUs give wrong timings to two at once.

        Readers need no lock.
        """
        return locked(self.folder / 'lock', lambda: log(
            f'another build holds {self.folder}; waiting for it'))

    def load(self, key: Key) -> StoredEngine | None:
        """
        Return the engine of a key, or None if there is none.

        :raises EngineMissing: if there is one that is not what was stored; says what differs.
        """
        return self._open(key.name, key.content)

    def _open(self, name: str, content: Mapping[str, Any] | None = None) -> StoredEngine | None:
        engine, sidecar = self.folder / f'{name}.engine', self.folder / f'{name}.json'

        def refuse(why: str) -> EngineMissing:
            return EngineMissing(f'engine {engine} is refused: {why}')

        try:
            record = json.loads(sidecar.read_text(encoding='utf-8'))
            key, engine_facts = record['key'], record['engine']
            size, expected = engine_facts['bytes'], engine_facts['sha256']
            record['deviation'], dict(key)
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise refuse(f'{sidecar.name} cannot be read ({type(error).__name__}: {error})'
                         ) from error
        if content is None and Key(key).name != name:
            raise refuse(f'the values in {sidecar.name} do not give its name')
        if content is not None and key != content:
            raise refuse(f'{sidecar.name} is of another one: '
                         + ', '.join(differences(key, content)))
        try:
            plan = map_file(engine)
        except (OSError, ValueError) as error:  # an empty file cannot be mapped
            raise refuse(f'it cannot be read ({error})') from error
        if plan.nbytes != size:
            raise refuse(f'it has {plan.nbytes} bytes instead of {size}')
        seen = hashlib.sha256(plan).hexdigest()
        if seen != expected:
            raise refuse(f'it is altered (sha256 {seen[:12]} instead of {expected[:12]})')
        return StoredEngine(engine, plan, record)

    def store(self, key: Key, plan: Any, record: Mapping[str, Any]) -> StoredEngine:
        """
        Write an engine and its sidecar, which makes it usable and so comes last.

        :param record: the sidecar but for ``key`` and ``engine``.
        :raises BackendError: if the disk is full or the folder cannot be written.
        """
        engine, sidecar = (self.folder / f'{key.name}.{kind}' for kind in ('engine', 'json'))
        facts = {'sha256': hashlib.sha256(plan).hexdigest(), 'bytes': memoryview(plan).nbytes}
        content = {'key': key.content, 'engine': facts, **record}
        write_whole({engine: plan, sidecar: json.dumps(content, indent=1).encode()})
        return self.load(key)

    def kernels(self, key: Key) -> Path:
        """Return the file of what TensorRT-RTX compiles when an engine first runs."""
        return self.folder / f'{key.name}.kernels'

    def timings(self, key: Key) -> Path:
        """Return the file of timings that builds for the same library and GPU share."""
        content = {name: key.content[name] for name in (
            'library', 'version', 'gpu', 'compute_capability', 'multiprocessors', 'driver')}
        return self.folder / f'{Key(content).name}.timings'

    def holds(self, key: Key) -> bool:
        """Return whether something is stored under a key, usable or not."""
        return (self.folder / f'{key.name}.json').exists()

    def keys(self) -> Iterator[tuple[str, Mapping[str, Any]]]:
        """Yield name and key of every engine whose sidecar can be read; checks no more."""
        for sidecar in sorted(self.folder.glob('*.json')):
            try:
                yield sidecar.stem, dict(json.loads(sidecar.read_text(encoding='utf-8'))['key'])
            except (OSError, ValueError, KeyError, TypeError):
                continue

    def entries(self) -> Iterator[StoredEngine | EngineMissing]:
        """Yield every engine, or why it cannot be used, in the order of their names."""
        for sidecar in sorted(self.folder.glob('*.json')):
            try:
                if stored := self._open(sidecar.stem):
                    yield stored
            except EngineMissing as error:
                yield error

    def prune(self, useless: Callable[[Mapping[str, Any]], str]) -> Iterator[tuple[Path, str]]:
        """
        Remove what no build or backend will use; call it with the lock held.

        :param useless: returns why an engine with that key is of no use, ``''`` if it is.
        :returns: each file that was removed, and why.
        """
        reasons, timings = {}, set()
        for sidecar in self.folder.glob('*.json'):
            try:
                stored = self._open(sidecar.stem)
                reasons[sidecar.stem] = useless(stored.sidecar['key']) if stored else ''
                timings |= {self.timings(Key(stored.sidecar['key'])).stem} if stored else set()
            except EngineMissing as error:
                reasons[sidecar.stem] = str(error)
        for file in sorted(self.folder.iterdir() if self.folder.is_dir() else ()):
            if file.name.startswith(UNFINISHED):
                reason = 'left by a build that was killed'
            elif file.suffix in ('.engine', '.json', '.kernels'):
                reason = reasons.get(file.stem, 'its engine is not finished or was removed')
            elif file.suffix == '.timings':
                reason = '' if file.stem in timings else 'no engine here was built with it'
            else:
                continue
            if reason:
                file.unlink()
                yield file, reason
