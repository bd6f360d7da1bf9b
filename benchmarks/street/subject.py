# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A bundle under study: the detector that users get, and its network's p(object)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from benchmarks.words.prompts import random_like
import numpy as np
import torch

from vl4ad_ros.bundle.prompt_encoder import Prompts
from vl4ad_ros.inference.detector import Detector, Prediction
from vl4ad_ros.prompts.vocabulary import PromptClass, Vocabulary
from vl4ad_workshop.network.bundle_network import open_network
from vl4ad_workshop.street.street_words import OBJECT, WORDS


class Subject:
    """
    One bundle.

    :ivar detector: what users get.
    :ivar record: which pictures it was trained on.
    """

    def __init__(self, name: str) -> None:
        """
        Open a bundle.

        :param name: of an installed bundle, or a directory.
        """
        self.detector = Detector.open(name)
        bundle = self.detector.bundle
        self.known = bundle.vocabulary.known
        self.record = dict(bundle.provenance.get('data', {}))
        self._network = open_network(bundle).module

    def prompts(self, known: Sequence[PromptClass],
                anomaly: Sequence[PromptClass] = ()) -> Prompts:
        """Embed known and anomaly classes."""
        return self.detector.encode(Vocabulary(tuple(known), tuple(anomaly)))

    def random_prompts(self, prompts: Prompts, seed: int) -> Prompts:
        """
        Return prompts whose anomaly words are random vectors of the same spread.

        :param prompts: with anomaly classes.
        :param seed: of the vectors.
        """
        concepts = prompts.concepts.copy()
        is_anomaly = prompts.concept_class >= int(prompts.num_known[0])
        concepts[is_anomaly] = random_like(concepts[is_anomaly], np.random.default_rng(seed))
        return replace(prompts, concepts=concepts)

    def __call__(self, rgb: np.ndarray, prompts: Prompts) -> Prediction:
        """Score a picture: uint8 (H, W, 3)."""
        return self.detector.detect(rgb, prompts)

    @torch.inference_mode()
    def objectness(self, rgb: np.ndarray, prediction: Prediction) -> np.ndarray:
        """
        Return the head's p(object) at the cells of a prediction: float32 (h, w), 0..1.

        :param rgb: the picture of the prediction.
        :param prediction: gives the geometry.
        """
        pixels = prediction.letterbox.to_network(rgb, self.detector.bundle.padding_rgb)
        maps = self._network.classifier.features(
            torch.from_numpy(pixels).permute(2, 0, 1)[None].float())
        share = self._network.head(maps).softmax(1)[0, WORDS.index(OBJECT)]
        return prediction.letterbox.crop(share.numpy())

    def close(self) -> None:
        """Close the detector."""
        self.detector.close()
