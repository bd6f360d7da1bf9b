# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Memory and results over many frames, with other prompts every ten frames."""

from __future__ import annotations

import time

from benchmarks.gpu.captured import CapturedNetwork
from benchmarks.gpu.models import Models, scenes, text_inputs, Variant
from benchmarks.gpu.report import Figures, Report
import numpy as np

EVERY = 10  # frames
FRAMES_OF_A_RUN = 20  # so 100 runs make 2000 frames
NAME = 'a long drive'
_SCENES = 4
_SAMPLES = 10


def names(models: Models) -> list[str]:
    """Return the names of all figures."""
    return [NAME]


def run(report: Report, models: Models, runs: int) -> None:
    """Measure at the first size."""
    size = models.sizes[0]
    frame = report.get('latency', f'{size[0]}x{size[1]}: ours, fp32').get('median_ms', 0.0) / 1e3
    frames = FRAMES_OF_A_RUN * runs
    report.item('memory', NAME, frames * frame, lambda: drive(models, size, frames))


def drive(models: Models, size: tuple[int, int], frames: int) -> Figures:
    """
    Return memory along the way, its growth after a tenth of the frames, and what was checked.

    :param models: the networks.
    :param size: rows and columns of the network's input, in pixels.
    :param frames: how many frames are processed.
    """
    device, images = models.device, scenes(size, _SCENES)
    network = CapturedNetwork(
        device, models.graph(Variant(device.precision)), models.inputs(images[0]))
    first = network.run(images[0], *text_inputs(models.prompts(0)))
    # A few prompts are drawn beforehand, because memory of the host is measured too.
    prompts = [text_inputs(models.prompts(seed)) for seed in range(10)]
    samples: dict[str, dict[str, int]] = {}
    finite, start = True, time.perf_counter()
    for i in range(frames):
        maps = network.run(images[i % _SCENES], *prompts[i // EVERY % len(prompts)])
        finite = finite and bool(np.isfinite(maps.uncertainty).all())
        if i == frames // 10 or (i + 1) % max(frames // _SAMPLES, 1) == 0:
            samples[f'after {i + 1} frames'] = device.memory()
    seconds = time.perf_counter() - start
    again = network.run(images[0], *prompts[0])
    other = network.run(images[0], *prompts[1])
    begin, end = list(samples.values())[0], list(samples.values())[-1]
    if not finite:
        raise ValueError('an uncertainty is not finite')
    return {
        'frames': frames, 'seconds': seconds, 'precision': device.precision,
        **{f'{name}_growth_mb': (end[name] - begin[name]) / 1e6 for name in end},
        'same_frame_and_prompts_differ_by': float(
            np.abs(again.uncertainty - first.uncertainty).max()),
        'other_prompts_differ_by': float(np.abs(other.uncertainty - first.uncertainty).max()),
        'memory_in_mb': {label: {name: value / 1e6 for name, value in sample.items()}
                         for label, sample in samples.items()}}
