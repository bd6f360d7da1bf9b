# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The verb `vl4ad evaluate`: evaluates every frame of recordings offline and prints JSON."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
import sys
from tempfile import TemporaryDirectory
from typing import Any

from tqdm import tqdm

from vl4ad_ros.commands import Verb
from vl4ad_ros.commands.arguments import (
    add_bag_arguments, add_bundle_argument, add_params_argument, node_parameters)
from vl4ad_ros.commands.recordings import finished, open_recording
from vl4ad_ros.evaluation.bag_reader import BagError, BagFrame, CameraBag
from vl4ad_ros.evaluation.figures import totals
from vl4ad_ros.evaluation.offline import evaluate
from vl4ad_ros.evaluation.pixel_metrics import PixelMetrics
from vl4ad_ros.evaluation.video_file import VideoError
from vl4ad_ros.inference.detector import Detector
from vl4ad_ros.obstacles.pipeline import Result
from vl4ad_ros.settings import Settings


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    add_bag_arguments(parser, several=True)
    add_bundle_argument(parser)
    add_params_argument(parser)


def run(options: argparse.Namespace) -> int:
    """Evaluate the recordings, print their figures, and return 0 if enough frames were used."""
    settings = Settings().changed(node_parameters(options))
    bags: list[Path] = options.bags
    if len(bags) == 1:
        with TemporaryDirectory(prefix='vl4ad_') as folder:
            bag = open_recording(bags[0], Path(folder), options)
            detector = _detector(settings)
            try:
                metrics, enough = _evaluate(bags[0], bag, detector, settings, options, None)
            finally:
                detector.close()
        print(json.dumps(metrics, indent=2))
        return 0 if enough else 1
    return _run_several(bags, settings, options)


def _run_several(bags: list[Path], settings: Settings, options: argparse.Namespace) -> int:
    """Evaluate each recording by itself; one that cannot be read does not stop the others."""
    found: list[dict[str, Any]] = []
    pooled, all_enough = PixelMetrics(), True
    detector = _detector(settings)
    try:
        for path in bags:
            try:
                with TemporaryDirectory(prefix='vl4ad_') as folder:
                    bag = open_recording(path, Path(folder), options)
                    metrics, enough = _evaluate(path, bag, detector, settings, options, pooled)
            except (BagError, VideoError) as error:
                print(f'vl4ad: error: {error}', file=sys.stderr)
                metrics, enough = {'error': str(error)}, False
            found.append({'recording': str(path), **metrics})
            all_enough &= enough
    finally:
        detector.close()
    print(json.dumps({'recordings': found, 'total': totals(found, pooled.result())}, indent=2))
    return 0 if all_enough else 1


def _detector(settings: Settings) -> Detector:
    return Detector.open(settings.model_bundle, settings.model_backend, settings.backend_options)


def _evaluate(path: Path, bag: CameraBag, detector: Detector, settings: Settings,
              options: argparse.Namespace, pooled: PixelMetrics | None
              ) -> tuple[dict[str, Any], bool]:
    """Return the figures of a recording, and whether enough of its frames could be used."""
    refused: list[BagError] = []
    warned = len(bag.notes)
    with tqdm(total=len(bag.times_ns), unit='frame', disable=None, leave=False) as bar:
        def processed(frame: BagFrame, result: Result) -> None:
            bar.update()

        def refuse(frame: BagFrame, error: BagError) -> None:
            bar.update()
            refused.append(error)
        metrics = evaluate(bag, detector, settings, processed, refuse, pooled)
    if refused:
        print(f'vl4ad: warning: {len(refused)} of {len(bag.times_ns)} frames were refused, as the '
              f'node refuses them; the first: {refused[0]}', file=sys.stderr)
    return metrics, finished(str(path), bag, metrics['frames_processed'],
                             metrics.get('frames_labelled'), warned, options)


VERB = Verb(add_arguments, run)
