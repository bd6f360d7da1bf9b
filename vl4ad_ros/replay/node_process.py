# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The process of the node during a replay: its environment, its parameters, its end."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import metadata
import json
import os
from pathlib import Path
import random
import signal
import subprocess
import sys
from typing import Any

from vl4ad_ros.node.dds import use_profile
from vl4ad_ros.signals import undisturbed

_DISTROS = {'3': 'humble', '7': 'jazzy', '10': 'lyrical'}
"""ROS 2 distribution by the major version of rclpy."""


class SessionError(RuntimeError):
    """The node failed; the message says how, and has the end of the node's log."""


def prepare_environment() -> None:
    """
    Restrict the DDS traffic of this process and its child processes to this machine.

    Sets a random ROS domain unless ROS_DOMAIN_ID is set, and the Fast DDS profile for large
    images. Call it before rclpy is used for the first time.
    """
    os.environ.setdefault('ROS_DOMAIN_ID', str(random.randint(1, 100)))
    os.environ.setdefault('ROS_AUTOMATIC_DISCOVERY_RANGE', 'LOCALHOST')
    use_profile()


def ros_distro() -> str:
    """Return the name of the ROS 2 distribution in use, such as `jazzy`."""
    if os.environ.get('ROS_DISTRO'):
        return os.environ['ROS_DISTRO']
    try:
        version = metadata.version('ros-rclpy')
    except metadata.PackageNotFoundError:
        return 'unknown'
    return _DISTROS.get(version.partition('.')[0], f'rclpy {version}')


class NodeProcess:
    """The process of the detector."""

    def __init__(self, popen: subprocess.Popen, log: Path) -> None:
        self._popen, self._log = popen, log

    def check(self) -> None:
        """Raise SessionError if the process has ended."""
        code = self._popen.poll()
        if code is not None:
            how = f'signal {-code}' if code < 0 else f'exit code {code}'
            raise SessionError(f'the node ended unexpectedly ({how}); {self.tail()}')

    def tail(self) -> str:
        """Return the last lines of the node's log, as the end of an error message."""
        lines = self._log.read_text(errors='replace').splitlines()[-8:]
        output = '\n    '.join(lines) if lines else '(nothing)'
        return f'its last output:\n    {output}'

    def stop(self) -> None:
        """End the process as Ctrl-C does, and by stronger signals if it does not end."""
        for number, seconds in ((signal.SIGINT, 8), (signal.SIGTERM, 3), (signal.SIGKILL, 30)):
            if self._popen.poll() is None:
                self._popen.send_signal(number)
                try:
                    self._popen.wait(seconds)
                except subprocess.TimeoutExpired:
                    continue


@contextmanager
def node_process(parameters: Mapping[str, Any], namespace: str, log: Path
                 ) -> Iterator[NodeProcess]:
    """
    Run the node in a process of its own.

    :param parameters: of the node, by name; they are written to a file beside the log.
    :param namespace: of the node, its topics, its diagnostics and its clock.
    :param log: the file for the output of the node.
    """
    file = log.with_suffix('.yaml')
    # JSON is a subset of YAML.
    file.write_text(json.dumps({'/**': {'ros__parameters': dict(parameters)}},
                               ensure_ascii=False), encoding='utf-8')
    command = [sys.executable, '-m', 'vl4ad_ros.node.child', str(os.getpid()), '--ros-args',
               '--params-file', str(file), '--disable-rosout-logs', '-r', f'__ns:={namespace}']
    for topic in ('/clock', '/diagnostics'):
        command += ['-r', f'{topic}:={namespace}{topic}']
    with log.open('wb') as out:
        # In a session of its own the node does not receive Ctrl-C; `stop` ends it in order.
        process = NodeProcess(subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT,
            start_new_session=True), log)
        try:
            yield process
        finally:
            with undisturbed():
                process.stop()
