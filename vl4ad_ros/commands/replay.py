# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The verb `vl4ad replay`: plays recordings through the node and writes a report on each."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
import json
from pathlib import Path
import re
import sys
from typing import Any, TYPE_CHECKING

from vl4ad_ros.commands import Verb
from vl4ad_ros.commands.arguments import (
    add_bag_arguments, add_bundle_argument, add_params_argument, add_replay_arguments, cameras_of,
    node_parameters, of_camera, replay_inputs)
from vl4ad_ros.commands.recordings import finished, needs_conversion, open_recording
from vl4ad_ros.evaluation.bag_reader import BagError
from vl4ad_ros.evaluation.recording_result import merged, RecordingResult
from vl4ad_ros.evaluation.video_file import VideoError
from vl4ad_ros.outputs import beside

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
    names in it; one that cannot be read does not stop the others.

    :param options: the arguments that `add_arguments` has declared.
    :returns: 0 if each recording could be read and enough of its frames could be used, else 1.
    """
    parameters = node_parameters(options)
    options = of_camera(options, cameras_of(options)[0])
    if len(options.bags) == 1:
        return 0 if _replay(options.bags[0], options.out, options, parameters).enough else 1
    results = [_replay_or_fail(recording, out, options, parameters)
               for recording, out in zip(options.bags, _folders(options.bags, options.out))]
    summary = options.out / SUMMARY
    with beside(summary) as path:
        path.write_text(json.dumps(merged(results), indent=2))
    failed = sum('error' in result.figures for result in results)
    print(f'replayed {len(results) - failed} of {len(results)} recordings; the figures of all are '
          f'in {summary}')
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
                    parameters: Mapping[str, Any]) -> RecordingResult:
    try:
        return _replay(recording, out, options, parameters)
    except (BagError, VideoError) as error:
        print(f'vl4ad: error: {error}', file=sys.stderr)
        return RecordingResult.failed(str(recording), str(error))


def _replay(recording: Path, out: Path, options: argparse.Namespace,
            parameters: Mapping[str, Any]) -> RecordingResult:
    """Replay one recording and write its report; the result has no counters of pixels."""
    from vl4ad_ros.replay.replay_and_report import new_report, print_files, replay_and_report
    # A bag that cannot be used is refused before a folder is made.
    bag = None if needs_conversion(recording) else open_recording(recording, out, options)
    inputs = [recording, *([options.labels] if options.labels else []),
              *replay_inputs(options, parameters)]
    with new_report(out, inputs) as folder:
        # The bag of a video does not belong to the report, so it is removed in the end.
        bag = bag or open_recording(recording, folder / 'frames', options)
        warned = len(bag.notes)
        files = replay_and_report(bag, folder, recording.name,
                                  session_options(options, parameters))
        metrics = json.loads(files['metrics'].read_text())
    print_files(files, out)
    used = metrics['frames_recorded'] - metrics.get('frames_lost', 0) - metrics['frames_refused']
    return RecordingResult(str(recording), metrics, enough=finished(
        str(recording), bag, used, metrics.get('frames_labelled'), warned, options))


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
