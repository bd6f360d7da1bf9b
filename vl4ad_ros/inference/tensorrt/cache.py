# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The folder of built engines; docs/engines.md lists its files."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
import hashlib
import json
from pathlib import Path
from typing import Any

from vl4ad_ros.bundle import Bundle
from vl4ad_ros.bundle.manifest import Graph
from vl4ad_ros.bundle.reference import Deviation
from vl4ad_ros.files import cache_folder
from vl4ad_ros.inference.errors import BackendError, EngineMissing
from vl4ad_ros.inference.tensorrt.cuda import Device
from vl4ad_ros.inference.tensorrt.files import locked, map_file, UNFINISHED, write_whole
from vl4ad_ros.inference.tensorrt.library import Library, NAME

FORMAT = 1
"""Version of the sidecar's format, which is part of every key."""


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
    Everything that an engine was built from, and for.

    :ivar content: values that JSON can hold, by name.
    """

    content: Mapping[str, Any]

    @staticmethod
    def of(library: Library, bundle: Bundle, graph: Graph, device: Device) -> Key:
        """
        Return the key of an engine.

        :param library: TensorRT.
        :param bundle: the bundle that `graph` belongs to.
        :param graph: what the engine is built from.
        :param device: the GPU that it is built for.
        """
        files = (graph.file, *bundle.weights, *filter(None, [bundle.reference]))
        return Key({
            'format': FORMAT, 'library': NAME, 'version': library.version,
            'gpu': device.name, 'compute_capability': device.compute_capability,
            'multiprocessors': device.multiprocessors, 'driver': device.driver,
            'graph': graph.file, 'dtype': graph.dtype, 'sampling': graph.sampling,
            'shape': [bundle.vision.height, bundle.vision.width], 'stride': bundle.vision.stride,
            'capacity': {'concepts': bundle.capacity.concepts,
                         'classes': bundle.capacity.classes},
            'files': {file: bundle.files[file] for file in files}})

    @property
    def name(self) -> str:
        """Stem of the names of the engine's files: 16 hexadecimal digits."""
        return hashlib.sha256(json.dumps(self.content, sort_keys=True).encode()).hexdigest()[:16]


def differences(found: Mapping[str, Any], expected: Mapping[str, Any]) -> list[str]:
    """Describe each value in which the contents of two keys differ."""
    return [f'{name} {found.get(name)!r} instead of {expected.get(name)!r}'
            for name in sorted({*found, *expected}) if found.get(name) != expected.get(name)]


@dataclass(frozen=True)
class StoredEngine:
    """
    An engine whose bytes and sidecar are those that were written.

    :ivar file: path of the engine.
    :ivar plan: its content, a buffer of bytes.
    :ivar key: what it was built from, and for.
    :ivar deviation: how far it was from the reference frames when it was built.
    """

    file: Path
    plan: memoryview
    key: Key
    deviation: Deviation


class EngineCache:
    """Pairs of ``<key>.engine`` and ``<key>.json`` in one folder."""

    def __init__(self, folder: Path | None) -> None:
        """
        Use a folder, which need not exist yet.

        :param folder: None is the one of `default_folder`.
        :raises BackendError: if `folder` is None and the user has no home folder.
        """
        self.folder = Path(folder) if folder is not None else default_folder()

    @contextmanager
    def lock(self, log: Callable[[str], None]) -> Iterator[None]:
        """
        Hold the folder for one build, and remove what builds that were killed have left.

        Two builds at once would measure wrong timings on a GPU. Reading needs no lock.

        :param log: is called with one line if another process holds the folder, before waiting.
        :raises BackendError: if the folder cannot be written.
        """
        with locked(self.folder / 'lock', lambda: log(
                f'another build holds {self.folder}; waiting for it')):
            for file in self.folder.glob(f'{UNFINISHED}*'):
                file.unlink(missing_ok=True)
            yield

    def load(self, key: Key) -> StoredEngine | None:
        """
        Return the engine with a key, or None if there is none.

        :raises EngineMissing: if its files are not those that were stored; says what differs.
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
            dict(key)
            recorded = record['deviation']
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise refuse(f'{sidecar.name} cannot be read ({type(error).__name__}: {error})'
                         ) from error
        try:
            deviation = Deviation(**recorded)
        except TypeError as error:
            raise refuse(f'its deviation from the reference cannot be read ({error})') from error
        if content is None and Key(key).name != name:
            raise refuse(f'the values in {sidecar.name} do not give its name')
        if content is not None and key != content:
            raise refuse(f'{sidecar.name} belongs to another engine: '
                         + ', '.join(differences(key, content)))
        try:
            plan = map_file(engine)
        except (OSError, ValueError) as error:  # an empty file cannot be mapped
            raise refuse(f'it cannot be read ({error})') from error
        if plan.nbytes != size:
            raise refuse(f'it has {plan.nbytes} bytes instead of {size}')
        found = hashlib.sha256(plan).hexdigest()
        if found != expected:
            raise refuse(f'it is altered (sha256 {found[:12]} instead of {expected[:12]})')
        return StoredEngine(engine, plan, Key(key), deviation)

    def store(self, key: Key, plan: Any, deviation: Deviation, facts: Mapping[str, Any]
              ) -> StoredEngine:
        """
        Write an engine, and then its sidecar, which makes it usable.

        :param key: what it was built from, and for.
        :param plan: the engine, a buffer of bytes.
        :param deviation: how far it is from the reference frames.
        :param facts: further values for the sidecar, for people: ``built``, ``seconds``,
            ``host`` and ``log``.
        :raises BackendError: if the disk is full or the folder cannot be written.
        :raises EngineMissing: if another program removed or altered the files meanwhile.
        """
        engine, sidecar = (self.folder / f'{key.name}.{kind}' for kind in ('engine', 'json'))
        content = {'key': key.content,
                   'engine': {'sha256': hashlib.sha256(plan).hexdigest(),
                              'bytes': memoryview(plan).nbytes},
                   'deviation': asdict(deviation), **facts}
        write_whole({engine: plan, sidecar: json.dumps(content, indent=1).encode()})
        stored = self.load(key)
        if stored is None:
            raise EngineMissing(f'{sidecar} was removed as soon as it was written; build again')
        return stored

    def timings(self, key: Key) -> Path:
        """Return the file of the timing cache, shared by builds with the same library and GPU."""
        content = {name: key.content[name] for name in (
            'library', 'version', 'gpu', 'compute_capability', 'multiprocessors', 'driver')}
        return self.folder / f'{Key(content).name}.timings'

    def keys(self) -> Iterator[tuple[str, Mapping[str, Any]]]:
        """Yield name and content of the key of every engine; nothing but JSON is checked."""
        for sidecar in sorted(self.folder.glob('*.json')):
            try:
                yield sidecar.stem, dict(json.loads(sidecar.read_text(encoding='utf-8'))['key'])
            except (OSError, ValueError, KeyError, TypeError):
                continue

    def entries(self) -> Iterator[StoredEngine | EngineMissing]:
        """Yield every engine, or the error that says why it cannot be used, sorted by name."""
        for sidecar in sorted(self.folder.glob('*.json')):
            try:
                if stored := self._open(sidecar.stem):
                    yield stored
            except EngineMissing as error:
                yield error

    def prune(self, useless: Callable[[Mapping[str, Any]], str]) -> Iterator[tuple[Path, str]]:
        """
        Remove what no build and no backend will use. The caller holds the lock.

        :param useless: is called with the content of an engine's key; returns why that engine is
            of no use, or ``''`` if it is of use.
        :returns: each file that was removed, and why.
        """
        reasons, timings = {}, set()
        for sidecar in self.folder.glob('*.json'):
            try:
                stored = self._open(sidecar.stem)
            except EngineMissing as error:
                reasons[sidecar.stem] = str(error)
                continue
            if stored is not None:
                reasons[sidecar.stem] = useless(stored.key.content)
                timings.add(self.timings(stored.key).stem)
        for file in sorted(self.folder.iterdir() if self.folder.is_dir() else ()):
            if file.suffix in ('.engine', '.json'):
                reason = reasons.get(file.stem, 'the other file of this engine is missing')
            elif file.suffix == '.timings' and file.stem not in timings:
                reason = 'no engine here was built with it'
            else:
                continue
            if reason:
                file.unlink()
                yield file, reason
