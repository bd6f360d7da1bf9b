# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Writes the manifest of a bundle whose other files are already in place."""

from __future__ import annotations

from collections.abc import Mapping
import json
import os
from pathlib import Path
import tempfile
from typing import Any

from vl4ad_ros.bundle.fields import Fields
from vl4ad_ros.bundle.manifest import FILE, file_names, parse_manifest, sha256_of


def write_manifest(directory: str | Path, manifest: Mapping[str, Any]) -> Path:
    """
    Write `manifest.json` for the files in a folder, whole or not at all.

    :param directory: the folder, which holds every file that the manifest names.
    :param manifest: all fields except ``files``, whose sha256 sums are computed here; an existing
        ``files`` is replaced.
    :return: path of the manifest.
    :raises BundleError: if a file is missing, or if `Bundle.open` would refuse the manifest.
    """
    directory = Path(directory)
    names = file_names(Fields(manifest, str(directory / FILE)))
    complete = {**manifest, 'files': {name: sha256_of(directory / name) for name in names}}
    parse_manifest(complete, directory)
    handle, temporary = tempfile.mkstemp(dir=directory, prefix='.manifest')
    try:
        with open(handle, 'w', encoding='utf-8') as stream:
            json.dump(complete, stream, indent=1, ensure_ascii=False)
            stream.write('\n')
            stream.flush()
            os.fsync(stream.fileno())
        os.chmod(temporary, 0o644)
        os.replace(temporary, directory / FILE)
    except BaseException:
        os.unlink(temporary)
        raise
    return directory / FILE
