# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The verb `vl4ad build`: build, list and prune engines."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
import importlib
from pathlib import Path
import sys
from typing import Any

from vl4ad_ros.bundle import Bundle
from vl4ad_ros.bundle.manifest import DTYPES
from vl4ad_ros.commands import Verb
from vl4ad_ros.inference.backend import BackendOptions, REGISTRY
from vl4ad_ros.inference.errors import BackendUnavailable, EngineMissing
from vl4ad_ros.inference.tensorrt.cache import any_device, EngineCache
from vl4ad_ros.inference.tensorrt.cuda import find_device
from vl4ad_ros.inference.tensorrt.library import Library
from vl4ad_ros.inference.tensorrt.obtain import Engines

_BACKENDS = ('tensorrt', 'tensorrt-rtx')


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    parser.add_argument('bundle', nargs='?', metavar='BUNDLE',
                        help='name of an installed bundle, or a folder; not needed to list '
                        'or prune')
    parser.add_argument('--backend', choices=_BACKENDS,
                        help='default: the first of them that can be used here')
    parser.add_argument('--device', type=int, default=0, metavar='N',
                        help='index of the GPU (default: 0)')
    parser.add_argument('--precision', choices=('auto', *DTYPES), default='auto',
                        help='default: the first of them that the bundle has')
    parser.add_argument('--cache-dir', type=Path, metavar='DIR',
                        help='folder of engines (default: $XDG_CACHE_HOME/vl4ad_ros/engines, '
                        'by default below ~/.cache)')
    parser.add_argument('--compute-capability', metavar='X.Y',
                        help='of tensorrt-rtx: build for such GPUs without having one; the engine '
                        'is compared with the reference when it is first loaded on one')
    parser.add_argument('--force', action='store_true', help='build even if there is an engine')
    parser.add_argument('--list', action='store_true', help='show the engines in the folder')
    parser.add_argument('--prune', action='store_true',
                        help='remove leftovers, altered engines, and those that no backend on '
                        'this machine can use any more')


def run(options: argparse.Namespace) -> int:
    """Build, list or prune; return the exit code."""
    if options.prune:
        _prune(options)
    if options.list:
        _list(EngineCache(options.cache_dir))
    if options.list or options.prune:
        return 0
    if options.bundle is None:
        raise ValueError('give a bundle to build an engine of: the name of an installed one, or '
                         'a folder')
    settings = BackendOptions(device=options.device, precision=options.precision,
                              cache_dir=options.cache_dir)
    library = _library(options)
    device = None
    if options.compute_capability:
        if not library.is_rtx:
            raise ValueError(f'{library.name} builds only on the GPU itself; leave out '
                             '--compute-capability, or use --backend tensorrt-rtx')
        device = any_device(options.compute_capability)
    engines = Engines(library, Bundle.open(options.bundle), settings, _say, _say, device)
    graph, stored = engines.build(options.force)
    print(f'{stored.file}: {graph.dtype}, {graph.sampling}, {stored.plan.nbytes / 1e6:.1f} MB, '
          f'{_state(stored.sidecar)}')
    return 0


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _module(name: str) -> Any:
    return importlib.import_module(REGISTRY[name])


def _library(options: argparse.Namespace) -> Library:
    """Import the library that was chosen, or the first that can be used."""
    if options.compute_capability:
        return _module(options.backend or 'tensorrt-rtx').load_library()
    reasons = []
    for name in (options.backend,) if options.backend else _BACKENDS:
        reason = _module(name).unavailable(BackendOptions(device=options.device))
        if not reason:
            return _module(name).load_library()
        reasons.append(f'{name}: {reason}')
    raise BackendUnavailable('\n'.join((
        'no engine can be built here:', *reasons, 'without a GPU: vl4ad build BUNDLE --backend '
        'tensorrt-rtx --compute-capability X.Y')))


def _state(sidecar: Mapping[str, Any]) -> str:
    if sidecar['deviation'] is None:
        return 'NOT compared with the reference yet'
    return 'deviation ' + ', '.join(
        f'{k} {v:.4g}' for k, v in sidecar['deviation'].items() if v is not None)


def _list(cache: EngineCache) -> None:
    found = False
    for entry in cache.entries():
        found = True
        if isinstance(entry, EngineMissing):
            print(entry)
            continue
        key = entry.sidecar['key']
        print(f'{entry.file.stem}: {key["library"]} {key["version"]}, {key["dtype"]}, '
              f'{key["sampling"]}, {"x".join(map(str, key["shape"]))}, {key["gpu"]} '
              f'({key["compute_capability"]}), driver {key["driver"]}, '
              f'{entry.plan.nbytes / 1e6:.1f} MB, {_state(entry.sidecar)}')
    if not found:
        print(f'{cache.folder} has no engines')


def _prune(options: argparse.Namespace) -> None:
    cache, versions = EngineCache(options.cache_dir), {}
    for name in _BACKENDS:
        try:
            versions[name] = _module(name).load_library().version
        except BackendUnavailable as error:
            _say(f'engines of {name} are kept: {error}')
    try:
        device = find_device(options.device)
    except BackendUnavailable as error:
        device = None
        _say(f'engines of all GPUs are kept: {error}')

    def useless(key: Mapping[str, Any]) -> str:
        version = versions.get(key['library'], key['version'])
        if key['version'] != version:
            return f'{key["library"]} is {version} now, not {key["version"]}'
        if device and key['gpu'] == device.name and key['driver'] != device.driver:
            return f'the driver is {device.driver} now, not {key["driver"]}'
        return ''

    with cache.lock(_say):
        for file, reason in cache.prune(useless):
            print(f'removed {file.name}: {reason}')


VERB = Verb(add_arguments, run)
