# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A bundle's image network, run once for each picture and then combined with any prompts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import onnx
import onnxruntime
import torch
from torch import Tensor

from vl4ad_ros.bundle import Bundle
from vl4ad_ros.bundle.manifest import Ensemble
from vl4ad_ros.bundle.prompt_encoder import Prompts
from vl4ad_ros.inference.letterbox import Letterbox
from vl4ad_workshop.network import comparator_scores
from vl4ad_workshop.network.classification import class_logits, class_probability, Classification
from vl4ad_workshop.network.export import STUDY_OUTPUTS
from vl4ad_workshop.network.uncertainty import semantic_map

Score = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Words:
    """
    Embedded prompts without padding.

    :ivar concepts: (P, D) unit rows. :ivar concept_class: (P,) int64. :ivar known: K.
    :ivar seen: (C,) bool, classes with a concept that training saw masks of.
    :ivar ensemble_weight: (C,) in 0..1, exponent of CLIP's own classifier.
    """

    concepts: Tensor
    concept_class: Tensor
    known: int
    seen: Tensor
    ensemble_weight: Tensor

    @staticmethod
    def of(prompts: Prompts, ensemble: Ensemble) -> Words:
        """Take the rows in use from prompts as the runtime pads them."""
        count, classes = len(prompts.vocabulary.concepts), prompts.vocabulary.classes
        return Words(
            torch.tensor(prompts.concepts[:count]), torch.tensor(prompts.concept_class[:count]),
            len(prompts.vocabulary.known),
            torch.tensor([not ensemble.seen.isdisjoint(c.concepts) for c in classes]),
            torch.tensor(prompts.ensemble_weight[:len(classes)]))

    @property
    def anomaly(self) -> Tensor:
        """Which concepts are of anomaly classes, (P,) bool."""
        return self.concept_class >= self.known

    def weighted(self, alpha: float, beta: float) -> Words:
        """Return the same words with other ensemble weights."""
        return replace(self, ensemble_weight=torch.where(self.seen, alpha, beta))


def on_picture(maps: Tensor, letterbox: Letterbox) -> np.ndarray:
    """
    Enlarge maps to the picture.

    :param maps: (h, w), or several (n, h, w), of the whole network input.
    :param letterbox: where the picture lies in the network's input.
    :return: (H, W), or (H, W, n).
    """
    cells = maps.movedim(0, -1) if maps.ndim == 3 else maps
    return letterbox.to_image(letterbox.crop(cells.contiguous().numpy()))


@dataclass(frozen=True)
class Answer:
    """
    The outputs of a VL4AD network for a picture that do not depend on the prompts.

    :ivar mask_logits: (N, h, w) of the whole network input.
    :ivar embeddings: (N, D) for each classifier of the graph, 'in' and maybe 'out': unit
        embedding / T.
    :ivar void: (N, 1) logit of "no object".
    :ivar letterbox: where the picture lies in the network's input.
    """

    mask_logits: Tensor
    embeddings: dict[str, Tensor]
    void: Tensor
    letterbox: Letterbox

    @cached_property
    def masks(self) -> Tensor:
        """Mask probabilities (N, h, w)."""
        return self.mask_logits.sigmoid()

    def logits(self, words: Words, classifier: str = 'in', softer: float = 1.0) -> Tensor:
        """Return how each class fits, (N, C); `softer` multiplies the bundle's temperature."""
        embedding = self.embeddings[classifier]
        inverse = float(embedding.norm(dim=-1).max()) / softer
        return class_logits(embedding, words.concepts, words.concept_class,
                            len(words.ensemble_weight), embedding, 1 / inverse)

    def probability(self, words: Words, options: Classification = Classification(),
                    softer: float = 1.0) -> Tensor:
        """Return the known classes' probabilities (N, K); empty masks are not guarded."""
        out = None
        if options.classifier != 'in':
            out = self.logits(words, 'out', softer)
        weight = options.out_weight(words.ensemble_weight, self.void, guard=False)
        return class_probability(self.logits(words, 'in', softer), out, self.void / softer,
                                 weight, options.keep_void)[:, :words.known]

    def semantic(self, words: Words, options: Classification = Classification(),
                 softer: float = 1.0) -> Tensor:
        """Return the known classes' map (K, h, w)."""
        return semantic_map(self.masks, self.probability(words, options, softer))

    naming = semantic
    """The map whose largest value decides which known class a cell is."""

    def score(self, score: Score, words: Words, options: Classification = Classification(),
              softer: float = 1.0) -> Tensor:
        """Return `uncertainty` or a comparator score on the network's map: (h, w)."""
        if score in (comparator_scores.max_logit, comparator_scores.energy):
            return score(comparator_scores.logit_map(
                self.masks, self.logits(words, 'in', softer)[:, :words.known]))
        return score(self.semantic(words, options, softer))

    def on_picture(self, maps: Tensor) -> np.ndarray:
        """Enlarge maps; see the function of this name."""
        return on_picture(maps, self.letterbox)


class StudyModel:
    """The VL4AD network of a bundle that was exported by this package."""

    def __init__(self, bundle: Bundle) -> None:
        """Open the float32 graph; raise SystemExit if it does not hold the study's values."""
        self.bundle = bundle
        self.options = Classification(**bundle.network.classification if bundle.network else {})
        file = bundle.directory / bundle.cpu_graph.file
        model = onnx.load(file)
        values = {v.name: v for v in model.graph.value_info}
        self._names = [n for n in STUDY_OUTPUTS if n in values]
        if self._names[:3] != list(STUDY_OUTPUTS[:3]):
            raise SystemExit(f'{file} has no values {", ".join(STUDY_OUTPUTS[:3])}; study a '
                             'bundle that `vl4ad train` or `vl4ad convert` wrote')
        model.graph.output.extend(values[name] for name in self._names)
        self._session = onnxruntime.InferenceSession(
            model.SerializeToString(), providers=['CPUExecutionProvider'])

    def letterbox(self, size: tuple[int, int]) -> Letterbox:
        """Return the geometry of an image of `size` rows and columns."""
        vision = self.bundle.vision
        return Letterbox(size, (vision.height, vision.width), vision.stride)

    def __call__(self, image: np.ndarray) -> Answer:
        """
        Run the network on (H, W, 3) uint8.

        Its words are unit vectors along the axes of CLIP's space, as many a run as it takes
        classes: their logits are the coordinates of the embeddings, whatever the graph's form.
        """
        letterbox = self.letterbox(image.shape[:2])
        pixels = letterbox.to_network(image, self.bundle.padding_rgb)
        axes = np.eye(self.bundle.text.embed_dim, dtype=np.float32)
        capacity = self.bundle.capacity
        step = min(capacity.classes, capacity.concepts)
        parts: dict[str, list[np.ndarray]] = {'in': [], 'out': []}
        for part in (axes[i:i + step] for i in range(0, len(axes), step)):
            concepts = np.zeros((capacity.concepts, len(axes)), np.float32)
            concept_class = np.full(capacity.concepts, -1, np.int64)
            concepts[:len(part)], concept_class[:len(part)] = part, np.arange(len(part))
            mask_logits, inside, void, *outside = self._session.run(self._names, {
                'image': pixels, 'concepts': concepts, 'concept_class': concept_class,
                'num_known': np.ones(1, np.int64),
                'ensemble_weight': np.zeros(capacity.classes, np.float32)})
            for logits, name in zip((inside, *outside), parts):
                parts[name].append(logits[0, :, :len(part)])
        return Answer(
            torch.from_numpy(mask_logits[0]),
            {name: torch.from_numpy(np.concatenate(p, 1)) for name, p in parts.items() if p},
            torch.from_numpy(void[0]), letterbox)
