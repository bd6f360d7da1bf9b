# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The launch file: what it declares, and a start with it where ROS 2 launch is installed."""

from __future__ import annotations

from contextlib import contextmanager
import os
from pathlib import Path
import re
import runpy
import shutil
import signal
import subprocess

import pytest

FILE = Path(__file__).resolve().parents[2] / 'launch' / 'detector.launch.py'
ARGUMENTS = {'namespace', 'node_name', 'params_file', 'bundle', 'backend', 'precision', 'image',
             'cameras', 'use_sim_time', 'autostart', 'respawn', 'log_level'}


def test_it_compiles():
    compile(FILE.read_text(), str(FILE), 'exec')


def test_every_argument_is_declared_and_described():
    pytest.importorskip('launch_ros', reason='launch_ros is not installed (not on PyPI)')
    description = runpy.run_path(str(FILE))['generate_launch_description']()
    declared = {a.name: a.description for a in description.get_launch_arguments()}
    assert set(declared) == ARGUMENTS and all(declared.values())


@contextmanager
def launched(ros, bundle: Path, folder: Path, *arguments: str):
    """Launch the node as /front/eyes; yield the launch, its output file and what is around."""
    pytest.importorskip('launch_ros', reason='launch_ros is not installed (not on PyPI)')
    if shutil.which('ros2') is None:
        pytest.skip('ros2 launch is not installed')
    index = 'share/ament_index/resource_index/packages/vl4ad_ros'
    prefixes = os.environ.get('AMENT_PREFIX_PATH', '').split(os.pathsep)
    if not any((Path(prefix) / index).exists() for prefix in prefixes):
        pytest.skip('vl4ad_ros is not installed in a prefix of AMENT_PREFIX_PATH')
    from harness import Outside
    parameters, output = folder / 'parameters.yaml', folder / 'output'
    parameters.write_text(f'/**: {{ros__parameters: {{model: {{bundle: "{bundle}"}}}}}}')
    with output.open('wb') as out, subprocess.Popen(
            ['ros2', 'launch', str(FILE), 'namespace:=front', f'params_file:={parameters}',
             'node_name:=eyes', 'image:=/front/camera', *arguments], stdout=out,
            stderr=subprocess.STDOUT, start_new_session=True) as process:
        outside = Outside(ros, name='front/eyes', topic='/front/camera')
        try:
            yield output, outside
        finally:
            outside.close()
            process.send_signal(signal.SIGINT)
            assert process.wait(timeout=60) == 0, output.read_text()


def test_it_starts_the_node_active_and_ends_it(ros, mock_bundle, tmp_path):
    from harness import scene
    with launched(ros, mock_bundle, tmp_path, 'backend:=onnxruntime', 'precision:=fp32') as (
            _, outside):
        outside.until(lambda: outside.state == 'active', 'the node to be active')
        assert outside.get('model.backend') == 'onnxruntime'
        assert outside.get('model.precision') == 'fp32'
        outside.wait_for_match()
        outside.ask(scene())


def test_a_process_that_ended_is_started_again_and_made_active(ros, mock_bundle, tmp_path):
    from harness import scene
    with launched(ros, mock_bundle, tmp_path, 'respawn:=true') as (output, outside):
        outside.until(lambda: outside.state == 'active', 'the node to be active')
        first, = re.findall(r'process started with pid \[(\d+)\]', output.read_text())
        os.kill(int(first), signal.SIGTERM)
        outside.until(lambda: output.read_text().count('started with pid') == 2, 'a new process')
        outside.until(lambda: outside.state == 'active', 'the new node to be active')
        outside.wait_for_match()
        outside.ask(scene())
