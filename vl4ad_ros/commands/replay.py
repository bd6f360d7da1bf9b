# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The verb `vl4ad replay`: plays recordings through the node and writes a report on each."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
import json
from pathlib import Path
import re
import sys
from typing import Any, TYPE_CHECKING

from vl4ad_ros.commands import Verb
from vl4ad_ros.commands.arguments import (
    add_bag_arguments, add_bundle_argument, add_params_argument, add_replay_arguments,
    cameras_of, CameraTopic, node_parameters, of_camera, replay_inputs)
from vl4ad_ros.commands.recordings import finished, needs_conversion, open_recording
from vl4ad_ros.evaluation.bag_reader import BagError
from vl4ad_ros.evaluation.recording_result import merged, RecordingResult
from vl4ad_ros.evaluation.video_file import VideoError
from vl4ad_ros.outputs import beside
from vl4ad_ros.settings import Settings

if TYPE_CHECKING:
    from vl4ad_ros.replay.session import SessionOptions

SUMMARY = 'summary.json'
"""File with the figures of several recordings, beside the folders of their reports."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    add_bag_arguments(parser, several=True)
    add_bundle_argument(parser)
    add_replay_arguments(parser, 'out/replay')
    add_params_argument(parser)
    parser.add_argument('--lockstep', action='store_true',
                        help='send each frame after the answer to the one before, so that no '
                        'frame is dropped and the results do not depend on the speed of the '
                        'machine')
    parser.add_argument('--namespace', type=_namespace, metavar='NAME',
                        help='namespace of the node, its topics and its clock, so that other '
                        'programs find them in the ROS_DOMAIN_ID that is set (default: one that '
                        'no other replay has)')


def run(options: argparse.Namespace) -> int:
    """
    Replay the recordings one after another, and print where the reports are.

    The report of one recording is in the folder `--out`. Those of several are in folders of their
    names in it; one that cannot be read does not stop the others. The reports of several cameras
    are in folders of their names in that of the recording.

    :param options: the arguments that `add_arguments` has declared.
    :returns: 0 if each recording could be read and enough of its frames could be used, else 1.
    """
    parameters = node_parameters(options)
    cameras = cameras_of(options)
    if len(options.bags) == len(cameras) == 1:
        result, = replay_recording(options.bags[0], options.out, options, parameters)
        return 0 if result.enough else 1
    folders = [options.out] if len(options.bags) == 1 else _folders(options.bags, options.out)
    results = [result for recording, out in zip(options.bags, folders)
               for result in _replay_or_fail(recording, out, options, parameters)]
    summary = options.out / SUMMARY
    with beside(summary) as path:
        path.write_text(json.dumps(merged(results), indent=2))
    failed = sum('error' in result.figures for result in results)
    what = 'cameras' if len(cameras) > 1 else 'recordings'
    print(f'replayed {len(results) - failed} of {len(results)} {what}; the figures of all are in '
          f'{summary}')
    return 0 if all(result.enough for result in results) else 1


def _namespace(text: str) -> str:
    """Convert the text of an argument to a full namespace such as ``/replay`` (for `type=`)."""
    name = f"/{text.strip('/')}"
    if not re.fullmatch(r'(/[A-Za-z_]\w*)+', name, re.ASCII):
        raise argparse.ArgumentTypeError(f"'{text}' is not a ROS namespace; expected letters, "
                                         'digits and underscores, such as replay')
    return name


def _folders(recordings: Sequence[Path], out: Path) -> list[Path]:
    """Return the folder of each report; a name that comes again gets a number."""
    folders: list[Path] = []
    for recording in recordings:
        name = recording.resolve().name or 'recording'
        number = 1
        while (folder := out / (name if number == 1 else f'{name}_{number}')) in folders:
            number += 1
        folders.append(folder)
    return folders


def _replay_or_fail(recording: Path, out: Path, options: argparse.Namespace,
                    parameters: Mapping[str, Any]) -> list[RecordingResult]:
    try:
        return replay_recording(recording, out, options, parameters)
    except (BagError, VideoError) as error:
        print(f'vl4ad: error: {error}', file=sys.stderr)
        return [RecordingResult.failed(str(recording), str(error))]


def replay_recording(recording: Path, out: Path, options: argparse.Namespace,
                     parameters: Mapping[str, Any]) -> list[RecordingResult]:
    """
    Replay one recording and write the report of each camera.

    :param recording: a bag, a video or a folder of images.
    :param out: folder of the report; those of several cameras are in folders in it.
    :param options: parsed arguments of a verb that called `add_bag_arguments` and
        `add_replay_arguments`.
    :param parameters: parameters of the node, with `model.bundle`.
    :returns: a result for each camera; they have no counters of pixels.
    :raises BagError: if the recording cannot be used.
    :raises VideoError: if it is a video that cannot be read.
    """
    from vl4ad_ros.replay.replay_and_report import (
        new_report, Part, print_files, replay_cameras_and_report)
    cameras = cameras_of(options)
    several = len(cameras) > 1
    if several and needs_conversion(recording):
        raise BagError(f"'{recording}' has one camera only; give --topic once or not at all")
    outs = [out / camera.camera if several else out for camera in cameras]
    own = [of_camera(options, camera) for camera in cameras]
    # A bag that cannot be used is refused before a folder is made.
    bags = [] if needs_conversion(recording) else [
        open_recording(recording, out, one) for one in own]
    inputs = [recording, *([options.labels] if options.labels else []),
              *replay_inputs(options, parameters)]
    with ExitStack() as stack:
        folders = [stack.enter_context(new_report(out, inputs)) for out in outs]
        # The bag of a video does not belong to the report, so it is removed in the end.
        bags = bags or [open_recording(recording, folders[0] / 'frames', own[0])]
        warned = [len(bag.notes) for bag in bags]
        written = replay_cameras_and_report(
            [Part(bag, folder, recording.name, camera.camera if several else '')
             for bag, folder, camera in zip(bags, folders, cameras)],
            session_options(own[0], _parameters_of(cameras, parameters)))
        figures = [json.loads(files['metrics'].read_text()) for files in written]
    results = []
    for bag, before, metrics, files, place in zip(bags, warned, figures, written, outs):
        print_files(files, place)
        used = (metrics['frames_recorded'] - metrics.get('frames_lost', 0)
                - metrics['frames_refused'])
        results.append(RecordingResult(str(recording), metrics, enough=finished(
            str(recording), bag, used, metrics.get('frames_labelled'), before, options),
            name=f'{recording.name}_{place.name}' if several else ''))
    return results


def _parameters_of(cameras: Sequence[CameraTopic],
                   parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters of the node; if there is one camera, with its own values."""
    if len(cameras) > 1 or not cameras[0].camera:
        return dict(parameters)
    settings = Settings().changed(parameters)
    own = {name: value for camera, name, value in settings.own if camera == cameras[0].camera}
    return {**parameters, **own}


def session_options(options: argparse.Namespace, parameters: Mapping[str, Any]) -> SessionOptions:
    """
    Return how a bag is replayed.

    :param options: parsed arguments of a verb that called `add_replay_arguments`.
    :param parameters: parameters of the node, with `model.bundle`.
    """
    from vl4ad_ros.replay.session import SessionOptions
    lockstep = getattr(options, 'lockstep', False)
    return SessionOptions(parameters['model.bundle'], options.rate or (None if lockstep else 1.0),
                          lockstep, parameters, max_gap_s=options.max_gap,
                          namespace=getattr(options, 'namespace', None) or '')


VERB = Verb(add_arguments, run)
