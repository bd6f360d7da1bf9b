# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""From a camera image on the host to mask and regions on the host, with and without overlap."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
import functools
import time

from benchmarks.gpu.captured import CapturedNetwork
from benchmarks.gpu.latency import percentiles
from benchmarks.gpu.models import CAMERA, Models, scenes, Variant
from benchmarks.gpu.report import Figures, Report
import numpy as np
import torch

from vl4ad_ros.bundle.manifest import Calibration
from vl4ad_ros.bundle.reference import Maps, OUTPUTS
from vl4ad_ros.inference.detector import Prediction
from vl4ad_ros.inference.letterbox import Letterbox
from vl4ad_ros.obstacles.pipeline import Limits, Pipeline

DEPTHS = {'one frame after the other': 1, 'two-deep pipeline': 2}
STAGES = 'stages one after the other'
ANOMALOUS = 0.01
"""
Share of the pixels that the calibration makes anomalous.

Drawn weights have no threshold, and that of the street model was not chosen for drawn scenes.
"""
_FRAMES = 4  # different ones in turns
_PERIOD_NS = 10 ** 8  # between the stamps of two frames


def names(models: Models) -> list[str]:
    """Return the names of all figures."""
    return [f'{size[0]}x{size[1]}: {name}' for size in models.sizes for name in (STAGES, *DEPTHS)]


def run(report: Report, models: Models, runs: int) -> None:
    """Measure every size."""
    for size in models.sizes:
        label = f'{size[0]}x{size[1]}: '
        # The first item tells how long the others take.
        bench: list[EndToEnd] = []
        seconds = runs * report.get('latency', label + 'ours, fp32').get('median_ms', 0.0) / 1e3

        def stages(size: tuple[int, int] = size, bench: list[EndToEnd] = bench) -> Figures:
            bench.append(EndToEnd(models, size))
            return bench[0].stages(runs)

        if report.item('pipeline', label + STAGES, seconds, stages):
            total = runs * sum(value for key, value in report.get(
                'pipeline', label + STAGES).items() if key.endswith('_ms')) / 1e3
            for name, depth in DEPTHS.items():
                report.item('pipeline', label + name, total,
                            functools.partial(bench[0].rate, depth, runs))
        else:
            for name in DEPTHS:
                report.skip('pipeline', label + name, f'without "{STAGES}" it cannot be measured')
        bench.clear()
        models.device.release()


class _Slot:
    """
    The memory of one frame on its way.

    :ivar upload: the network's input on the host, page-locked.
    :ivar image: the same on the device.
    :ivar maps: the network's outputs on the device.
    :ivar download: the same on the host, page-locked.
    :ivar result: the age in s of the frame in the slot when its result was there.
    """

    def __init__(self, network: CapturedNetwork, models: Models) -> None:
        image, outputs = network.inputs[0], network.outputs[:len(OUTPUTS)]
        self.upload = models.device.host(image.shape, image.dtype)
        self.image = torch.empty_like(image)
        self.maps = [torch.empty_like(value) for value in outputs]
        self.download = [models.device.host(value.shape, value.dtype) for value in outputs]
        self.result: Future[float] | None = None


class EndToEnd:
    """
    A camera's frames through the network, as a node would process them.

    The host resizes the image. It is uploaded, the network runs as one graph, and its maps are
    downloaded, each in a stream of its own. A second thread of the host makes score, mask, regions
    and tracks.
    """

    def __init__(self, models: Models, size: tuple[int, int]) -> None:
        """
        Capture the network and calibrate the score.

        :param models: the networks.
        :param size: rows and columns of the network's input, in pixels.
        """
        self._models, self._device = models, models.device
        self._frames = scenes(CAMERA, _FRAMES)
        self._letterbox = Letterbox(CAMERA, size, 4)
        self._prompts = models.prompts()
        image = self._letterbox.to_network(self._frames[0], models.padding)
        self._network = CapturedNetwork(
            self._device, models.graph(Variant(self._device.precision)), models.inputs(image))
        self._slots = [_Slot(self._network, models) for _ in range(max(DEPTHS.values()))]
        self._queues = [self._device.queue() for _ in range(3)]
        u = self._letterbox.crop(self._network.run(image).uncertainty)
        limit = float(np.quantile(u, 1 - ANOMALOUS))
        spread = max(float(u.std()), 1e-6)
        self._calibration = Calibration((limit - spread, limit, limit + spread), (0.0, 0.5, 1.0))
        self._regions = 0

    def stages(self, runs: int) -> Figures:
        """Return the medians in ms of every stage, each finished before the next begins."""
        rows = []
        self._track = Pipeline()
        for i in range(runs):
            marks = [time.perf_counter()]
            image = self._letterbox.to_network(self._frames[i % _FRAMES], self._models.padding)
            marks.append(time.perf_counter())
            maps = self._network.run(image)
            marks.append(time.perf_counter())
            self._obstacles(maps, i)
            marks.append(time.perf_counter())
            rows.append([1e3 * (marks[1] - marks[0]), *self._network.stages.values(),
                         1e3 * (marks[3] - marks[2])])
        names = ('resize_ms', *(f'{s}_ms' for s in self._network.stages), 'mask_and_regions_ms')
        return {**dict(zip(names, map(float, np.median(rows, axis=0)))),
                'regions': self._regions, 'precision': self._device.precision}

    def rate(self, depth: int, runs: int) -> Figures:
        """
        Process frames as fast as they can be taken.

        :param depth: number of frames that may be on their way at the same time.
        :param runs: number of frames.
        :return: frames per second, and the age of the results in ms since the frame was taken.
        """
        self._track = Pipeline()
        for slot in self._slots:
            slot.result = None
        ages: list[float] = []
        with ThreadPoolExecutor(1) as host:
            start = time.perf_counter()
            for i in range(runs):
                slot = self._slots[i % depth]
                if slot.result is not None:
                    ages.append(slot.result.result())
                taken = time.perf_counter()
                done = self._enqueue(slot, self._frames[i % _FRAMES])
                slot.result = host.submit(self._finish, slot, done, taken, i)
            for slot in (self._slots[(runs + k) % depth] for k in range(depth)):
                if slot.result is not None:
                    ages.append(slot.result.result())
            seconds = time.perf_counter() - start
        figures = percentiles([1e3 * age for age in ages])
        return {'frames_per_s': runs / seconds,
                **{f'age_{key}': value for key, value in figures.items() if key != 'runs'},
                'runs': figures['runs']}

    def _enqueue(self, slot: _Slot, frame: np.ndarray) -> object:
        """Resize a frame and enqueue the work of the device; return the mark behind it."""
        device, network = self._device, self._network
        upload, compute, download = self._queues
        slot.upload.numpy()[:] = self._letterbox.to_network(frame, self._models.padding)
        with device.on(upload):
            slot.image.copy_(slot.upload, non_blocking=True)
        device.after(compute, device.mark(upload))
        with device.on(compute):
            # The graph has one place for its input and one for its outputs.
            network.inputs[0].copy_(slot.image)
            network.replay()
            for target, value in zip(slot.maps, network.outputs):
                target.copy_(value)
        device.after(download, device.mark(compute))
        with device.on(download):
            for target, value in zip(slot.download, slot.maps):
                target.copy_(value, non_blocking=True)
        return device.mark(download)

    def _finish(self, slot: _Slot, done: object, taken: float, index: int) -> float:
        """Wait for the device, make the result, and return its age in s."""
        self._device.wait(done)
        self._obstacles(Maps(*(value.numpy() for value in slot.download)), index)
        return time.perf_counter() - taken

    def _obstacles(self, maps: Maps, index: int) -> None:
        crop = self._letterbox.crop
        prediction = Prediction(
            crop(maps.uncertainty), crop(maps.best_known), crop(maps.best_anomaly), self._prompts,
            self._letterbox, self._calibration, crop(maps.anomaly_mass))
        limits = Limits()
        prediction.mask(limits.regions.threshold)
        stamp = (index + 1) * _PERIOD_NS
        self._regions = len(self._track.process(prediction, stamp, stamp, limits).detections)
