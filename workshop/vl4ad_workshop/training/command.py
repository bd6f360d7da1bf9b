# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""`vl4ad train` trains on drawn pictures, on labelled streets, or the decoder on real data."""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

from vl4ad_ros.bundle import Bundle
from vl4ad_ros.commands import Verb
from vl4ad_workshop.training.drawn.recipe import RECIPES
from vl4ad_workshop.training.real.config import config_text, shipped, TrainingConfig
from vl4ad_workshop.training.street.recipe import STREET_RECIPES

# The options of each kind of training; an option of another kind is refused.
_OPTIONS = {
    'drawn': ('--out', '--short', '--seed', '--image-tower'),
    'street': ('--out', '--short', '--seed', '--data', '--classifier', '--text', '--tokenizer',
               '--without-animals'),
    'real': ('--set', '--show')}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `vl4ad train`."""
    parser.add_argument('--config', default='tiny', metavar='C',
                        help=f'what to train: {", ".join(RECIPES)} (on drawn pictures), '
                        f'{", ".join(STREET_RECIPES)} (a head, on labelled streets), or the '
                        f'decoder on real data: {", ".join(shipped())}, or a YAML file '
                        '(default: %(default)s)')
    parser.add_argument('--work', type=Path, metavar='DIR',
                        help='folder of checkpoints, from which a stopped training continues '
                             '(default: out/train-CONFIG)')
    parser.add_argument('--device', default='cuda' if torch.cuda.is_available() else 'cpu',
                        help='PyTorch device (default: %(default)s)')
    real = parser.add_argument_group('of the decoder on real data')
    real.add_argument('--set', action='append', default=[], metavar='KEY=VALUE',
                      help='override the configuration, such as optimiser.learning_rate=1e-5')
    real.add_argument('--show', action='store_true',
                      help='print the whole configuration and exit')
    both = parser.add_argument_group('of drawn pictures and of streets')
    both.add_argument('--out', type=Path, metavar='DIR',
                      help='folder of the bundle (default: WORK/bundle)')
    both.add_argument('--short', type=int, metavar='N',
                      help='divide the numbers of pictures and steps by N, for a trial run')
    both.add_argument('--seed', type=int, default=0, metavar='N',
                      help='of weights, pictures and batches; give each seed of drawn pictures '
                           'its own --work (default: %(default)s)')
    drawn = parser.add_argument_group('of drawn pictures')
    drawn.add_argument('--image-tower', metavar='BUNDLE',
                       help="use the image tower of this bundle ('tiny' or a directory) instead "
                            'of training one; give it its own --work too')
    street = parser.add_argument_group('of streets')
    street.add_argument('--data', action='extend', nargs='+', type=Path, default=[],
                        metavar='PATH',
                        help='folders of CamVid, Cityscapes, COCO panoptic, COCO instances, '
                             'DAVIS, Penn-Fudan, and of pictures or videos of clean roads; each '
                             'is recognised by its layout, and any may be missing')
    for name, what in (('classifier', 'the .pth file of EfficientNet-Lite0'),
                       ('text', 'the .onnx file of MiniLM'),
                       ('tokenizer', "the file or archive with MiniLM's tokenizer.json")):
        street.add_argument(f'--{name}', type=Path, metavar='FILE',
                            help=f'{what} (default: that of the installed package)')
    street.add_argument('--without-animals', action='store_true',
                        help='neither label nor paste animals, to measure what words do for '
                             'kinds that were never seen; give it its own --work')


def run(args: argparse.Namespace) -> None:
    """
    Train as the configuration says.

    :raises ValueError: for options that do not belong to the configuration.
    """
    kind = ('drawn' if args.config in RECIPES else
            'street' if args.config in STREET_RECIPES else 'real')
    for option in dict.fromkeys(o for options in _OPTIONS.values() for o in options):
        if option not in _OPTIONS[kind] and getattr(args, option[2:].replace('-', '_')):
            raise ValueError(f'{option} has no effect with --config {args.config}; remove it')
    if args.show:
        print(config_text(args.config), end='')
        return
    work = args.work or Path('out') / f'train-{Path(args.config).stem}'
    # Imported here, because each kind of training needs libraries that the others do not.
    if kind == 'drawn':
        from vl4ad_workshop.training.drawn.pipeline import train_drawn
        train_drawn(args.config, work, args.out or work / 'bundle', torch.device(args.device),
                    args.short or 1, args.seed,
                    args.image_tower and Bundle.open(args.image_tower))
        return
    if kind == 'street':
        if not args.data:
            raise ValueError(f'--config {args.config} needs data; give folders with --data')
        from vl4ad_workshop.training.street.pipeline import PublishedWeights, train_street
        train_street(args.config, args.data, work, args.out or work / 'bundle',
                     PublishedWeights(args.classifier, args.text, args.tokenizer),
                     args.short or 1, args.seed, args.without_animals)
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
