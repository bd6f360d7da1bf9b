# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The examples in docstrings are true; they run on the shipped bundle, on a CPU."""

from __future__ import annotations

import doctest
import importlib

import pytest

MODULES = ('vl4ad_ros.inference.detector',)
"""Modules whose docstrings have examples."""


@pytest.mark.parametrize('name', MODULES)
def test_examples_in_docstrings_are_true(name):
    result = doctest.testmod(importlib.import_module(name))
    assert result.attempted > 0, f'{name} has no examples'
    assert result.failed == 0
