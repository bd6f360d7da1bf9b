# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
How fast pixels are counted for the metrics, and in how much memory, for docs/benchmarks.md.

    python -m benchmarks.pixel_metrics [--pixels N] [--way WAY] [--json FILE]

Frames of 1920x1080 are drawn at random: scores in 0..1, 1.5 % anomalous and 20 % ignored pixels.
Each way of counting runs in a process of its own. The time is processor time of that process,
without the drawing of frames, so other programs on the machine hardly matter. The memory is the
largest resident set of the process, with Python, the libraries and the frame.
"""

from __future__ import annotations

import argparse
from dataclasses import asdict, dataclass
import json
import os
from pathlib import Path
import resource
import subprocess
import sys
import time

import numpy as np

SIZE = (1080, 1920)
WAYS = ('float16', 'float32', 'components')


@dataclass(frozen=True)
class Measured:
    """What one way of counting took."""

    way: str
    pixels: int
    pixels_per_second: float
    result_s: float
    peak_mb: float


def frame(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return a score and a label with some squares of anomalies."""
    label = np.zeros(SIZE, np.uint8)
    label[:SIZE[0] // 5] = 255
    for _ in range(8):
        y, x = rng.integers(300, 900), rng.integers(0, 1800)
        label[y:y + 60, x:x + 65] = 1
    score = rng.random(SIZE, np.float32)
    score *= 0.7
    score += 0.3 * (label == 1)
    return score, label


def measure(way: str, pixels: int) -> Measured:
    """Count so many pixels in this process."""
    from vl4ad_ros.evaluation.component_metrics import ComponentMetrics, OBSTACLE_TRACK
    from vl4ad_ros.evaluation.pixel_metrics import PixelMetrics
    metrics: PixelMetrics | ComponentMetrics
    if way == 'components':
        metrics = ComponentMetrics(0.68, OBSTACLE_TRACK)
    else:
        metrics = PixelMetrics(exact=way == 'float32')
    rng, done, seconds = np.random.default_rng(0), 0, 0.0
    while done < pixels:
        score, label = frame(rng)
        start = time.process_time()
        metrics.add(score, label)
        seconds += time.process_time() - start
        done += score.size
    start = time.process_time()
    metrics.result()
    return Measured(way, done, done / seconds, time.process_time() - start,
                    resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000)


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n\n')[0])
    parser.add_argument('--pixels', type=float, default=1e9, metavar='N')
    parser.add_argument('--json', type=Path, metavar='FILE')
    parser.add_argument('--way', choices=WAYS, action='append', help='default: all of them')
    parser.add_argument('--inside', choices=WAYS, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.inside:
        print(json.dumps(asdict(measure(args.inside, int(args.pixels)))))
        return
    print('| way | pixels | pixels per second | result | peak memory |\n|---|---|---|---|---|')
    found = []
    for way in args.way or WAYS:
        done = subprocess.run(
            [sys.executable, '-m', 'benchmarks.pixel_metrics', '--inside', way, '--pixels',
             str(args.pixels)], check=True, stdout=subprocess.PIPE, text=True,
            env={**os.environ, 'OMP_NUM_THREADS': '1', 'OPENBLAS_NUM_THREADS': '1'})
        one = Measured(**json.loads(done.stdout))
        found.append(one)
        print(f'| {one.way} | {one.pixels:.3g} | {one.pixels_per_second / 1e6:.0f} million | '
              f'{one.result_s:.3f} s | {one.peak_mb:.0f} MB |', flush=True)
    if args.json:
        args.json.write_text(json.dumps([asdict(one) for one in found], indent=2) + '\n')


if __name__ == '__main__':
    main()
