# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Time the stages of one frame on the CPU: the table of docs/benchmarks.md.

    python -m benchmarks.detector_latency [--bundle tiny] [--size 360x640] [--threads 1 2]

Thread counts take turns frame by frame, so that both see the same machine.
"""

from __future__ import annotations

import argparse
import platform
import time

import numpy as np

from vl4ad_ros.obstacles.monitor import ObstacleMonitor
from vl4ad_ros.runtime.backends import BackendOptions
from vl4ad_ros.runtime.detector import Detector
from vl4ad_ros.scenes.still import draw_still

STAGES = ('network and resize', 'score and mask', 'regions and tracks', 'whole frame')


def frame_times(detector: Detector, prompts, monitor: ObstacleMonitor,
                image: np.ndarray) -> list[float]:
    """Return the milliseconds of each stage of one frame."""
    marks = [time.perf_counter()]
    prediction = detector.detect(image, prompts)
    marks.append(time.perf_counter())
    prediction.mask(0.5)
    marks.append(time.perf_counter())
    monitor.update(prediction.score)
    marks.append(time.perf_counter())
    return [1e3 * (b - a) for a, b in zip(marks, marks[1:])] + [1e3 * (marks[-1] - marks[0])]


def main() -> None:
    """Print median and 95th percentile of each stage for each number of threads."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n\n')[0])
    parser.add_argument('--bundle', default='tiny')
    parser.add_argument('--size', default='360x640', help='camera image, rows x columns')
    parser.add_argument('--threads', type=int, nargs='+', default=[1, 2])
    parser.add_argument('--frames', type=int, default=100)
    args = parser.parse_args()
    size = tuple(int(n) for n in args.size.split('x'))
    images = [draw_still(np.random.default_rng(i), size, groups=('known', 'masks'), split='test')
              .image for i in range(4)]
    detectors = {n: Detector.open(args.bundle, options=BackendOptions(n)) for n in args.threads}
    prompts = {n: d.encode(d.default_vocabulary) for n, d in detectors.items()}
    monitors = {n: ObstacleMonitor() for n in args.threads}
    times: dict[int, list[list[float]]] = {n: [] for n in args.threads}
    for i in range(10 + args.frames):
        for n, detector in detectors.items():
            row = frame_times(detector, prompts[n], monitors[n], images[i % len(images)])
            if i >= 10:
                times[n].append(row)
    print(f'{args.frames} frames of {args.size} after 10 to warm up, {platform.machine()}, '
          f'Python {platform.python_version()}; ms, median (p95)')
    print('| stage | ' + ' | '.join(f'{n} threads' for n in args.threads) + ' |')
    print('|---' * (len(args.threads) + 1) + '|')
    for s, stage in enumerate(STAGES):
        cells = [f'{np.median(t[:, s]):.1f} ({np.percentile(t[:, s], 95):.1f})'
                 for t in (np.array(times[n]) for n in args.threads)]
        print(f'| {stage} | ' + ' | '.join(cells) + ' |')


if __name__ == '__main__':
    main()
