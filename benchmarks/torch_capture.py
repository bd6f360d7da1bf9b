# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Measure the image network in PyTorch on an NVIDIA GPU, captured as one CUDA graph.

    python -m benchmarks.torch_capture [--bundle tiny] [--precision fp16] [--frames 100]

This is what a TensorRT engine is compared with: the same network without a compiler. The images
are the bundle's reference frames. Prints the deviation from their answers, and the median latency
in ms of upload, network and download.
"""

from __future__ import annotations

import argparse
import sys
import time

import numpy as np
import torch
from torch import Tensor

from vl4ad_ros.bundle import Bundle
from vl4ad_ros.bundle.manifest import DTYPES
from vl4ad_ros.bundle.reference import load_reference, Maps, measure, TEXT_INPUTS
from vl4ad_workshop.network.classification import Classification
from vl4ad_workshop.network.deformable_sampling import set_sampling
from vl4ad_workshop.network.export import VisionGraph
from vl4ad_workshop.network.precision import set_precision
from vl4ad_workshop.network.reexport import load_network

WARM_UP = 3
"""Runs before the capture, in which cuDNN chooses its algorithms."""


class CapturedNetwork:
    """
    The image network of a bundle on a GPU, as one CUDA graph.

    :ivar stages: duration in ms of ``upload``, ``network`` and ``download`` in the last `run`.
    """

    def __init__(self, bundle: Bundle, precision: str, device: int = 0) -> None:
        """
        Build the network from the bundle's weights, warm it up and capture it.

        :param bundle: a bundle with weights for PyTorch.
        :param precision: one of `DTYPES`.
        :param device: index of the GPU.
        :raises BundleError: if the bundle has no weights for PyTorch.
        :raises RuntimeError: if PyTorch fails.
        """
        self._device = torch.device('cuda', device)
        self.stages: dict[str, float] = {}
        network, _ = load_network(bundle)
        set_precision(network, precision)
        set_sampling(network, 'grid-sample')
        network = network.to(self._device, memory_format=torch.channels_last)
        signature = bundle.vision_signature
        self._inputs = [torch.zeros(t.shape, dtype=getattr(torch, t.dtype), device=self._device)
                        for t in signature.inputs]
        self._forward = VisionGraph(network, bundle.capacity.classes,
                                    Classification(**bundle.network.classification))
        # The network has more outputs than those that the bundle's graphs have.
        self._count = len(signature.outputs)
        self._graph, self._outputs = self._capture()

    def run(self, *arrays: np.ndarray) -> Maps:
        """
        Run the image network on one image.

        :param arrays: the inputs of `Bundle.vision_signature`, in their order.
        :returns: maps that belong to the caller.
        """
        marks = [self._now()]
        for held, array in zip(self._inputs, arrays, strict=True):
            if tuple(held.shape) != array.shape:  # copy_ would broadcast
                raise ValueError(f'expected an input of shape {list(held.shape)}, seen '
                                 f'{list(array.shape)}')
            held.copy_(torch.from_numpy(array if array.flags.writeable else array.copy()))
        marks.append(self._now())
        self._graph.replay()
        marks.append(self._now())
        # The next run overwrites the outputs of the graph.
        maps = Maps(*(output.cpu().numpy() for output in self._outputs))
        marks.append(self._now())
        self.stages = {stage: 1e3 * (b - a) for stage, a, b in zip(
            ('upload', 'network', 'download'), marks, marks[1:])}
        return maps

    def _answer(self) -> tuple[Tensor, ...]:
        # Sampling points need all digits of float32, which TF32 does not have.
        with torch.inference_mode(), torch.backends.cudnn.flags(benchmark=True, allow_tf32=False):
            return self._forward(*self._inputs)[:self._count]

    def _capture(self) -> tuple[torch.cuda.CUDAGraph, tuple[Tensor, ...]]:
        stream = torch.cuda.Stream(self._device)
        stream.wait_stream(torch.cuda.current_stream(self._device))
        with torch.cuda.stream(stream):
            for _ in range(WARM_UP):
                self._answer()
        torch.cuda.current_stream(self._device).wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.device(self._device), torch.cuda.graph(graph):
            outputs = self._answer()
        return graph, outputs

    def _now(self) -> float:
        torch.cuda.synchronize(self._device)
        return time.perf_counter()


def main() -> int:
    """Print the deviation and the latency; return 1 without a GPU."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n\n')[0])
    parser.add_argument('--bundle', default='tiny')
    parser.add_argument('--precision', choices=DTYPES, default='fp16')
    parser.add_argument('--device', type=int, default=0, help='index of the GPU')
    parser.add_argument('--frames', type=int, default=100)
    args = parser.parse_args()
    if not torch.cuda.is_available():
        print(f'PyTorch {torch.__version__} sees no NVIDIA GPU, which a CUDA graph needs; run '
              'this on a machine with a GPU and a PyTorch built for CUDA', file=sys.stderr)
        return 1
    bundle = Bundle.open(args.bundle)
    reference = load_reference(bundle)
    network = CapturedNetwork(bundle, args.precision, args.device)
    print(f'torch {torch.__version__}, {args.precision}, '
          f'{torch.cuda.get_device_name(args.device)}: {measure(reference, network.run)}')
    texts = [reference.texts[name] for name in TEXT_INPUTS]
    rows = []
    for i in range(args.frames):
        network.run(reference.images[i % len(reference.images)], *texts)
        rows.append(list(network.stages.values()))
    print(', '.join(f'{stage} {ms:.2f} ms'
                    for stage, ms in zip(network.stages, np.median(rows, axis=0))))
    return 0


if __name__ == '__main__':
    sys.exit(main())
