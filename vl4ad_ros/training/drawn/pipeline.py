# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""From drawn pictures to a bundle, in steps that each are kept and never done twice."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from vl4ad_ros import __version__
from vl4ad_ros.network.export import export_bundle
from vl4ad_ros.network.vl4ad import Vl4ad
from vl4ad_ros.runtime.tokenizer import Tokenizer
from vl4ad_ros.scenes.drive import Drive
from vl4ad_ros.scenes.kinds import Kind, kinds_in
from vl4ad_ros.training.drawn.calibration import calibrate
from vl4ad_ros.training.drawn.clip_stage import CAPTIONS, train_clip
from vl4ad_ros.training.drawn.decoder_stage import train_decoder
from vl4ad_ros.training.drawn.gate import Accuracy, zero_shot_accuracy
from vl4ad_ros.training.drawn.pictures import PictureSet
from vl4ad_ros.training.drawn.recipe import Recipe, RECIPES, StageRecipe
from vl4ad_ros.training.drawn.tokens import special_ids, train_tokenizer
from vl4ad_ros.vocabulary import PromptClass, Vocabulary

VALIDATION_SEED, VALIDATION_PICTURES = 13, 150
VALIDATION_DRIVES = (301, 302, 303)
NOTICE = 'Trained on drawn scenes only: not for driving.'
# Concepts per class of the default prompts for what does not belong.
ANOMALY_WORDS = 2


def train_drawn(name: str, work: Path, bundle: Path, device: torch.device,
                divisor: int = 1) -> None:
    """
    Train, export and calibrate.

    :param name: one of `RECIPES`.
    :param work: folder of pictures, features and checkpoints, where a stopped training resumes.
    :param divisor: divides pictures and steps, to try the pipeline out.
    """
    recipe = shortened(RECIPES[name], divisor)
    work.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(0)
    network = Vl4ad(recipe.network).to(device)
    learnt = kinds_in(*recipe.clip.groups)
    tokenizer_file = work / 'tokenizer.json'
    text_cfg = recipe.network.clip['text_cfg']
    train_tokenizer((c.format(w) for k in learnt for w in k.words for c in CAPTIONS),
                    text_cfg['vocab_size'], tokenizer_file)
    tokenizer = Tokenizer(tokenizer_file, text_cfg['context_length'])
    train_clip(network, tokenizer, recipe, work, device)
    validation = PictureSet.draw(
        work / 'pictures-validation', max(VALIDATION_PICTURES // divisor, 4), VALIDATION_SEED,
        recipe.size, recipe.clip.groups, 'validation')
    accuracy = zero_shot_accuracy(
        network, tokenizer, validation, [k.name for k in learnt], device, recipe.crop_size)
    print(f'CLIP on {len(validation)} validation pictures: top-1 {accuracy.crops:.3f} on crops, '
          f'{accuracy.dense:.3f} on features pooled under true masks ({len(learnt)} kinds)')
    train_decoder(network, tokenizer, recipe, work, device)
    sot, eot = special_ids(tokenizer_file)
    vocabulary = default_vocabulary(kinds_in('known'), kinds_in('masks', 'words'))
    known, anomaly = vocabulary.to_strings()
    export_bundle(
        network, bundle, recipe.size, recipe.capacity_concepts, recipe.capacity_classes,
        tokenizer_file, {
            'name': name, 'notice': NOTICE,
            'text': {'sot': sot, 'eot': eot, 'pad': 0},
            'ensemble': {'alpha': 0.0, 'beta': 0.0, 'seen': sorted(
                w for k in kinds_in(*recipe.decoder.groups) for w in k.words)},
            'calibration': {'u': [-1.0, -0.5, 0.0], 'score': [0.0, 0.5, 1.0]},
            'vocabulary': {'known': known, 'anomaly': anomaly},
            'provenance': provenance(recipe, accuracy)})
    drives = [Drive(seed, seconds=max(24 // divisor, 2), split='validation',
                    groups=('masks', 'words'), anomalies=4 if divisor == 1 else 0)
              for seed in VALIDATION_DRIVES]
    choice = calibrate(bundle, validation, drives)
    print(f'validation chose alpha {choice.alpha}, beta {choice.beta} (AP {choice.ap:.3f}) and '
          f'threshold u = {choice.threshold:.3f}: {choice.missed} of {choice.anomalies} anomalies '
          f'missed and {choice.false_alerts} false alerts on {len(drives)} drives\n'
          f'bundle: {bundle}')


def shortened(recipe: Recipe, divisor: int) -> Recipe:
    """Return the recipe with fewer pictures and steps."""
    def cut(stage: StageRecipe) -> StageRecipe:
        return replace(stage, pictures=max(stage.pictures // divisor, 16),
                       steps=max(stage.steps // divisor, 4), restart=stage.restart // divisor)
    return replace(recipe, clip=cut(recipe.clip), decoder=cut(recipe.decoder))


def default_vocabulary(known: tuple[Kind, ...], anomaly: tuple[Kind, ...]) -> Vocabulary:
    """Return the bundle's prompts: all words of known kinds, the first ones of the others."""
    return Vocabulary(
        tuple(PromptClass(k.name, k.words) for k in known),
        tuple(PromptClass(k.name, k.words[:ANOMALY_WORDS]) for k in anomaly))


def provenance(recipe: Recipe, accuracy: Accuracy) -> dict[str, Any]:
    """Return what a reader of the bundle needs to know of its making."""
    return {
        'command': f'vl4ad train --config {recipe.network.name}', 'version': __version__,
        'clip': {'pictures': recipe.clip.pictures, 'steps': recipe.clip.steps,
                 'crop_top1': round(accuracy.crops, 4), 'dense_top1': round(accuracy.dense, 4)},
        'decoder': {'pictures': recipe.decoder.pictures, 'steps': recipe.decoder.steps}}
