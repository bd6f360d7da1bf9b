# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The public Python API: complete, typed, and without cost for those who do not use it."""

import importlib
from pathlib import Path
import subprocess
import sys

import pytest
import vl4ad_ros


@pytest.mark.parametrize('name, module', [
    ('Bundle', 'vl4ad_ros.bundle.bundle'), ('Detector', 'vl4ad_ros.inference.detector'),
    ('Pipeline', 'vl4ad_ros.obstacles.pipeline')])
def test_public_classes(name, module):
    assert getattr(vl4ad_ros, name) is getattr(importlib.import_module(module), name)
    assert name in dir(vl4ad_ros)


def test_a_star_import_takes_the_public_names():
    code = ('from vl4ad_ros import *\n'
            'print(*sorted(name for name in globals() if name in ("Bundle", "Detector", '
            '"Pipeline")))')
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True)
    assert done.stdout.split() == ['Bundle', 'Detector', 'Pipeline'], done.stderr


def test_the_import_of_the_package_imports_nothing_heavy():
    code = ('import sys, vl4ad_ros\n'
            'heavy = {"numpy", "cv2", "yaml", "tokenizers", "onnxruntime", "openvino"}\n'
            'dir(vl4ad_ros), vl4ad_ros.__version__, hasattr(vl4ad_ros, "absent")\n'
            'first = heavy & set(sys.modules)\n'
            'vl4ad_ros.Bundle\n'
            'print(sorted(first), "numpy" in sys.modules)')
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True)
    assert done.stdout.split('\n')[0] == '[] True', done.stderr


def test_an_absent_name_is_an_attribute_error_that_names_the_public_ones():
    with pytest.raises(AttributeError, match="no attribute 'Detektor'; .* Bundle, Detector, Pip"):
        vl4ad_ros.Detektor
    with pytest.raises(ImportError):
        from vl4ad_ros import Detektor  # noqa: F401


@pytest.mark.parametrize('package', ['vl4ad_ros', 'vl4ad_ros.bundle', 'vl4ad_ros.prompts'])
def test_every_exported_name_exists(package):
    module = importlib.import_module(package)
    assert module.__all__ and all(hasattr(module, name) for name in module.__all__)


def test_the_package_says_that_it_is_typed():
    assert (Path(vl4ad_ros.__file__).parent / 'py.typed').is_file()
