# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Time what is done on one core around the network, against plain OpenCV: docs/benchmarks.md.

    python -m benchmarks.around_the_network [--size 1080x1920] [--rounds 60]

Before and after take turns.
"""

from __future__ import annotations

import argparse
import time

import cv2
import numpy as np
from vl4ad_ros.bundle.manifest import Calibration
from vl4ad_ros.inference.detector import Prediction
from vl4ad_ros.inference.letterbox import Letterbox
from vl4ad_ros.obstacles.regions import find_regions, RegionLimits
from vl4ad_workshop.scenes.still import draw_still

NETWORKS = ((192, 320), (512, 1024), (1024, 2048))
PADDING = (123, 117, 104)
LIMITS = RegionLimits()
CALIBRATION = Calibration((-1.0, -0.5, 0.0), (0.0, 0.5, 1.0))


def uncertainty(shape: tuple[int, int]) -> np.ndarray:
    """Return a map like the network's, with eight anomalies."""
    rng = np.random.default_rng(0)
    u = (0.02 * rng.standard_normal(shape) - 0.95).astype(np.float32)
    side = shape[0] // 10
    for _ in range(8):
        y, x = (int(rng.integers(0, n - side)) for n in shape)
        u[y:y + side, x:x + side] = -0.1
    return u


def plain_resize(box: Letterbox, image: np.ndarray) -> np.ndarray:
    """Resize as OpenCV's INTER_AREA does, then copy into the border."""
    height, width = box.content_size
    image = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
    return cv2.copyMakeBorder(image, 0, box.network_size[0] - height, 0,
                              box.network_size[1] - width, cv2.BORDER_CONSTANT, value=PADDING)


def plain_regions(score: np.ndarray) -> list[float]:
    """Label every pixel, with statistics, and average the large regions."""
    _, labels, stats, _ = cv2.connectedComponentsWithStatsWithAlgorithm(
        (score > LIMITS.threshold).view(np.uint8), 8, cv2.CV_32S, cv2.CCL_GRANA)
    means = []
    for n in np.flatnonzero(stats[:, 4] >= LIMITS.min_area * score.size)[1:]:
        x, y, width, height = stats[n, :4]
        window = slice(y, y + height), slice(x, x + width)
        means.append(float(score[window][labels[window] == n].mean()))
    return means


def plain_mask(score: np.ndarray) -> np.ndarray:
    """Multiply by 255."""
    return np.multiply(score > LIMITS.threshold, np.uint8(255), dtype=np.uint8)


def frame(box: Letterbox, image: np.ndarray, u: np.ndarray, plain: bool) -> list[float]:
    """Return the ms of resize, score and upsample, mask, and regions, one after the other."""
    marks = [time.perf_counter()]
    resized = plain_resize(box, image) if plain else box.to_network(image, PADDING)
    marks.append(time.perf_counter())
    prediction = Prediction(u, u, u, None, box, CALIBRATION)
    score = prediction.score
    if plain:
        score = np.ascontiguousarray(score)
    marks.append(time.perf_counter())
    mask = plain_mask(score) if plain else prediction.mask(LIMITS.threshold)
    marks.append(time.perf_counter())
    found = plain_regions(score) if plain else find_regions(score, LIMITS, mask).kept
    marks.append(time.perf_counter())
    assert len(found) and mask.any() and resized.shape[:2] == box.network_size
    return [1e3 * (b - a) for a, b in zip(marks, marks[1:])]


def row(size: tuple[int, int], network: tuple[int, int], rounds: int) -> str:
    """Return a line of the table."""
    box = Letterbox(size, network, 4)
    image = draw_still(np.random.default_rng(0), size).image
    u = uncertainty(box.map_size)
    times = {True: [], False: []}
    for _ in range(rounds):
        for plain in times:
            times[plain].append(frame(box, image, u, plain))
    before, after = (np.median(times[plain], axis=0) for plain in times)
    cells = [f'{a:.2f} -> {b:.2f}' for a, b in zip(before, after)]
    return (f'| {network[0]}x{network[1]} | ' + ' | '.join(cells)
            + f' | {before.sum():.1f} -> **{after.sum():.1f}** |')


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n\n')[0])
    parser.add_argument('--size', default='1080x1920', help="the camera's rows x columns")
    parser.add_argument('--rounds', type=int, default=60)
    args = parser.parse_args()
    cv2.setNumThreads(1)
    print('| network | resize | score and upsample | mask | regions | together |\n'
          + '|---' * 6 + '|')
    for network in NETWORKS:
        print(row(tuple(map(int, args.size.split('x'))), network, args.rounds), flush=True)


if __name__ == '__main__':
    main()
