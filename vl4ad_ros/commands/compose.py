# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The verb `vl4ad compose`: pastes objects into a recording of a road, with ground truth."""

from __future__ import annotations

import argparse
from pathlib import Path
from tempfile import TemporaryDirectory

from tqdm import tqdm

from vl4ad_ros.commands import Verb
from vl4ad_ros.commands.arguments import (
    add_bag_arguments, at_least_one, count, positive, warn)
from vl4ad_ros.commands.recordings import finished, open_recording
from vl4ad_ros.composing.composed_bag import refuse_output, Sight, write_composed_bag
from vl4ad_ros.composing.objects import read_objects, RoadObject, SHIPPED
from vl4ad_ros.composing.planning import ComposeOptions, make_plan, Plan
from vl4ad_ros.evaluation.bag_reader import BagError, BagFrame, CameraBag


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    add_bag_arguments(parser)
    parser.add_argument('--out', type=Path, required=True, metavar='BAG',
                        help='folder of the bag to write; it must not exist yet')
    parser.add_argument('--objects', type=Path, default=SHIPPED, metavar='DIR',
                        help='folder with PNG files of objects and objects.yaml (default: '
                        'drawings of six anomalies and three known things)')
    parser.add_argument('--seed', type=count, default=0, metavar='N',
                        help='another seed chooses other objects and places (default: 0)')
    number = parser.add_mutually_exclusive_group()
    number.add_argument('--spacing', type=positive, default=25.0, metavar='M',
                        help='metres between two objects along the way (default: 25)')
    number.add_argument('--count', type=at_least_one, metavar='N',
                        help='number of objects, instead of --spacing')
    parser.add_argument('--camera-height', type=positive, metavar='M',
                        help='metres from the ground to the camera (default: a guess)')
    parser.add_argument('--focal', type=positive, metavar='PX',
                        help='focal length in pixels (default: CameraInfo, else a guess)')
    parser.add_argument('--horizon', type=float, metavar='ROW',
                        help='row of the horizon in pixels from the upper border (default: a '
                        'guess from the lines of the road)')
    parser.add_argument('--speed', type=positive, metavar='M_PER_S',
                        help='speed in metres per second (default: odometry, else a guess)')


def run(options: argparse.Namespace) -> int:
    """
    Write the bag, and print what was guessed and which objects came into sight.

    :param options: the arguments that `add_arguments` has declared.
    :returns: 0 if enough frames could be used, else 1.
    :raises ObjectError: if the objects cannot be used.
    :raises OutputError: if the bag exists already or could overwrite an input.
    :raises VideoError: if the video cannot be read.
    :raises BagError: if the recording cannot be used.
    """
    objects = read_objects(options.objects)
    refuse_output(options.out, [options.bag, options.objects,
                                *([options.labels] if options.labels else [])])
    with TemporaryDirectory(prefix='vl4ad_') as folder:
        bag = open_recording(options.bag, Path(folder), options)
        return 0 if _compose(bag, objects, options) else 1


def _compose(bag: CameraBag, objects: tuple[RoadObject, ...],
             options: argparse.Namespace) -> bool:
    """Write the bag, and return whether enough frames could be used."""
    warned = len(bag.notes)
    plan = make_plan(bag, objects, ComposeOptions(
        options.seed, options.spacing, options.count, options.focal, options.horizon,
        options.camera_height, options.speed))
    for note in plan.notes:
        print(f'  {note}', flush=True)
    refused: list[BagError] = []
    with tqdm(total=len(bag.times_ns), unit='frame', disable=None, leave=False) as bar:
        def refuse(frame: BagFrame, error: BagError) -> None:
            bar.update()
            refused.append(error)
        sights = write_composed_bag(plan, options.out, lambda frame, composed: _advance(bar),
                                    refuse)
    if refused:
        warn(f'{len(refused)} of {len(bag.times_ns)} frames could not be decoded and are left '
             f'out; the first: {refused[0]}')
    _print_sights(plan, sights)
    used = len(bag.times_ns) - len(refused)
    print(f'{options.out}: {used} frames; evaluate it with: vl4ad evaluate {options.out}')
    return finished(str(options.bag), bag, used, bag.labelled_count if bag.has_truth else None,
                    warned, options)


def _print_sights(plan: Plan, sights: list[Sight]) -> None:
    for sight in sights:
        thing = sight.placed.thing
        print(f'{sight.first_s:7.1f} s to {sight.last_s:5.1f} s, {sight.first_m:3.0f} m to '
              f'{sight.last_m:3.0f} m: #{sight.placed.number} {thing.name}'
              + ' (known)' * thing.known)
    unseen = len(plan.placed) - len(sights)
    if unseen:
        warn(f'{unseen} of {len(plan.placed)} objects never came into sight')


def _advance(bar: tqdm) -> None:
    bar.update()


VERB = Verb(add_arguments, run)
