# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""PyTorch as a backend: the network itself instead of its exported graph."""

from __future__ import annotations

from collections.abc import Callable
import re
import time

import numpy as np
import torch
from torch import Tensor

from vl4ad_ros.bundle import Bundle
from vl4ad_ros.bundle.reference import Maps
from vl4ad_ros.inference.backend import BackendOptions
from vl4ad_ros.inference.errors import BackendError, DeviceMemoryError, FatalBackendError
from vl4ad_ros.inference.prompt_arrays import PromptArrays
from vl4ad_workshop.network.classification import Classification
from vl4ad_workshop.network.export import VisionGraph
from vl4ad_workshop.network.precision import set_precision
from vl4ad_workshop.network.reexport import load_network
from vl4ad_workshop.network.sampling import set_sampling

_WARM_UP = 3
_BYTES = {'KiB': 2 ** 10, 'MiB': 2 ** 20, 'GiB': 2 ** 30}


class Torch:
    """
    Both networks on one device: a CUDA GPU where PyTorch sees one, else the CPU in float32.

    On a GPU the whole image network is one CUDA graph.

    :param compiled: let `torch.compile` generate the code, which takes minutes.
    """

    name = 'torch'

    def __init__(self, bundle: Bundle, options: BackendOptions, compiled: bool = False) -> None:
        """Build the network from the bundle's weights, warm it up and capture it."""
        gpu = torch.cuda.is_available()
        self._device = torch.device('cuda', options.device) if gpu else torch.device('cpu')
        precision = 'fp32'
        if gpu:
            precision = (options.precision if options.precision != 'auto'
                         else bundle.graphs_for('auto')[0].dtype)
        self._threads = options.threads
        self._prompts = PromptArrays()
        self.stages: dict[str, float] = {}
        network, _ = load_network(bundle)
        set_precision(network, precision)
        set_sampling(network, 'grid-sample')
        with _Errors(self._device):
            network = network.to(self._device, memory_format=torch.channels_last)
            self._encode: Callable[[Tensor], Tensor] | None = network.backbone.encode_text
            signature = bundle.vision_signature
            self._inputs = [torch.zeros(t.shape, dtype=getattr(torch, t.dtype),
                                        device=self._device) for t in signature.inputs]
            # Without the study's values, and as few as the bundle's own graphs give.
            self._count = len(signature.outputs)
            forward = VisionGraph(network, bundle.capacity.classes,
                                  Classification(**bundle.network.classification))
            self._forward: Callable[..., tuple[Tensor, ...]] | None = (
                torch.compile(forward) if compiled else forward)
            self._graph = self._capture() if gpu else None
            if compiled and not gpu:
                self._answer()
        where = (torch.cuda.get_device_name(self._device) + ', CUDA graph' if gpu else 'CPU')
        self.description = f'{self.name} {torch.__version__}, {precision}, {where}'

    def run(self, image: np.ndarray, concepts: np.ndarray, concept_class: np.ndarray,
            num_known: np.ndarray, ensemble_weight: np.ndarray) -> Maps:
        """Score one network-sized image; see `Backend.run`."""
        if self._forward is None:
            raise BackendError(_CLOSED)
        prompts = concepts, concept_class, num_known, ensemble_weight
        marks = [time.perf_counter()]
        with _Errors(self._device):
            if not self._prompts.holds(*prompts):
                self._prompts.set()
                for held, array in zip(self._inputs[1:], prompts):
                    self._put(held, array)
                self._prompts.set(*prompts)
            self._put(self._inputs[0], image)
            marks.append(self._now())
            if self._graph is None:
                outputs = self._answer()
            else:
                self._graph.replay()
                outputs = self._outputs
            marks.append(self._now())
            # Of a graph they are overwritten by the next frame.
            maps = Maps(*((x.cpu() if x.is_cuda else x).numpy() for x in outputs))
        marks.append(time.perf_counter())
        upload, network, download = (1e3 * (b - a) for a, b in zip(marks, marks[1:]))
        self.stages = {'network': network} if self._graph is None else {
            'upload': upload, 'network': network, 'download': download}
        return maps

    def encode_text(self, tokens: np.ndarray) -> np.ndarray:
        """Embed rows of tokens; see `Backend.encode_text`."""
        encode = self._encode
        if encode is None:
            raise BackendError(_CLOSED)
        torch.set_num_threads(self._threads)
        with _Errors(self._device), torch.inference_mode():
            return encode(torch.tensor(tokens, device=self._device)).cpu().numpy()

    def device_memory(self) -> int | None:
        """Return what PyTorch has taken of the GPU in this process; None on a CPU."""
        if self._device.type == 'cpu':
            return None
        return torch.cuda.memory_reserved(self._device)

    def close(self) -> None:
        """Free the network, and on a GPU its memory."""
        self._encode = self._forward = self._graph = self._outputs = None
        self._inputs = []
        self._prompts.set()
        if self._device.type == 'cuda':
            torch.cuda.empty_cache()

    def _put(self, held: Tensor, array: np.ndarray) -> None:
        if tuple(held.shape) != array.shape:  # copy_ would broadcast
            raise ValueError(f'expected an input of shape {list(held.shape)}, seen '
                             f'{list(array.shape)}')
        held.copy_(torch.from_numpy(array if array.flags.writeable else array.copy()))

    def _answer(self) -> tuple[Tensor, ...]:
        torch.set_num_threads(self._threads)
        # Sampling points need all of float32's digits; shapes never change.
        with torch.inference_mode(), torch.backends.cudnn.flags(benchmark=True, allow_tf32=False):
            return self._forward(*self._inputs)[:self._count]

    def _capture(self) -> torch.cuda.CUDAGraph:
        stream = torch.cuda.Stream(self._device)
        stream.wait_stream(torch.cuda.current_stream(self._device))
        with torch.cuda.stream(stream):
            for _ in range(_WARM_UP):
                self._answer()
        torch.cuda.current_stream(self._device).wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        # Other threads may use CUDA meanwhile.
        with torch.cuda.device(self._device), torch.cuda.graph(
                graph, capture_error_mode='thread_local'):
            self._outputs = self._answer()
        return graph

    def _now(self) -> float:
        if self._device.type == 'cuda':
            torch.cuda.synchronize(self._device)
        return time.perf_counter()


class _Errors:
    """Tells what an error of PyTorch means for who called."""

    def __init__(self, device: torch.device) -> None:
        self._device = device

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type | None, error: BaseException | None, trace: object) -> None:
        if isinstance(error, (RuntimeError, ValueError)) and not isinstance(error, BackendError):
            raise self._translated(error) from error

    def _translated(self, error: Exception) -> BackendError:
        said = f'torch {torch.__version__} failed on {self._device}: {error}'
        if isinstance(error, torch.OutOfMemoryError):
            torch.cuda.empty_cache()
            size = re.search(r'Tried to allocate ([\d.]+) (KiB|MiB|GiB)', str(error))
            needed = f'{float(size[1]) * _BYTES[size[2]] / 2 ** 20:.0f} MiB' if size else 'unknown'
            free = torch.cuda.mem_get_info(self._device)[0] >> 20
            return DeviceMemoryError(
                f'{self._device} has too little memory: needed {needed}, free {free} MiB; end '
                'other programs on the GPU, or export the bundle with a smaller --input-size')
        if self._device.type == 'cuda':
            try:
                torch.cuda.synchronize(self._device)
            except RuntimeError:  # every call returns an error that lasts
                return FatalBackendError(f'{said}; this process cannot use the GPU any more, '
                                         'start it again')
        return BackendError(said)


_CLOSED = 'the backend is closed; open the detector again'

open_backend = Torch


def unavailable(options: BackendOptions) -> str:
    """Return why PyTorch cannot be used, with the cure, or ``''``."""
    count = torch.cuda.device_count()
    if count and options.device >= count:
        return f'no GPU {options.device}: PyTorch sees {count} (numbered from 0)'
    return ''
