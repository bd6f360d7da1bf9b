# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The annotations of vl4ad_ros are complete and right, as mypy sees them. Needs mypy and ROS."""

import ast
import configparser
from pathlib import Path
import re
import subprocess
import sys

import numpy as np
import pytest

pytest.importorskip('mypy', reason='mypy is not installed; ./run test installs it')
pytest.importorskip('rclpy', reason='rclpy is not installed, so the node cannot be checked')

ROOT = Path(__file__).resolve().parents[1]
PINNED = re.search(r"^numpy==(\S+); python_version >= '3.11'",
                   (ROOT / 'ros_pypi' / 'requirements-ros.txt').read_text(), re.M).group(1)
pytestmark = pytest.mark.skipif(
    np.__version__ != PINNED, reason=f'the types are checked against NumPy {PINNED}; NumPy '
    f'{np.__version__}, which is installed here, has other annotations')


def mypy(cache, *arguments):
    """Return the exit code of mypy with the settings of this project, and its output."""
    done = subprocess.run(
        [sys.executable, '-m', 'mypy', '--config-file', ROOT / 'setup.cfg', '--cache-dir', cache,
         *arguments], cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    return done.returncode, done.stdout


def exceptions():
    """Return the patterns of modules whose types may be missing, and the options of mypy."""
    settings = configparser.ConfigParser()
    settings.read(ROOT / 'setup.cfg')
    patterns = [name for section in settings.sections() if section.startswith('mypy-')
                for name in section.removeprefix('mypy-').split(',')]
    return patterns, settings['mypy']


def test_types_of_the_package(tmp_path):
    code, output = mypy(tmp_path)
    assert code == 0, output


WRONG = """
import no_such_module


def untyped(value):
    return value


def wrong() -> int:
    return 'text'


FINE: int = 1  # type: ignore
"""


def test_wrong_missing_and_superfluous_annotations_would_be_seen(tmp_path):
    (tmp_path / 'wrong.py').write_text(WRONG)
    code, output = mypy(tmp_path / 'cache', tmp_path / 'wrong.py')
    assert code == 1
    for kind in ('import-not-found', 'no-untyped-def', 'return-value', 'unused-ignore'):
        assert f'[{kind}]' in output


def test_modules_without_types_are_listed_one_by_one():
    patterns, options = exceptions()
    assert 'ignore_missing_imports' not in options and 'ignore_errors' not in options
    imported = set()
    for path in (ROOT / 'vl4ad_ros').rglob('*.py'):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                imported.update(alias.name.split('.')[0] for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and not node.level:
                imported.add(node.module.split('.')[0])
    for pattern in patterns:
        name, star = pattern.split('.')
        assert star == '*' and name in imported, f'setup.cfg: nothing imports {pattern}'


def test_users_of_the_package_see_its_types():
    assert (ROOT / 'vl4ad_ros' / 'py.typed').exists()
