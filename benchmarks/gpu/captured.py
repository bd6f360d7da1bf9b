# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The image network with fixed inputs and outputs on a device, captured as one graph."""

from __future__ import annotations

from collections.abc import Sequence
import time

from benchmarks.gpu.device import Device, tf32
from benchmarks.gpu.models import Variant
import numpy as np
import torch
from torch import nn, Tensor

from vl4ad_ros.bundle import Bundle
from vl4ad_ros.bundle.reference import Maps, OUTPUTS
from vl4ad_workshop.network.bundle_network import open_network


class CapturedNetwork:
    """
    An image network as one graph.

    This is what a TensorRT engine is compared with: the same network without a compiler.

    :ivar inputs: tensors on the device that each `replay` reads.
    :ivar outputs: tensors on the device that each `replay` overwrites, in the order of `Maps`;
        behind them the mask logits (1, N, h, w) of VL4AD.
    :ivar replay: runs the network once.
    :ivar stages: duration in ms of ``upload``, ``network`` and ``download`` in the last `run`.
    """

    def __init__(self, device: Device, graph: nn.Module, inputs: Sequence[Tensor]) -> None:
        """
        Warm a network up and capture it.

        :param device: the device of the network.
        :param graph: the network.
        :param inputs: its inputs on the device, which belong to this object from now on.
        :raises RuntimeError: if PyTorch fails.
        """
        self._device, self._graph = device, graph
        self.inputs = tuple(inputs)
        self.stages: dict[str, float] = {}
        self.replay, self.outputs = device.capture(self.answer)

    @staticmethod
    def of_bundle(device: Device, bundle: Bundle, variant: Variant,
                  size: tuple[int, int] | None = None) -> CapturedNetwork:
        """
        Build the network of a bundle from its weights.

        :param device: where to put it.
        :param bundle: a bundle with weights for PyTorch.
        :param variant: how to run it.
        :param size: rows and columns of its input, in pixels; None for those of the bundle.
        :raises BundleError: if the bundle has no weights for PyTorch.
        """
        network = open_network(bundle)
        network.set_precision(variant.precision)
        network.set_sampling(variant.form if network.cpu_form != 'none' else 'none')
        network.module.to(device.torch, memory_format=variant.layout)
        image, *texts = bundle.vision_signature.inputs
        inputs = [torch.zeros(shape, dtype=getattr(torch, t.dtype), device=device.torch)
                  for t, shape in ((image, (*(size or image.shape[:2]), 3)),
                                   *((t, t.shape) for t in texts))]
        return CapturedNetwork(device, network.graph(), inputs)

    def answer(self) -> tuple[Tensor, ...]:
        """Run the network operation by operation, without the graph."""
        with torch.inference_mode(), tf32(False):
            return self._graph(*self.inputs)[:len(OUTPUTS) + 1]

    def load(self, *arrays: np.ndarray) -> None:
        """
        Copy inputs to the device.

        :param arrays: the first inputs of the network, in their order.
        :raises ValueError: if an array has another shape.
        """
        for held, array in zip(self.inputs, arrays):
            if tuple(held.shape) != array.shape:  # copy_ would broadcast
                raise ValueError(f'expected an input of shape {list(held.shape)}, seen '
                                 f'{list(array.shape)}')
            held.copy_(torch.from_numpy(array if array.flags.writeable else array.copy()))

    def run(self, *arrays: np.ndarray) -> Maps:
        """
        Run the network on one image, one stage after the other.

        :param arrays: the image and the text inputs, as `load` takes them.
        :returns: maps that belong to the caller.
        """
        marks = [self._now()]
        self.load(*arrays)
        marks.append(self._now())
        self.replay()
        marks.append(self._now())
        # The next run overwrites the outputs.
        maps = Maps(*(output.cpu().numpy().copy() for output in self.outputs[:len(OUTPUTS)]))
        marks.append(self._now())
        self.stages = {stage: 1e3 * (b - a) for stage, a, b in zip(
            ('upload', 'network', 'download'), marks, marks[1:])}
        return maps

    def empty_queries(self) -> int | None:
        """Return how many queries of the last run have an empty mask; None without masks."""
        if len(self.outputs) == len(OUTPUTS):
            return None
        return int((self.outputs[len(OUTPUTS)] <= 0).flatten(2).all(-1).sum())

    def _now(self) -> float:
        self._device.synchronize()
        return time.perf_counter()
