# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""`vl4ad train`: the tiny model from nothing, or the decoder on a real data set."""

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
                        help='%s (from drawn pictures), or real data: %s, or a YAML file '
                             '(default: %%(default)s)' % (
                                 ', '.join(RECIPES), ', '.join(shipped())))
    parser.add_argument('--work', type=Path, metavar='DIR',
                        help='folder of all that is kept, where a stopped training resumes '
                             '(default: out/train-CONFIG)')
    parser.add_argument('--device', default='cuda' if torch.cuda.is_available() else 'cpu',
                        help='(default: %(default)s)')
    real = parser.add_argument_group('with real data')
    real.add_argument('--set', action='append', default=[], metavar='KEY=VALUE',
                      help='override the configuration, such as optimiser.learning_rate=1e-5')
    real.add_argument('--show', action='store_true',
                      help='print the configuration, to copy it, and stop')
    drawn = parser.add_argument_group('with drawn pictures')
    drawn.add_argument('--out', type=Path, metavar='DIR',
                       help='folder of the bundle (default: WORK/bundle)')
    drawn.add_argument('--short', type=int, metavar='N',
                       help='divide pictures and steps by N, to try the pipeline out')
    drawn.add_argument('--seed', type=int, default=0, metavar='N',
                       help='of weights, pictures and batches; a folder --work for each '
                            '(default: %(default)s)')
    drawn.add_argument('--image-tower', metavar='BUNDLE',
                       help="take the image tower of this bundle ('tiny' or a directory) instead "
                            'of training one; a folder --work of its own, too')


def run(args: argparse.Namespace) -> None:
    """Train what the configuration names."""
    drawn = args.config in RECIPES
    foreign = (['--set', '--show'] if drawn else
               ['--out', '--short', '--seed', '--image-tower'])
    for option in foreign:
        if getattr(args, option[2:].replace('-', '_')):
            raise ValueError(f'{option} does not go with --config {args.config}; leave it out')
    if args.show:
        print(config_text(args.config), end='')
        return
    work = args.work or Path('out') / f'train-{Path(args.config).stem}'
    # Each kind of training needs libraries that the other does not.
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
            print(f'weights: {work / "model.pth"}; make a bundle of them with: '
                  f'vl4ad convert {work / "model.pth"} --out BUNDLE')


VERB = Verb(add_arguments, run)
