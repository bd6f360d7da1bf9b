# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
The `vl4ad` command: finds its verbs, parses arguments, turns failures into messages.

The verbs of this package are the modules of `vl4ad_ros.commands`. Other projects register theirs
in the entry point group `vl4ad_ros.verbs`, as ``name = module:VERB``, where VERB is a
`vl4ad_ros.commands.Verb`. A verb's module is imported only when the verb is chosen.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import entry_points, EntryPoint
import os
import sys

from vl4ad_ros import __version__
from vl4ad_ros.commands import Verb
from vl4ad_ros.signals import check, ignore, stoppable

GROUP = 'vl4ad_ros.verbs'
"""Entry point group of verbs that other projects add."""
OWN = {
    'replay': ('vl4ad_ros.commands.replay', 'replay a camera bag through the node and report'),
    'evaluate': ('vl4ad_ros.commands.evaluate',
                 'score every frame of a bag offline; prints JSON'),
    'bag-from-video': ('vl4ad_ros.commands.bag_from_video',
                       'turn a video file into a camera bag'),
    'build': ('vl4ad_ros.commands.build', 'build, list or prune engines for a GPU'),
    'bench': ('vl4ad_ros.commands.bench', 'measure how long a frame takes on each backend'),
    'vocabulary': ('vl4ad_ros.commands.vocabulary',
                   'show or check lists of words by name or file'),
}
"""Module and one line of help of each verb of this package, by its name."""
WORKSHOP = {
    'demo': 'replay a drawn drive through the node, then change its prompts, and report',
    'scenes': 'draw synthetic drives with ground truth',
    'convert': 'turn an official FC-CLIP checkpoint into a bundle',
    'export': 'write the network in another precision, form or size',
    'train': 'train the tiny model from nothing, or a decoder on real data',
}
"""One line of help of each verb of the project vl4ad_workshop, which need not be installed."""

_TORCH = ('torch', 'torchvision', 'open_clip', 'onnx', 'onnx_ir', 'onnxscript', 'timm',
          'safetensors', 'tensorboard')
_ROS = ('rclpy', 'rosgraph_msgs', 'sensor_msgs', 'vision_msgs', 'lifecycle_msgs',
        'diagnostic_msgs')


class VerbMissing(RuntimeError):
    """A verb of another project that is not installed, or that cannot be loaded."""


@dataclass(frozen=True)
class Candidate:
    """
    A verb that has not been imported yet.

    :ivar help: one line.
    :ivar target: where its `Verb` is; None if the project that has it is not installed.
    """

    help: str
    target: EntryPoint | None

    def load(self, name: str) -> Verb:
        """
        Import the verb.

        :raises VerbMissing: if its project is not installed.
        """
        if self.target is None:
            raise VerbMissing(f"'vl4ad {name}' needs vl4ad_workshop, which is not installed; in "
                              'the source folder of vl4ad_ros run: pip install . ./workshop')
        return self.target.load()


def find_verbs() -> dict[str, Candidate]:
    """Return all verbs by name: those of this package, of the workshop, and of other projects."""
    found = {name: Candidate(text, EntryPoint(name, f'{module}:VERB', GROUP))
             for name, (module, text) in OWN.items()}
    installed = {point.name: point for point in entry_points(group=GROUP)}
    for name, text in WORKSHOP.items():
        point = installed.pop(name, None)
        found[name] = Candidate(text if point else f'{text} (needs vl4ad_workshop)', point)
    for name, point in sorted(installed.items()):
        if name not in found:
            found[name] = Candidate(f'added by {point.dist.name if point.dist else point.value}',
                                    point)
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """
    Run `vl4ad` and return its exit code: 0, 1 if it failed, 2 for wrong usage, 130 for Ctrl-C.

    A failure is one message on stderr; `--debug` shows the traceback.

    :param arguments: without the program's name; None takes those of the process.
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
        # Only the arguments of the chosen verb: those of the others need imports that are slow.
        chosen = next((a for a in arguments if not a.startswith('-')), '')
        verb = verbs[chosen].load(chosen) if chosen in verbs else None
        options = _parser(verbs, chosen, verb).parse_args(arguments)
        if hasattr(sys.stdout, 'reconfigure'):  # for words and paths that it cannot encode
            sys.stdout.reconfigure(errors='backslashreplace')
        assert verb is not None  # parse_args exits if no verb is given, or an unknown one
        code = verb.run(options) or 0
        sys.stdout.flush()
        return code
    except BrokenPipeError:
        # Whoever read our output, such as `head`, has seen enough.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        check()
        if debug:
            raise
        print(f'vl4ad: error: {_message(error)}', file=sys.stderr)
        return 1


def build_engine() -> int:
    """Run `vl4ad build`: what `ros2 run vl4ad_ros build_engine` starts."""
    return main(['build', *sys.argv[1:]])


def _parser(verbs: dict[str, Candidate], chosen: str, verb: Verb | None
            ) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog='vl4ad', description='Find what does not belong on the road, in camera images, '
        'by words alone.')
    parser.add_argument('--version', action='version', version=__version__)
    subparsers = parser.add_subparsers(dest='verb', metavar='VERB', required=True)
    for name, candidate in verbs.items():
        sub = subparsers.add_parser(name, help=candidate.help, description=candidate.help)
        if verb is not None and name == chosen:
            verb.add_arguments(sub)
            sub.add_argument('--debug', action='store_true', help='show tracebacks')
    return parser


def _message(error: Exception) -> str:
    """Return one message that a user can act on."""
    if isinstance(error, ModuleNotFoundError):
        missing = (error.name or '').partition('.')[0]
        if missing in _TORCH:
            return (f'this needs {missing}; in the source folder of vl4ad_ros run: '
                    "pip install . './workshop[torch]'")
        if missing in _ROS:
            return (f'this needs ROS 2 ({missing} is not there): source your ROS 2 installation, '
                    'or let ./run set everything up')
    if isinstance(error, (OSError, ValueError, RuntimeError)):
        return str(error)
    return f'{type(error).__name__}: {error} (--debug shows where)'


if __name__ == '__main__':
    sys.exit(main())
