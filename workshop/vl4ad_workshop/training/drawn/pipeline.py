# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Train the tiny model from drawn pictures to a bundle; each finished step is kept on disk."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch

from vl4ad_ros import __version__
from vl4ad_ros.bundle import Bundle, BundleError
from vl4ad_ros.bundle.tokenizer import Tokenizer
from vl4ad_ros.prompts.vocabulary import PromptClass, Vocabulary
from vl4ad_workshop.network.bundle_network import load_network
from vl4ad_workshop.network.classification import Classification
from vl4ad_workshop.network.export import export_bundle
from vl4ad_workshop.network.vl4ad import Vl4ad
from vl4ad_workshop.scenes.drive import Drive
from vl4ad_workshop.scenes.kinds import Kind, kinds_in
from vl4ad_workshop.training.drawn.calibration import calibrate
from vl4ad_workshop.training.drawn.decoder_stage import train_decoder
from vl4ad_workshop.training.drawn.gate import Accuracy, require, zero_shot_accuracy
from vl4ad_workshop.training.drawn.image_stage import train_image_tower
from vl4ad_workshop.training.drawn.pictures import PictureSet
from vl4ad_workshop.training.drawn.recipe import Recipe, RECIPES, StageRecipe
from vl4ad_workshop.training.drawn.selection import choose_setting, Setting, soften
from vl4ad_workshop.training.drawn.text_stage import CAPTIONS, train_text_tower
from vl4ad_workshop.training.drawn.tokens import special_ids, train_tokenizer

VALIDATION_SEED, VALIDATION_PICTURES = 13, 400
VALIDATION_DRIVES = (301, 302, 303)
NOTICE = 'Trained on drawn scenes only: not for driving.'
# Number of concepts of each anomaly class in the default prompts.
ANOMALY_WORDS = 2


def train_drawn(name: str, work: Path, bundle: Path, device: torch.device,
                divisor: int = 1, seed: int = 0, image_tower: Bundle | None = None) -> None:
    """
    Train, export and calibrate.

    :param name: one of `RECIPES`.
    :param work: folder of pictures, features and checkpoints; a stopped training continues there.
    :param bundle: folder of the new bundle.
    :param device: where to train.
    :param divisor: divides the numbers of pictures and steps, for a trial run; above 1, the
        accuracy of the CLIP stage is not checked.
    :param seed: of initial weights, training pictures and batches; validation is not affected.
    :param image_tower: bundle whose image tower is used instead of training one.
    :raises BundleError: if that bundle's image tower has another form than the recipe's.
    :raises GateError: before the decoder is trained, if the CLIP stage is not accurate enough.
    """
    recipe = reseeded(shortened(RECIPES[name], divisor), seed)
    work.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(seed)
    network = Vl4ad(recipe.network).to(device)
    learnt = kinds_in(*recipe.text.groups)
    names = [k.name for k in learnt]
    tokenizer_file = work / 'tokenizer.json'
    text_cfg = recipe.network.clip['text_cfg']
    if not tokenizer_file.exists():
        # Kept, because ties between byte pairs are broken at random: a second tokenizer could give
        # other tokens than the text tower was trained with.
        train_tokenizer((c.format(w) for k in learnt for w in k.words for c in CAPTIONS),
                        text_cfg['vocab_size'], tokenizer_file)
    tokenizer = Tokenizer(tokenizer_file, text_cfg['context_length'])
    if image_tower is None:
        train_image_tower(network, recipe, work, device)
    else:
        take_image_tower(network, image_tower)
    train_text_tower(network, tokenizer, recipe, work, device)
    validation = PictureSet.draw(
        work / 'pictures-validation', max(VALIDATION_PICTURES // divisor, 4), VALIDATION_SEED,
        recipe.size, recipe.text.groups, 'validation')
    accuracy = zero_shot_accuracy(network, tokenizer, validation, names, device,
                                  recipe.crop_size)
    print(f'CLIP on {len(validation)} validation pictures ({len(learnt)} kinds): {accuracy}')
    if divisor == 1:
        require(accuracy, recipe.gate_crops, recipe.gate_dense)
    train_decoder(network, tokenizer, recipe, work, device)
    sot, eot = special_ids(tokenizer_file)
    vocabulary = default_vocabulary(kinds_in('known'), kinds_in('masks', 'words'))
    seen = {w for k in kinds_in(*recipe.decoder.groups) for w in k.words}
    setting = choose_setting(network, tokenizer, vocabulary, seen, validation, device)
    soften(network, setting.softer)
    print(f'setting chosen on validation pictures: {setting}')
    known, anomaly = vocabulary.to_strings()
    export_bundle(
        network, bundle, recipe.size, recipe.capacity_concepts, recipe.capacity_classes,
        tokenizer_file, {
            'name': name, 'notice': NOTICE,
            'text': {'sot': sot, 'eot': eot, 'pad': 0},
            'ensemble': {'alpha': setting.alpha, 'beta': setting.beta, 'seen': sorted(seen)},
            'calibration': {'u': [-1.0, -0.5, 0.0], 'score': [0.0, 0.5, 1.0]},
            'vocabulary': {'known': known, 'anomaly': anomaly},
            'provenance': provenance(recipe, accuracy, setting, image_tower)},
        Classification(keep_void=setting.keep_void))
    drives = [Drive(seed, seconds=max(24 // divisor, 2), split='validation',
                    groups=('masks', 'words'), anomalies=4 if divisor == 1 else 0)
              for seed in VALIDATION_DRIVES]
    choice = calibrate(bundle, validation, drives)
    print(f'threshold chosen on {len(drives)} validation drives: {choice}\nbundle: {bundle}')


def take_image_tower(network: Vl4ad, bundle: Bundle) -> None:
    """
    Copy the image tower of a bundle into a network.

    :param network: changed in place.
    :raises BundleError: if the bundle's image tower has another form.
    """
    source, _ = load_network(bundle)
    if source.config.clip['vision_cfg'] != network.config.clip['vision_cfg']:
        raise BundleError(f'{bundle.directory} has an image tower of another form; give a bundle '
                          f'that `vl4ad train --config {network.config.name}` wrote')
    network.backbone.clip_model.visual.load_state_dict(
        source.backbone.clip_model.visual.state_dict())


def shortened(recipe: Recipe, divisor: int) -> Recipe:
    """Return the recipe with the numbers of pictures and steps divided by `divisor`."""
    def cut(stage: StageRecipe) -> StageRecipe:
        return replace(stage, pictures=max(stage.pictures // divisor, 16),
                       steps=max(stage.steps // divisor, 4))
    return replace(recipe, image=cut(recipe.image), text=cut(recipe.text),
                   decoder=cut(recipe.decoder))


def reseeded(recipe: Recipe, seed: int) -> Recipe:
    """Return the recipe with other random pictures and batches in every stage."""
    def other(stage: StageRecipe) -> StageRecipe:
        return replace(stage, seed=1000 * seed + stage.seed)
    return replace(recipe, image=other(recipe.image), text=other(recipe.text),
                   decoder=other(recipe.decoder))


def default_vocabulary(known: tuple[Kind, ...], anomaly: tuple[Kind, ...]) -> Vocabulary:
    """Return the default prompts: all words of known kinds, the first ones of anomaly kinds."""
    return Vocabulary(
        tuple(PromptClass(k.name, k.words) for k in known),
        tuple(PromptClass(k.name, k.words[:ANOMALY_WORDS]) for k in anomaly))


def provenance(recipe: Recipe, accuracy: Accuracy, setting: Setting,
               image_tower: Bundle | None) -> dict[str, Any]:
    """Return the manifest's entry `provenance`: how the bundle was made."""
    def rounded(record: object) -> dict[str, Any]:
        return {k: round(v, 4) for k, v in asdict(record).items()}
    stages = {name: {'pictures': s.pictures, 'steps': s.steps, 'seed': s.seed}
              for name, s in ((n, getattr(recipe, n)) for n in ('image', 'text', 'decoder'))}
    if image_tower is not None:
        # Keeps the origin of an image tower that is copied from bundle to bundle.
        stages['image'] = {'bundle': image_tower.digest, **image_tower.provenance['image']}
    return {
        'command': f'vl4ad train --config {recipe.network.name}'
                   + ' --image-tower BUNDLE' * (image_tower is not None), 'version': __version__,
        **stages,
        'validation': {'clip': rounded(accuracy), 'setting': rounded(setting)}}
