# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Every number of the tiny model's training that is not a size of the network."""

from __future__ import annotations

from dataclasses import dataclass

from vl4ad_ros.network.config import NetworkConfig, TINY


@dataclass(frozen=True)
class StageRecipe:
    """
    One stage: AdamW with linear warm-up and cosine decay to zero.

    :ivar restart: step at which the decay has reached zero for the first time and begins anew.
    :ivar seed: of the stage's pictures and batches. :ivar groups: kinds that are drawn in them.
    """

    seed: int
    groups: tuple[str, ...]
    pictures: int
    steps: int
    learning_rate: float
    warmup: int = 100
    weight_decay: float = 0.05
    clip_norm: float = 1.0
    restart: int = 0


@dataclass(frozen=True)
class Recipe:
    """
    A whole training, in two stages that mirror FC-CLIP's.

    :ivar size: (height, width) of the drawn pictures, which is the network's input.
    :ivar clip_crops, clip_pictures: of one batch of the CLIP stage.
    :ivar class_loss, mask_loss, dice_loss, void_weight: FC-CLIP's (its section 2.10).
    :ivar semantic_loss: weight of the likelihood of the summed map (`losses.semantic_loss`).
    """

    network: NetworkConfig
    size: tuple[int, int]
    clip: StageRecipe
    decoder: StageRecipe
    capacity_concepts: int
    capacity_classes: int
    clip_crops: int = 96
    clip_pictures: int = 8
    crop_size: int = 64
    decoder_batch: int = 8
    class_loss: float = 2.0
    mask_loss: float = 5.0
    dice_loss: float = 5.0
    void_weight: float = 0.1
    semantic_loss: float = 2.0


RECIPES = {
    'tiny': Recipe(
        network=TINY,
        size=(192, 320),
        clip=StageRecipe(seed=11, groups=('known', 'masks', 'words'), pictures=3000, steps=3300,
                         learning_rate=1.5e-3, restart=2000),
        decoder=StageRecipe(seed=12, groups=('known', 'masks'), pictures=4000, steps=2600,
                            learning_rate=8e-4, clip_norm=0.1),
        capacity_concepts=256,
        capacity_classes=96),
}
