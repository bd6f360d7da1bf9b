# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
What the node costs around the model, over DDS: docs/benchmarks.md.

    python -m benchmarks.node [--frames 300] [--rounds 3] [--size 1080x1920] [--rate 30]
    python -m benchmarks.node --memory [--frames 100000] [--size 1080x1920]

This process is the camera: it publishes one rgb8 picture with new stamps, and CameraInfo, and
subscribes to masks, alerts and obstacles. The node runs in a process of its own. Its backend
answers at once with what the image network of the street model answered to a reference frame. In
turns with it, a plain rclpy subscriber takes the same images and copies their data.

Costs are CPU time and not durations, because other programs may run on the machine.

With --memory, each image is published when the mask of the one before has come, and the resident
memory of the node is given over the images.
"""

from __future__ import annotations

import argparse
import os

from benchmarks.node.camera import Camera
from benchmarks.node.process import CLOCKS, KINDS, Measured
import numpy as np
import rclpy
from vl4ad_ros.node.dds import use_profile

ROWS = 11


def costs(camera: Camera, frames: int, rounds: int, rate_hz: float) -> None:
    """Print the costs of both kinds of processes."""
    found: dict[str, list[Measured]] = {kind: [] for kind in KINDS}
    for _ in range(rounds):
        for kind in KINDS:
            found[kind].append(camera.measure(kind, frames, 1 / rate_hz))
            print(f'{kind}: load average {os.getloadavg()[0]:.1f}, received '
                  + ', '.join(f'{n} {name}' for name, n in camera.received.items()), flush=True)
    print(f'\n| p50 / p95, ms | {" | ".join(KINDS)} |\n|---|---|---|')
    for i, clock in enumerate(CLOCKS):
        print(f'| CPU time, {clock} | ' + ' | '.join(
            _p50_p95([one.cpu_ms for one in found[kind]], i) for kind in KINDS) + ' |')
    print('| age | ' + ' | '.join(
        _p50_p95([np.array(one.age_ms)[:, None] for one in found[kind]], 0) for kind in KINDS)
        + ' |')


def memory(camera: Camera, frames: int) -> float:
    """Print the memory of the node over the images; return its growth in MiB."""
    found = camera.measure('node', frames, 0)
    rows = found.memory
    print('| images | resident, MiB | not shared, MiB |\n|---|---|---|')
    for i in np.linspace(0, len(rows) - 1, min(ROWS, len(rows))).astype(int):
        print('| {} | {:.1f} | {:.1f} |'.format(*rows[i]))
    growth = growth_mib(found)
    print(f'growth from the second tenth to the last one: {growth:.2f} MiB')
    return growth


def growth_mib(found: Measured) -> float:
    """Return by how much the memory of the last tenth exceeds that of the second tenth, in MiB."""
    values = np.array(found.memory)[:, 1]
    tenth = max(1, len(values) // 10)
    return float(np.median(values[-tenth:]) - np.median(values[tenth:2 * tenth]))


def _p50_p95(rounds: list, column: int) -> str:
    values = np.concatenate([np.asarray(one)[:, column] for one in rounds])
    return '{:.2f} / {:.2f}'.format(*np.percentile(values, (50, 95)))


def main() -> None:
    """Print tables."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n\n')[0])
    parser.add_argument('--frames', type=int, help='default: 300, with --memory 100000')
    parser.add_argument('--rounds', type=int, default=3)
    parser.add_argument('--size', default='1080x1920', help="the camera's rows x columns")
    parser.add_argument('--rate', type=float, default=30.0, help='images per second')
    parser.add_argument('--memory', action='store_true')
    parser.add_argument('--most-growth', type=float, default=np.inf, metavar='MIB',
                        help='with --memory: fail if the memory grows by more')
    args = parser.parse_args()
    rows, columns = map(int, args.size.split('x'))
    use_profile()
    rclpy.init()
    camera = Camera((rows, columns))
    try:
        if args.memory:
            growth = memory(camera, args.frames or 100000)
            if growth > args.most_growth:
                raise SystemExit(f'this is more than {args.most_growth} MiB')
        else:
            costs(camera, args.frames or 300, args.rounds, args.rate)
    finally:
        camera.close()
        rclpy.shutdown()


if __name__ == '__main__':
    main()
