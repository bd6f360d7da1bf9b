# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""`vl4ad train` trains the tiny model on drawn pictures, or the decoder on a real data set."""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

from vl4ad_ros.bundle import Bundle
from vl4ad_ros.commands import Verb
from vl4ad_workshop.training.drawn.recipe import RECIPES
from vl4ad_workshop.training.real.config import config_text, shipped, TrainingConfig


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `vl4ad train`."""
    parser.add_argument('--config', default='tiny', metavar='C',
                        help=f'what to train: {", ".join(RECIPES)} (on drawn pictures), or on '
                        f'real data: {", ".join(shipped())}, or a YAML file '
                        '(default: %(default)s)')
    parser.add_argument('--work', type=Path, metavar='DIR',
                        help='folder of checkpoints, from which a stopped training continues '
                             '(default: out/train-CONFIG)')
    parser.add_argument('--device', default='cuda' if torch.cuda.is_available() else 'cpu',
                        help='PyTorch device (default: %(default)s)')
    real = parser.add_argument_group('with real data')
    real.add_argument('--set', action='append', default=[], metavar='KEY=VALUE',
                      help='override the configuration, such as optimiser.learning_rate=1e-5')
    real.add_argument('--show', action='store_true',
                      help='print the whole configuration and exit')
    drawn = parser.add_argument_group('with drawn pictures')
    drawn.add_argument('--out', type=Path, metavar='DIR',
                       help='folder of the bundle (default: WORK/bundle)')
    drawn.add_argument('--short', type=int, metavar='N',
                       help='divide the numbers of pictures and steps by N, for a trial run')
    drawn.add_argument('--seed', type=int, default=0, metavar='N',
                       help='of weights, pictures and batches; give each seed its own --work '
                            '(default: %(default)s)')
    drawn.add_argument('--image-tower', metavar='BUNDLE',
                       help="use the image tower of this bundle ('tiny' or a directory) instead "
                            'of training one; give it its own --work too')


def run(args: argparse.Namespace) -> None:
    """
    Train as the configuration says.

    :raises ValueError: for options that do not belong to the configuration.
    """
    drawn = args.config in RECIPES
    foreign = (['--set', '--show'] if drawn else
               ['--out', '--short', '--seed', '--image-tower'])
    for option in foreign:
        if getattr(args, option[2:].replace('-', '_')):
            raise ValueError(f'{option} has no effect with --config {args.config}; remove it')
    if args.show:
        print(config_text(args.config), end='')
        return
    work = args.work or Path('out') / f'train-{Path(args.config).stem}'
    # Imported here, because each kind of training needs libraries that the other does not.
    if drawn:
        from vl4ad_workshop.training.drawn.pipeline import train_drawn
        train_drawn(args.config, work, args.out or work / 'bundle', torch.device(args.device),
                    args.short or 1, args.seed,
                    args.image_tower and Bundle.open(args.image_tower))
        return
    config = TrainingConfig.load(args.config, args.set)
    from vl4ad_workshop.training.real.distribution import processes
    from vl4ad_workshop.training.real.trainer import Trainer
    with processes(args.device) as group:
        Trainer(config, work, group).train()
        if group.first:
            print(f'weights: {work / "model.pth"}; make a bundle with: '
                  f'vl4ad convert {work / "model.pth"} --out BUNDLE')


VERB = Verb(add_arguments, run)
