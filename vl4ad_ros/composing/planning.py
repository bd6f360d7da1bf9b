# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Looks at a recording and plans what is pasted into it, and where."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from vl4ad_ros.composing.camera_guess import choose_camera
from vl4ad_ros.composing.compose import blur_of, Composer
from vl4ad_ros.composing.objects import RoadObject
from vl4ad_ros.composing.placing import place_objects, PlacedObject
from vl4ad_ros.composing.recording import choose_route, read_calibration
from vl4ad_ros.evaluation.bag_reader import BagError, CameraBag
from vl4ad_ros.obstacles.ground import GroundCamera

_SAMPLES = 12  # frames from which camera and blur are guessed


@dataclass(frozen=True)
class ComposeOptions:
    """
    How a recording is composed.

    :ivar seed: of places and noise; 0 or more.
    :ivar spacing_m: mean distance between two objects along the way, in metres, above 0.
    :ivar count: number of objects; None for as many as `spacing_m` gives.
    :ivar focal: focal length in pixels; None for CameraInfo or a guess.
    :ivar horizon: row of the horizon in pixels; None for a guess.
    :ivar camera_height_m: of the camera above the ground in metres; None for a guess.
    :ivar speed: in metres per second; None for odometry or a guess.
    """

    seed: int = 0
    spacing_m: float = 25.0
    count: int | None = None
    focal: float | None = None
    horizon: float | None = None
    camera_height_m: float | None = None
    speed: float | None = None


@dataclass(frozen=True, eq=False)
class Plan:
    """
    What is going to be pasted into a recording.

    :ivar bag: the recording.
    :ivar times_ns: time of each frame in nanoseconds: its stamp, or when it was recorded if the
        stamps do not rise.
    :ivar size: (height, width) of its images.
    :ivar camera: its camera.
    :ivar placed: the objects.
    :ivar composer: composes the frames.
    :ivar notes: sentences on what was given, read or guessed.
    """

    bag: CameraBag
    times_ns: Sequence[int]
    size: tuple[int, int]
    camera: GroundCamera
    placed: Sequence[PlacedObject]
    composer: Composer
    notes: Sequence[str]


def make_plan(bag: CameraBag, objects: Sequence[RoadObject], options: ComposeOptions) -> Plan:
    """
    Look at some frames of a recording, and choose camera, way and places.

    :param bag: the recording.
    :param objects: what to paste, at least one.
    :param options: how.
    :raises BagError: if the bag is damaged, or if none of the frames can be decoded.
    :raises ValueError: if an option is out of its range, or if there are too many objects.
    """
    pictures = _samples(bag)
    camera, notes = choose_camera(pictures, read_calibration(bag), options.focal, options.horizon,
                                  options.camera_height_m)
    height, width = pictures[0].shape[:2]
    times_ns = _times_ns(bag)
    route, note = choose_route(bag, times_ns, options.speed)
    blur = blur_of(pictures)
    placed = place_objects(objects, route, options.seed, options.spacing_m, options.count)
    composer = Composer(camera, route, placed, blur, options.seed)
    return Plan(bag, times_ns, (height, width), camera, placed, composer,
                [*notes, note, f'blur of the images {blur:.1f} pixels (measured)'])


def _samples(bag: CameraBag) -> list[np.ndarray]:
    """Decode some frames at equal distances."""
    chosen = set(np.linspace(0, len(bag.times_ns) - 1, _SAMPLES).round().astype(int).tolist())
    pictures, errors = [], []
    for frame in bag.frames():
        if frame.index in chosen:
            try:
                pictures.append(bag.decode(frame))
            except BagError as error:
                errors.append(error)
    if not pictures:
        raise errors[0]
    return [picture for picture in pictures if picture.shape == pictures[0].shape]


def _times_ns(bag: CameraBag) -> list[int]:
    """Return the header stamps; the record times where the stamps do not rise."""
    stamps = [frame.stamp_ns for frame in bag.frames()]
    return stamps if stamps[-1] > stamps[0] else bag.times_ns
