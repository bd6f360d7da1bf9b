# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
The verb `vl4ad demo`: replay a drawn drive, change the prompts in a second one, and report.

With ``--video`` it replays a clip of the user instead, with ``--cameras 2`` two cameras at once.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from vl4ad_ros.bundle.installed import DEFAULT
from vl4ad_ros.commands import replay, Verb
from vl4ad_ros.commands.arguments import (
    add_bundle_argument, add_replay_arguments, CameraTopic, node_parameters, replay_inputs)
from vl4ad_ros.commands.replay import session_options

DRAWN = 'tiny'
"""Name of the bundle that was trained on drawings."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `vl4ad demo` to its parser."""
    add_bundle_argument(parser, f"'{DRAWN}', with --video '{DEFAULT}'")
    add_replay_arguments(parser, 'out/demo')
    parser.add_argument('--cameras', type=int, choices=(1, 2), default=1,
                        help='with 2, two cameras whose views overlap go through one node, '
                        'without the second part (default: %(default)s)')
    scene = parser.add_mutually_exclusive_group()
    scene.add_argument('--seed', type=int, metavar='N',
                       help='number from which the drive is drawn (default: 7)')
    scene.add_argument('--video', type=Path, metavar='FILE',
                       help='replay this video instead of the drawn drive, without its second '
                       'part')


def run(options: argparse.Namespace) -> int:
    """
    Replay both parts of the demo, two cameras, or the given video; print where the report is.

    :param options: the arguments that `add_arguments` has declared.
    :return: the exit status: 1 if frames of the given video could not be used.
    :raises SessionError: if the node fails.
    :raises ReportError: if the report cannot be written.
    :raises VideoError: if the given video cannot be read.
    """
    if options.video is not None:
        if options.cameras > 1:
            raise ValueError('--cameras is for the drawn drive, because a video has one camera')
        return replay.run(_replay_options(options, options.video))
    if options.bundle is None:
        options = argparse.Namespace(**{**vars(options), 'bundle': DRAWN})
    # Imported here, so that the help of the verb needs no ROS 2.
    from tqdm import tqdm
    from vl4ad_ros.evaluation import CameraBag
    from vl4ad_ros.replay.replay_and_report import new_report, print_files, replay_and_report
    from vl4ad_workshop.demo import sample_drive
    from vl4ad_workshop.demo.second_act import SCRIPT
    from vl4ad_workshop.demo.show_second_act import FILES, show_second_act
    from vl4ad_workshop.scenes.bag import TWO
    seed = sample_drive.SEED if options.seed is None else options.seed

    def draw(drawn: int, total: int) -> None:
        if not drawn:
            print(f'drawing {total} frames, which are kept for later runs', flush=True)
            bar.reset(total)
        bar.update(drawn - bar.n)

    parameters = node_parameters(options)
    if options.cameras > 1:
        with tqdm(unit='frame', disable=None, leave=False) as bar:
            bag = sample_drive.sample_drive(seed, draw, TWO)
        asked = _replay_options(options, bag)
        asked.topics = [CameraTopic(view.name, view.topic) for view in TWO]
        results = replay.replay_recording(
            bag, options.out, asked, {**parameters, **sample_drive.parameters_of(TWO)})
        return 0 if all(result.enough for result in results) else 1
    inputs = [sample_drive.cache_folder(), *replay_inputs(options, parameters)]
    with new_report(options.out, inputs, FILES) as folder:
        with tqdm(unit='frame', disable=None, leave=False) as bar:
            bag = sample_drive.sample_drive(seed, draw)
            scene = sample_drive.second_scene(SCRIPT, draw)
        limits = sample_drive.TRACK_LIMITS
        print('alerts are limited to obstacles on the road ahead that are detected in '
              f'{limits.confirm_hits} of {limits.confirm_window} frames')
        files = replay_and_report(
            CameraBag(bag), folder, f'Sample drive {seed}',
            session_options(options, {**parameters, **sample_drive.PARAMETERS}))
        files |= show_second_act(CameraBag(scene), folder, SCRIPT,
                                 session_options(options, parameters))
    print_files(files, options.out)
    return 0


def _replay_options(options: argparse.Namespace, recording: Path) -> argparse.Namespace:
    """Return the arguments with which `vl4ad replay` replays a recording as the demo does."""
    parser = argparse.ArgumentParser()
    replay.add_arguments(parser)
    return argparse.Namespace(**{**vars(parser.parse_args([str(recording)])), **vars(options)})


VERB = Verb(add_arguments, run)
