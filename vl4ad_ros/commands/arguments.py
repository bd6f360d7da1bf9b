# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The arguments that several verbs share, and the functions that read them."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
import sys
from typing import Any, NamedTuple, TYPE_CHECKING

from vl4ad_ros.bundle.installed import DEFAULT, is_name

if TYPE_CHECKING:
    from vl4ad_ros.evaluation.bag_reader import LabelOptions, Span
    from vl4ad_ros.evaluation.label_map import LabelMap

MAX_GAP_S = 2.0
"""Default of `--max-gap`, in seconds of recorded time."""
SKIP_BAD = 10
"""Default of `--skip-bad`: single damaged frames are usual, many are not."""


def positive(text: str) -> float:
    """Convert the text of an argument to a finite number above 0 (for `type=`)."""
    value = float(text)
    if not 0 < value < float('inf'):
        raise argparse.ArgumentTypeError(f"'{text}' is not a finite number above 0")
    return value


def warn(sentence: str) -> None:
    """Print a warning on stderr."""
    print(f'vl4ad: warning: {sentence}', file=sys.stderr)


def not_negative(text: str) -> float:
    """Convert the text of an argument to a finite number of at least 0 (for `type=`)."""
    value = float(text)
    if not 0 <= value < float('inf'):
        raise argparse.ArgumentTypeError(f"'{text}' is not a finite number of at least 0")
    return value


def count(text: str) -> int:
    """Convert the text of an argument to a whole number of at least 0 (for `type=`)."""
    value = int(text)
    if value < 0:
        raise argparse.ArgumentTypeError(f"'{text}' is not a whole number of at least 0")
    return value


def at_least_one(text: str) -> int:
    """Convert the text of an argument to a whole number from 1 on (for `type=`)."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"'{text}' is below 1")
    return value


class CameraTopic(NamedTuple):
    """
    A camera in a recording.

    :ivar camera: its name, by which it is told from others; '' for the only one.
    :ivar topic: its image topic; None for the only one in the recording.
    """

    camera: str = ''
    topic: str | None = None


def camera_topic(text: str) -> CameraTopic:
    """
    Convert ``TOPIC`` or ``CAMERA=TOPIC`` to a camera (for `type=`).

    Without a name, the last part of the topic that is not a usual name of an image gives one:
    `front` for `/sensing/camera/front/image_raw/compressed`.
    """
    name, given, topic = text.rpartition('=')
    if not topic or given and not name:
        raise argparse.ArgumentTypeError(f"'{text}' is not a topic and not CAMERA=TOPIC")
    if not given:
        parts = [part for part in topic.split('/')
                 if part and part != 'compressed' and not part.startswith('image')]
        name = parts[-1] if parts else 'image'
    return CameraTopic(name, topic)


def cameras_of(options: argparse.Namespace) -> list[CameraTopic]:
    """
    Return the cameras that `--topic` chooses; the only one has no name, unless it was given one.

    :param options: parsed arguments of a verb that called `add_bag_arguments` with `several`.
    :raises ValueError: if two cameras have the same name.
    """
    chosen: list[CameraTopic] = options.topics or [CameraTopic()]
    names = [camera.camera for camera in chosen]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"two image topics have the name '{name}'; give each a name of its "
                             f'own, such as --topic {name}_2={chosen[-1].topic}')
    return chosen


def of_camera(options: argparse.Namespace, camera: CameraTopic) -> argparse.Namespace:
    """
    Return the arguments for one camera: `topic` and, if there are several cameras, `camera`.

    :param options: parsed arguments of a verb that called `add_bag_arguments` with `several`.
    :param camera: one of `cameras_of`.
    """
    several = len(options.topics or ()) > 1
    return argparse.Namespace(**{**vars(options), 'topic': camera.topic,
                                 'camera': camera.camera if several else ''})


def add_worker_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments that say where several recordings are evaluated at the same time."""
    group = parser.add_argument_group('several recordings at once')
    where = group.add_mutually_exclusive_group()
    where.add_argument('--workers', type=at_least_one, default=1, metavar='N',
                       help='evaluate N recordings at a time, each in a process of its own with '
                       'a model of its own and model.threads threads (default: 1)')
    where.add_argument('--ray', metavar='ADDRESS',
                       help='evaluate the recordings on the Ray cluster at ADDRESS, such as '
                       "ray://head:10001; 'local' starts one on this machine; needs pip install "
                       'ray, and the recordings and the bundle at the same paths on every machine')


def add_bag_arguments(parser: argparse.ArgumentParser, several: bool = False) -> None:
    """
    Add the arguments for a recording: its image topic, a part of it, and its ground truth.

    :param parser: the parser of the verb.
    :param several: whether the verb takes several recordings; they are `bags` then, else `bag`.
    """
    what = 'a rosbag2 folder, a .mcap, .db3 or ROS 1 .bag file, a video, or a folder of images'
    if several:
        parser.add_argument('bags', type=Path, nargs='+', metavar='RECORDING', help=what)
    else:
        parser.add_argument('bag', type=Path, metavar='RECORDING', help=what)
    group = parser.add_argument_group('recording')
    if several:
        group.add_argument('--topic', metavar='[CAMERA=]T', type=camera_topic, action='append',
                           dest='topics', help='image topic; needed only if the recording has '
                           'more than one camera; give it again for each further camera, whose '
                           'parameters are found by the name CAMERA')
    else:
        group.add_argument('--topic', metavar='T', help='image topic; needed only if the '
                           'recording has more than one camera')
    group.add_argument('--start', type=not_negative, default=0.0, metavar='S',
                       help='begin S seconds after the first frame')
    group.add_argument('--duration', type=positive, metavar='S', help='read S seconds only')
    group.add_argument('--skip-bad', type=count, default=SKIP_BAD, metavar='N',
                       help='accept up to N frames that cannot be used; the exit status is 1 if '
                       'there are more (default: %(default)s)')
    group.add_argument('--min-frames', type=count, metavar='N',
                       help='the exit status is 1 if fewer frames could be used (default: all '
                       'but those of --skip-bad)')
    truth = parser.add_argument_group('ground truth')
    truth.add_argument('--labels', type=Path, metavar='PATH',
                       help='a folder of label images named as the images or by their stamps, or '
                       'a YAML file with boxes in windows of time; replaces the topics')
    truth.add_argument('--label-topic', metavar='T', help='topic of the labels (default: '
                       '/ground_truth/anomaly; of several cameras /ground_truth/CAMERA/anomaly)')
    truth.add_argument('--object-topic', metavar='T', help='topic of the object ids (default: '
                       'object_id beside anomaly)')
    truth.add_argument('--label-map', type=label_map, metavar='MAP',
                       help='meaning of the values of the labels: 0 (normal), 1 (anomalous) or '
                       '255 (ignored), such as 0:0,2-200:1,255:255')


def label_map(text: str) -> LabelMap:
    """Convert the text of an argument to a label map (for `type=`)."""
    from vl4ad_ros.evaluation.label_map import LabelMap, LabelMapError
    try:
        return LabelMap.parse(text)
    except LabelMapError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def span(options: argparse.Namespace) -> Span:
    """Return the part of the recording that `--start` and `--duration` choose."""
    from vl4ad_ros.evaluation.bag_reader import Span
    return Span(options.start, options.duration)


def label_options(options: argparse.Namespace) -> LabelOptions:
    """
    Return where the ground truth is.

    :param options: parsed arguments of a verb that called `add_bag_arguments`.
    :raises ValueError: if the path of `--labels` does not exist.
    """
    from vl4ad_ros.evaluation.bag_reader import LabelOptions
    if options.labels and not options.labels.exists():
        raise ValueError(f"no ground truth at '{options.labels}'; expected a folder of label "
                         'images or a YAML file')
    given = {'path': options.labels, 'label_topic': options.label_topic,
             'object_topic': options.object_topic, 'label_map': options.label_map,
             'camera': getattr(options, 'camera', None)}
    return LabelOptions(**{name: value for name, value in given.items() if value is not None})


def add_bundle_argument(
        parser: argparse.ArgumentParser,
        default: str = f"model.bundle of --params where there is one, else '{DEFAULT}'") -> None:
    """
    Add `--bundle`, which replaces `model.bundle` of a parameter file.

    :param parser: the parser of the verb.
    :param default: what is used without the argument, for the help text.
    """
    parser.add_argument('--bundle', metavar='B',
                        help='model bundle: the name of an installed one or a folder (default: '
                        f'{default})')


def add_params_argument(parser: argparse.ArgumentParser) -> None:
    """Add `--params`, the parameter file of the node."""
    parser.add_argument('--params', type=Path, metavar='FILE',
                        help='parameter file (YAML) of the node on the vehicle')


def add_replay_arguments(parser: argparse.ArgumentParser, out: str) -> None:
    """
    Add the arguments of every verb that replays a bag through the node, except `--bundle`.

    :param parser: the parser of the verb.
    :param out: default folder of the report.
    """
    parser.add_argument('--rate', type=positive, metavar='R',
                        help='speed of the replay; 1 is the speed of the recording (default: 1; '
                        'with --lockstep as fast as the node answers)')
    parser.add_argument('--max-gap', type=positive, default=MAX_GAP_S, metavar='S',
                        help='shorten each pause of the recording to S seconds (default: '
                        '%(default)s)')
    parser.add_argument('--out', type=Path, default=Path(out), metavar='DIR',
                        help='folder of the report; an older report in it is replaced, and the '
                        'recording must not be in it (default: %(default)s)')


def node_parameters(options: argparse.Namespace) -> dict[str, Any]:
    """
    Return the parameters of the node that `--params` and `--bundle` give, by name, checked.

    A warning is printed for each name in the file that is not a parameter of the node.

    :param options: parsed arguments of a verb that called `add_bundle_argument`.
    :raises ParameterError: if the file cannot be read or has a value that the node would refuse.
    """
    from vl4ad_ros.settings import (
        OF_CAMERAS, read_parameter_file, ROWS, Settings, unknown_names)
    given = read_parameter_file(options.params) if getattr(options, 'params', None) else {}
    for sentence in unknown_names(given, given.get('cameras') or ()):
        warn(sentence)
    values = {name: value for name, value in given.items()
              if name in ROWS or name.partition('.')[2] in OF_CAMERAS}
    if options.bundle is not None:
        values['model.bundle'] = options.bundle
    bundle = Settings().changed(values).model_bundle
    # An absolute path means the same in another process.
    return {**values, 'model.bundle': bundle if is_name(bundle) else str(Path(bundle).absolute())}


def replay_inputs(options: argparse.Namespace, parameters: Mapping[str, Any]) -> list[Path]:
    """Return the files and folders that a replay reads in addition to its recording."""
    params = getattr(options, 'params', None)
    bundle = parameters['model.bundle']
    return [*([params] if params else []), *([Path(bundle)] if not is_name(bundle) else [])]
