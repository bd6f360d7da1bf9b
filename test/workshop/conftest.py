# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Skips this folder, with a reason, where vl4ad_workshop is not installed."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import NoReturn

import pytest

REASON = 'vl4ad_workshop is not installed; in the source folder run: pip install . ./workshop'


class Skipped(pytest.Module):
    """A module of tests that is not imported."""

    def collect(self) -> NoReturn:
        """Report the module as skipped."""
        pytest.skip(REASON, allow_module_level=True)


def pytest_pycollect_makemodule(module_path: Path, parent: pytest.Collector) -> Skipped | None:
    """Replace every module of this folder if its imports would fail."""
    if find_spec('vl4ad_workshop') is None:
        return Skipped.from_parent(parent, path=module_path)
    return None
