# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The verb `vl4ad build`: build, list and prune engines of TensorRT."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
import shlex
import sys
from typing import Any

from vl4ad_ros.bundle import Bundle
from vl4ad_ros.bundle.manifest import DTYPES
from vl4ad_ros.bundle.reference import Deviation
from vl4ad_ros.commands import Verb
from vl4ad_ros.inference.backend import BackendOptions
from vl4ad_ros.inference.errors import BackendUnavailable, EngineMissing
from vl4ad_ros.inference.tensorrt.backend import unavailable
from vl4ad_ros.inference.tensorrt.cache import EngineCache
from vl4ad_ros.inference.tensorrt.cuda import find_device
from vl4ad_ros.inference.tensorrt.library import load_library, NAME
from vl4ad_ros.inference.tensorrt.obtain import Engines


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments to its parser."""
    parser.add_argument('bundle', nargs='?', metavar='BUNDLE',
                        help='name of an installed bundle, or a folder; not needed for --list '
                        'and --prune')
    parser.add_argument('--device', type=int, default=0, metavar='N',
                        help='index of the GPU (default: 0)')
    parser.add_argument('--precision', choices=('auto', *DTYPES), default='auto',
                        help='precision of the network (default: the first of them that the '
                        'bundle has)')
    parser.add_argument('--cache-dir', type=Path, metavar='DIR',
                        help='folder of engines (default: $XDG_CACHE_HOME/vl4ad_ros/engines, '
                        'or ~/.cache/vl4ad_ros/engines where that variable is not set)')
    parser.add_argument('--force', action='store_true',
                        help='build even if there is a usable engine already')
    parser.add_argument('--list', action='store_true', help='show the engines in the folder')
    parser.add_argument('--prune', action='store_true',
                        help='remove leftovers, altered engines, and those that this machine '
                        'cannot use any more')


def run(options: argparse.Namespace) -> int:
    """
    Build an engine, or list or prune the engines in the folder.

    :param options: the arguments that `add_arguments` has declared.
    :returns: the exit code.
    :raises ValueError: if no bundle is given where one is needed.
    :raises BackendUnavailable: if no engine can be built on this machine.
    :raises BackendError: if no usable engine could be built.
    :raises BundleError: if the bundle cannot be opened, or has no suitable graph.
    """
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
    if reason := unavailable(settings):
        raise BackendUnavailable(f'no engine can be built here: {reason}')
    bundle = Bundle.open(options.bundle)
    graph, stored = Engines(load_library(), bundle, settings, _say, _say).build(options.force)
    print(f'{stored.file}: {graph.dtype}, {graph.sampling}, {stored.plan.nbytes / 1e6:.1f} MB, '
          f'{_figures(stored.deviation)}')
    launch = ['ros2', 'launch', 'vl4ad_ros', 'detector.launch.py',
              f'bundle:={bundle.directory.absolute()}']
    if options.precision != 'auto':
        launch.append(f'precision:={options.precision}')
    _say(f'start the node with it: {shlex.join(launch)}'
         + ('' if options.cache_dir is None else
            f', with model.cache_dir: {options.cache_dir.absolute()} in its parameter file'))
    return 0


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _figures(deviation: Deviation) -> str:
    return 'deviation from the reference: ' + ', '.join(
        f'{name} {value:.4g}' for name, value in vars(deviation).items() if value is not None)


def _list(cache: EngineCache) -> None:
    found = False
    for entry in cache.entries():
        found = True
        if isinstance(entry, EngineMissing):
            print(entry)
            continue
        key = entry.key.content
        print(f'{entry.file.stem}: {key["library"]} {key["version"]}, {key["dtype"]}, '
              f'{key["sampling"]}, {"x".join(map(str, key["shape"]))}, {key["gpu"]} '
              f'({key["compute_capability"]}), driver {key["driver"]}, '
              f'{entry.plan.nbytes / 1e6:.1f} MB, {_figures(entry.deviation)}')
    if not found:
        print(f'{cache.folder} has no engines')


def _prune(options: argparse.Namespace) -> None:
    cache, version, device = EngineCache(options.cache_dir), None, None
    try:
        version = load_library().version
    except BackendUnavailable as error:
        _say(f'engines of all versions of {NAME} are kept: {error}')
    try:
        device = find_device(options.device)
    except BackendUnavailable as error:
        _say(f'engines of all GPUs are kept: {error}')

    def useless(key: Mapping[str, Any]) -> str:
        if key['library'] != NAME:
            return f'no backend uses engines of {key["library"]}'
        if version is not None and key['version'] != version:
            return f'{NAME} is {version} now, not {key["version"]}'
        if device is not None and key['gpu'] == device.name and key['driver'] != device.driver:
            return f'the driver is {device.driver} now, not {key["driver"]}'
        return ''

    with cache.lock(_say):
        for file, reason in cache.prune(useless):
            print(f'removed {file.name}: {reason}')


VERB = Verb(add_arguments, run)
