# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The hyperparameters of the tiny model's training; `network.config` has the network's sizes."""

from __future__ import annotations

from dataclasses import dataclass

from vl4ad_workshop.network.config import NetworkConfig, TINY


@dataclass(frozen=True)
class StageRecipe:
    """
    A stage, trained by AdamW with linear warm-up and cosine decay to zero.

    :ivar seed: of the stage's pictures and batches.
    :ivar groups: groups of kinds that are drawn.
    :ivar crowded: share of pictures that are yards full of objects (`scenes.still.draw_still`).
    :ivar made_up: share of objects that belong to no kind; they teach masks but no words.
    """

    seed: int
    groups: tuple[str, ...]
    pictures: int
    steps: int
    learning_rate: float
    crowded: float = 0.0
    made_up: float = 0.0
    warmup: int = 100
    weight_decay: float = 0.05
    clip_norm: float = 1.0


@dataclass(frozen=True)
class Recipe:
    """
    A whole training in stages that correspond to FC-CLIP's: CLIP's two towers, then the decoder.

    A batch has `loop.PARTS` parts; some numbers below count within one part.

    :ivar size: (height, width) of the drawn pictures and of the network's input, in pixels.
    :ivar clip_crops: crops in a part of the image tower's stage.
    :ivar clip_pictures: whole pictures in a part of the image tower's stage.
    :ivar crop_size: side of a crop in pixels.
    :ivar frozen_norms: share of the steps of that stage, the last ones, with frozen batch norms.
    :ivar text_embeddings: embeddings of each kind in a part of the text tower's stage.
    :ivar gate_crops: lowest zero-shot top-1 accuracy of crops to train a decoder (`gate`).
    :ivar gate_dense: the same for pooled features.
    :ivar decoder_pictures: pictures in a part of the decoder's stage.
    :ivar one_mask: kinds whose segments in a picture are one target together, as in Cityscapes'
        semantic labels, because they are many, small, and need not be told apart.
    :ivar hidden_kinds: share of the kinds without a prompt in a part of the decoder's stage.
    :ivar class_loss: weight of the class loss; this and the next three are FC-CLIP's (its
        section 2.10).
    :ivar mask_loss: weight of the mask loss.
    :ivar dice_loss: weight of the dice loss.
    :ivar void_weight: weight of the no-object class.
    :ivar uncertain: share of the mask loss where a mask is uncertain or wrong.
    :ivar semantic_loss: weight of the likelihood of the summed map (`losses.semantic_loss`).
    :ivar likeness_loss: weight of the distance of class embeddings from CLIP's own.
    """

    network: NetworkConfig
    size: tuple[int, int]
    image: StageRecipe
    text: StageRecipe
    decoder: StageRecipe
    capacity_concepts: int
    capacity_classes: int
    clip_crops: int = 24
    clip_pictures: int = 2
    crop_size: int = 64
    frozen_norms: float = 0.15
    text_embeddings: int = 4
    gate_crops: float = 0.95
    gate_dense: float = 0.9
    decoder_pictures: int = 2
    one_mask: tuple[str, ...] = ('pole', 'traffic light', 'traffic sign', 'person', 'rider',
                                 'motorcycle', 'bicycle')
    hidden_kinds: float = 0.1
    class_loss: float = 2.0
    mask_loss: float = 5.0
    dice_loss: float = 5.0
    void_weight: float = 0.1
    uncertain: float = 0.5
    semantic_loss: float = 2.0
    likeness_loss: float = 2.0


LEARNT = ('known', 'masks', 'words')
RECIPES = {
    'tiny': Recipe(
        network=TINY,
        size=(192, 320),
        image=StageRecipe(seed=11, groups=LEARNT, pictures=8000, steps=11500, learning_rate=2e-3,
                          crowded=0.5),
        text=StageRecipe(seed=15, groups=LEARNT, pictures=2000, steps=300, learning_rate=1e-3,
                         crowded=0.5),
        decoder=StageRecipe(seed=12, groups=('known', 'masks'), pictures=8000, steps=10500,
                            learning_rate=2e-3, crowded=0.3, made_up=0.25, clip_norm=0.1),
        capacity_concepts=256,
        capacity_classes=96),
}
