# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The parameter table against config/detector.yaml, and what it refuses."""

from __future__ import annotations

from pathlib import Path

import pytest
from vl4ad_ros.inference.backend import BackendOptions, REMOVED
from vl4ad_ros.prompts.vocabulary import PromptClass, Vocabulary
from vl4ad_ros.settings import (
    BUNDLE_LIST, markdown_table, ParameterError, PARAMETERS, read_parameter_file, Settings,
    unknown_names)
import yaml

ROOT = Path(__file__).resolve().parents[2]
CONFIG = ROOT / 'config' / 'detector.yaml'


def flatten(tree: dict, prefix: str = '') -> dict:
    flat = {}
    for key, value in tree.items():
        if isinstance(value, dict):
            flat.update(flatten(value, f'{prefix}{key}.'))
        else:
            flat[prefix + key] = value
    return flat


def test_config_file_names_every_parameter_with_its_default_and_type():
    written = flatten(yaml.safe_load(CONFIG.read_text())['/**']['ros__parameters'])
    assert written == {row.name: row.ros_default for row in PARAMETERS}
    assert ({name: type(value) for name, value in written.items()}
            == {row.name: type(row.ros_default) for row in PARAMETERS})


def test_table_for_the_documentation_has_a_row_for_each_parameter():
    header, _, *rows = markdown_table().splitlines()
    assert [line.split('|')[1].strip() for line in rows] == [f'`{r.name}`' for r in PARAMETERS]
    assert {line.count('|') for line in rows} == {header.count('|')}


@pytest.mark.parametrize('name, value, reason', [
    ('threshold', 1.5, 'threshold is 1.5; expected 0.0 to 1.0'),
    ('threshold', float('nan'), 'threshold is nan; expected 0.0 to 1.0'),
    ('image_transport', 'zipped', "image_transport is 'zipped'; expected raw or compressed"),
    ('model.backend', 'caffe', "model.backend is 'caffe'; expected auto or tensorrt or openvino"),
    ('model.onnxruntime_provider', 'rocm', "provider is 'rocm'; expected cpu or cuda"),
    ('model.require_gpu', 1, 'model.require_gpu is 1; expected true or false'),
    ('alert.confirm_hits', 8, 'alert.confirm_hits 8 is more than alert.confirm_window 5'),
    ('threshold', 1, 'threshold is 1; expected a number with a point, such as 1.0'),
    ('threshold', '0.5', "threshold is '0.5'; expected a number"),
    ('model.threads', 2.0, 'model.threads is 2.0; expected an integer'),
    ('model.threads', True, 'model.threads is True; expected an integer'),
    ('prompts.known', 'road', "prompts.known is 'road'; expected a list, each entry text"),
    ('prompts.known', [1], r'prompts.known is \[1\]; expected a list, each entry text'),
    ('region.roi', [0, 1], 'expected a list, each entry a number with a point'),
    ('camera.height_m', -1.0, 'camera.height_m is -1.0; expected 0.0 to 100.0'),
    ('camera.pitch_deg', 90.0, 'camera.pitch_deg is 90.0; expected -89.0 to 89.0'),
    ('ground.frame_id', ' ', 'ground.frame_id is empty; expected the name of a frame'),
    ('ground.max_range_m', 0.0, 'ground.max_range_m is 0.0; expected 0.1 to 1000.0'),
    ('alert.late_s', -0.1, 'alert.late_s is -0.1; expected 0.0 to 60.0'),
    ('alert.max_gap_s', 0.0, 'alert.max_gap_s is 0.0; expected 0.01 to 3600.0'),
    ('region.max_count', 0, 'region.max_count is 0; expected 1 to 10000'),
    ('region.roi', [0.0, 0.0, 1.0, 1.0], 'region.roi'),
    ('region.roi', [0.0, 0.0, 1.0, 0.0, 1.0], 'region.roi has 5 numbers'),
    ('region.roi', [0.0, 0.0, 640.0, 0.0, 640.0, 480.0], 'region.roi'),
    ('region.roi', [0.0, 0.0, 1.0, 0.0, 0.5, 0.0], 'no area'),
    ('prompts.known', None, 'prompts.known is an empty list; expected at least one entry'),
    ('prompts.anomaly', None, r"write \[''\] for none"),
])
def test_refusals_name_the_parameter_and_the_cure(name, value, reason):
    with pytest.raises(ValueError, match=reason):
        Settings().changed({name: value})


@pytest.mark.parametrize('name', REMOVED)
def test_removed_backend_names_its_replacement(tmp_path, name):
    file = tmp_path / 'file.yaml'
    file.write_text(f'/**: {{ros__parameters: {{model: {{backend: {name}}}}}}}')
    with pytest.raises(ParameterError) as caught:
        Settings().changed(read_parameter_file(file))
    assert str(caught.value) == f"model.backend '{name}' was removed in 0.2.0; {REMOVED[name]}"
    assert 'use model.backend: ' in REMOVED[name]


def test_model_parameters_become_the_options_of_the_backend():
    assert Settings().backend_options == BackendOptions()
    options = Settings().changed({
        'model.threads': 3, 'model.device': 1, 'model.precision': 'bf16',
        'model.cache_dir': '/engines', 'model.build_if_missing': True,
        'model.onnxruntime_provider': 'cuda', 'model.require_gpu': True}).backend_options
    assert options == BackendOptions(
        threads=3, device=1, precision='bf16', cache_dir=Path('/engines'), build_if_missing=True,
        onnxruntime_provider='cuda', require_gpu=True)


def test_prompts_are_checked_without_a_bundle_once_both_lists_are_given():
    with pytest.raises(ValueError, match=r"prompts.anomaly\[0\] 'road'"):
        Settings().changed({'prompts.known': ['road'], 'prompts.anomaly': ['road']})


@pytest.mark.parametrize('value, reason', [
    (['<bundle>', '<everythin>'], r"prompts.anomaly\[1\] '<everythin>': no vocabulary"),
    (['<bundle>', 'dog: dog, '], r"prompts.anomaly\[1\] 'dog: dog, ': empty name"),
])
def test_references_are_checked_before_there_is_a_bundle(value, reason):
    with pytest.raises(ValueError, match=reason):
        Settings().changed({'prompts.anomaly': value})


def test_a_folder_of_engines_below_the_home_of_nobody_is_refused():
    settings = Settings().changed({'model.cache_dir': '~nouser/engines'})
    with pytest.raises(ParameterError, match="model.cache_dir '~nouser/engines': .*absolute path"):
        settings.backend_options


def test_bundle_list_and_none_are_different():
    bundled = Vocabulary((PromptClass('road', ('road',)),), (PromptClass('cow', ('cow',)),))
    assert Settings().vocabulary(bundled) == bundled
    none = Settings().changed({'prompts.anomaly': ['']})
    assert none.vocabulary(bundled).anomaly == ()
    assert none.prompts_known == BUNDLE_LIST


def test_names_that_are_no_parameters_are_named_with_the_nearest_one():
    assert unknown_names(['threshold', 'use_sim_time', 'qos_overrides./x.publisher.depth']) == []
    wrong, far = unknown_names(['treshold', 'xyz'])
    assert wrong == ("there is no parameter 'treshold', so its value is ignored; did you mean "
                     "'threshold'?")
    assert far.startswith("there is no parameter 'xyz'") and 'mean' not in far


@pytest.mark.parametrize('text, name, values', [
    ('/**: {ros__parameters: {threshold: 0.4}}', 'vl4ad_detector', {'threshold': 0.4}),
    ('vl4ad_detector: {ros__parameters: {region: {min_area: 0.1}}}', 'vl4ad_detector',
     {'region.min_area': 0.1}),
    ('/vl4ad_detector: {ros__parameters: {region.min_area: 0.1}}', '/vl4ad_detector',
     {'region.min_area': 0.1}),
    ('/**/front: {ros__parameters: {threshold: 0.4}}', 'a/b/front', {'threshold': 0.4}),
    ('/*/front: {ros__parameters: {threshold: 0.4}}', 'a/front', {'threshold': 0.4}),
    ('a: {front: {ros__parameters: {threshold: 0.4}}}', 'a/front', {'threshold': 0.4}),
    ('/**: {ros__parameters: {threshold: 0.4, x: 1}}\nfront: {ros__parameters: {threshold: 0.6}}',
     'front', {'threshold': 0.6, 'x': 1}),
    ('/**: {ros__parameters: }', 'front', {}),
])
def test_sections_of_a_parameter_file(tmp_path, text, name, values):
    file = tmp_path / 'file.yaml'
    file.write_text(text)
    assert read_parameter_file(file, name) == values


@pytest.mark.parametrize('text, reason', [
    ('other: {ros__parameters: {threshold: 0.4}}', "no section for the node 'vl4ad_detector'; "
     "its sections with ros__parameters: '/other'"),
    ('threshold: 0.4', 'its sections with ros__parameters: none'),
    ('- 1', 'none'), ('', 'none'), ('{', 'cannot be read: '), ('\x00', 'cannot be read: ')])
def test_parameter_file_without_use(tmp_path, text, reason):
    file = tmp_path / 'file.yaml'
    file.write_text(text)
    with pytest.raises(ParameterError, match=reason):
        read_parameter_file(file)


def test_parameter_file_that_is_not_there(tmp_path):
    with pytest.raises(ParameterError, match='none.yaml. cannot be read: .*No such file'):
        read_parameter_file(tmp_path / 'none.yaml')


def test_the_shipped_file_is_the_defaults():
    assert Settings().changed(read_parameter_file(CONFIG)) == Settings()


def test_the_example_of_several_cameras_is_usable_and_names_every_camera():
    values = read_parameter_file(CONFIG.with_name('multi_camera.yaml'))
    settings = Settings().changed(values)
    assert not unknown_names(values, settings.cameras)
    assert {camera for camera, _, _ in settings.own} == set(settings.cameras)
    assert settings.of_camera('left').threshold == 0.6 != settings.of_camera('front').threshold
    assert settings.of_camera('rear').mounting.fixed and not settings.mounting.fixed


@pytest.mark.parametrize('values, reason', [
    ({'cameras': ['front', 'front']}, "'front' more than once"),
    ({'cameras': ['region']}, 'other parameters begin'),
    ({'cameras': ['', 'front']}, 'expected letters, digits'),
    ({'cameras': ['a__b']}, 'expected letters, digits'),
    ({'front.threshold': 3.0}, "camera 'front': threshold is 3.0; expected 0.0 to 1.0"),
    ({'front.region.roi': [0.0]}, "camera 'front': region.roi has 1 numbers")])
def test_unusable_cameras_and_values_of_cameras_are_refused(values, reason):
    with pytest.raises(ParameterError, match=reason):
        Settings().changed(values)


def test_names_of_cameras_values_are_known_and_others_get_advice():
    known = ['front.threshold', 'front.region.roi', 'front.camera.height_m']
    assert not unknown_names(known, ['front'])
    common, misspelt, other = unknown_names(
        ['front.model.bundle', 'fornt.threshold', 'rear.threshold'], ['front'])
    assert "'cameras' does not name 'rear'" in other
    assert "'model.bundle' is the same for all cameras" in common
    assert "did you mean 'front.threshold'?" in misspelt
