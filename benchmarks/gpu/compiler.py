# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The network compiled by torch.compile, against the same network without it, both as graphs."""

from __future__ import annotations

import functools
import statistics
import time

from benchmarks.gpu.captured import CapturedNetwork
from benchmarks.gpu.models import Models, scenes, Variant
from benchmarks.gpu.report import Figures, Report
import numpy as np
import torch

_SECONDS = {'cuda': 150.0, 'cpu': 240.0}  # that compiling may take


def names(models: Models) -> list[str]:
    """Return the names of all figures."""
    return [f'{size[0]}x{size[1]}' for size in models.sizes]


def run(report: Report, models: Models, runs: int) -> None:
    """Compile for every size."""
    for name, size in zip(names(models), models.sizes):
        report.item('compile', name, _SECONDS[models.device.name],
                    functools.partial(compiled, models, size, runs))
        models.device.release()


def compiled(models: Models, size: tuple[int, int], runs: int) -> Figures:
    """Return the time of compiling, both medians in ms, and the difference of their scores."""
    device, image = models.device, scenes(size, 1)[0]
    graph = models.graph(Variant(device.precision))
    plain = CapturedNetwork(device, graph, models.inputs(image))
    torch.compiler.reset()
    start = time.perf_counter()
    fast = CapturedNetwork(device, torch.compile(graph, dynamic=False), models.inputs(image))
    seconds = time.perf_counter() - start
    times: list[list[float]] = [[], []]
    for _ in range(runs):
        for side, network in zip(times, (plain, fast)):
            side.append(device.milliseconds(network.replay))
    before, after = map(statistics.median, times)
    gap = np.abs(plain.run(image).uncertainty - fast.run(image).uncertainty)
    return {'precision': device.precision, 'compiling_s': seconds, 'without_ms': before,
            'compiled_ms': after, 'times_as_fast': before / after,
            'difference_max': float(gap.max()), 'difference_mean': float(gap.mean())}
