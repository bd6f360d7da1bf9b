# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The `vl4ad` command."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
import importlib
import json
import os
from pathlib import Path
import sys
from typing import Any

from vl4ad_ros import __version__
from vl4ad_ros.signals import check, ignore, stoppable

_TRAINING = ('torch', 'torchvision', 'open_clip', 'onnx', 'onnx_ir', 'onnxscript', 'timm',
             'safetensors', 'tensorboard')
_ROS = ('rclpy', 'rosgraph_msgs', 'sensor_msgs', 'vision_msgs', 'lifecycle_msgs',
        'diagnostic_msgs')


@dataclass(frozen=True)
class Verb:
    """
    One subcommand; nothing it needs is imported before it is chosen.

    :ivar help: one line.
    :ivar add_arguments: fills the verb's parser.
    :ivar run: does it; returns the exit code, None for 0.
    """

    help: str
    add_arguments: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace], int | None]


def main(arguments: Sequence[str] | None = None) -> int:
    """
    Run `vl4ad` and return its exit code: 0, 1 if it failed, 2 for wrong usage, 130 for Ctrl-C.

    A failure is one message on stderr; `--debug` shows the traceback.
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
        options = _parser(arguments).parse_args(arguments)
        if hasattr(sys.stdout, 'reconfigure'):  # for words and paths that it cannot encode
            sys.stdout.reconfigure(errors='backslashreplace')
        code = VERBS[options.verb].run(options) or 0
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
        print(f'vl4ad: error: {_say(error)}', file=sys.stderr)
        return 1


def build_engine() -> int:
    """Run `vl4ad build`: what `ros2 run vl4ad_ros build_engine` starts."""
    return main(['build', *sys.argv[1:]])


def _parser(arguments: Sequence[str]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog='vl4ad', description='Find what does not belong on the road, in camera images, '
        'by words alone.')
    parser.add_argument('--version', action='version', version=__version__)
    verbs = parser.add_subparsers(dest='verb', metavar='VERB', required=True)
    # Arguments of the chosen verb only: those of others live in modules that are slow to import.
    chosen = next((a for a in arguments if not a.startswith('-')), None)
    for name, verb in VERBS.items():
        sub = verbs.add_parser(name, help=verb.help, description=verb.help)
        if name == chosen:
            verb.add_arguments(sub)
            sub.add_argument('--debug', action='store_true', help='show tracebacks')
    return parser


def _say(error: Exception) -> str:
    """Return one message a user can act on."""
    if isinstance(error, ModuleNotFoundError):
        missing = (error.name or '').partition('.')[0]
        if missing in _TRAINING:
            return f"this needs {missing}: pip install 'vl4ad_ros[train]'"
        if missing in _ROS:
            return (f'this needs ROS 2 ({missing} is not there): source your ROS 2 installation, '
                    'or let ./run set everything up')
    if isinstance(error, (OSError, ValueError, RuntimeError)):
        return str(error)
    return f'{type(error).__name__}: {error} (--debug shows where)'


def _positive(text: str) -> float:
    value = float(text)
    if not 0 < value < float('inf'):
        raise argparse.ArgumentTypeError(f"'{text}' is not above 0")
    return value


def _add_replay_arguments(parser: argparse.ArgumentParser, out: str) -> None:
    _add_bundle_argument(parser)
    parser.add_argument('--rate', type=_positive, metavar='R',
                        help='speed, 1 is as recorded (default: 1; with --lockstep as fast as '
                        'the node answers)')
    parser.add_argument('--out', type=Path, default=Path(out), metavar='DIR',
                        help='folder for the report, whose older report is replaced; the '
                        'recording must not lie in it (default: %(default)s)')


def _add_bundle_argument(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('--bundle', metavar='B',
                        help="model bundle: 'tiny' or a directory (default: model.bundle of "
                        "--params where there is one, else 'tiny')")


def _add_params_argument(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('--params', type=Path, metavar='FILE',
                        help="the node's parameter file (YAML); its values count as in the node")


def _add_demo(parser: argparse.ArgumentParser) -> None:
    _add_replay_arguments(parser, 'out/demo')
    parser.add_argument('--seed', type=int, metavar='N', help='draw another drive')


def _demo(options: argparse.Namespace) -> None:
    from tqdm import tqdm
    from vl4ad_ros.evaluation import sample_drive
    from vl4ad_ros.evaluation.second_act import SCRIPT
    from vl4ad_ros.node.playback import new_report, show, show_second_act, tell
    from vl4ad_ros.node.session import open_bag
    seed = sample_drive.SEED if options.seed is None else options.seed

    def draw(drawn: int, total: int) -> None:
        if not drawn:
            print(f'drawing {total} frames; later runs have them', flush=True)
            bar.reset(total)
        bar.update(drawn - bar.n)

    parameters = _parameters(options)
    inputs = [sample_drive.cache_folder(), *_inputs(options, parameters)]
    with new_report(options.out, inputs) as folder:
        with tqdm(unit='frame', disable=None, leave=False) as bar:
            bag = sample_drive.sample_drive(seed, draw)
            scene = sample_drive.second_scene(SCRIPT, draw)
        limits = sample_drive.TRACK_LIMITS
        print('alerts come from the road ahead, and from what '
              f'{limits.confirm_hits} of {limits.confirm_window} frames show')
        files = show(open_bag(bag), folder, f'Sample drive {seed}',
                     _session_options(options, {**parameters, **sample_drive.PARAMETERS}))
        files |= show_second_act(open_bag(scene), folder, SCRIPT,
                                 _session_options(options, parameters))
    tell(files, options.out)


def _add_replay(parser: argparse.ArgumentParser) -> None:
    _add_bag_arguments(parser)
    _add_replay_arguments(parser, 'out/replay')
    _add_params_argument(parser)
    parser.add_argument('--lockstep', action='store_true',
                        help='send each frame after the answer to the one before, so that none is '
                        'lost and the same recording gives the same results')


def _replay(options: argparse.Namespace) -> None:
    from vl4ad_ros.node.playback import new_report, show, tell
    from vl4ad_ros.node.session import open_bag
    parameters = _parameters(options)
    bag = open_bag(options.bag, options.topic)
    with new_report(options.out, [options.bag, *_inputs(options, parameters)]) as folder:
        files = show(bag, folder, options.bag.name, _session_options(options, parameters))
    tell(files, options.out)


def _session_options(options: argparse.Namespace, parameters: Mapping[str, Any]):
    from vl4ad_ros.node.session import SessionOptions
    lockstep = getattr(options, 'lockstep', False)
    return SessionOptions(parameters['model.bundle'], options.rate or (None if lockstep else 1.0),
                          lockstep, parameters)


def _parameters(options: argparse.Namespace) -> dict[str, Any]:
    """
    Return the node's parameters as `--params` and `--bundle` give them, checked, by name.

    :raises ParameterError: if the file cannot be read or has a value that the node would refuse.
    """
    from vl4ad_ros.settings import read_parameter_file, ROWS, Settings, unknown_names
    given = read_parameter_file(options.params) if getattr(options, 'params', None) else {}
    for sentence in unknown_names(given):
        print(f'vl4ad: warning: {sentence}', file=sys.stderr)
    values = {name: value for name, value in given.items() if name in ROWS}
    if options.bundle is not None:
        values['model.bundle'] = options.bundle
    bundle = Settings().changed(values).model_bundle
    # An absolute path means the same in another process.
    return {**values, 'model.bundle': bundle if bundle == 'tiny' else str(Path(bundle).absolute())}


def _inputs(options: argparse.Namespace, parameters: Mapping[str, Any]) -> list[Path]:
    """Return what a replay reads beside its recording."""
    params = getattr(options, 'params', None)
    bundle = parameters['model.bundle']
    return [*([params] if params else []), *([Path(bundle)] if bundle != 'tiny' else [])]


def _add_bag_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('bag', type=Path, metavar='BAG',
                        help='rosbag2 folder, or a single .mcap or .db3 file')
    parser.add_argument('--topic', metavar='T', help='image topic, if there are several')


def _add_evaluate(parser: argparse.ArgumentParser) -> None:
    _add_bag_arguments(parser)
    _add_bundle_argument(parser)
    _add_params_argument(parser)


def _evaluate(options: argparse.Namespace) -> None:
    from tqdm import tqdm
    from vl4ad_ros.evaluation.offline import evaluate
    from vl4ad_ros.node.session import open_bag
    from vl4ad_ros.runtime.detector import Detector
    from vl4ad_ros.settings import Settings
    settings = Settings().changed(_parameters(options))
    bag = open_bag(options.bag, options.topic)
    detector = Detector.open(settings.model_bundle, settings.model_backend,
                             settings.backend_options)
    try:
        with tqdm(total=len(bag.times_ns), unit='frame', disable=None, leave=False) as bar:
            metrics = evaluate(bag, detector, settings, lambda *_: bar.update())
    finally:
        detector.close()
    print(json.dumps(metrics, indent=2))


def _add_bag_from_video(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('video', type=Path, metavar='VIDEO')
    parser.add_argument('--out', type=Path, required=True, metavar='BAG', help='bag to write')
    parser.add_argument('--storage', choices=('mcap', 'sqlite3'), default='mcap')
    parser.add_argument('--compressed', action='store_true', help='JPEG instead of raw rgb8')
    parser.add_argument('--fps', type=_positive, metavar='F',
                        help="frames per second to keep (default: the video's own)")
    parser.add_argument('--max-seconds', type=_positive, metavar='S', help='stop after so long')


def _bag_from_video(options: argparse.Namespace) -> None:
    from tqdm import tqdm
    from vl4ad_ros.evaluation.video_bag import write_video_bag
    with tqdm(unit='frame', disable=None, leave=False) as bar:
        count = write_video_bag(options.video, options.out, options.storage, options.compressed,
                                options.fps, options.max_seconds, bar.update)
    print(f'{options.out}: {count} frames; play it with: vl4ad replay {options.out}')


def _elsewhere(module: str, help_line: str) -> Verb:
    """Return a verb whose module has `add_arguments(parser)` and `run(args)`."""
    def add_arguments(parser: argparse.ArgumentParser) -> None:
        importlib.import_module(module).add_arguments(parser)

    def run(options: argparse.Namespace) -> int | None:
        return importlib.import_module(module).run(options)

    return Verb(help_line, add_arguments, run)


VERBS = {
    'demo': Verb(
        'replay a drawn drive through the node, then change its prompts, and report', _add_demo,
        _demo),
    'replay': Verb('replay a camera bag through the node and report', _add_replay, _replay),
    'evaluate': Verb('score every frame of a bag offline; prints JSON', _add_evaluate,
                     _evaluate),
    'bag-from-video': Verb('turn a video file into a camera bag', _add_bag_from_video,
                           _bag_from_video),
    'scenes': _elsewhere('vl4ad_ros.scenes.cli', 'draw synthetic drives with ground truth'),
    'convert': _elsewhere('vl4ad_ros.network.convert',
                          'turn an official FC-CLIP checkpoint into a bundle'),
    'export': _elsewhere('vl4ad_ros.network.reexport',
                         'write the network in another precision, form or size'),
    'build': _elsewhere('vl4ad_ros.runtime.engines.command',
                        'build, list or prune engines for a GPU'),
    'bench': _elsewhere('vl4ad_ros.evaluation.bench',
                        'measure how long a frame takes on each backend'),
    'vocabulary': _elsewhere('vl4ad_ros.evaluation.vocabulary_report',
                             'show or check lists of words by name or file'),
    'train': _elsewhere('vl4ad_ros.training.cli',
                        'train the tiny model from nothing, or a decoder on real data'),
}


if __name__ == '__main__':
    sys.exit(main())
