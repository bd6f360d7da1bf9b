# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What ./run does on each kind of machine, with a Python that only pretends to install."""

import os
from pathlib import Path
import re
import shutil
import subprocess

import pytest

ROOT = Path(__file__).resolve().parents[2]

# Stands for the interpreter and, copied by `-m venv`, for the one in .venv. It writes down what it
# is asked to install; while $SANDBOX/die exists, its pip dies and takes ./run with it.
PYTHON = r"""#!/bin/sh
case "$*" in
    -V) echo "Python ${VERSION:-3.12.1}" ;;
    *'sys.version_info[:2]'*) case ${VERSION:-3.12.1} in
        3.9*) exit 1 ;;
        3.14*) case "$*" in *'<= (3, 14)'*) ;; *) exit 1 ;; esac ;;
    esac ;;
    *'import rclpy'* | *'import vision_msgs'*) [ ! -e "$SANDBOX/no_$2" ] ;;
    '-m venv'*)
        for folder; do :; done
        mkdir -p "$folder/bin"
        cp "$0" "$folder/bin/python"
        echo "$@" >>"$SANDBOX/log"
        printf '#!/bin/sh\necho ran "$@" in "$PWD"\n' >"$folder/bin/vl4ad"
        chmod +x "$folder/bin/vl4ad" ;;
    '-m pip'*)
        echo "$@" >>"$SANDBOX/log"
        if [ -e "$SANDBOX/die" ]; then kill -9 $PPID; fi ;;
    *build_interfaces*) echo "$@" >>"$SANDBOX/log" ;;
    '-m pytest'*) env | grep -E '^(ROS_|AMENT)'; echo "$@" ;;
esac
"""


class Sandbox:
    """A copy of what ./run reads, on a PATH with that Python and chosen tools."""

    def __init__(self, folder: Path):
        self.clone = folder / 'clone of it'
        self.bin = folder / 'bin'
        self.log = folder / 'log'
        self.bin.mkdir()
        self.clone.mkdir()
        for name in ('run', 'setup.py', 'setup.cfg', 'package.xml', 'NOTICE'):
            shutil.copy2(ROOT / name, self.clone)
        for name in ('ros_pypi', 'resource'):
            shutil.copytree(ROOT / name, self.clone / name)
        (self.clone / 'workshop').mkdir()
        shutil.copy2(ROOT / 'workshop' / 'pyproject.toml', self.clone / 'workshop')
        self.tool('python3', PYTHON)
        for name in ('gcc', 'g++'):
            self.tool(name, '#!/bin/sh\n')
        self.tool('id', '#!/bin/sh\necho 1000\n')
        for name in ('basename', 'cat', 'chmod', 'cp', 'dirname', 'env', 'find', 'flock', 'grep',
                     'ln', 'mkdir', 'mktemp', 'mv', 'od', 'rm', 'sh', 'sha256sum', 'sort',
                     'uname'):
            (self.bin / name).symlink_to(shutil.which(name))

    def tool(self, name, text):
        (self.bin / name).write_text(text)
        (self.bin / name).chmod(0o755)

    def run(self, *arguments, **environment):
        """Run ./run; return its exit status and all that it wrote."""
        done = subprocess.run(
            [str(self.clone / 'run'), *arguments], cwd=self.clone.parent, text=True,
            env={'PATH': str(self.bin), 'SANDBOX': str(self.clone.parent), **environment},
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60)
        return done.returncode, done.stdout

    def installed(self):
        """Return what was made or installed since the last call, a line each."""
        lines = self.log.read_text() if self.log.exists() else ''
        self.log.unlink(missing_ok=True)
        return lines


@pytest.fixture
def sandbox(tmp_path):
    return Sandbox(tmp_path)


def test_alone_lists_its_verbs(sandbox):
    status, output = sandbox.run()
    assert status == 0
    for verb in ('try', 'demo', 'test', 'vl4ad', 'shell', 'clean'):
        assert f'\n  {verb} ' in output
    assert not sandbox.installed()


def test_unknown_verb_is_refused(sandbox):
    status, output = sandbox.run('dmeo')
    assert status != 0 and "'dmeo'" in output and 'demo' in output


def test_demo_sets_up_once_where_it_was_called_and_needs_no_torch(sandbox):
    status, output = sandbox.run('demo', '--video', 'a b')
    assert status == 0 and f'ran demo --video a b in {sandbox.clone.parent}' in output
    first = sandbox.installed()
    assert 'requirements-ros.txt' in first and 'build_interfaces.py' in first
    assert 'requirements-test.txt' not in first and 'requirements-workshop.txt' not in first
    assert sandbox.run('demo')[0] == 0
    assert not sandbox.installed()


def test_program_runs_where_it_was_called(sandbox):
    status, output = sandbox.run('vl4ad', 'replay', 'bag')
    assert status == 0 and f'ran replay bag in {sandbox.clone.parent}' in output


def test_try_runs_where_it_was_called_and_needs_no_torch(sandbox):
    status, output = sandbox.run('try', 'my photo.jpg', '--anomaly', '')
    assert status == 0
    assert f'ran try my photo.jpg --anomaly  in {sandbox.clone.parent}' in output
    first = sandbox.installed()
    assert 'requirements.txt' in first
    assert 'requirements-test.txt' not in first and 'requirements-workshop.txt' not in first


@pytest.mark.parametrize('verb', ['convert', 'export', 'train'])
def test_verbs_that_need_torch_set_it_up(sandbox, verb):
    status, output = sandbox.run('vl4ad', verb, '--help')
    assert status == 0 and f'ran {verb} --help in' in output
    first = sandbox.installed()
    assert 'requirements-workshop.txt' in first and 'requirements-test.txt' not in first
    assert sandbox.run('vl4ad', verb, '--help')[0] == 0
    assert not sandbox.installed()


def test_the_tests_need_the_workshop_and_the_workshop_no_tests(sandbox):
    assert sandbox.run('test')[0] == 0
    first = sandbox.installed()
    assert 'requirements-workshop.txt' in first and 'requirements-test.txt' in first
    assert 'ros_pypi/autoware_perception_msgs' in first
    assert sandbox.run('vl4ad', 'export', '--help')[0] == 0
    assert not sandbox.installed()
    with (sandbox.clone / 'ros_pypi' / 'requirements-test.txt').open('a') as pins:
        pins.write('another==1.0\n')
    assert sandbox.run('vl4ad', 'export', '--help')[0] == 0
    assert not sandbox.installed()
    assert sandbox.run('test')[0] == 0
    assert 'requirements-test.txt' in sandbox.installed()


@pytest.mark.parametrize('verb', ['demo', 'test'])
def test_killed_set_up_is_begun_again(sandbox, verb):
    (sandbox.clone.parent / 'die').touch()
    assert sandbox.run(verb)[0] != 0
    (sandbox.clone.parent / 'die').unlink()
    sandbox.installed()
    assert sandbox.run(verb)[0] == 0
    again = sandbox.installed()
    assert '-m venv' in again and 'requirements.txt' in again


def test_killed_set_up_of_the_tests_is_begun_again(sandbox):
    assert sandbox.run('demo')[0] == 0
    (sandbox.clone.parent / 'die').touch()
    assert sandbox.run('test')[0] != 0
    (sandbox.clone.parent / 'die').unlink()
    sandbox.installed()
    assert sandbox.run('demo')[0] == 0
    assert '-m venv' in sandbox.installed()


@pytest.mark.parametrize('metadata', ['setup.py', 'workshop/pyproject.toml'])
def test_changed_metadata_of_either_project_is_installed(sandbox, metadata):
    sandbox.run('demo')
    sandbox.installed()
    with (sandbox.clone / metadata).open('a') as file:
        file.write('\n')
    assert sandbox.run('demo')[0] == 0
    again = sandbox.installed()
    assert '--editable ./workshop' in again and '-m venv' not in again


def test_changed_pins_are_installed(sandbox):
    sandbox.run('demo')
    sandbox.installed()
    with (sandbox.clone / 'ros_pypi' / 'requirements.txt').open('a') as pins:
        pins.write('another==1.0\n')
    assert sandbox.run('demo')[0] == 0
    again = sandbox.installed()
    assert 'requirements.txt' in again and '-m venv' not in again


def test_moved_clone_is_set_up_again(sandbox):
    sandbox.run('demo')
    sandbox.installed()
    sandbox.clone = sandbox.clone.rename(sandbox.clone.parent / 'moved')
    assert sandbox.run('demo')[0] == 0
    assert '-m venv' in sandbox.installed()


def test_named_python_replaces_the_one_in_use(sandbox):
    sandbox.run('demo')
    sandbox.installed()
    sandbox.tool('python3.11', PYTHON.replace('3.12.1', '3.11.2'))
    assert sandbox.run('demo', PYTHON='python3.11')[0] == 0
    assert '-m venv' in sandbox.installed()


def test_unsupported_python_is_refused_with_the_cure(sandbox):
    status, output = sandbox.run('demo', VERSION='3.9.2')
    assert status != 0 and '3.10 to 3.13' in output and 'PYTHON=' in output
    assert not sandbox.installed()


def test_python_3_14_is_for_lyrical_only(sandbox):
    status, output = sandbox.run('demo', VERSION='3.14.0')
    assert status != 0 and '3.10 to 3.13' in output
    lyrical = {'ROS_DISTRO': 'lyrical', 'AMENT_PREFIX_PATH': '/opt/ros/lyrical'}
    assert sandbox.run('demo', VERSION='3.14.0', **lyrical)[0] == 0
    status, output = sandbox.run('demo', VERSION='3.9.2', PYTHON='python3', **lyrical)
    assert status != 0 and '3.10 to 3.14' in output


def test_missing_compiler_is_named_with_the_command(sandbox):
    (sandbox.bin / 'g++').unlink()
    status, output = sandbox.run('demo')
    assert status != 0 and 'sudo apt-get update && sudo apt-get install -y g++\n' in output
    assert not sandbox.installed()


def test_missing_compiler_is_installed_for_root_after_saying_so(sandbox):
    (sandbox.bin / 'g++').unlink()
    sandbox.tool('id', '#!/bin/sh\necho 0\n')
    sandbox.tool('apt-get', '#!/bin/sh\necho "apt $*" >>"$SANDBOX/log"\n')
    status, output = sandbox.run('demo')
    assert status == 0 and 'apt-get install -y g++' in output
    assert 'g++' in sandbox.installed().splitlines()[1]


ROS = {'ROS_DISTRO': 'humble', 'AMENT_PREFIX_PATH': '/opt/ros/humble'}


@pytest.mark.parametrize('distro, pins, numpy', [
    ('humble', 'requirements-ros-installed.txt', 'numpy==1.26.'),
    ('jazzy', 'requirements-ros-installed.txt', 'numpy==1.26.'),
    ('lyrical', 'requirements-ros-installed-lyrical.txt', 'numpy==2.3.'),
])
def test_sourced_ros_is_used_and_none_is_installed(sandbox, distro, pins, numpy):
    """The NumPy is that of the distribution."""
    status, output = sandbox.run(
        'demo', ROS_DISTRO=distro, AMENT_PREFIX_PATH=f'/opt/ros/{distro}')
    assert status == 0 and distro in output
    installed = sandbox.installed()
    assert '--system-site-packages' in installed
    assert set(re.findall(r'requirements-ros[\w.-]*', installed)) == {pins}
    assert 'build_interfaces' not in installed
    lines = (ROOT / 'ros_pypi' / pins).read_text().splitlines()
    assert not any(line.startswith('ros-') for line in lines)
    assert any(line.startswith(numpy) for line in lines)


def test_sourced_ros_without_vision_msgs_names_the_package(sandbox):
    (sandbox.clone.parent / 'no_import vision_msgs.msg').touch()
    status, output = sandbox.run('demo', **ROS)
    assert status != 0 and 'sudo apt install ros-humble-vision-msgs' in output


def test_unsupported_ros_is_refused_with_the_cure(sandbox):
    status, output = sandbox.run('demo', ROS_DISTRO='foxy', AMENT_PREFIX_PATH='/opt/ros/foxy')
    assert status != 0 and 'humble, jazzy and lyrical' in output and 'env -u' in output


def test_tests_run_apart_from_other_nodes(sandbox):
    status, output = sandbox.run('test', '-k', 'this or that')
    assert status == 0 and '-m pytest -k this or that' in output
    values = dict(line.split('=', 1) for line in output.splitlines() if line.startswith('ROS_'))
    assert 1 <= int(values['ROS_DOMAIN_ID']) <= 100
    assert values['ROS_AUTOMATIC_DISCOVERY_RANGE'] == 'LOCALHOST'
    assert not Path(values['ROS_HOME']).exists()
    assert 'requirements-test.txt' in sandbox.installed()


def test_all_tests_include_the_slow_ones(sandbox):
    assert '-m pytest -m  -x' in sandbox.run('test', '--all', '-x')[1]


def test_all_tests_but_no_chosen_ones_share_the_cores(sandbox):
    shared = '-n logical --maxprocesses 4 --dist worksteal'
    assert f'-m pytest {shared}\n' in sandbox.run('test')[1]
    assert f'-m pytest -m  {shared}\n' in sandbox.run('test', '--all')[1]
    for chosen in (['test/obstacles'], ['--all', 'test/obstacles']):
        assert shared not in sandbox.run('test', *chosen)[1]


def test_ci_runs_the_tests():
    assert (ROOT / '.ci' / 'run').read_text().count('exec ./run test') == 1
    assert os.access(ROOT / '.ci' / 'run', os.X_OK)


def test_script_is_clean():
    if not shutil.which('shellcheck'):
        pytest.skip('shellcheck is not installed; apt-get install shellcheck')
    done = subprocess.run(['shellcheck', 'run', '.ci/run'], cwd=ROOT, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert done.returncode == 0, done.stdout
