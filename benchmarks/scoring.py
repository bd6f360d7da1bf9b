# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Compare FC-CLIP's order of operations in scoring with ours, for the table in docs/benchmarks.md.

    python -m benchmarks.scoring [--part scoring] [--part network] [--part ap] [--json FILE]

Both orders use the same weights, image and threads in float32, and alternate in one run.
`scoring` measures what follows the network at 1024x2048 with 250 masks and 19 classes: time,
memory, and the difference in the score. `network` measures everything from pixels to score at
512x1024, for our network in torch and as exported. Both use ConvNeXt-L with drawn weights
(benchmarks/parity.py), whose masks have no meaning but the same cost as trained ones. `ap`
measures how the order changes the results of a trained model, the tiny one, on held-out drawn
pictures.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
import json
import os
from pathlib import Path
import platform
import subprocess
import sys
import tempfile
import time
from typing import Any

from benchmarks.official_order import difference, NETWORKS, official_score, SCORES
from benchmarks.parity import drawn_network
from benchmarks.words.model import StudyModel, Words
from benchmarks.words.pictures import CAMERA, draw, GROUPS, labels
import numpy as np
import torch
from torch import Tensor
import torch.nn.functional as F
from tqdm import tqdm

from vl4ad_ros.bundle import Bundle
from vl4ad_ros.evaluation.pixel_metrics import PixelMetrics
from vl4ad_ros.inference.backend import BackendOptions, open_backend
from vl4ad_ros.inference.detector import Detector
from vl4ad_workshop.network.clip_tokenizer import write_clip_tokenizer
from vl4ad_workshop.network.config import CONVNEXT_LARGE_D_320
from vl4ad_workshop.network.export import export_bundle
from vl4ad_workshop.network.uncertainty import semantic_map, uncertainty
from vl4ad_workshop.network.vl4ad import Texts, Vl4ad
from vl4ad_workshop.scenes.still import draw_still

CLASSES, CONCEPTS = 19, 60  # FC-CLIP's Cityscapes vocabulary
PARTS = ('scoring', 'network', 'ap')


def drawn_texts() -> Texts:
    """Return random texts: what they say changes no cost."""
    generator = torch.Generator().manual_seed(0)
    concepts = torch.randn(CONCEPTS, CONVNEXT_LARGE_D_320.embed_dim, generator=generator)
    return Texts(F.normalize(concepts, dim=-1), torch.arange(CONCEPTS) * CLASSES // CONCEPTS,
                 CLASSES, torch.full((CLASSES,), 0.4))


def drawn_image(size: tuple[int, int]) -> Tensor:
    """Draw a road scene as the network takes it: (1, H, W, 3) uint8."""
    return torch.from_numpy(draw_still(
        np.random.default_rng(0), size, groups=('known', 'masks'), split='test').image)[None]


def in_turns(sides: dict[str, Callable[[], Tensor]], rounds: int) -> dict[str, list[float]]:
    """Return the seconds of each round of each side; they take turns after one to warm up."""
    times: dict[str, list[float]] = {name: [] for name in sides}
    for i in tqdm(range(rounds + 1), 'rounds, first to warm up'):
        for name, run in sides.items():
            start = time.perf_counter()
            run()
            if i:
                times[name].append(time.perf_counter() - start)
    return times


def memory_of(side: str, folder: Path) -> int:
    """Return the bytes by which one side's scoring raises the peak of a fresh process."""
    run = subprocess.run(
        [sys.executable, '-m', 'benchmarks.scoring', '--memory-of', side, str(folder),
         '--threads', str(torch.get_num_threads())],
        check=True, capture_output=True, text=True, cwd=Path(__file__).resolve().parents[1])
    return int(run.stdout)


def print_memory(side: str, folder: Path, size: tuple[int, int]) -> None:
    """Score once in this process and print how much its peak rose."""
    masks, probability = (torch.from_numpy(np.load(folder / f'{name}.npy'))
                          for name in ('masks', 'probability'))
    # Not ru_maxrss, which a process inherits from the one that started it.
    Path('/proc/self/clear_refs').write_text('5')  # the peak starts over at what is held now
    before = peak()
    SCORES[side](masks, probability, size)
    print(peak() - before)


def peak() -> int:
    """Return the most bytes that this process has held in memory (Linux)."""
    status = Path('/proc/self/status').read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in status if line.startswith('VmHWM'))


def compare_scoring(size: tuple[int, int], rounds: int) -> dict[str, Any]:
    """Compare time, memory and result of what follows the network."""
    queries = drawn_network(CONVNEXT_LARGE_D_320)(drawn_image(size), drawn_texts())
    masks, probability = queries.mask_logits[0], queries.probability[0]
    with tempfile.TemporaryDirectory() as folder:
        np.save(Path(folder) / 'masks.npy', masks.numpy())
        np.save(Path(folder) / 'probability.npy', probability.numpy())
        memory = {side: memory_of(side, Path(folder)) for side in SCORES}
    times = in_turns({side: lambda score=score: score(masks, probability, size)
                      for side, score in SCORES.items()}, rounds)
    return {'size': size, 'queries': len(masks), 'classes': CLASSES, 'seconds': times,
            'peak_bytes': memory, 'difference': difference(
                *(score(masks, probability, size) for score in SCORES.values()))}


def exported(network: Vl4ad, folder: Path, size: tuple[int, int],
             texts: Texts) -> Callable[[Tensor], Tensor]:
    """Return the network as a bundle on ONNX Runtime, from pixels to the score (H, W)."""
    sot, eot = write_clip_tokenizer(folder / 'tokenizer.json')
    export_bundle(network, folder, size, CONCEPTS, CLASSES, folder / 'tokenizer.json', {
        'name': 'drawn', 'notice': '', 'text': {'sot': sot, 'eot': eot, 'pad': 0},
        'ensemble': {'alpha': 0.4, 'beta': 0.8, 'seen': []},
        'calibration': {'u': [-1.0, 0.0], 'score': [0.0, 1.0]},
        'vocabulary': {'known': ['road'], 'anomaly': ['']}, 'provenance': {}})
    backend = open_backend(Bundle.open(folder), 'onnxruntime',
                           BackendOptions(torch.get_num_threads()))
    words = (texts.concepts.numpy(), texts.concept_class.numpy(), np.array([CLASSES]),
             texts.ensemble_weight.numpy())

    def run(image: Tensor) -> Tensor:
        score = torch.from_numpy(backend.run(image[0].numpy(), *words)[0])
        return F.interpolate(score[None, None], size=size, mode='bilinear',
                             align_corners=False)[0, 0]

    return run


def compare_networks(size: tuple[int, int], rounds: int) -> dict[str, Any]:
    """Compare time and result of the whole network."""
    network, image, texts = drawn_network(CONVNEXT_LARGE_D_320), drawn_image(size), drawn_texts()
    with tempfile.TemporaryDirectory() as folder:
        shipped = exported(network, Path(folder), size, texts)
        sides = {**{side: lambda run=run: run(network, image, texts)
                    for side, run in NETWORKS.items()},
                 'ours, exported': lambda: shipped(image)}
        return {'size': size, 'seconds': in_turns(sides, rounds),
                'difference': difference(*(run() for run in list(sides.values())[:2]))}


def compare_ap(pictures: int) -> dict[str, dict[str, float]]:
    """Compare AP and score of both orders on the same masks of the tiny model."""
    detector = Detector.open('tiny')
    model = StudyModel(detector.bundle)
    words = Words.of(detector.encode(detector.default_vocabulary), detector.bundle.ensemble)
    letterbox = model.letterbox(CAMERA)
    height, width = letterbox.content_size
    table = {}
    for group in GROUPS:
        metrics = {side: PixelMetrics() for side in SCORES}
        gaps = []
        for i in tqdm(range(pictures), group):
            frame = draw(i, group)
            answer = model(frame.image)
            masks = answer.mask_logits[None]
            probability = answer.probability(words, model.options)
            # FC-CLIP enlarges to the network's size, cuts the padding off, resizes to the image.
            at_input = F.interpolate(masks, scale_factor=4, mode='bilinear', align_corners=False)
            theirs = official_score(at_input[0, :, :height, :width], probability, CAMERA).numpy()
            ours = letterbox.to_image(letterbox.crop(uncertainty(
                semantic_map(masks[0].sigmoid(), probability)).numpy()))
            for side, score in zip(SCORES, (theirs, ours)):
                metrics[side].add(score, labels(frame))
            gaps.append(difference(torch.from_numpy(theirs), torch.from_numpy(ours)))
        table[group] = {
            **{f'ap, {side}': m.result().ap for side, m in metrics.items()},
            'max': max(g['max'] for g in gaps), 'mean': float(np.mean([g['mean'] for g in gaps]))}
    return table


def markdown(result: dict[str, Any]) -> str:
    """Return a table for each part."""
    lines = []
    for part in ('scoring', 'network'):
        if part not in result:
            continue
        r = result[part]
        lines += [f'{part} at {r["size"][0]}x{r["size"][1]}, {len(r["seconds"]["ours"])} rounds; '
                  'in brackets how many times faster than the first',
                  '| | ' + ' | '.join(r['seconds']) + ' |', '|---' * (len(r['seconds']) + 1) + '|']
        for what, figure in (('median', np.median), ('least', min)):
            times = [float(figure(t)) for t in r['seconds'].values()]
            lines.append(f'| time, {what} | {times[0]:.3f} s | ' + ' | '.join(
                f'{t:.3f} s ({times[0] / t:.2f})' for t in times[1:]) + ' |')
        if 'peak_bytes' in r:
            theirs, ours = r['peak_bytes'].values()
            lines.append(f'| peak memory | {theirs / 1e6:.0f} MB | {ours / 1e6:.0f} MB '
                         f'({theirs / ours:.1f}) |')
        d = r['difference']
        lines.append(f'difference in score: max {d["max"]:.2g}, mean {d["mean"]:.2g}, of scores '
                     f'in {d["lowest"]:.2f}..{d["highest"]:.2f}')
    if 'ap' in result:
        lines += ['| anomalies | AP, official order | AP, ours | difference, max | mean |',
                  '|---|---|---|---|---|']
        lines += [f'| {GROUPS[g]} | {100 * r["ap, official order"]:.2f} | '
                  f'{100 * r["ap, ours"]:.2f} | {r["max"]:.2f} | {r["mean"]:.4f} |'
                  for g, r in result['ap'].items()]
    return '\n'.join(lines)


@torch.inference_mode()
def main() -> None:
    """Print the tables, and write JSON where asked to."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n\n')[0])
    parser.add_argument('--part', choices=PARTS, action='append', help='all by default')
    parser.add_argument('--scoring-size', default='1024x2048', help='rows x columns')
    parser.add_argument('--network-size', default='512x1024')
    parser.add_argument('--rounds', type=int, default=7)
    parser.add_argument('--pictures', type=int, default=120, help='of each group')
    parser.add_argument('--threads', type=int, default=os.cpu_count())
    parser.add_argument('--json', type=Path)
    parser.add_argument('--memory-of', nargs=2, metavar=('SIDE', 'FOLDER'),
                        help=argparse.SUPPRESS)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    sizes = {part: tuple(int(n) for n in getattr(args, f'{part}_size').split('x'))
             for part in ('scoring', 'network')}
    if args.memory_of:
        return print_memory(args.memory_of[0], Path(args.memory_of[1]), sizes['scoring'])
    run = {'scoring': lambda: compare_scoring(sizes['scoring'], args.rounds),
           'network': lambda: compare_networks(sizes['network'], args.rounds),
           'ap': lambda: compare_ap(args.pictures)}
    result = {'machine': platform.machine(), 'torch': torch.__version__, 'threads': args.threads,
              **{part: run[part]() for part in args.part or PARTS}}
    print(f'{args.threads} threads, torch {torch.__version__}')
    print(markdown(result))
    if args.json:
        args.json.write_text(json.dumps(result, indent=1))


if __name__ == '__main__':
    main()
