# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
How far half precision is from float32, in PyTorch on the CPU.

Drawn scenes and four frames without any (grey, black, white, noise), with the default prompts of
a bundle; or an official architecture with weights drawn from their names and random prompts.
Prints one JSON line: for each precision and kind of frame the deviation of
`bundle.reference.measure`, that of the worst frame, and whether all values are finite.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
import json
import sys

from benchmarks.parity import drawn_network
import numpy as np
import torch

from vl4ad_ros.bundle import Bundle
from vl4ad_ros.bundle.reference import Maps, measure, OUTPUTS, Reference, TEXT_INPUTS
from vl4ad_ros.inference.detector import Detector
from vl4ad_workshop.network.bundle_network import load_network
from vl4ad_workshop.network.classification import Classification
from vl4ad_workshop.network.config import OFFICIAL
from vl4ad_workshop.network.deformable_sampling import FORMS, set_sampling
from vl4ad_workshop.network.export import VisionGraph
from vl4ad_workshop.network.options import parse_size
from vl4ad_workshop.network.precision import set_precision
from vl4ad_workshop.network.vl4ad import Vl4ad
from vl4ad_workshop.scenes.still import draw_still

# Of an official architecture: concepts, classes, known ones among them.
CONCEPTS, CLASSES, KNOWN = 24, 12, 8


def main() -> int:
    """Compare each precision with float32."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n\n')[0])
    parser.add_argument('network', choices=['tiny', *OFFICIAL])
    parser.add_argument('--size', type=parse_size, default=(192, 320), metavar='HxW')
    parser.add_argument('--pictures', type=int, default=30)
    parser.add_argument('--sampling', choices=FORMS, default='gather')
    args = parser.parse_args()
    frames = {'drawn': [draw_still(np.random.default_rng(seed), args.size, split='test').image
                        for seed in range(args.pictures)],
              'empty': frames_without_a_scene(args.size)}
    network, texts, classes = _load(args.network)
    references = {}
    for kind, images in frames.items():
        run = _runner(network, classes)
        references[kind] = Reference(np.stack(images), texts, tuple(
            run(image, *texts.values()) for image in images))
    result = {}
    for dtype in ('fp16', 'bf16'):
        network, _, _ = _load(args.network)
        set_precision(network, dtype)
        set_sampling(network, args.sampling)
        for kind, reference in references.items():
            print(f'{args.network}, {dtype}, {kind} frames', file=sys.stderr)
            result[f'{dtype} {kind}'] = _deviations(reference, _runner(network, classes))
    print(json.dumps(result))
    return 0


def frames_without_a_scene(size: tuple[int, int]) -> list[np.ndarray]:
    """Return a grey, a black and a white frame, and noise: uint8 (H, W, 3) each."""
    return [np.full((*size, 3), v, np.uint8) for v in (128, 0, 255)] + [
        np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)]


def _load(name: str) -> tuple[Vl4ad, dict[str, np.ndarray], int]:
    """Return a float32 network, its text inputs, and how many classes they have room for."""
    if name == 'tiny':
        bundle, detector = Bundle.open(name), Detector.open(name, 'onnxruntime')
        prompts = detector.encode(detector.default_vocabulary)
        return (load_network(bundle)[0], {n: getattr(prompts, n) for n in TEXT_INPUTS},
                bundle.capacity.classes)
    network = drawn_network(OFFICIAL[name])
    rows = np.random.default_rng(0).standard_normal((CONCEPTS, network.config.embed_dim))
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return network, dict(zip(TEXT_INPUTS, (
        rows.astype(np.float32), np.arange(CONCEPTS) * CLASSES // CONCEPTS, np.array([KNOWN]),
        np.full(CLASSES, 0.4, np.float32)))), CLASSES


def _runner(network: Vl4ad, classes: int) -> Callable[..., Maps]:
    graph = VisionGraph(network, classes, Classification())

    def run(*inputs: np.ndarray) -> Maps:
        tensors = [torch.from_numpy(x.copy()) for x in inputs]
        with torch.inference_mode():
            return Maps(*(x.numpy() for x in graph(*tensors)[:len(OUTPUTS)]))

    return run


def _deviations(reference: Reference, run: Callable[..., Maps]) -> dict[str, float | bool]:
    seen = [run(image, *reference.texts.values()) for image in reference.images]
    answers = iter(seen)
    total = measure(reference, lambda *_: next(answers))
    worst = max(
        measure(Reference(reference.images[i:i + 1], reference.texts, (answer,)),
                lambda *_, i=i: seen[i]).uncertainty
        for i, answer in enumerate(reference.answers))
    return {'uncertainty': round(total.uncertainty, 4), 'worst_frame': round(worst, 4),
            'known': round(total.known, 5), 'anomaly': round(total.anomaly, 5),
            'mass': round(total.mass, 5),
            'finite': all(bool(np.isfinite(values).all()) for maps in seen for values in maps)}


if __name__ == '__main__':
    sys.exit(main())
