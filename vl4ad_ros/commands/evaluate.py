# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The verb `vl4ad evaluate`: score every frame of a recording offline and print JSON."""

from __future__ import annotations

import argparse
import json

from tqdm import tqdm

from vl4ad_ros.commands import Verb
from vl4ad_ros.commands.arguments import (
    add_bag_arguments, add_bundle_argument, add_params_argument, node_parameters)
from vl4ad_ros.evaluation.bag_reader import CameraBag
from vl4ad_ros.evaluation.offline import evaluate
from vl4ad_ros.inference.detector import Detector
from vl4ad_ros.settings import Settings


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    add_bag_arguments(parser)
    add_bundle_argument(parser)
    add_params_argument(parser)


def run(options: argparse.Namespace) -> None:
    """Evaluate the recording and print its figures."""
    settings = Settings().changed(node_parameters(options))
    bag = CameraBag(options.bag, options.topic)
    detector = Detector.open(settings.model_bundle, settings.model_backend,
                             settings.backend_options)
    try:
        with tqdm(total=len(bag.times_ns), unit='frame', disable=None, leave=False) as bar:
            metrics = evaluate(bag, detector, settings, lambda *_: bar.update())
    finally:
        detector.close()
    print(json.dumps(metrics, indent=2))


VERB = Verb(add_arguments, run)
