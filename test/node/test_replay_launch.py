# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The launch file that replays a recording: its description, and a replay where launch is."""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path
import shutil
import subprocess
from types import SimpleNamespace

from bags import write_bag
from fake_launch import Call, installed
import pytest
from vl4ad_ros.commands.replay import add_arguments
import yaml

ROOT = Path(__file__).resolve().parents[2]
FILE = ROOT / 'launch' / 'replay.launch.py'
RECORDS = json.loads(Path(__file__).with_name('launch_interfaces.json').read_text())
DEFAULTS = {'out': 'out/replay', 'bundle': '', 'topic': '', 'lockstep': 'false',
            'namespace': 'replay', 'rviz': 'false'}
GIVEN = {'bag': 'drive', 'params_file': 'detector.yaml'}


@pytest.fixture(params=RECORDS.values(), ids=RECORDS.keys())
def launch(request):
    """Yield the names of the launch file beside the recorded interface of launch."""
    with installed(request.param):
        names = {'__name__': 'replay_launch'}
        exec(compile(FILE.read_text(), str(FILE), 'exec'), names)
        yield names


def started(launch, **values: str) -> list[Call]:
    """Return what is started with the given launch arguments."""
    *_, function = launch['generate_launch_description']()['initial_entities']
    return function['function']({**DEFAULTS, **GIVEN, **values})


def test_arguments_have_defaults_choices_and_descriptions(launch):
    declared = {call['name']: call
                for call in launch['generate_launch_description']()['initial_entities']
                if call.name == 'DeclareLaunchArgument'}
    assert set(declared) == {*DEFAULTS, *GIVEN} and declared['bag']['default_value'] is None
    assert {name: declared[name]['default_value'] for name in DEFAULTS} == DEFAULTS
    assert all(call['description'] for call in declared.values())
    assert {name for name, call in declared.items() if call['choices'] == ['true', 'false']} == {
        'lockstep', 'rviz'}


def parsed(replay: Call) -> argparse.Namespace:
    """Return the arguments of the started command as `vl4ad` takes them."""
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    return parser.parse_args(replay['cmd'][2:])


def test_the_replay_gets_what_was_chosen(launch):
    replay, = started(launch)
    assert replay['cmd'][:2] == [Call('ExecutableInPackage', {
        'package': 'vl4ad_ros', 'executable': 'vl4ad'}), 'replay']
    options = parsed(replay)
    assert options.bags == [Path('drive')] and options.out == Path('out/replay')
    assert options.params == Path('detector.yaml') and options.namespace == '/replay'
    assert options.bundle is None and not options.topics and not options.lockstep
    options = parsed(started(launch, bundle='tiny', topic='/front', lockstep='true',
                             namespace='night/drive')[0])
    assert (options.bundle, options.lockstep, options.namespace) == (
        'tiny', True, '/night/drive')
    assert [camera.topic for camera in options.topics] == ['/front']


def test_rviz_shows_the_topics_of_the_replay(launch):
    _, rviz = started(launch, rviz='true', namespace='night')
    shown = yaml.safe_load((ROOT / 'config' / 'detector.rviz').read_text())
    topics = {display['Topic']['Value'] for display in shown['Visualization Manager']['Displays']
              if 'Topic' in display}
    remapped = dict(rviz['remappings'])
    assert set(remapped) == {'/clock', *topics}
    assert all(to == f'/night{topic}' for topic, to in remapped.items())
    assert (rviz['package'], rviz['parameters']) == ('rviz2', [{'use_sim_time': True}])


def test_the_launch_ends_with_the_replay_and_fails_with_it(launch):
    replay, = started(launch)
    ended, running = replay['on_exit'], SimpleNamespace(is_shutdown=False)
    assert ended(SimpleNamespace(returncode=0), running).name == 'Shutdown'
    with pytest.raises(RuntimeError, match='exit status 1'):
        ended(SimpleNamespace(returncode=1), running)
    # After Ctrl-C the exit status of the replay is 130, and that is no failure.
    assert ended(SimpleNamespace(returncode=130), SimpleNamespace(is_shutdown=True))


def test_a_recording_is_replayed(mock_bundle, tmp_path):
    pytest.importorskip('launch_ros', reason='launch_ros is not installed (not on PyPI)')
    if shutil.which('ros2') is None:
        pytest.skip('ros2 launch is not installed')
    index = 'share/ament_index/resource_index/packages/vl4ad_ros'
    prefixes = os.environ.get('AMENT_PREFIX_PATH', '').split(os.pathsep)
    if not any((Path(prefix) / index).exists() for prefix in prefixes):
        pytest.skip('vl4ad_ros is not installed in a prefix of AMENT_PREFIX_PATH')
    parameters = tmp_path / 'parameters.yaml'
    parameters.write_text('/**: {ros__parameters: {model.threads: 1}}')
    bag = write_bag(tmp_path / 'bag', 12)

    def run(recording: Path) -> int:
        return subprocess.run(
            ['ros2', 'launch', str(FILE), f'bag:={recording}', f'out:={tmp_path / "out"}',
             f'params_file:={parameters}', f'bundle:={mock_bundle}', 'lockstep:=true'],
            stdout=subprocess.DEVNULL, timeout=300).returncode
    assert run(bag) == 0
    metrics = json.loads((tmp_path / 'out' / 'metrics.json').read_text())
    assert metrics['frames_processed'] == 12 and metrics['model'] == 'mock'
    assert run(tmp_path / 'nothing') == 1
