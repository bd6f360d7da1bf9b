# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Where the time goes: the longest kernels, and how near each part is to the roofline."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
import functools
import statistics
from typing import Any

from benchmarks.gpu.device import Device, tf32
from benchmarks.gpu.models import Models, scenes, Variant
from benchmarks.gpu.report import Figures, Report
import torch
from torch import nn, Tensor
from torch.utils import _pytree as pytree
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from vl4ad_ros.bundle.reference import OUTPUTS
from vl4ad_workshop.network.vl4ad import Vl4ad
from vl4ad_workshop.street.graph import StreetNetwork

LONGEST = 20
KERNELS, ROOFLINE = 'longest kernels and operators', 'roofline'
_PROFILED = 3  # runs
_LONGEST_NAME = 100  # characters

Answer = Callable[[], Sequence[Tensor]]


@dataclass(frozen=True)
class Part:
    """
    A part of the network with fixed inputs.

    :ivar answer: runs it.
    :ivar modules: what holds its weights.
    :ivar inputs: what it reads.
    """

    answer: Answer
    modules: Sequence[nn.Module]
    inputs: Sequence[Tensor]


class Traffic(TorchDispatchMode):
    """
    Adds up what operators read and write, each on its own; views move nothing.

    :ivar bytes: the sum. Kernels that compute several operators at once, or find their inputs in
        a cache, move less.
    """

    def __init__(self) -> None:
        """Start at 0."""
        super().__init__()
        self.bytes = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        """Run an operator and count its tensors."""
        result = function(*args, **(kwargs or {}))
        read, written = (
            [t for t in pytree.tree_leaves(values) if isinstance(t, Tensor)]
            for values in ((args, kwargs), result))
        places = {t.untyped_storage().data_ptr() for t in read}
        view = any(t.untyped_storage().data_ptr() in places for t in written)
        if function._schema.is_mutable or not view:
            self.bytes += sum(_bytes(t) for t in (*read, *written))
        return result


def names(models: Models) -> list[str]:
    """Return the names of all figures."""
    return [f'{size[0]}x{size[1]}: {name}' for size in models.sizes
            for name in (KERNELS, ROOFLINE)]


def run(report: Report, models: Models, runs: int) -> None:
    """Profile every size."""
    for size in models.sizes:
        label = f'{size[0]}x{size[1]}: '
        frame = report.get('latency', label + 'ours, fp32').get('median_ms', 0.0) / 1e3
        report.item('profile', label + KERNELS, 10 * frame,
                    functools.partial(longest, models, size))
        report.item('profile', label + ROOFLINE, (2 * runs / 5 + 20) * frame,
                    functools.partial(roofline, report, models, size, max(runs // 5, 3)))
        models.device.release()


@torch.no_grad()
def longest(models: Models, size: tuple[int, int]) -> Figures:
    """Return the kernels and operators with the longest own time, in ms for each frame."""
    device = models.device
    graph = models.graph(Variant(device.precision))
    inputs = models.inputs(scenes(size, 1)[0])
    with tf32(False):
        for _ in range(_PROFILED):
            graph(*inputs)
        device.synchronize()
        with torch.profiler.profile(record_shapes=True, activities={
                torch.profiler.ProfilerActivity.CPU, device.activity}) as profile:
            for _ in range(_PROFILED):
                graph(*inputs)
            device.synchronize()
    kernels = [e for e in profile.key_averages() if e.device_type == device.kernels]
    # Operators are run by the CPU, and their own time is that of the kernels that they start.
    operators = [e for e in profile.key_averages(group_by_input_shape=True)
                 if e.device_type == torch.autograd.DeviceType.CPU]
    total = sum(_own(e, device) for e in kernels)
    return {'precision': device.precision, 'all_kernels_ms': total,
            'kernels_per_frame': sum(e.count for e in kernels) / _PROFILED,
            'kernels': _rows(kernels, device, total, lambda e: e.key),
            'operators': _rows(operators, device, total, lambda e: f'{e.key} {e.input_shapes}')}


def _own(entry: Any, device: Device) -> float:
    """Return the own time of an entry of a profile in ms for each frame."""
    return getattr(entry, device.own_time) / 1e3 / _PROFILED


def _rows(entries: Sequence[Any], device: Device, total: float,
          name: Callable[[Any], str]) -> Mapping[str, Figures]:
    longest_first = sorted(entries, key=lambda e: -_own(e, device))[:LONGEST]
    return {f'{i}. `{name(e)[:_LONGEST_NAME]}`': {
        'ms': _own(e, device), 'share': _own(e, device) / max(total, 1e-9),
        'calls': e.count / _PROFILED} for i, e in enumerate(longest_first, 1)}


def roofline(report: Report, models: Models, size: tuple[int, int], runs: int) -> Figures:
    """
    Return work, time and share of the roofline of every part of the network.

    Operations are those of products and convolutions, a multiplication and an addition each.
    Norms, activations, softmax, resizing, sampling and sums are not counted. The limit of a part
    is the longer one of two times: its operations at the rate of a large product of matrices, and
    its weights, inputs and outputs once at the rate of a large copy. Both rates were measured
    before.

    :param report: has these rates.
    """
    device, precision = models.device, models.device.precision
    product = report.get('machine', precision).get('tflop_per_s')
    copy = report.get('machine', 'copy').get('gb_per_s')
    if product is None or copy is None:
        raise RuntimeError(f'the rate of a product in {precision} or of a copy is missing, '
                           'without which there is no limit; see the section of the machine')
    rows: dict[str, Figures] = {}
    with torch.no_grad(), tf32(False):
        for name, part in _parts(models, size).items():
            with FlopCounterMode(display=False) as operations, Traffic() as traffic:
                outputs = part.answer()
            least = sum(map(_bytes, (*part.inputs, *outputs, *(
                p for module in part.modules for p in module.parameters()))))
            replay, _ = device.capture(part.answer)
            ms = statistics.median(device.milliseconds(replay) for _ in range(runs))
            flop = operations.get_total_flops()
            limit = max(flop / product / 1e9, least / copy / 1e6)
            rows[name] = {
                'gflop': flop / 1e9, 'ms': ms, 'tflop_per_s': flop / ms / 1e9,
                'limit_ms': limit, 'share_of_the_roofline': limit / ms,
                'operators_move_gb': traffic.bytes / 1e9,
                'at_gb_per_s': traffic.bytes / ms / 1e6}
    return {'precision': precision, 'product_tflop_per_s': product, 'copy_gb_per_s': copy,
            'parts': rows}


def _parts(models: Models, size: tuple[int, int]) -> Mapping[str, Part]:
    """Return the whole network and its largest parts."""
    graph = models.graph(Variant(models.device.precision))
    image, *texts = models.inputs(scenes(size, 1)[0])
    if isinstance(graph.network, StreetNetwork):
        return _street_parts(graph, image, texts)
    return _vl4ad_parts(graph, image, texts)


def _street_parts(graph: nn.Module, image: Tensor, texts: Sequence[Tensor]) -> Mapping[str, Part]:
    """Return the parts of a street network; ConSE and the score remain."""
    network: StreetNetwork = graph.network
    pixels = image.float().permute(2, 0, 1)[None]
    maps = network.classifier.features(pixels)
    seen = network.see(image.float())
    concepts, concept_class, _, weight = texts

    def classifier() -> Sequence[Tensor]:
        found = network.classifier.features(pixels)
        return *found, network.classifier.logits(found[-1])

    return {
        'whole network': Part(lambda: graph(image, *texts)[:len(OUTPUTS)], (network,),
                              (image, *texts)),
        'classifier': Part(classifier, (network.classifier,), (image,)),
        'street head': Part(lambda: (network.head(maps),), (network.head,), maps),
        'comparison with the prompts': Part(
            lambda: network.compare(*seen, concepts, concept_class, weight), (),
            (*seen, concepts, concept_class, weight)),
    }


def _vl4ad_parts(graph: nn.Module, image: Tensor, texts: Sequence[Tensor]) -> Mapping[str, Part]:
    """Return the three largest parts of VL4AD; classification and score remain."""
    network: Vl4ad = graph.network
    head = network.sem_seg_head
    trunk = getattr(network.backbone.clip_model.visual, 'trunk',
                    network.backbone.clip_model.visual)
    features = network.backbone.features(network.normalise(image.float()[None]))
    mask_features, levels = network.decode(features)

    def pixel_decoder() -> Sequence[Tensor]:
        first, rest = network.decode(features)
        return first, *rest

    def mask_decoder() -> Sequence[Tensor]:
        proposal = head.predictor(mask_features, levels)
        return proposal.mask_logits, proposal.class_embedding

    return {
        'whole network': Part(lambda: graph(image, *texts)[:len(OUTPUTS)],
                              (trunk, head), (image, *texts)),
        'trunk': Part(lambda: network.backbone.features(network.normalise(image.float()[None])),
                      (trunk,), (image,)),
        'pixel decoder': Part(pixel_decoder, (head.pixel_decoder,), features),
        'mask decoder': Part(mask_decoder, (head.predictor,), (mask_features, *levels)),
    }


def _bytes(tensor: Tensor) -> int:
    """Return the bytes of a tensor; an expanded one has fewer than its shape says."""
    return min(tensor.numel() * tensor.element_size(), tensor.untyped_storage().nbytes())
