# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The package holds together: versions, installed files, declared libraries, style, size."""

import ast
import configparser
import json
from pathlib import Path
import re
import runpy
import subprocess
import sys
import xml.etree.ElementTree as ElementTree

import pytest
import setuptools
import yaml

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / 'vl4ad_ros'
PYTHON = ['setup.py', 'vl4ad_ros', 'workshop', 'benchmarks', 'docs', 'ros_pypi', 'docker',
          'launch', 'test']
SOURCES = [ROOT / 'setup.py', *(
    path for folder in PYTHON for path in sorted((ROOT / folder).rglob('*.py')))]
DISTRIBUTIONS = {'backports': 'backports-zstd', 'cuda': 'cuda-python',
                 'cv2': 'opencv-python-headless', 'yaml': 'pyyaml',
                 'open_clip': 'open-clip-torch'}
ROSDEP_KEYS = {'cv2': 'python3-opencv', 'jinja2': 'python3-jinja2',
               'matplotlib': 'python3-matplotlib', 'numpy': 'python3-numpy',
               'onnxruntime': 'python3-onnxruntime-pip', 'scipy': 'python3-scipy',
               'tqdm': 'python3-tqdm', 'tf2_ros': 'tf2_ros_py', 'yaml': 'python3-yaml'}
# Wheels of rosbags bring backports and lz4.
WITHOUT_ROSDEP_KEY = {'av', 'backports', 'cuda', 'lz4', 'openvino', 'ray', 'rosbags', 'tensorrt',
                      'tokenizers'}
WITHOUT_DEPENDENCY = {'autoware_perception_msgs'}  # used where Autoware is
LATER_STANDARD = {'compression'}  # Python 3.14
FIRST_PARTY = {'vl4ad_ros', 'vl4ad_workshop'}


@pytest.fixture
def setup_arguments(monkeypatch):
    seen = {}
    monkeypatch.setattr(setuptools, 'setup', lambda **arguments: seen.update(arguments))
    monkeypatch.chdir(ROOT)
    runpy.run_path(str(ROOT / 'setup.py'))
    return seen


def manifest():
    return ElementTree.parse(ROOT / 'package.xml').getroot()


def top_level_imports(paths):
    names = set()
    for path in paths:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                names.update(alias.name.split('.')[0] for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and not node.level:
                names.add(node.module.split('.')[0])
    return names - set(sys.stdlib_module_names) - FIRST_PARTY - LATER_STANDARD


def is_ros(name):
    return name.endswith(('_msgs', '_interfaces')) or name in (
        'cv_bridge', 'launch', 'launch_ros', 'rclpy', 'tf2_ros')


def normalised(requirement):
    return re.split(r'[\[<>=!~; ]', requirement)[0].lower().replace('_', '-')


def test_versions_agree(setup_arguments):
    version = re.search(r"__version__ = '(.+)'", (PACKAGE / '__init__.py').read_text()).group(1)
    assert manifest().findtext('version') == version
    assert setup_arguments['version'] == version
    # catkin_prepare_release turns 'Forthcoming' into the version and its date.
    first_heading = re.search(r'^(.+)\n-+$', (ROOT / 'CHANGELOG.rst').read_text(), re.M).group(1)
    assert first_heading.split()[0] in ('Forthcoming', version)


def test_names_and_licence_agree(setup_arguments):
    assert manifest().findtext('name') == setup_arguments['name'] == 'vl4ad_ros'
    assert manifest().findtext('license') == setup_arguments['license'] == 'Apache-2.0'
    assert (ROOT / 'LICENSE').read_text().split()[:2] == ['Apache', 'License']
    assert (ROOT / 'resource' / 'vl4ad_ros').exists()


def test_every_launch_and_config_file_is_installed(setup_arguments):
    installed = {(folder, path) for folder, paths in setup_arguments['data_files']
                 for path in paths}
    expected = {(f'share/vl4ad_ros/{path.parent}', str(path)) for path in (
        path.relative_to(ROOT) for folder in ('launch', 'config')
        for path in (ROOT / folder).rglob('*')
        if path.is_file() and '__pycache__' not in path.parts)}
    assert expected, 'launch/ and config/ are empty'
    assert expected <= installed
    assert {('share/vl4ad_ros', 'package.xml'), ('share/vl4ad_ros', 'NOTICE')} <= installed
    assert ('share/ament_index/resource_index/packages', 'resource/vl4ad_ros') in installed


def test_every_file_of_the_package_is_installed(setup_arguments):
    packages = {'/'.join(name.split('.')) for name in setup_arguments['packages']}
    patterns = [(folder.replace('.', '/'), pattern)
                for folder, globs in setup_arguments['package_data'].items() for pattern in globs]
    data = {path for folder in packages for place, pattern in patterns
            if place in ('', folder) for path in (ROOT / folder).glob(pattern)}
    for path in PACKAGE.rglob('*'):
        if path.is_dir() or '__pycache__' in path.parts:
            continue
        folder = path.parent.relative_to(ROOT).as_posix()
        assert path in data or (path.suffix == '.py' and folder in packages), (
            f'{path.relative_to(ROOT)} would not be installed; add it to package_data in setup.py')


def test_console_scripts_exist(setup_arguments):
    scripts = setup_arguments['entry_points']['console_scripts']
    assert sorted(script.split(' = ')[0] for script in scripts) == [
        'build_engine', 'detector', 'vl4ad']
    for script in scripts:
        module, function = script.split(' = ')[1].split(':')
        source = ROOT / (module.replace('.', '/') + '.py')
        functions = {node.name for node in ast.parse(source.read_text()).body
                     if isinstance(node, ast.FunctionDef)}
        assert function in functions, f'{source} has no {function}()'


def test_colcon_puts_executables_where_ros2_run_looks():
    settings = configparser.ConfigParser()
    settings.read(ROOT / 'setup.cfg')
    assert settings['develop']['script_dir'] == '$base/lib/vl4ad_ros'
    assert settings['install']['install_scripts'] == '$base/lib/vl4ad_ros'


def test_package_xml_names_what_is_imported_and_nothing_else():
    imported = top_level_imports([*PACKAGE.rglob('*.py'), *(ROOT / 'launch').glob('*.py')])
    imported -= WITHOUT_DEPENDENCY
    known = {name for name in imported if is_ros(name) or name in ROSDEP_KEYS}
    assert imported - known <= WITHOUT_ROSDEP_KEY, 'look for its key in rosdep/python.yaml'
    # ros2launch is the command that the README names; nothing imports it.
    assert {element.text for element in manifest().iter('exec_depend')} == {
        'ros2launch', *(ROSDEP_KEYS.get(name, name) for name in known)}
    assert not list(manifest().iter('depend')) and not list(manifest().iter('build_depend'))


def test_setup_and_pins_name_each_library_that_is_imported(setup_arguments):
    imported = {DISTRIBUTIONS.get(name, name).lower().replace('_', '-')
                for name in top_level_imports(PACKAGE.rglob('*.py')) if not is_ros(name)}
    declared = {normalised(requirement) for requirement in sum(
        setup_arguments['extras_require'].values(), setup_arguments['install_requires'])}
    assert imported <= declared
    pinned = {normalised(line) for path in (ROOT / 'ros_pypi').glob('requirements*.txt')
              for line in path.read_text().splitlines() if '==' in line}
    assert imported - {'tensorrt', 'openvino'} <= pinned


@pytest.mark.parametrize(
    'path', sorted((ROOT / 'ros_pypi').glob('requirements*.txt')), ids=lambda path: path.name)
def test_every_requirement_is_pinned(path):
    for line in path.read_text().splitlines():
        requirement = line.split('#')[0].strip()
        pinned = re.match(
            r"[\w\-\[\]]+==[\w.]+( *; python_version [<>=]+ '[\d.]+')?$", requirement)
        assert pinned or not requirement, f'{path.name}: pin it: {line}'


@pytest.mark.parametrize('path', SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_source_says_whose_it_is(path):
    lines = [line for line in path.read_text().splitlines() if not line.startswith('#!')]
    assert lines[:2] == ['# Copyright 2026 vl4ad_ros contributors',
                         '# SPDX-License-Identifier: Apache-2.0']


@pytest.mark.parametrize('tool, arguments', [
    ('flake8', PYTHON),
    ('pydocstyle', [place for place in PYTHON if place != 'test']),
    ('ruff', ['check', '--no-cache', '--output-format', 'concise', *PYTHON]),
    ('codespell_lib', ['.']),
])
def test_style(tool, arguments):
    pytest.importorskip(tool)
    done = subprocess.run([sys.executable, '-m', tool, *arguments], cwd=ROOT, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert done.returncode == 0, done.stdout


def test_hooks_of_pre_commit_are_local_and_run_the_tools_of_the_tests():
    pinned = {normalised(line) for line in (
        ROOT / 'ros_pypi' / 'requirements-test.txt').read_text().splitlines()}
    repositories = yaml.safe_load((ROOT / '.pre-commit-config.yaml').read_text())['repos']
    hooks = [hook for repository in repositories for hook in repository['hooks']]
    assert [repository['repo'] for repository in repositories] == ['local']
    tools = {re.match(r'\.venv/bin/python -m (\w+)', hook['entry']).group(1) for hook in hooks}
    assert tools == {'flake8', 'pydocstyle', 'ruff', 'codespell_lib', 'mypy', 'pytest'}
    assert {tool.removesuffix('_lib') for tool in tools} <= pinned
    assert all(hook['language'] == 'system' for hook in hooks)


def test_the_notice_names_every_part_of_the_shipped_model():
    notice = (ROOT / 'NOTICE').read_text()
    shipped = json.loads((PACKAGE / 'models' / 'street' / 'manifest.json').read_text())
    assert len(shipped['provenance']['parts']) >= 3 and shipped['training_data']
    for part in shipped['provenance']['parts']:
        entry = notice.partition(f"{part['package']} {part['version']},")[2].partition('\n\n')[0]
        assert f"Licence:   {part['licence']}" in entry, part['package']
    for source in shipped['training_data']:
        assert source['url'] in notice, source['name']
    assert set(shipped['licence']) <= set(notice.split())


def test_the_shipped_model_says_how_to_train_it_again():
    notice = json.loads((PACKAGE / 'models' / 'street' / 'manifest.json').read_text())['notice']
    command = 'vl4ad train --config street --data FOLDER...'
    assert command in notice and '\n' not in notice
    page = re.search(r'docs/\w+\.md', notice)[0]
    assert command in (ROOT / page).read_text()


def test_package_stays_small():
    size = sum(path.stat().st_size for path in PACKAGE.rglob('*')
               if path.is_file() and '__pycache__' not in path.parts)
    assert size < 40e6
    assert sum(path.stat().st_size for path in (PACKAGE / 'models' / 'street').iterdir()) < 36e6
