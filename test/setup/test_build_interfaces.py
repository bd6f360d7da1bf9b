# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The message builder does nothing twice and says what is missing. Needs the ROS wheels."""

import importlib.util
from pathlib import Path
import shutil
import sys

import pytest

ROOT = Path(__file__).resolve().parents[2]
if not (Path(sys.prefix) / 'lib' / 'rosidl_generator_c').exists():
    pytest.skip('no ROS wheels, so no messages are built', allow_module_level=True)


@pytest.fixture
def builder():
    spec = importlib.util.spec_from_file_location(
        'build_interfaces', ROOT / 'ros_pypi' / 'build_interfaces.py')
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]


@pytest.fixture
def sources(tmp_path):
    return Path(shutil.copytree(ROOT / 'ros_pypi' / 'vision_msgs', tmp_path / 'vision_msgs'))


def test_what_is_built_is_not_built_again(builder, sources, monkeypatch):
    monkeypatch.setattr(builder, 'generate', lambda *_: pytest.fail('vision_msgs is out of date'))
    assert builder.build(sources) is False


def test_each_source_decides(builder, sources):
    before = builder.fingerprint(builder.Package.read(sources))
    (sources / 'msg' / 'Point2D.msg').write_text('float32 x\nfloat32 y\n')
    assert builder.fingerprint(builder.Package.read(sources)) != before


def test_dependencies_of_dependencies_are_found(builder, sources):
    assert set(builder.Package.read(sources).dependencies) == {
        'builtin_interfaces', 'geometry_msgs', 'std_msgs'}


def test_folder_without_messages_is_refused(builder, tmp_path):
    with pytest.raises(builder.BuildError, match='expected package.xml and msg/.*nothing'):
        builder.build(tmp_path)


def test_missing_dependency_is_named_with_the_command(builder, sources):
    manifest = sources / 'package.xml'
    manifest.write_text(manifest.read_text().replace('geometry_msgs', 'absent_msgs'))
    with pytest.raises(builder.BuildError, match='pip install ros-absent-msgs'):
        builder.build(sources)


def test_missing_compiler_is_named_with_the_command(builder, sources, monkeypatch, tmp_path):
    (sources / 'msg' / 'Point2D.msg').write_text('float32 x\nfloat32 y\n')
    monkeypatch.setenv('PATH', str(tmp_path))
    with pytest.raises(builder.BuildError, match='sudo apt-get install gcc g'):
        builder.build(sources)


def test_message_that_does_not_parse_is_reported_and_leaves_the_built_one(
        builder, sources, monkeypatch, tmp_path):
    shared = tmp_path / 'share'
    shared.mkdir()
    for entry in builder.SHARE.iterdir():
        (shared / entry.name).symlink_to(entry)
    (shared / 'vision_msgs').unlink()
    monkeypatch.setattr(builder, 'SHARE', shared)
    monkeypatch.setattr(builder, 'PREFIX', tmp_path)
    (sources / 'msg' / 'Point2D.msg').write_text('no_such_type x\n')
    with pytest.raises(builder.BuildError, match='no_such_type'):
        builder.build(sources)
    assert not (shared / 'vision_msgs').exists()
