# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The launch file: what it declares, and a start with it where ROS 2 launch is installed."""

from __future__ import annotations

import os
from pathlib import Path
import runpy
import shutil
import signal
import subprocess

import pytest

FILE = Path(__file__).resolve().parents[2] / 'launch' / 'detector.launch.py'
ARGUMENTS = {'namespace', 'node_name', 'params_file', 'bundle', 'image', 'use_sim_time',
             'autostart', 'log_level'}


def test_it_compiles():
    compile(FILE.read_text(), str(FILE), 'exec')


def test_every_argument_is_declared_and_described():
    pytest.importorskip('launch_ros', reason='launch_ros is not installed (not on PyPI)')
    description = runpy.run_path(str(FILE))['generate_launch_description']()
    declared = {a.name: a.description for a in description.get_launch_arguments()}
    assert set(declared) == ARGUMENTS and all(declared.values())


def test_it_starts_the_node_active_and_ends_it(ros, mock_bundle, tmp_path):
    pytest.importorskip('launch_ros', reason='launch_ros is not installed (not on PyPI)')
    if shutil.which('ros2') is None:
        pytest.skip('ros2 launch is not installed')
    index = 'share/ament_index/resource_index/packages/vl4ad_ros'
    prefixes = os.environ.get('AMENT_PREFIX_PATH', '').split(os.pathsep)
    if not any((Path(prefix) / index).exists() for prefix in prefixes):
        pytest.skip('vl4ad_ros is not installed in a prefix of AMENT_PREFIX_PATH')
    from harness import Outside, scene
    parameters = tmp_path / 'parameters.yaml'
    parameters.write_text(
        f'/**: {{ros__parameters: {{model: {{bundle: "{mock_bundle}"}}}}}}')
    with subprocess.Popen(
            ['ros2', 'launch', str(FILE), 'namespace:=front', f'params_file:={parameters}',
             'node_name:=eyes', 'image:=/front/camera'], start_new_session=True) as launched:
        outside = Outside(ros, name='front/eyes', topic='/front/camera')
        try:
            outside.until(lambda: outside.state == 'active', 'the node to be active')
            outside.wait_for_match()
            outside.ask(scene())
        finally:
            outside.close()
            launched.send_signal(signal.SIGINT)
            assert launched.wait(timeout=30) == 0
