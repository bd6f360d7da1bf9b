# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The launch file against the recorded interface of launch and launch_ros."""

from __future__ import annotations

import json
from pathlib import Path
import sys

from fake_launch import Call, installed
import launch_interface
from lifecycle_msgs.msg import Transition
import pytest
from vl4ad_ros.node.dds import profile_path, VARIABLES

FILE = Path(__file__).resolve().parents[2] / 'launch' / 'detector.launch.py'
SOURCE = FILE.read_text()
RECORDS = json.loads(Path(__file__).with_name('launch_interfaces.json').read_text())
DEFAULTS = {'namespace': '', 'node_name': 'vl4ad_detector', 'bundle': '', 'backend': '',
            'precision': '', 'image': 'image', 'cameras': '', 'use_sim_time': 'false',
            'autostart': 'true', 'respawn': 'false', 'log_level': 'info'}
EVERY_RECORD = pytest.mark.parametrize('record', RECORDS.values(), ids=RECORDS.keys())


def description(record, source: str = SOURCE) -> list[Call]:
    """Return what the launch file describes."""
    with installed(record):
        names = {'__name__': 'detector_launch'}
        exec(compile(source, str(FILE), 'exec'), names)
        return names['generate_launch_description']()['initial_entities']


def started(record, source: str = SOURCE, **values: str) -> list[Call]:
    """Return what the launch file starts with the given launch arguments."""
    function = description(record, source)[-1]
    assert function.name == 'OpaqueFunction' and set(function.arguments) == {'function'}
    with installed(record):
        return function['function']({**DEFAULTS, **values})


def configuration(variable: str) -> Call:
    return Call('LaunchConfiguration', {'variable_name': variable})


def test_all_that_the_launch_files_import_is_recorded():
    wanted = {*launch_interface.imported_names(), *launch_interface.METHODS}
    assert all(set(record) == wanted for record in RECORDS.values()), (
        'record anew: see launch_interface.py')


def test_the_record_is_that_of_the_installed_packages():
    pytest.importorskip('launch_ros', reason='launch_ros is not installed (not on PyPI)')
    versions = launch_interface.installed_versions()
    if versions not in RECORDS:
        pytest.skip(f'{versions} is not recorded; see launch_interface.py')
    assert launch_interface.interface(list(RECORDS[versions])) == RECORDS[versions]


@EVERY_RECORD
def test_arguments_have_defaults_choices_and_descriptions(record):
    declared = {call['name']: call for call in description(record)
                if call.name == 'DeclareLaunchArgument'}
    assert {name: call['default_value'] for name, call in declared.items()
            if name != 'params_file'} == DEFAULTS
    assert all(call['description'] for call in declared.values())
    for name, call in declared.items():
        assert call['choices'] is None or call['default_value'] in call['choices'], name
    assert {name for name, call in declared.items() if call['choices'] == ['true', 'false']} == {
        'use_sim_time', 'autostart', 'respawn'}
    parts = declared['params_file']['default_value']['substitutions']
    assert parts[0] == Call('FindPackageShare', {'package': 'vl4ad_ros'})
    assert FILE.parents[1].joinpath(*parts[1:]).is_file()


@EVERY_RECORD
def test_every_process_gets_the_fast_dds_profile_unless_the_user_has_one(record):
    environment = {call['name']: call['value'] for call in description(record)
                   if call.name == 'SetEnvironmentVariable'}
    assert set(environment) == set(VARIABLES)
    for name, other in (VARIABLES, VARIABLES[::-1]):
        assert environment[name] == Call('EnvironmentVariable', {
            'name': name, 'default_value': Call('EnvironmentVariable', {
                'name': other, 'default_value': str(profile_path())})})


@EVERY_RECORD
def test_the_node_gets_what_was_chosen(record):
    *_, node = started(record, backend='onnxruntime', precision='fp32')
    assert node.name == 'LifecycleNode'
    assert (node['package'], node['executable']) == ('vl4ad_ros', 'detector')
    assert f"'{node['executable']} = " in (FILE.parents[1] / 'setup.py').read_text()
    assert node['name'] == configuration('node_name')
    assert node['namespace'] == configuration('namespace')
    assert node['remappings'] == [('image', 'image')]
    assert node['arguments'] == ['--ros-args', '--log-level', configuration('log_level')]
    # A later entry counts more.
    assert node['parameters'] == [
        configuration('params_file'), {'use_sim_time': configuration('use_sim_time')},
        {'model.backend': 'onnxruntime', 'model.precision': 'fp32'}, {}]
    assert started(record)[-1]['parameters'][2:] == [{}, {}]
    assert started(record, bundle='other')[-1]['parameters'][2] == {'model.bundle': 'other'}


@EVERY_RECORD
def test_the_launch_file_of_several_cameras_is_that_of_the_detector_with_other_defaults(record):
    file = FILE.with_name('multi_camera.launch.py')
    with installed(record):
        names = {'__name__': 'multi_camera_launch'}
        exec(compile(file.read_text(), str(file), 'exec'), names)
        *declared, include = names['generate_launch_description']()['initial_entities']
    defaults = {call['name']: call['default_value'] for call in declared}
    assert set(defaults) == {'cameras', 'image'} < {*DEFAULTS, 'params_file'}
    assert '{camera}' in defaults['image'] and len(defaults['cameras'].split(',')) > 1
    parts = include['launch_description_source']['launch_file_path']['substitutions']
    assert FILE.parents[1].joinpath(*parts[1:]) == FILE
    *_, node = started(record, **defaults)
    assert [topic for _, topic in node['remappings']][0] == '/front/image_raw'


@EVERY_RECORD
def test_each_of_several_cameras_has_its_topic(record):
    *_, node = started(record, cameras='front, left', image='/{camera}/image_raw')
    assert node['parameters'][-1] == {'cameras': ['front', 'left']}
    assert node['remappings'] == [('front/image', '/front/image_raw'),
                                  ('left/image', '/left/image_raw')]
    with pytest.raises(RuntimeError, match='one topic for all cameras'):
        started(record, cameras='front,left')


@EVERY_RECORD
@pytest.mark.parametrize('respawn', ['true', 'false'])
def test_the_node_is_configured_and_then_activated(record, respawn):
    configure, activate, node = started(record, respawn=respawn)
    assert node['respawn'] == (respawn == 'true') and node['respawn_delay'] > 0
    for handler in (configure, activate):
        assert handler.name == 'RegisterEventHandler'
        assert handler['condition'] == Call('IfCondition', {
            'predicate_expression': configuration('autostart')})

    def change(transition: int) -> Call:
        return Call('EmitEvent', {'event': Call('ChangeState', {
            'lifecycle_node_matcher': Call('matches_action', {'target_action': node}),
            'transition_id': transition})})
    assert configure['event_handler'] == Call('OnProcessStart', {
        'target_action': node, 'on_start': [change(Transition.TRANSITION_CONFIGURE)]})
    # With respawn there are other processes, which must be activated too.
    assert activate['event_handler'] == Call('OnStateTransition', {
        'target_lifecycle_node': node, 'start_state': 'configuring', 'goal_state': 'inactive',
        'entities': [change(Transition.TRANSITION_ACTIVATE)], 'handle_once': respawn == 'false'})


@EVERY_RECORD
@pytest.mark.parametrize('right, wrong, reason', [
    ('respawn=respawn', 'respawning=respawn', "LifecycleNode has no argument 'respawning'"),
    ('goal_state=', 'target_state=', "OnStateTransition has no argument 'target_state'"),
    ('on_start=', 'on_event=', "OnProcessStart needs \\['on_start'\\]"),
    ("LaunchConfiguration('respawn').perform(context)",
     "LaunchConfiguration('respawn').perform()", "perform needs \\['context'\\]"),
    ('EmitEvent(event=', 'EmitEvent(', 'EmitEvent takes 0 positional arguments, not 1'),
])
def test_an_argument_that_the_real_packages_lack_is_an_error(record, right, wrong, reason):
    assert right in SOURCE
    with pytest.raises(TypeError, match=reason):
        started(record, SOURCE.replace(right, wrong))


def test_stand_ins_leave_nothing_behind():
    before = {name for name in sys.modules if name.split('.')[0] in launch_interface.PACKAGES}
    description(next(iter(RECORDS.values())))
    assert before == {name for name in sys.modules
                      if name.split('.')[0] in launch_interface.PACKAGES}
