# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Trains the head of the model `street` from local folders, and writes a calibrated bundle."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch

from vl4ad_ros.bundle.manifest import Source
from vl4ad_ros.prompts.reader import load, open_list
from vl4ad_workshop.network.export import new_folder
from vl4ad_workshop.scenes.still import draw_still
from vl4ad_workshop.street.bundle_writer import About, TextPart, write_street_bundle
from vl4ad_workshop.street.classifier import Classifier, load_classifier
from vl4ad_workshop.street.downloads import CLASSIFIER
from vl4ad_workshop.street.graph import StreetConfig
from vl4ad_workshop.street.street_head import StreetHead
from vl4ad_workshop.street.street_words import WORDS
from vl4ad_workshop.street.text_encoder import MiniLm
from vl4ad_workshop.training.street.calibration import calibrate
from vl4ad_workshop.training.street.data_folders import DataFolders
from vl4ad_workshop.training.street.features import FeatureSet
from vl4ad_workshop.training.street.head_training import train_head
from vl4ad_workshop.training.street.recipe import STREET_RECIPES, StreetRecipe
from vl4ad_workshop.training.street.road_picture import RoadPicture
from vl4ad_workshop.training.street.training_data import TrainingData

NOTICE = ('Made for road pictures by day and for objects from about 30 pixels tall; it misses '
          'objects and raises false alerts: not for driving. To train it on data of your own: '
          'vl4ad train --config street --data FOLDER... (docs/street_model.md).')
REFERENCE_PICTURES = 2
COMPOSITE_SEED = 1
"""Of the composites to train on, the same for every training, because their features take most
of the time of a training."""
VALIDATION_SEED = 11
"""Of the composites that choose constants, the same for every training."""


@dataclass(frozen=True)
class PublishedWeights:
    """
    Published weights; None stands for those of the installed packages.

    :ivar classifier: the .pth file of EfficientNet-Lite0.
    :ivar text: the .onnx file of MiniLM.
    :ivar tokenizer: MiniLM's tokenizer.json, or the archive that holds it.
    """

    classifier: Path | None = None
    text: Path | None = None
    tokenizer: Path | None = None


def train_street(name: str, data: Iterable[Path], work: Path, bundle: Path,
                 weights: PublishedWeights = PublishedWeights(), divisor: int = 1, seed: int = 0,
                 without_animals: bool = False) -> None:
    """
    Compute features, train the head, write the bundle and calibrate it.

    :param name: one of `STREET_RECIPES`.
    :param data: folders as in `DataFolders.recognise`.
    :param work: folder of features and heads, which are computed once. Several seeds share it.
    :param bundle: folder of the new bundle.
    :param weights: published weights.
    :param divisor: divides the numbers of pictures and steps, for a trial run.
    :param seed: of weights and batches.
    :param without_animals: animals are neither labelled nor pasted.
    :raises DatasetError: if there is nothing to train on, or a data set is damaged.
    :raises FileNotFoundError: if published weights are not installed.
    :raises ValueError: if published weights are other ones, or `bundle` exists.
    """
    if bundle.exists():  # before minutes of work
        raise ValueError(f"'{bundle}' exists already; remove it or choose another folder with "
                         '--out')
    recipe = STREET_RECIPES[name].shortened(divisor) if divisor > 1 else STREET_RECIPES[name]
    folders = DataFolders.recognise(data)
    print(*(f'found {line}' for line in folders.found()), *folders.missing(), sep='\n')
    pictures = TrainingData(folders, recipe, without_animals)
    classifier = load_classifier(weights.classifier)
    work.mkdir(parents=True, exist_ok=True)
    parts = compute_parts(pictures, classifier, recipe, work)
    head = trained_head(parts, recipe, work, seed)
    with new_folder(bundle) as place:
        place.rmdir()  # the writer makes it
        write(head, classifier, recipe, place, weights, pictures.terms(), {
            'command': f'vl4ad train --config {name}' + ' --without-animals' * without_animals,
            'seed': seed, 'data': pictures.record(),
            'pictures': {part: len(features) for part, features in parts.items()}})
        choice = calibrate(place, pictures.validation(VALIDATION_SEED), recipe)
    print(f'chosen on validation pictures: {choice}\nbundle: {bundle}')


def compute_parts(pictures: TrainingData, classifier: Classifier, recipe: StreetRecipe,
                  work: Path) -> dict[str, FeatureSet]:
    """
    Return the features of each part of the training data that is not empty.

    :param pictures: what to train on.
    :param classifier: the frozen network.
    :param recipe: sizes, and how objects are pasted.
    :param work: the features are kept below it.
    """
    def labelled(picked: Iterable[Iterable[RoadPicture]]) -> Iterable[RoadPicture]:
        return (picture for pictures in picked for picture in pictures)

    sources: dict[str, tuple[Iterable[RoadPicture], int | None]] = {
        'streets': (labelled(pictures.streets), sum(map(len, pictures.streets))),
        'scenes': (labelled(pictures.scenes), sum(map(len, pictures.scenes))),
        'roads': (labelled(pictures.roads), None),
        'pasted': (pictures.pasted(COMPOSITE_SEED), None)}
    parts = {}
    for part, (source, count) in sources.items():
        key = digest(recipe_of_features(recipe), pictures.record(), WORDS, CLASSIFIER.sha256,
                     part)
        features = FeatureSet.compute(work / 'features' / part, key, source, classifier, recipe,
                                      recipe.scales.get(part, (1.0,)), count)
        if len(features):
            parts[part] = features
    return parts


def trained_head(parts: dict[str, FeatureSet], recipe: StreetRecipe, work: Path,
                 seed: int) -> StreetHead:
    """Train the head, or load it if it was trained on the same data with the same numbers."""
    file = work / f'head-{seed}.pt'
    key = digest(recipe_of_head(recipe), {part: features.key for part, features in parts.items()},
                 seed)
    head = StreetHead(len(WORDS), recipe.head_width)
    if file.exists():
        saved = torch.load(file, map_location='cpu', weights_only=True)
        if saved['key'] == key:
            head.load_state_dict(saved['state'])
            return head.eval()
    head = train_head(parts, recipe, seed)
    torch.save({'key': key, 'state': head.state_dict()}, file)
    return head


def write(head: StreetHead, classifier: Classifier, recipe: StreetRecipe, bundle: Path,
          weights: PublishedWeights, training_data: tuple[Source, ...],
          provenance: dict[str, Any]) -> None:
    """
    Write a bundle that is not calibrated yet.

    Its reference frames are drawn, because a bundle must not contain photographs.

    :param head: the trained head.
    :param classifier: the frozen network.
    :param recipe: sizes, constants and words.
    :param bundle: the new folder.
    :param weights: of the text network.
    :param training_data: the data sets with their terms.
    :param provenance: how the head was trained.
    """
    config = StreetConfig(embed_dim=recipe.embed_dim, width=recipe.head_width,
                          constants=recipe.constants)
    vocabulary = load(recipe.known, recipe.anomaly)
    seen = {concept for name in (recipe.known, *recipe.seen)
            for entry in open_list(name).known or () for concept in entry.concepts}
    alpha, beta = recipe.ensemble_weights[0]
    size = recipe.height, recipe.width
    drawn = [draw_still(np.random.default_rng(number), size).image
             for number in range(REFERENCE_PICTURES)]
    write_street_bundle(
        bundle, classifier, head.state_dict(), TextPart.of(
            MiniLm(weights.text, weights.tokenizer), config),
        About([(-1.0, 0.0), (0.0, 1.0)], vocabulary, alpha, beta,
              frozenset(seen | {n for names in config.names.values() for n in names}),
              notice=NOTICE, training_data=training_data, provenance=provenance),
        drawn, size, config)


def recipe_of_features(recipe: StreetRecipe) -> dict[str, Any]:
    """Return the numbers of a recipe on which the features depend."""
    names = ('height', 'width', 'scales', 'padding_rgb', 'most_pictures', 'evaluation_pictures',
             'video_objects', 'video_step', 'ego_lane', 'pasting_lane', 'horizon', 'composites')
    values = asdict(recipe)
    return {name: values[name] for name in names}


def recipe_of_head(recipe: StreetRecipe) -> dict[str, Any]:
    """Return the numbers of a recipe on which the head depends, besides those of the features."""
    names = ('head_width', 'steps', 'batch', 'part_weight', 'crop', 'small_area', 'small_weight',
             'learning_rate', 'weight_decay', 'clip_norm', 'rarest_weight', 'clean_weight',
             'clean_most')
    values = asdict(recipe)
    return {name: values[name] for name in names}


def digest(*values: Any) -> str:
    """Return a sha256 of JSON values."""
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()
