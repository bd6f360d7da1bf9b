# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The bags that the demo plays: they are drawn once and kept in the user's cache folder."""

from __future__ import annotations

from collections.abc import Callable, Sequence
import hashlib
from pathlib import Path
import shutil
from typing import Any

import cv2
import numpy as np
from vl4ad_ros import __version__
from vl4ad_ros.files import cache_folder
from vl4ad_ros.obstacles.tracks import TrackLimits
from vl4ad_ros.outputs import beside
from vl4ad_ros.settings import own_name
from vl4ad_workshop import scenes
from vl4ad_workshop.demo.second_act import SCRIPT, Script
from vl4ad_workshop.scenes.bag import ONE, View, write_drive
from vl4ad_workshop.scenes.drive import Drive
from vl4ad_workshop.scenes.halt import Halt

SEED, SECONDS, ANOMALIES = 7, 24.0, 4
# Parameters of the node for a drawn drive. The tiny model has many false positives beside the
# road, so alerts are limited to a polygon on the road ahead (x and y of its corners as fractions
# of the image) and to obstacles that last. Both were chosen on validation drives, together with
# the threshold (training.drawn.calibration).
ROAD_AHEAD = ((0.05, 1.0), (0.05, 0.98), (0.44, 0.46), (0.57, 0.46), (1.0, 0.9), (1.0, 1.0))
TRACK_LIMITS = TrackLimits(confirm_hits=8, confirm_window=10)
PARAMETERS = {
    'region.roi': [n for corner in ROAD_AHEAD for n in corner],
    'alert.confirm_hits': TRACK_LIMITS.confirm_hits,
    'alert.confirm_window': TRACK_LIMITS.confirm_window}


def parameters_of(views: Sequence[View]) -> dict[str, Any]:
    """Return the parameters of the node for a drawn drive with these cameras."""
    if views == ONE:
        return PARAMETERS
    limits = {name: value for name, value in PARAMETERS.items() if name != 'region.roi'}
    return {'cameras': [view.name for view in views], **limits, **{
        own_name(view.name, 'region.roi'): _road_in(view) for view in views}}


def _road_in(view: View) -> list[float]:
    """Return the part of `ROAD_AHEAD` that a camera shows, in fractions of its picture."""
    shown = [(x, y) for x in (view.left, view.right) for y in (0.0, 1.0)]
    _, corners = cv2.intersectConvexConvex(np.float32(ROAD_AHEAD), cv2.convexHull(
        np.float32(shown)))
    corners = corners.reshape(-1, 2).astype(float)
    corners[:, 0] = (corners[:, 0] - view.left) / (view.right - view.left)
    return np.clip(corners, 0.0, 1.0).ravel().tolist()


OnFrame = Callable[[int, int], None]
"""Called with the number of frames drawn so far and in total; not called if all are cached."""


def sample_drive(seed: int = SEED, on_frame: OnFrame = lambda drawn, total: None,
                 views: Sequence[View] = ONE) -> Path:
    """
    Return the bag of a test drive of 24 s at 640 x 360 and 10 Hz with four anomalies.

    :param seed: the same seed gives the same drive.
    :param on_frame: reports progress.
    :param views: the cameras.
    """
    cameras = '' if views == ONE else f'-{len(views)}-cameras'
    return kept(f'drive-{{}}-{seed}{cameras}', lambda: Drive(
        seed, seconds=SECONDS, split='test', anomalies=ANOMALIES), on_frame, views)


def second_scene(script: Script = SCRIPT,
                 on_frame: OnFrame = lambda drawn, total: None) -> Path:
    """
    Return the bag of the scene in which the demo changes the prompts.

    :param script: objects and duration of the scene.
    :param on_frame: reports progress.
    """
    digest = hashlib.sha256(repr(script).encode()).hexdigest()[:10]
    return kept(f'halt-{{}}-{digest}', script.scene, on_frame)


def kept(name: str, scene: Callable[[], Drive | Halt], on_frame: OnFrame,
         views: Sequence[View] = ONE) -> Path:
    """
    Return the bag of a scene, which is drawn only if it is not in the cache.

    The name of the bag contains the package's version and a digest of the drawing code, so a bag
    of other code is never used. The bag appears under its name only once it is complete. Bags of
    the same scene from other versions are then deleted.

    :param name: name of the bag, with ``{}`` in place of version and digest.
    :param scene: returns the scene to draw.
    :param on_frame: reports progress.
    :param views: the cameras.
    """
    folder = cache_folder()
    path = folder / name.format(f'{__version__}-{_digest()}')
    if path.is_dir():
        return path
    with beside(path, wait=True) as partial:
        if not path.is_dir():  # Another process may have drawn it while this one waited.
            drawn = scene()
            on_frame(0, len(drawn))
            write_drive(drawn, partial,
                        on_frame=lambda index, frame: on_frame(index + 1, len(drawn)),
                        views=views)
    for other in folder.glob(name.format('*')):
        if other != path:
            shutil.rmtree(other, ignore_errors=True)
    return path


def _digest() -> str:
    digest = hashlib.sha256()
    for source in sorted(Path(scenes.__file__).parent.glob('*.py')):
        digest.update(source.read_bytes())
    return digest.hexdigest()[:10]
