# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Short names of installed bundles; needs onnx for the mock bundle."""

from __future__ import annotations

import logging
from pathlib import Path
import shutil
import sys

import pytest
from vl4ad_ros.bundle import Bundle, BundleError, is_name, names
from vl4ad_ros.bundle.installed import DEFAULT, folder_of, GROUP


def install(site: Path, project: str, *entries: str) -> None:
    """Write the metadata of an installed pip project that registers bundles."""
    metadata = site / f'{project}-1.0.dist-info'
    metadata.mkdir(parents=True)
    (metadata / 'METADATA').write_text(
        f'Metadata-Version: 2.1\nName: {project}\nVersion: 1.0\n')
    (metadata / 'entry_points.txt').write_text('\n'.join([f'[{GROUP}]', *entries, '']))


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder whose packages and metadata Python finds."""
    folder = tmp_path / 'site'
    folder.mkdir()
    monkeypatch.syspath_prepend(folder)
    return folder


@pytest.fixture
def highway(site: Path, mock_bundle: Path) -> Path:
    """Install a project with a bundle called highway; return the bundle's folder."""
    package = site / 'road_models'
    package.mkdir()
    (package / '__init__.py').write_text("raise RuntimeError('this package is never imported')")
    install(site, 'road_models', 'highway = road_models.large:highway_2')
    return Path(shutil.copytree(mock_bundle, package / 'large' / 'highway_2'))


def test_the_default_bundle_is_installed_with_the_package():
    assert DEFAULT in names() and is_name(DEFAULT)
    assert Bundle.open(DEFAULT).name == DEFAULT


def test_other_projects_install_bundles_that_are_found_without_an_import(highway):
    assert {'highway', DEFAULT} <= set(names()) and is_name('highway')
    bundle = Bundle.open('highway')
    assert (bundle.name, bundle.directory) == ('mock', highway)
    assert 'road_models' not in sys.modules


def test_an_unknown_name_lists_those_that_there_are(highway):
    with pytest.raises(BundleError, match="no bundle at 'motorway': manifest.json is missing; give"
                       ".* 'highway', 'street'.* .other projects install more"):
        Bundle.open('motorway')
    assert not is_name('motorway')


def test_an_installation_without_names_says_what_to_reinstall(monkeypatch):
    monkeypatch.setattr('vl4ad_ros.bundle.installed.entry_points', lambda group: ())
    with pytest.raises(BundleError, match="none is installed; reinstall vl4ad_ros, .* 'street'"):
        Bundle.open('street')


@pytest.mark.parametrize('path', ['./highway', '/highway', 'sub/highway', 'highway/', 'Highway',
                                  ' highway', '', Path('highway')])
def test_everything_that_is_not_registered_is_a_path(highway, path):
    assert folder_of(path) == Path(path)


def test_a_folder_called_like_a_name_does_not_shadow_silently(
        highway, mock_bundle, tmp_path, monkeypatch, caplog):
    monkeypatch.chdir(tmp_path)
    with caplog.at_level(logging.WARNING):
        assert folder_of('highway') == highway and not caplog.messages
        shutil.copytree(mock_bundle, tmp_path / 'highway')
        assert folder_of('highway') == highway
    assert len(caplog.messages) == 1 and 'write ./highway' in caplog.messages[0]
    assert folder_of('./highway').samefile(tmp_path / 'highway')


def test_a_name_that_two_projects_have_registered_is_refused(site, highway):
    install(site, 'rival', 'highway = rival:highway')
    with pytest.raises(BundleError, match='more than one project .* rival and road_models'):
        folder_of('highway')


@pytest.mark.parametrize('value', ['road_models.large:absent', 'road_models', 'absent.models:x',
                                   'road_models.absent:highway_2'])
def test_a_registered_folder_that_is_absent_is_reported(site, highway, value):
    install(site, 'broken', f'broken = {value}')
    with pytest.raises(BundleError, match="'broken' is registered by broken .*; reinstall broken"):
        folder_of('broken')


def test_names_with_a_separator_are_not_offered(site):
    install(site, 'odd', 'a/b = odd:a')
    assert 'a/b' not in names() and folder_of('a/b') == Path('a/b')
