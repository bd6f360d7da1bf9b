# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The verb `vl4ad replay`: plays a bag or a video through the node and writes a report."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
import json
from typing import Any, TYPE_CHECKING

from vl4ad_ros.commands import Verb
from vl4ad_ros.commands.arguments import (
    add_bag_arguments, add_bundle_argument, add_params_argument, add_replay_arguments,
    node_parameters, replay_inputs)

if TYPE_CHECKING:
    from vl4ad_ros.replay.session import SessionOptions


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    add_bag_arguments(parser)
    add_bundle_argument(parser)
    add_replay_arguments(parser, 'out/replay')
    add_params_argument(parser)
    parser.add_argument('--lockstep', action='store_true',
                        help='send each frame after the answer to the one before, so that no '
                        'frame is dropped and the results do not depend on the speed of the '
                        'machine')


def run(options: argparse.Namespace) -> int:
    """Replay the recording, print where the report is, and return 0 if it used enough frames."""
    from vl4ad_ros.commands.recordings import finished, needs_conversion, open_recording
    from vl4ad_ros.replay.replay_and_report import new_report, print_files, replay_and_report
    parameters = node_parameters(options)
    # A bag that cannot be used is refused before a folder is made.
    bag = (None if needs_conversion(options.bag)
           else open_recording(options.bag, options.out, options))
    inputs = [options.bag, *([options.labels] if options.labels else []),
              *replay_inputs(options, parameters)]
    with new_report(options.out, inputs) as folder:
        # The bag of a video does not belong to the report, so it is removed in the end.
        bag = bag or open_recording(options.bag, folder / 'frames', options)
        warned = len(bag.notes)
        files = replay_and_report(bag, folder, options.bag.name,
                                  session_options(options, parameters))
        metrics = json.loads(files['metrics'].read_text())
    print_files(files, options.out)
    used = metrics['frames_recorded'] - metrics.get('frames_lost', 0) - metrics['frames_refused']
    return 0 if finished(str(options.bag), bag, used, metrics.get('frames_labelled'), warned,
                         options) else 1


def session_options(options: argparse.Namespace, parameters: Mapping[str, Any]) -> SessionOptions:
    """
    Return how a bag is replayed.

    :param options: parsed arguments of a verb that called `add_replay_arguments`.
    :param parameters: parameters of the node, with `model.bundle`.
    """
    from vl4ad_ros.replay.session import SessionOptions
    lockstep = getattr(options, 'lockstep', False)
    return SessionOptions(parameters['model.bundle'], options.rate or (None if lockstep else 1.0),
                          lockstep, parameters, max_gap_s=options.max_gap)


VERB = Verb(add_arguments, run)
