# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The drive that the demo plays: drawn once, kept in the user's cache."""

from __future__ import annotations

from collections.abc import Callable
import hashlib
import os
from pathlib import Path
import shutil
from tempfile import mkdtemp

from vl4ad_ros import __version__, scenes
from vl4ad_ros.obstacles.tracks import TrackLimits
from vl4ad_ros.scenes.bag import write_drive
from vl4ad_ros.scenes.drive import Drive

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


def sample_drive(seed: int = SEED,
                 on_frame: Callable[[int, int], None] = lambda drawn, total: None) -> Path:
    """
    Return the bag of a test drive of 24 s at 640 x 360 and 10 Hz with four anomalies.

    Its name holds the version and the digest of the code that draws, so that it is never stale;
    it appears only once it is complete, and then those of other versions go.

    :param on_frame: called with the number of frames drawn and to draw, if it has to be drawn.
    """
    name = f'drive-{__version__}-{_digest()}-{seed}'
    folder = cache_folder()
    path = folder / name
    if path.is_dir():
        return path
    folder.mkdir(parents=True, exist_ok=True)
    workshop = Path(mkdtemp(prefix='.drawing.', dir=folder))
    try:
        drive = Drive(seed, seconds=SECONDS, split='test', anomalies=ANOMALIES)
        on_frame(0, len(drive))
        write_drive(drive, workshop / name,
                    on_frame=lambda index, frame: on_frame(index + 1, len(drive)))
        try:
            (workshop / name).rename(path)
        except OSError:
            if not path.is_dir():  # else another process was faster
                raise
        for other in folder.glob(f'drive-*-{seed}'):
            if other != path:
                shutil.rmtree(other, ignore_errors=True)
    finally:
        shutil.rmtree(workshop, ignore_errors=True)
    return path


def cache_folder() -> Path:
    """Return `$XDG_CACHE_HOME/vl4ad_ros`, by default `~/.cache/vl4ad_ros`."""
    return Path(os.environ.get('XDG_CACHE_HOME') or Path.home() / '.cache') / 'vl4ad_ros'


def _digest() -> str:
    digest = hashlib.sha256()
    for source in sorted(Path(scenes.__file__).parent.glob('*.py')):
        digest.update(source.read_bytes())
    return digest.hexdigest()[:10]
