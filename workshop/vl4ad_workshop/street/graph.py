# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The street model with the inputs and outputs of a bundle's image network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn, Tensor
import torch.nn.functional as F

from vl4ad_workshop.network.classification import EMPTY_CLASS_LOGIT
from vl4ad_workshop.network.export import export_vision_graph
from vl4ad_workshop.network.weight_file import WeightFile
from vl4ad_workshop.street.classifier import Classifier, IMAGENET_CLASSES, STRIDES
from vl4ad_workshop.street.conse import conse
from vl4ad_workshop.street.ensemble import ensemble, EnsembleConstants
from vl4ad_workshop.street.street_head import StreetHead, WIDTH
from vl4ad_workshop.street.street_words import NAMES

_CELL = STRIDES[-1] // STRIDES[0]  # cells of the head in one of the classifier, along an axis


@dataclass(frozen=True)
class StreetConfig:
    """
    Sizes and constants of a street model, as a bundle records them.

    :ivar embed_dim: D, the size of an embedding.
    :ivar width: channels inside the head.
    :ivar names: the names of each street word.
    :ivar constants: of the ensemble.
    """

    embed_dim: int = 128
    width: int = WIDTH
    names: Mapping[str, Sequence[str]] = field(default_factory=lambda: NAMES)
    constants: EnsembleConstants = EnsembleConstants()

    def record(self) -> dict[str, Any]:
        """Return JSON values for the manifest."""
        return {'embed_dim': self.embed_dim, 'width': self.width,
                'names': {word: list(names) for word, names in self.names.items()},
                'constants': asdict(self.constants)}

    @staticmethod
    def from_record(record: Mapping[str, Any]) -> StreetConfig:
        """
        Return what `record` wrote.

        :raises TypeError, KeyError: if values are missing or unknown.
        """
        values = dict(record)
        return StreetConfig(constants=EnsembleConstants(**values.pop('constants')), **values)


class StreetNetwork(nn.Module):
    """
    Everything of the street model that has weights.

    :ivar config: its sizes and constants.
    """

    def __init__(self, config: StreetConfig = StreetConfig()) -> None:
        """Draw random weights; the embeddings of names are 0."""
        super().__init__()
        self.config = config
        self.classifier = Classifier()
        self.head = StreetHead(len(config.names) + 1, config.width, folded=True)
        self.imagenet_names = nn.Parameter(torch.zeros(IMAGENET_CLASSES, config.embed_dim), False)
        self.street_names = nn.Parameter(
            torch.zeros(sum(map(len, config.names.values())), config.embed_dim), False)

    def forward(self, image: Tensor, concepts: Tensor, concept_class: Tensor,
                ensemble_weight: Tensor) -> tuple[Tensor, Tensor]:
        """
        Return what `ensemble` does.

        :param image: (H, W, 3) float32 RGB 0..255; both sides are multiples of 32.

        The other arguments are those of `ensemble`.
        """
        return self.compare(*self.see(image), concepts, concept_class, ensemble_weight)

    def see(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """
        Return what does not depend on the prompts: the first two arguments of `ensemble`.

        :param image: as in `forward`.
        """
        maps = self.classifier.features(image.permute(2, 0, 1)[None])
        # Logits, and all that is computed of them, are float32 in every precision.
        street = self.head(maps)[0].permute(1, 2, 0).softmax(-1)
        logits = self.classifier.logits(maps[-1])[0].permute(1, 2, 0)
        is_object = F.avg_pool2d(street[..., -1][None], _CELL)[0]
        return street, conse(logits, self.imagenet_names, self.config.constants.top, is_object)

    def compare(self, street: Tensor, embedding: Tensor, concepts: Tensor, concept_class: Tensor,
                ensemble_weight: Tensor) -> tuple[Tensor, Tensor]:
        """Return what `ensemble` does, whose arguments these are."""
        return ensemble(street, embedding, self.street_names,
                        [len(names) for names in self.config.names.values()], concepts,
                        concept_class, ensemble_weight, self.config.constants)


class StreetGraph(nn.Module):
    """From uint8 pixels to the four maps of a bundle's image network."""

    def __init__(self, network: StreetNetwork, classes: int) -> None:
        """
        Wrap a network.

        :param network: in evaluation mode.
        :param classes: C, the capacity for classes.
        """
        super().__init__()
        self.network, self.classes = network, classes

    def forward(self, image: Tensor, concepts: Tensor, concept_class: Tensor, num_known: Tensor,
                ensemble_weight: Tensor) -> tuple[Tensor, ...]:
        """
        Score a frame at network size; see docs/bundle.md for the inputs.

        :return: the four maps of `vl4ad_ros.bundle.reference.Maps`, (H / 4, W / 4).
        """
        log_share, log_naming = self.network(image.float(), concepts, concept_class,
                                             ensemble_weight)
        log_sum = log_share.exp().sum(-1).log()
        # As float32, in which inference libraries are fastest; void is the last class.
        index = torch.arange(self.classes + 1, device=image.device, dtype=torch.float32)
        is_known = index < num_known
        is_anomaly = (index >= num_known) & (index < self.classes)
        known = _candidates(log_share, is_known).amax(-1)
        _, best_known = _best(log_naming, is_known, index)
        anomaly, best_anomaly = _best(log_share, is_anomaly, index)
        has_anomalies = concept_class.amax(0) + 1 > num_known
        return (-(known - log_sum).exp(), best_known.int(),
                torch.where(has_anomalies, best_anomaly.int() - num_known.int(), -1),
                torch.where(has_anomalies, (anomaly - log_sum).exp(), 0.0))


def _best(log_share: Tensor, is_candidate: Tensor, index: Tensor) -> tuple[Tensor, Tensor]:
    """
    Return the largest value among some classes, and the first class that has it.

    The operator ArgMax would take a tenth of the time of the whole network in OpenVINO.

    :param log_share: (h, w, n). :param is_candidate: (n,) bool. :param index: (n,), 0 to n - 1.
    """
    values = _candidates(log_share, is_candidate)
    largest = values.amax(-1, keepdim=True)
    return largest[..., 0], torch.where(values < largest, index[-1], index).amin(-1)


def _candidates(log_share: Tensor, is_candidate: Tensor) -> Tensor:
    """Return the values with those of other classes made very small."""
    return log_share + torch.where(is_candidate, 0.0, 2 * EMPTY_CLASS_LOGIT)


def export_street_graph(network: StreetNetwork, path: Path, size: tuple[int, int], concepts: int,
                        classes: int, weights: Sequence[WeightFile]) -> None:
    """
    Write the image network as ONNX, in its present precision.

    :param network: in evaluation mode.
    :param path: the file.
    :param size: (height, width) of the input in pixels, multiples of 32.
    :param concepts: P, capacity of the text inputs.
    :param classes: C, likewise.
    :param weights: files that hold its parameters.
    """
    export_vision_graph(StreetGraph(network, classes), path, size, concepts, classes,
                        network.config.embed_dim, weights)
