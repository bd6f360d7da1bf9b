# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Short names of installed bundles.

A pip project registers its bundles in the entry point group `vl4ad_ros.bundles`, as
``name = package:folder``. The folder lies in the package's own folder; the package is located
without importing it. In the setup.py of a project:

    entry_points={'vl4ad_ros.bundles': ['highway = my_project.models:highway']}

A string is a name if it is registered there; names have no path separator. Every other string,
and every `pathlib.Path`, is the path of a folder. A folder in the working directory that is
called like a registered name is reached as ``./name``; as long as it exists, using the name logs
a warning.
"""

from __future__ import annotations

from importlib.metadata import entry_points, EntryPoint
from importlib.util import find_spec
import logging
import os
from pathlib import Path

from vl4ad_ros.bundle.errors import BundleError

GROUP = 'vl4ad_ros.bundles'
"""The entry point group that bundles are registered in."""
DEFAULT = 'street'
"""Name of the bundle that is used unless the user chooses another."""


def names() -> tuple[str, ...]:
    """Return the names of all installed bundles, sorted."""
    return tuple(sorted({point.name for point in entry_points(group=GROUP)
                         if not _has_separator(point.name)}))


def is_name(text: str) -> bool:
    """
    Return whether a text is the name of an installed bundle, and therefore not a path.

    :param text: what a user gave for a bundle.
    """
    return text in names()


def folder_of(bundle: str | Path) -> Path:
    """
    Return the folder of a bundle; it need not exist if `bundle` is a path.

    :param bundle: name of an installed bundle, or a path.
    :raises BundleError: if two projects registered the name, or the package that a name refers to
        is not installed.
    """
    if isinstance(bundle, Path) or not is_name(bundle):
        return Path(bundle)
    points = [point for point in entry_points(group=GROUP) if point.name == bundle]
    if len({point.value for point in points}) > 1:
        raise BundleError(
            f"more than one project has registered the bundle name '{bundle}': "
            f'{" and ".join(sorted(map(_project, points)))}; uninstall all but one, or give the '
            'path of the bundle')
    folder = _locate(points[0])
    if os.path.isdir(bundle):
        logging.getLogger(__name__).warning(
            "'%s' is the name of the installed bundle in %s, which is used; to use the folder of "
            'that name in the working directory, write ./%s', bundle, folder, bundle)
    return folder


def advice() -> str:
    """Return what a user can give as a bundle: the end of an error message."""
    installed = ', '.join(f"'{name}'" for name in names())
    return ('give the path of a folder that `vl4ad convert`, `vl4ad export` or `vl4ad train` '
            'wrote, or the name of an installed bundle: ' + (
                f"{installed} (other projects install more; vl4ad_workshop brings 'tiny')"
                if installed else
                f"none is installed; reinstall vl4ad_ros, which brings '{DEFAULT}'"))


def _has_separator(name: str) -> bool:
    return any(separator in name for separator in (os.sep, os.altsep) if separator)


def _project(point: EntryPoint) -> str:
    return point.dist.name if point.dist else point.value


def _locate(point: EntryPoint) -> Path:
    """Return the folder that an entry point refers to, without importing its package."""
    package, _, folder = (part.strip() for part in point.value.partition(':'))
    top, *inner = package.split('.')
    try:
        spec = find_spec(top)
    except (ImportError, ValueError):
        spec = None
    places = [Path(place, *inner) for place in (spec and spec.submodule_search_locations) or ()]
    found = [place / folder for place in places if folder and (place / folder).is_dir()]
    if not found:
        raise BundleError(
            f"the bundle '{point.name}' is registered by {_project(point)} as '{point.value}', "
            f"but the package '{package}' has no folder '{folder}'; reinstall {_project(point)}")
    return found[0]
