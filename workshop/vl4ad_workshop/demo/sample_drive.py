# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What the demo plays: drawn once, kept in the user's cache."""

from __future__ import annotations

from collections.abc import Callable
import hashlib
from pathlib import Path
import shutil

from vl4ad_ros import __version__

from vl4ad_ros.files import cache_folder
from vl4ad_ros.obstacles.tracks import TrackLimits
from vl4ad_ros.outputs import beside
from vl4ad_workshop import scenes
from vl4ad_workshop.demo.second_act import SCRIPT, Script
from vl4ad_workshop.scenes.bag import write_drive
from vl4ad_workshop.scenes.drive import Drive
from vl4ad_workshop.scenes.halt import Halt

SEED, SECONDS, ANOMALIES = 7, 24.0, 4
# What the node is told for a drawn drive. The tiny model is unsure of much beside the road, so
# alerts come from the road ahead only (corners x, y in image fractions) and must last. Chosen on
# validation drives, as is the threshold that goes with them (training.drawn.calibration).
ROAD_AHEAD = ((0.05, 1.0), (0.05, 0.98), (0.44, 0.46), (0.57, 0.46), (1.0, 0.9), (1.0, 1.0))
TRACK_LIMITS = TrackLimits(confirm_hits=8, confirm_window=10)
PARAMETERS = {
    'region.roi': [n for corner in ROAD_AHEAD for n in corner],
    'alert.confirm_hits': TRACK_LIMITS.confirm_hits,
    'alert.confirm_window': TRACK_LIMITS.confirm_window}


OnFrame = Callable[[int, int], None]
"""Called with the number of frames drawn and to draw, if they have to be drawn."""


def sample_drive(seed: int = SEED, on_frame: OnFrame = lambda drawn, total: None) -> Path:
    """Return the bag of a test drive of 24 s at 640 x 360 and 10 Hz with four anomalies."""
    return kept(f'drive-{{}}-{seed}', lambda: Drive(
        seed, seconds=SECONDS, split='test', anomalies=ANOMALIES), on_frame)


def second_scene(script: Script = SCRIPT,
                 on_frame: OnFrame = lambda drawn, total: None) -> Path:
    """Return the bag of the scene of the demo's second act."""
    digest = hashlib.sha256(repr(script).encode()).hexdigest()[:10]
    return kept(f'halt-{{}}-{digest}', script.scene, on_frame)


def kept(name: str, scene: Callable[[], Drive | Halt], on_frame: OnFrame) -> Path:
    """
    Return the bag of a scene, drawn only if it is not in the cache.

    Its name holds the version and the digest of the code that draws, so that it is never stale;
    it appears only once it is complete, and then those of other versions go.

    :param name: with ``{}`` for version and digest.
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
                        on_frame=lambda index, frame: on_frame(index + 1, len(drawn)))
    for other in folder.glob(name.format('*')):
        if other != path:
            shutil.rmtree(other, ignore_errors=True)
    return path


def _digest() -> str:
    digest = hashlib.sha256()
    for source in sorted(Path(scenes.__file__).parent.glob('*.py')):
        digest.update(source.read_bytes())
    return digest.hexdigest()[:10]
