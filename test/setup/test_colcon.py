# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""colcon builds and installs the package as in a vehicle's workspace. Needs colcon."""

import os
from pathlib import Path
import shutil
import subprocess
import sys

import pytest

ROOT = Path(__file__).resolve().parents[2]
pytest.importorskip('colcon_ros', reason='colcon is not installed; ./run test installs it')


@pytest.fixture(scope='module')
def installed(tmp_path_factory):
    """Build a copy of what is committed or new, so that no build folder lands in the clone."""
    workspace = tmp_path_factory.mktemp('workspace')
    shutil.copytree(ROOT, workspace / 'src' / 'vl4ad_ros', ignore=shutil.ignore_patterns(
        '.*', 'out', 'build', 'install', 'log', '*.egg-info', '__pycache__'))
    done = subprocess.run(
        [sys.executable, '-m', 'colcon', 'build', '--executor', 'sequential'],
        cwd=workspace, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert done.returncode == 0, done.stdout
    return workspace / 'install' / 'vl4ad_ros'


def test_the_notice_is_shared(installed):
    share = installed / 'share' / 'vl4ad_ros'
    assert (share / 'NOTICE').read_text() == (ROOT / 'NOTICE').read_text()


def test_launch_and_config_are_shared(installed):
    share = installed / 'share' / 'vl4ad_ros'
    for folder in ('launch', 'config'):
        expected = {path.relative_to(ROOT) for path in (ROOT / folder).rglob('*')
                    if path.is_file() and '__pycache__' not in path.parts}
        assert {path.relative_to(share) for path in (share / folder).rglob('*')
                if path.is_file()} == expected
    assert (share / 'package.xml').read_text() == (ROOT / 'package.xml').read_text()


def test_package_is_in_the_resource_index(installed):
    assert (installed / 'share/ament_index/resource_index/packages/vl4ad_ros').exists()


@pytest.mark.parametrize('name', ['build_engine', 'detector', 'vl4ad'])
def test_executable_is_where_ros2_run_looks(installed, name):
    assert os.access(installed / 'lib' / 'vl4ad_ros' / name, os.X_OK)


def test_installed_program_runs_from_the_workspace(installed):
    script = ('. "$1/local_setup.sh" && "$2" -c "import vl4ad_ros; print(vl4ad_ros.__file__)" '
              '&& "$1/vl4ad_ros/lib/vl4ad_ros/vl4ad" --help')
    done = subprocess.run(
        ['sh', '-c', script, 'sh', str(installed.parent), sys.executable],
        cwd=installed, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert done.returncode == 0, done.stdout
    assert done.stdout.splitlines()[0].startswith(str(installed))
    assert 'evaluate' in done.stdout


def test_no_file_of_the_workshop_is_installed(installed):
    folders = {path.name for path in installed.parent.iterdir() if path.is_dir()}
    assert folders == {'vl4ad_ros'}
    files = [path.relative_to(installed).as_posix() for path in installed.rglob('*')]
    assert [name for name in files if name.endswith('vl4ad_ros/cli.py')]
    assert not [name for name in files if 'workshop' in name]
    packages = next(installed.glob('lib/python*/site-packages'))
    assert {path.name.split('-')[0] for path in packages.iterdir()} == {'vl4ad_ros'}


def test_verbs_of_the_workshop_are_listed_with_what_they_need(installed):
    # Without the site-packages of this Python, which has the workshop: -S.
    script = '. "$1/local_setup.sh" && "$2" -S -m vl4ad_ros.cli --help'
    done = subprocess.run(
        ['sh', '-c', script, 'sh', str(installed.parent), sys.executable], cwd=installed,
        env={**os.environ, 'PYTHONPATH': '', 'COLUMNS': '200'}, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert done.returncode == 0, done.stdout
    lines = {line.split()[0]: line for line in done.stdout.splitlines() if line.startswith('    ')}
    for verb in ('demo', 'scenes', 'convert', 'export', 'train'):
        assert '(needs vl4ad_workshop)' in lines[verb]
    assert 'vl4ad_workshop' not in lines['evaluate']


def test_model_travels_with_the_package(installed):
    shipped = sorted(path.name for path in (ROOT / 'vl4ad_ros' / 'models' / 'street').iterdir())
    package = next(installed.glob('lib/python*/site-packages/vl4ad_ros'))
    assert sorted(path.name for path in (package / 'models' / 'street').iterdir()) == shipped
