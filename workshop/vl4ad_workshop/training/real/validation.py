# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Mean IoU of a network on a split of a data set."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
import torch.nn.functional as F
from torchvision.transforms.v2 import functional
from tqdm import tqdm

from vl4ad_workshop.network.vl4ad import Texts, Vl4ad
from vl4ad_workshop.training.real.config import ValidationConfig
from vl4ad_workshop.training.real.distribution import Processes
from vl4ad_workshop.training.real.labelled import Dataset, Labelled


@dataclass(frozen=True)
class Agreement:
    """
    The confusion matrix of predictions and labels.

    :ivar confusion: (C, C) int64, number of pixels; rows are labels, columns are predictions.
    """

    confusion: np.ndarray

    @property
    def iou(self) -> np.ndarray:
        """Return intersection over union of each class, (C,) in 0..1; NaN without a label."""
        found, labels = np.diag(self.confusion), self.confusion.sum(1)
        union = labels + self.confusion.sum(0) - found
        return np.where(labels > 0, found / np.maximum(union, 1), np.nan)

    @property
    def mean_iou(self) -> float:
        """Return the mean IoU over the classes that occur in the labels."""
        return float(np.nanmean(self.iou)) if self.confusion.any() else 0.0


@torch.no_grad()
def validate(network: Vl4ad, texts: Texts, dataset: Dataset, config: ValidationConfig,
             processes: Processes,
             look: Callable[[int, Labelled, np.ndarray], None] = lambda *_: None) -> Agreement:
    """
    Predict all pictures, divided among the processes, and compare with the labels.

    :param look: called in the first process with the position in its share, the picture and the
        predicted classes (H, W).
    """
    classes = texts.classes
    count = min(config.pictures or len(dataset), len(dataset))
    confusion = torch.zeros(classes * classes, dtype=torch.int64, device=processes.device)
    numbers = range(processes.rank, count, processes.count)
    progress = tqdm(numbers, 'validation', leave=False, disable=not processes.first)
    for place, number in enumerate(progress):
        picture = dataset[number]
        predicted = predict(network, texts, picture.image, config)
        truth = torch.from_numpy(picture.class_map()).to(predicted)
        confusion += torch.bincount(
            (truth * classes + predicted)[truth >= 0], minlength=classes * classes)
        if processes.first:
            look(place, picture, predicted.cpu().numpy())
    return Agreement(processes.sum(confusion).view(classes, classes).cpu().numpy())


def predict(network: Vl4ad, texts: Texts, image: np.ndarray, config: ValidationConfig) -> Tensor:
    """Return the class of each pixel, (H, W) int64, of an (H, W, 3) uint8 picture."""
    height, width = image.shape[:2]
    scale = min(config.short_side / min(height, width), config.long_side / max(height, width))
    size = [int(height * scale + 0.5), int(width * scale + 0.5)]
    device = network.pixel_mean.device
    pixels = torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1))).to(device)
    pixels = functional.resize(pixels, size, antialias=True).permute(1, 2, 0)[None]
    queries = network(pixels, texts)
    # Summed at stride 4 and then enlarged; docs/method.md compares this with the other order.
    scores = torch.einsum('bnc,bnhw->bchw', queries.probability, queries.mask_logits.sigmoid())
    scores = F.interpolate(scores, scale_factor=4, mode='bilinear', align_corners=False)
    scores = F.interpolate(scores[..., :size[0], :size[1]], (height, width), mode='bilinear',
                           align_corners=False)
    return scores[0].argmax(0)
