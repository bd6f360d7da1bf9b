# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Every number of the training of the model `street`."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from vl4ad_workshop.street.ensemble import EnsembleConstants

Polygon = tuple[tuple[float, float], ...]
"""Corners (x, y) as fractions of the width and the height of a picture."""


@dataclass(frozen=True)
class CompositeRecipe:
    """
    How objects are pasted on roads.

    :ivar least: smallest number of objects that are tried in a picture.
    :ivar most: largest number of them.
    :ivar known_share: share of the objects that are known things, such as people and cars. They
        keep their own labels, so that the head cannot learn that what is pasted is an object.
    :ivar person_share: share of the known things that are people. They are the most frequent ones
        on roads, and ImageNet, with which the classifier was trained, has no class for them.
    :ivar smallest_source: least height in pixels of an object in the picture it is cut out of.
    :ivar lowest: least height in pixels of a pasted object.
    :ivar highest: largest height of a pasted object, as a share of the picture's height.
    :ivar camera_height: of the camera above the ground in metres, which sets the sizes.
    :ivar blur: range in pixels of what is added to the measured blur of the picture.
    :ivar noise_share: share of the objects to which the picture's noise is added.
    :ivar exposure: smallest and largest factor by which the light of a composite changes.
    :ivar per_street: composites of each labelled street picture that is used.
    :ivar street_step: every how many labelled street pictures one is used.
    :ivar per_road_frame: composites of each frame of a clean road.
    """

    least: int = 2
    most: int = 5
    known_share: float = 0.5
    person_share: float = 0.5
    smallest_source: int = 40
    lowest: float = 10.0
    highest: float = 0.7
    camera_height: float = 1.4
    blur: tuple[float, float] = (-0.2, 0.4)
    noise_share: float = 0.5
    exposure: tuple[float, float] = (0.7, 1.4)
    per_street: int = 3
    street_step: int = 1
    per_road_frame: int = 10


@dataclass(frozen=True)
class StreetRecipe:
    """
    A whole training.

    :ivar height: rows of the network's input; a multiple of 32.
    :ivar width: columns of the network's input; a multiple of 32.
    :ivar scales: sizes at which the features of each part are computed, as multiples of the size
        at which a picture fits the network's input; 1 for parts that are not named.
    :ivar padding_rgb: colour around a picture that does not fill the network's input.
    :ivar most_pictures: largest number of pictures of one data set.
    :ivar evaluation_pictures: number of pictures of each split of COCO instances that are kept
        for evaluation. Training leaves them out.
    :ivar video_objects: frames of each video of DAVIS whose object is cut out.
    :ivar video_step: every how many frames of a clean road one is used.
    :ivar ego_lane: part of a frame of a clean road that is certainly road.
    :ivar pasting_lane: part of such a frame on which objects are pasted.
    :ivar horizon: row of the horizon of such a frame, as a fraction of its height.
    :ivar composites: how objects are pasted.
    :ivar head_width: channels of the head.
    :ivar steps: number of updates of the weights.
    :ivar batch: pictures of each part in a batch; parts without data are left out.
    :ivar part_weight: factor of the loss of each part.
    :ivar crop: rows and columns of a training crop, in cells of 32 pixels; smaller pictures are
        left out.
    :ivar small_area: cells that an object has at which small objects begin to weigh more.
    :ivar small_weight: largest weight of the cells of a small object.
    :ivar learning_rate: the largest one of the one-cycle schedule.
    :ivar weight_decay: of AdamW.
    :ivar clip_norm: largest norm of the gradient.
    :ivar rarest_weight: largest weight of a rare word before normalisation.
    :ivar clean_weight: weight of the penalty on 'object' in frames of clean roads.
    :ivar clean_most: largest factor that the rarity of 'object' gives to that penalty.
    :ivar constants: numbers of the ensemble that are part of the graph.
    :ivar embed_dim: size of the embeddings of words.
    :ivar known: shipped list of the default known words.
    :ivar anomaly: shipped list of the default anomaly words.
    :ivar seen: further lists whose known words count as known to the head.
    :ivar ensemble_weights: pairs of the ensemble's exponents alpha and beta; the best one on
        validation composites is taken.
    :ivar validation_composites: largest number of composites for validation.
    :ivar keep_objects: share of the validation objects that the default threshold keeps.
    :ivar counted_height: height in pixels from which on an object counts for the threshold.
    :ivar fallback_quantile: quantile of normal pixels that is the threshold where there are no
        objects for validation.
    """

    height: int = 352
    width: int = 640
    scales: dict[str, tuple[float, ...]] = field(default_factory=lambda: {
        'streets': (1.0, 1.36), 'scenes': (1.0, 0.65)})
    padding_rgb: tuple[int, int, int] = (127, 127, 127)
    most_pictures: int = 400
    evaluation_pictures: int = 80
    video_objects: int = 10
    video_step: int = 4
    ego_lane: Polygon = ((0.18, 0.92), (0.82, 0.92), (0.53, 0.64), (0.47, 0.64))
    pasting_lane: Polygon = ((0.05, 0.92), (0.95, 0.92), (0.56, 0.62), (0.42, 0.62))
    horizon: float = 0.565
    composites: CompositeRecipe = CompositeRecipe()
    head_width: int = 96
    steps: int = 1500
    batch: dict[str, int] = field(default_factory=lambda: {
        'streets': 3, 'scenes': 3, 'roads': 1, 'pasted': 7})
    part_weight: dict[str, float] = field(default_factory=lambda: {
        'streets': 1.0, 'scenes': 1.0, 'roads': 0.3, 'pasted': 2.0})
    crop: tuple[int, int] = (6, 7)
    small_area: int = 200
    small_weight: float = 4.0
    learning_rate: float = 4e-3
    weight_decay: float = 1e-2
    clip_norm: float = 5.0
    rarest_weight: float = 30.0
    clean_weight: float = 0.3
    clean_most: float = 4.0
    constants: EnsembleConstants = EnsembleConstants()
    embed_dim: int = 128
    known: str = 'cityscapes_merged'
    anomaly: str = 'everything'
    seen: tuple[str, ...] = ('cityscapes',)
    ensemble_weights: tuple[tuple[float, float], ...] = ((0.35, 0.35),)
    validation_composites: int = 120
    keep_objects: float = 0.8
    counted_height: float = 32.0
    fallback_quantile: float = 0.999

    def shortened(self, divisor: int) -> StreetRecipe:
        """Return the recipe with numbers of pictures and steps divided, for a trial run."""
        def cut(number: int, least: int) -> int:
            return max(number // divisor, least)
        return replace(self, most_pictures=cut(self.most_pictures, 4), steps=cut(self.steps, 4),
                       validation_composites=cut(self.validation_composites, 4))


STREET_RECIPES = {'street': StreetRecipe()}
