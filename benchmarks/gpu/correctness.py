# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""How far each precision and form of sampling is from float32 on the CPU."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
import functools
from pathlib import Path

from benchmarks.gpu.captured import CapturedNetwork
from benchmarks.gpu.device import CpuDevice, Device, tf32
from benchmarks.gpu.latency import NO_FORMS
from benchmarks.gpu.models import KNOWN, Models, scenes, text_inputs, Variant
from benchmarks.gpu.report import Figures, Report
from benchmarks.half_precision import frames_without_a_scene
from benchmarks.official_order import difference, official_network, our_network
import numpy as np
import torch

from vl4ad_ros.bundle import Bundle
from vl4ad_ros.bundle.reference import (
    excess, load_reference, Maps, measure, Reference, TEXT_INPUTS)
import vl4ad_workshop

PRECISIONS = 'fp32', 'fp16', 'bf16'
# By its path, because its name is known only where the workshop is installed.
TINY = Path(vl4ad_workshop.__file__).parent / 'models' / 'tiny'
PLUGIN = 'plugin form of sampling'
ORDERS = 'official order against ours, fp32'
TRAINED = 'trained tiny model'

Opener = Callable[[Device, Variant], CapturedNetwork]


def cases(models: Models) -> dict[str, Variant]:
    """Return every precision, each with every form of sampling that the network has."""
    if not models.forms:
        return {precision: Variant(precision) for precision in PRECISIONS}
    return {f'{precision}, {form}': Variant(precision, form)
            for precision in PRECISIONS for form in models.forms}


def names(models: Models) -> list[str]:
    """Return the names of all figures."""
    sources = (models.weights, *((TRAINED,) if models.forms else ()))
    return [*(f'{source}: {case}' for source in sources for case in cases(models)), ORDERS,
            PLUGIN]


def run(report: Report, models: Models, runs: int) -> None:
    """
    Compare every case with float32 on the CPU, on a scene and on frames without one.

    Masks of drawn weights are noise, so none is empty. Therefore the trained tiny model, many of
    whose masks are empty, is compared too.
    """
    seconds = 20.0 if models.sizes[0][0] >= 512 else 3.0
    size = models.sizes[0]
    texts = dict(zip(TEXT_INPUTS, text_inputs(models.prompts())))

    def own(device: Device, variant: Variant) -> CapturedNetwork:
        return CapturedNetwork(device, models.graph(variant, device),
                               models.inputs(scenes(size, 1)[0], device))

    _against_the_cpu(report, models, seconds, models.weights, own, size, texts)
    if models.forms:
        bundle = Bundle.open(TINY)
        at_most = min((bundle.vision.height, bundle.vision.width), size)

        def trained(device: Device, variant: Variant) -> CapturedNetwork:
            return CapturedNetwork.of_bundle(device, bundle, variant, at_most)

        _against_the_cpu(report, models, seconds, TRAINED, trained, at_most,
                         load_reference(bundle).texts)
        report.skip('correctness', PLUGIN,
                    'the plugin belongs to TensorRT; PyTorch cannot run it')
    else:
        report.skip('correctness', PLUGIN, NO_FORMS)
    if models.no_order:
        report.skip('correctness', ORDERS, models.no_order)
    else:
        report.item('correctness', ORDERS, seconds, lambda: _orders(models))


def _against_the_cpu(report: Report, models: Models, seconds: float, source: str, opener: Opener,
                     size: tuple[int, int], texts: Mapping[str, np.ndarray]) -> None:
    """Compare all cases of one source of weights."""
    scene = scenes(size, 1)[0]
    images = [scene, *frames_without_a_scene(size)]
    reference = functools.cache(functools.partial(_reference, opener, images, texts))
    for case, variant in cases(models).items():
        report.item('correctness', f'{source}: {case}', seconds, functools.partial(
            _compare, opener, models.device, variant, reference))
        models.device.release()


def _reference(opener: Opener, images: Sequence[np.ndarray],
               texts: Mapping[str, np.ndarray]) -> Reference:
    """Answer images with float32 on the CPU."""
    network = opener(CpuDevice(), Variant('fp32'))
    return Reference(np.stack(images), texts, tuple(
        network.run(image, *texts.values()) for image in images))


def _compare(opener: Opener, device: Device, variant: Variant,
             reference: Callable[[], Reference]) -> Figures:
    """Return the deviations over all frames, and how many queries each leaves empty, if any."""
    expected, network = reference(), opener(device, variant)
    found: list[Maps] = []
    empty: list[int | None] = []
    for image in expected.images:
        found.append(network.run(image, *expected.texts.values()))
        empty.append(network.empty_queries())
    answers = iter(found)
    total = measure(expected, lambda *_: next(answers))
    frames = [measure(Reference(expected.images[i:i + 1], expected.texts, (answer,)),
                      lambda *_, i=i: found[i]).uncertainty
              for i, answer in enumerate(expected.answers)]
    return {'uncertainty': total.uncertainty, 'of_the_scene': frames[0],
            'of_the_worst_frame': max(frames), 'known_class': total.known,
            'anomaly_class': total.anomaly, 'mass': total.mass,
            **({} if None in empty else {'empty_queries': ' '.join(map(str, empty))}),
            'within_the_tolerance': excess(total, variant.precision) or 'yes'}


def _orders(models: Models) -> Figures:
    """Compare the scores of both orders of operations, which differ at the edges of masks."""
    network = models.graph(Variant('fp32', channels_last=False)).network
    image = torch.from_numpy(scenes(models.sizes[0], 1)[0])[None].to(models.device.torch)
    with torch.inference_mode(), tf32(False):
        theirs, ours = (order(network, image, models.texts(), KNOWN)
                        for order in (official_network, our_network))
    return {f'difference_{key}' if key in ('max', 'mean') else key: value
            for key, value in difference(theirs, ours).items()}
