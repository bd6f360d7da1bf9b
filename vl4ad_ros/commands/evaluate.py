# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The verb `vl4ad evaluate`: evaluates every frame of a recording offline and prints JSON."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
import sys
from tempfile import TemporaryDirectory

from tqdm import tqdm

from vl4ad_ros.commands import Verb
from vl4ad_ros.commands.arguments import (
    add_bag_arguments, add_bundle_argument, add_params_argument, node_parameters)
from vl4ad_ros.commands.recordings import bag_of_video
from vl4ad_ros.evaluation.bag_reader import BagError, BagFrame, CameraBag
from vl4ad_ros.evaluation.offline import evaluate
from vl4ad_ros.evaluation.video_bag import is_video
from vl4ad_ros.inference.detector import Detector
from vl4ad_ros.obstacles.pipeline import Result
from vl4ad_ros.settings import Settings


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    add_bag_arguments(parser)
    add_bundle_argument(parser)
    add_params_argument(parser)


def run(options: argparse.Namespace) -> None:
    """Evaluate the recording and print its figures, and a warning if frames were refused."""
    settings = Settings().changed(node_parameters(options))
    with TemporaryDirectory(prefix='vl4ad_') as folder:
        _evaluate(bag_of_video(options.bag, Path(folder), options.topic)
                  if is_video(options.bag) else CameraBag(options.bag, options.topic), settings)


def _evaluate(bag: CameraBag, settings: Settings) -> None:
    refused: list[BagError] = []
    detector = Detector.open(settings.model_bundle, settings.model_backend,
                             settings.backend_options)
    try:
        with tqdm(total=len(bag.times_ns), unit='frame', disable=None, leave=False) as bar:
            def processed(frame: BagFrame, result: Result) -> None:
                bar.update()

            def refuse(frame: BagFrame, error: BagError) -> None:
                bar.update()
                refused.append(error)
            metrics = evaluate(bag, detector, settings, processed, refuse)
    finally:
        detector.close()
    if refused:
        print(f'vl4ad: warning: {len(refused)} of {len(bag.times_ns)} frames were refused, as the '
              f'node refuses them; the first: {refused[0]}', file=sys.stderr)
    print(json.dumps(metrics, indent=2))


VERB = Verb(add_arguments, run)
