# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
The `vl4ad` command: finds its verbs, parses the arguments, and turns errors into messages.

The verbs of this package are the modules of `vl4ad_ros.commands`. Other projects register theirs
in the entry point group `vl4ad_ros.verbs`, as ``name = module:VERB``, where VERB is a
`vl4ad_ros.commands.Verb`. A module is imported only when its verb is chosen, so a verb that is
broken affects no other verb. The names of this package and of the workshop are reserved: an entry
point of another project with such a name is not used.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import distributions, entry_points, EntryPoint
from io import TextIOWrapper
import os
import sys

from vl4ad_ros import __version__
from vl4ad_ros.commands import Verb
from vl4ad_ros.signals import check, ignore, stoppable

GROUP = 'vl4ad_ros.verbs'
"""Entry point group in which other projects register verbs."""
OWN = {
    'try': ('vl4ad_ros.commands.try_pictures',
            'show what is anomalous in photos and videos, without ROS 2'),
    'replay': ('vl4ad_ros.commands.replay',
               'play a camera bag or a video through the node and write a report'),
    'evaluate': ('vl4ad_ros.commands.evaluate',
                 'evaluate every frame of a camera bag or video without ROS 2, print JSON'),
    'compare': ('vl4ad_ros.commands.compare',
                'compare two evaluations of the same recordings'),
    'calibrate': ('vl4ad_ros.commands.calibrate',
                  'choose the threshold by recordings, and write a parameter file'),
    'benchmark': ('vl4ad_ros.commands.benchmark',
                  'score a public data set with labels of anomalies, print JSON'),
    'compose': ('vl4ad_ros.commands.compose',
                'paste objects into a recording of a road, with ground truth'),
    'bag-from-video': ('vl4ad_ros.commands.bag_from_video',
                       'convert a video file to a camera bag'),
    'build': ('vl4ad_ros.commands.build', 'build, list or prune engines for a GPU'),
    'bench': ('vl4ad_ros.commands.bench', 'measure how long a frame takes on each backend'),
    'vocabulary': ('vl4ad_ros.commands.vocabulary',
                   'show a vocabulary (a list of prompts), or check it for a model bundle'),
}
"""Module and one line of help of each verb of this package, by the name of the verb."""
WORKSHOP = {
    'demo': 'play a synthetic drive through the node, change its prompts, and write a report',
    'scenes': 'draw synthetic drives with ground truth',
    'convert': 'convert an official FC-CLIP checkpoint to a model bundle',
    'export': 'export the network of a bundle in another precision, form or size',
    'train': 'train the tiny model from scratch, or a decoder on real data',
}
"""One line of help of each verb of the project vl4ad_workshop, which may not be installed."""
_WORKSHOP_PACKAGE = 'vl4ad_workshop'

_TORCH = ('torch', 'torchvision', 'open_clip', 'onnx', 'onnx_ir', 'onnxscript', 'timm',
          'safetensors', 'tensorboard')
_BAGS = ('backports', 'lz4', 'rosbags', 'tqdm')
_VIDEO = ('av',)
_REPORT = ('jinja2', 'matplotlib')
_CLUSTER = ('ray',)
_ROS_SUFFIXES = ('_msgs', '_interfaces')


class VerbError(RuntimeError):
    """A verb of another project is not installed or cannot be loaded; the message says which."""


@dataclass(frozen=True)
class Candidate:
    """
    A verb that has not been imported yet.

    :ivar help: one line of help.
    :ivar target: the entry point of its `Verb`; None if the workshop is not installed.
    :ivar owner: the project that registered it, if that is neither this one nor the workshop;
        otherwise ``''``.
    """

    help: str
    target: EntryPoint | None
    owner: str = ''

    def load(self, name: str) -> Verb:
        """
        Import the verb.

        :param name: the name of the verb.
        :raises VerbError: if the workshop is not installed, or if the verb of another project
            cannot be imported or is not a `Verb`.
        """
        if self.target is None:
            raise VerbError(f"'vl4ad {name}' needs vl4ad_workshop, which is not installed; in "
                            'the source folder of vl4ad_ros run: pip install . ./workshop')
        if not self.owner:
            return self.target.load()
        try:
            verb = self.target.load()
        except Exception as error:
            raise VerbError(
                f"the verb '{name}' of {self.owner} cannot be imported ({self.target.value}: "
                f'{type(error).__name__}: {error}); update or uninstall {self.owner}') from error
        if not isinstance(verb, Verb):
            raise VerbError(
                f"the verb '{name}' of {self.owner} cannot be used: {self.target.value} has the "
                f'type {type(verb).__name__}, expected vl4ad_ros.commands.Verb; update or '
                f'uninstall {self.owner}')
        return verb


def find_verbs() -> dict[str, Candidate]:
    """
    Return all verbs by name: those of this package, of the workshop, and of other projects.

    No module of a verb is imported.
    """
    found = {name: Candidate(text, EntryPoint(name, f'{module}:VERB', GROUP))
             for name, (module, text) in OWN.items()}
    installed = sorted(_registered(), key=lambda point: point.name)
    of_workshop = {point.name: point for point in installed
                   if point.value.startswith(f'{_WORKSHOP_PACKAGE}.')}
    for name, text in WORKSHOP.items():
        point = of_workshop.get(name)
        found[name] = Candidate(text if point else f'{text} (needs vl4ad_workshop)', point)
    for point in installed:
        if point.name not in found:
            owner = _owner(point)
            # argparse would take a percent sign for the beginning of a placeholder.
            text = f'added by {owner}'.replace('%', '%%')
            found[point.name] = Candidate(text, point, owner)
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """
    Run the `vl4ad` command.

    An error is printed as one message on stderr; `--debug` shows the traceback instead.

    :param arguments: the arguments without the name of the program; None takes those of the
        process.
    :returns: the exit code: 0 for success, 1 for an error, and 130 after Ctrl-C or SIGTERM.
    :raises SystemExit: with code 2 for wrong usage, and 0 after `--help` and `--version`.
    """
    done = ignore if arguments is None else lambda: None
    try:
        try:
            stoppable()
            return _run(list(sys.argv[1:] if arguments is None else arguments))
        finally:
            done()
    except KeyboardInterrupt:
        done()  # A second signal may have come before the first call.
        print('vl4ad: stopped', file=sys.stderr)
        return 130


def _run(arguments: list[str]) -> int:
    debug = '--debug' in arguments
    try:
        verbs = find_verbs()
        # Only the chosen verb is imported and adds its arguments, because imports are slow.
        chosen = next((a for a in arguments if not a.startswith('-')), '')
        verb = verbs[chosen].load(chosen) if chosen in verbs else None
        options = _parser(verbs, chosen, verb).parse_args(arguments)
        if isinstance(sys.stdout, TextIOWrapper):
            # Words and paths may have characters that the encoding of the terminal lacks.
            sys.stdout.reconfigure(errors='backslashreplace')
        assert verb is not None  # parse_args has exited if there is no verb, or an unknown one.
        code = verb.run(options) or 0
        sys.stdout.flush()
        return code
    except BrokenPipeError:
        # The process that reads the output, such as `head`, has closed it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        check()
        if debug:
            raise
        print(f'vl4ad: error: {_message(error)}', file=sys.stderr)
        return 1


def build_engine() -> int:
    """Run `vl4ad build`; `ros2 run vl4ad_ros build_engine` starts this function."""
    return main(['build', *sys.argv[1:]])


def _parser(verbs: dict[str, Candidate], chosen: str, verb: Verb | None
            ) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog='vl4ad', description='Road-anomaly detection in camera images, controlled by text '
        'prompts.')
    parser.add_argument('--version', action='version', version=__version__)
    subparsers = parser.add_subparsers(dest='verb', metavar='VERB', required=True)
    for name, candidate in verbs.items():
        sub = subparsers.add_parser(name, help=candidate.help, description=candidate.help)
        if verb is not None and name == chosen:
            verb.add_arguments(sub)
            sub.add_argument('--debug', action='store_true',
                             help='show the traceback of an error')
    return parser


def _registered() -> list[EntryPoint]:
    """Return the entry points of the group, without those of projects with damaged metadata."""
    try:
        return list(entry_points(group=GROUP))
    except Exception:  # One file that cannot be parsed is enough.
        found: list[EntryPoint] = []
        for project in distributions():
            with suppress(Exception):
                found += [point for point in project.entry_points if point.group == GROUP]
        return found


def _owner(point: EntryPoint) -> str:
    """Return the name of the project that registered an entry point."""
    try:
        name = point.dist.name if point.dist else None
    except Exception:  # The metadata of the project is damaged.
        name = None
    return name or point.value


def _message(error: Exception) -> str:
    """Return the text of an error, with what the user can do about it."""
    if isinstance(error, ModuleNotFoundError):
        missing = (error.name or '').partition('.')[0]
        if missing in _TORCH:
            return (f'this needs {missing}; in the source folder of vl4ad_ros run: '
                    "pip install . './workshop[torch]'")
        if missing in _VIDEO:
            return ('this recording has a topic of video packets, which needs PyAV (Python 3.11 '
                    'or newer); run: pip install av')
        if missing in _REPORT:
            return (f'the report needs {missing}; in the source folder of vl4ad_ros run: '
                    "pip install '.[report]'")
        if missing in _CLUSTER:
            return 'a cluster needs Ray, which is not installed; run: pip install ray'
        if missing in _BAGS:
            return (f'this needs {missing}; in the source folder of vl4ad_ros run: '
                    "pip install '.[bags]'")
        if missing == 'rclpy' or missing.endswith(_ROS_SUFFIXES):
            return (f'this needs ROS 2 ({missing} is not installed): source your ROS 2 '
                    'installation, or use ./run, which installs everything')
    if isinstance(error, (OSError, ValueError, RuntimeError)):
        return str(error)
    return f'{type(error).__name__}: {error} (run it again with --debug to see the traceback)'


if __name__ == '__main__':
    sys.exit(main())
