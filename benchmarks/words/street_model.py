# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The street network of a bundle, run once for each picture and then combined with any prompts."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.words.model import on_picture, Score, Words
import numpy as np
import torch
from torch import Tensor

from vl4ad_ros.bundle import Bundle
from vl4ad_ros.inference.letterbox import Letterbox
from vl4ad_workshop.network.bundle_network import open_network
from vl4ad_workshop.network.classification import Classification
from vl4ad_workshop.street.graph import StreetNetwork


@dataclass(frozen=True)
class StreetAnswer:
    """
    What a street network sees in a picture whatever the prompts are.

    Its methods are those of `model.Answer`. The options of VL4AD's classification are ignored: the
    study measures rows with other options than the shipped ones for VL4AD only (`rows.Row.fits`).

    :ivar network: the network, which compares what it saw with prompts.
    :ivar street: (h, w, S + 1), probabilities of street words and, last, of 'object'.
    :ivar embedding: (h', w', D), unit vectors of ConSE.
    :ivar letterbox: where the picture lies in the network's input.
    """

    network: StreetNetwork
    street: Tensor
    embedding: Tensor
    letterbox: Letterbox

    def semantic(self, words: Words, options: Classification = Classification()) -> Tensor:
        """Return the known classes' shares (K, h, w), 0..1, of which the uncertainty is made."""
        return self._shares(0, words)

    def naming(self, words: Words, options: Classification = Classification()) -> Tensor:
        """Return the shares (K, h, w) that decide which known class a cell is."""
        return self._shares(1, words)

    def score(self, score: Score, words: Words, options: Classification = Classification(),
              softer: float = 1.0) -> Tensor:
        """Return a score on the network's map: (h, w)."""
        return score(self.semantic(words))

    def on_picture(self, maps: Tensor) -> np.ndarray:
        """Enlarge maps; see `model.on_picture`."""
        return on_picture(maps, self.letterbox)

    def _shares(self, which: int, words: Words) -> Tensor:
        """Return one of the results of `street.ensemble.ensemble` as shares of known classes."""
        logs = self.network.compare(self.street, self.embedding, words.concepts,
                                    words.concept_class, words.ensemble_weight)
        return logs[which].softmax(-1)[..., :words.known].movedim(-1, 0)


class StreetStudyModel:
    """
    The street network of a bundle.

    :ivar options: those of VL4AD's classification, which have no meaning here.
    """

    options = Classification()

    def __init__(self, bundle: Bundle) -> None:
        """
        Build the network in PyTorch.

        :raises BundleError: if its weights do not fit.
        """
        self.bundle = bundle
        self._network: StreetNetwork = open_network(bundle).module

    def __call__(self, image: np.ndarray) -> StreetAnswer:
        """Run the network on (H, W, 3) uint8."""
        vision = self.bundle.vision
        letterbox = Letterbox(image.shape[:2], (vision.height, vision.width), vision.stride)
        pixels = letterbox.to_network(image, self.bundle.padding_rgb)
        return StreetAnswer(self._network, *self._network.see(torch.from_numpy(pixels).float()),
                            letterbox)
