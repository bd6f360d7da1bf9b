# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Latency of the network and of its parts, all variants in turns."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
import functools
import itertools
from typing import Any

from benchmarks.gpu.captured import CapturedNetwork
from benchmarks.gpu.device import tf32
from benchmarks.gpu.models import KNOWN, Models, scenes, Variant
from benchmarks.gpu.report import Figures, Report
from benchmarks.official_order import official_network, official_score, our_score
import numpy as np
import torch
from torch import Tensor

from vl4ad_ros.bundle.reference import OUTPUTS

Call = Callable[[], Any]

OFFICIAL, OFFICIAL_SCORING = 'official order, fp32', 'scoring alone, official order, fp32'
VARIANTS = {
    'fp32': Variant('fp32', channels_last=False),
    'fp16': Variant('fp16', channels_last=False),
    'bf16': Variant('bf16', channels_last=False),
    'fp16, channels_last': Variant('fp16'),
    'bf16, channels_last': Variant('bf16'),
    'fp16, channels_last, gather': Variant('fp16', 'gather'),
}
GRAPHS = ('fp16', 'fp16, channels_last', 'bf16, channels_last', 'fp16, channels_last, gather')
"""The variants that are measured as a CUDA graph too."""
NO_FORMS = 'the network has no deformable attention, so it has no forms of sampling'
ONE_IMAGE = 'the graph of this network takes one image'
_FRAMES = 4  # different ones in turns
_TOGETHER = 'fp16, channels_last'  # the variant for several images at once, without the last maps
_FEWEST = 5  # rounds; if there is no time for them, a size is skipped
_SHARE = 0.6  # of the time that is left, which one size may take
_AT_ONCE = 10  # rounds after which the figures so far are written


@dataclass(frozen=True)
class Row:
    """
    Something to measure.

    :ivar prepare: returns the call to measure, and the bytes that the call keeps on the device.
    :ivar against: the row whose median is divided by this row's; empty for none.
    :ivar tf32: whether TF32 is allowed in the call.
    :ivar absent: why it cannot be measured; empty if it can.
    """

    prepare: Callable[[], tuple[Call, int]]
    against: str = ''
    tf32: bool = False
    absent: str = ''


def percentiles(ms: list[float]) -> Figures:
    """Return median, p90, p99 and the number of durations in ms."""
    median, p90, p99 = (float(np.percentile(ms, q)) for q in (50, 90, 99))
    return {'median_ms': median, 'p90_ms': p90, 'p99_ms': p99, 'runs': len(ms)}


def names(models: Models) -> list[str]:
    """Return the names of all figures."""
    return [name for size in models.sizes for name in Latency(models, size).rows()]


def run(report: Report, models: Models, runs: int) -> None:
    """Measure every size."""
    for size in models.sizes:
        Latency(models, size).measure(report, runs)
        models.device.release()


class Latency:
    """The rows of one size of the network's input."""

    def __init__(self, models: Models, size: tuple[int, int]) -> None:
        """
        Measure nothing yet.

        :param models: the networks.
        :param size: rows and columns of the input, in pixels.
        """
        self._models, self._device, self._size = models, models.device, size
        self._count = itertools.count()

    def rows(self) -> Mapping[str, Row]:
        """Return what is measured, by name."""
        label = f'{self._size[0]}x{self._size[1]}: '
        official, scoring = label + OFFICIAL, label + OFFICIAL_SCORING
        absent = self._models.no_order
        rows = {official: Row(self._official, absent=absent), f'{official} with TF32': Row(
            self._official, official, tf32=True, absent=absent)}
        against = f'{label}ours, fp32' if absent else official
        for name, variant in VARIANTS.items():
            prepare = functools.partial(self._eager, variant)
            no_form = NO_FORMS if variant.form == 'gather' and not self._models.forms else ''
            rows[f'{label}ours, {name}'] = Row(prepare, against, absent=no_form)
            if name == 'fp32':
                rows[f'{label}ours, {name} with TF32'] = Row(prepare, against, tf32=True)
            if name in GRAPHS:
                rows[f'{label}ours, {name}, CUDA graph'] = Row(
                    functools.partial(self._captured, variant), against, absent=no_form)
        return {**rows, scoring: Row(functools.partial(self._scoring, official_score),
                                     absent=absent),
                f'{label}scoring alone, ours, fp32': Row(
                    functools.partial(self._scoring, our_score), scoring, absent=absent),
                **self._several(label),
                f'{label}upload of the image': Row(self._upload),
                f'{label}download of the maps': Row(self._download)}

    def _several(self, label: str) -> Mapping[str, Row]:
        """Return rows for the images of several cameras: the node takes them one by one."""
        one_by_one = f'{label}{_FRAMES} images one by one, {_TOGETHER}'
        absent = '' if self._models.forms else ONE_IMAGE
        return {one_by_one: Row(functools.partial(self._images, 1), absent=absent),
                f'{label}{_FRAMES} images at once, {_TOGETHER}': Row(
                    functools.partial(self._images, _FRAMES), one_by_one, absent=absent)}

    @torch.inference_mode()
    def measure(self, report: Report, runs: int) -> None:
        """
        Warm every row up and measure all of them in turns.

        :param report: gets the figures, repeatedly.
        :param runs: measurements of each row; fewer if the minutes do not suffice.
        """
        every = self.rows()
        for name, row in every.items():
            if row.absent:
                report.skip('latency', name, row.absent)
        rows = {name: row for name, row in every.items() if not row.absent}
        calls: dict[str, Call] = {}
        memory: dict[str, float] = {}
        times: dict[str, list[float]] = {}

        def warm_up(name: str, row: Row) -> None:
            call, kept = row.prepare()
            with tf32(row.tf32):
                for _ in range(self._device.warm_up):
                    call()
                memory[name] = (kept + self._device.peak_of(
                    lambda: once.update({name: self._device.milliseconds(call)}))) / 1e6
            calls[name], times[name] = call, []

        once: dict[str, float] = {}
        for name, row in rows.items():
            report.item('latency', name, 0, functools.partial(warm_up, name, row))
        seconds = sum(once.values()) / 1e3
        rounds = min(runs, int(_SHARE * report.left / max(seconds, 1e-6)))
        if rounds < min(_FEWEST, runs):
            for name in calls:
                report.skip('latency', name, report.too_long(_FEWEST * seconds / _SHARE))
            return
        if rounds < runs:
            report.say(f'latency: {rounds} instead of {runs} rounds of {seconds:.1f} s, because '
                       f'{report.left:.0f} s are left')
        for i in range(1, rounds + 1):
            for name, call in calls.items():
                with tf32(rows[name].tf32):
                    times[name].append(self._device.milliseconds(call))
            if i % _AT_ONCE == 0 or i == rounds:
                for name in calls:
                    against = times.get(rows[name].against)
                    report.put('latency', name, {**percentiles(times[name]), **({
                        'times_as_fast': float(np.median(against) / np.median(times[name]))}
                        if against else {}), 'memory_mb': memory[name]}, aloud=i == rounds)

    @functools.cached_property
    def _frames(self) -> list[Tensor]:
        return [torch.from_numpy(image).to(self._device.torch)
                for image in scenes(self._size, _FRAMES)]

    def _frame(self) -> Tensor:
        """Return another frame than last time."""
        return self._frames[next(self._count) % _FRAMES]

    def _official(self) -> tuple[Call, int]:
        network, texts = self._models.graph(VARIANTS['fp32']).network, self._models.texts()
        return lambda: official_network(network, self._frame()[None], texts, KNOWN), 0

    def _eager(self, variant: Variant) -> tuple[Call, int]:
        graph = self._models.graph(variant)
        _, *texts = self._models.inputs(scenes(self._size, 1)[0])
        return lambda: graph(self._frame(), *texts), 0

    def _images(self, batch: int) -> tuple[Call, int]:
        graph = self._models.graph(VARIANTS[_TOGETHER])
        texts, parts = self._models.texts(), torch.stack(self._frames).float().split(batch)
        return lambda: [graph.network(part, texts, graph.options) for part in parts], 0

    def _captured(self, variant: Variant) -> tuple[Call, int]:
        graph, before = self._models.graph(variant), self._device.held()
        captured = CapturedNetwork(
            self._device, graph, self._models.inputs(scenes(self._size, 1)[0]))

        def call() -> None:
            captured.inputs[0].copy_(self._frame())
            captured.replay()

        return call, self._device.held() - before

    def _scoring(self, score: Callable[..., Tensor]) -> tuple[Call, int]:
        network = self._models.graph(VARIANTS['fp32']).network
        queries = network(self._frame()[None], self._models.texts())
        masks, probability = queries.mask_logits[0], queries.probability[0][:, :KNOWN]
        return lambda: score(masks, probability, self._size), 0

    def _upload(self) -> tuple[Call, int]:
        host = [self._device.host(frame.shape, frame.dtype) for frame in self._frames]
        for image, frame in zip(host, self._frames):
            image.copy_(frame)
        target = torch.empty_like(self._frames[0])
        return lambda: target.copy_(
            host[next(self._count) % _FRAMES], non_blocking=True), 0

    def _download(self) -> tuple[Call, int]:
        graph = self._models.graph(VARIANTS['fp32'])
        maps = graph(*self._models.inputs(scenes(self._size, 1)[0]))[:len(OUTPUTS)]
        host = [self._device.host(value.shape, value.dtype) for value in maps]

        def call() -> None:
            for target, value in zip(host, maps):
                target.copy_(value, non_blocking=True)

        return call, 0
