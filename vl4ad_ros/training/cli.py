# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""`vl4ad train`: the tiny model from nothing, or the decoder on real data."""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

from vl4ad_ros.training.drawn.pipeline import train_drawn
from vl4ad_ros.training.drawn.recipe import RECIPES


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `vl4ad train`."""
    parser.add_argument('--config', choices=sorted(RECIPES), default='tiny')
    parser.add_argument('--work', type=Path, default=None,
                        help='folder of pictures, features and checkpoints (about 4 GB), where a '
                             'stopped training resumes; default out/train-CONFIG')
    parser.add_argument('--out', type=Path, default=None,
                        help='folder of the bundle; default WORK/bundle')
    parser.add_argument('--device', default='cuda' if torch.cuda.is_available() else 'cpu')
    parser.add_argument('--short', type=int, default=1, metavar='N',
                        help='divide pictures and steps by N, to try the pipeline out')


def run(args: argparse.Namespace) -> int:
    """Train what the configuration names."""
    work = args.work or Path('out') / f'train-{args.config}'
    train_drawn(args.config, work, args.out or work / 'bundle', torch.device(args.device),
                args.short)
    return 0
