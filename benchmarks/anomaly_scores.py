# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Compare anomaly scores of one bundle on held-out drawn pictures: the table of docs/method.md.

    python -m benchmarks.anomaly_scores [--bundle tiny] [--pictures 120] [--json FILE]

All scores see the same masks and class probabilities; they differ in prompts and in what they
make of the map. Wrong-word and random rows are controls: a rise with them is no understanding.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import partial
import json
import os
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from tqdm import tqdm

from vl4ad_ros.evaluation.pixel_metrics import IGNORE, PixelMetrics
from vl4ad_ros.network import scoring
from vl4ad_ros.network.export import STUDY_OUTPUTS
from vl4ad_ros.runtime.bundle import Bundle
from vl4ad_ros.runtime.detector import Detector
from vl4ad_ros.runtime.letterbox import Letterbox
from vl4ad_ros.runtime.prompts import Prompts
from vl4ad_ros.scenes.frame import Frame
from vl4ad_ros.scenes.kinds import KINDS, kinds_in
from vl4ad_ros.scenes.still import draw_still
from vl4ad_ros.vocabulary import PromptClass, Vocabulary

SEED = 21
CAMERA = (360, 640)
GROUPS = {'masks': 'training masks', 'words': 'CLIP stage only', 'unseen': 'never seen'}


class StudyModel:
    """A bundle's vision model that also gives the values a study needs."""

    def __init__(self, bundle: Bundle) -> None:
        self.bundle = bundle
        model = onnx.load(bundle.directory / bundle.vision.file)
        values = {v.name: v for v in model.graph.value_info}
        model.graph.output.extend(values[name] for name in STUDY_OUTPUTS)
        self._session = onnxruntime.InferenceSession(
            model.SerializeToString(), providers=['CPUExecutionProvider'])

    def semantic(self, image: np.ndarray, prompts: Prompts) -> tuple[torch.Tensor, Letterbox]:
        """Return the map (K, h, w) of the known classes and the geometry of the image."""
        vision = self.bundle.vision
        letterbox = Letterbox(image.shape[:2], (vision.height, vision.width), vision.stride)
        mask, probability = self._session.run(list(STUDY_OUTPUTS), {
            'image': letterbox.to_network(image, self.bundle.padding_rgb),
            'concepts': prompts.concepts, 'concept_class': prompts.concept_class,
            'num_known': prompts.num_known, 'ensemble_weight': prompts.ensemble_weight})
        semantic = scoring.semantic_map(torch.from_numpy(mask), torch.from_numpy(probability))
        known = len(prompts.vocabulary.known)
        return torch.from_numpy(letterbox.crop(
            semantic[:known].numpy().transpose(1, 2, 0)).transpose(2, 0, 1)), letterbox


def draw(index: int, group: str) -> Frame:
    """Draw a held-out picture with anomalies of one group."""
    return draw_still(np.random.default_rng([SEED, list(GROUPS).index(group), index]), CAMERA,
                      groups=('known', group), split='test')


def labels(frame: Frame) -> tuple[np.ndarray, np.ndarray]:
    """Return pixel labels {0, 1, 255} of all pixels, and of pixels on things only."""
    anomalous = np.array([KINDS[k].group != 'known' for k in frame.kinds] + [False])
    surface = np.array([KINDS[k].role == 'surface' for k in frame.kinds] + [False])
    label = np.where(frame.segments < 0, IGNORE, anomalous[frame.segments]).astype(np.uint8)
    return label, np.where(surface[frame.segments], IGNORE, label).astype(np.uint8)


def prompt_sets(detector: Detector, group: str) -> dict[str, Prompts]:
    """Return the prompts of each row: none, the default ones, and the controls."""
    known = detector.default_vocabulary.known
    default = detector.encode(detector.default_vocabulary)
    # Words of things that are in no picture of this group.
    others = [k for g in GROUPS if g != group for k in kinds_in(g)]
    wrong = detector.encode(Vocabulary(known, tuple(
        PromptClass(k.name, k.words[:2]) for k in others)))
    rng = np.random.default_rng(0)
    ood = default.concept_class >= len(known)
    texts = default.concepts[ood]
    noise = rng.standard_normal(texts.shape).astype(np.float32) * texts.std(0) + texts.mean(0)
    concepts = default.concepts.copy()
    concepts[ood] = noise / np.linalg.norm(noise, axis=1, keepdims=True)
    right = detector.encode(Vocabulary(known, tuple(
        PromptClass(k.name, k.words[:2]) for k in kinds_in(group))))
    return {'none': detector.encode(Vocabulary(known)), 'default': default, 'right': right,
            'wrong': wrong, 'random': replace(default, concepts=concepts)}


ROWS: dict[str, tuple[str, Callable[[torch.Tensor], torch.Tensor]]] = {
    'max-softmax, known prompts': ('none', scoring.max_softmax),
    'RbA, known prompts': ('none', scoring.rba),
    'VL4AD, known prompts': ('none', scoring.vl4ad),
    'VL4AD + default OOD prompts': ('default', scoring.vl4ad),
    "VL4AD + the group's own words": ('right', scoring.vl4ad),
    'control: words of other groups': ('wrong', scoring.vl4ad),
    'control: random vectors, same mean and spread': ('random', scoring.vl4ad),
}


def evaluate_group(model: StudyModel, detector: Detector, group: str, pictures: int,
                   pool: ProcessPoolExecutor) -> dict[str, dict[str, float | None]]:
    """Return for each row AP, AUROC and FPR95, and AUROC among pixels on things."""
    prompts = prompt_sets(detector, group)
    metrics = {row: (PixelMetrics(), PixelMetrics()) for row in ROWS}
    drawn = pool.map(partial(draw, group=group), range(pictures), chunksize=4)
    for frame in tqdm(drawn, group, pictures):
        label, on_things = labels(frame)
        maps = {name: model.semantic(frame.image, p) for name, p in prompts.items()}
        for row, (name, score) in ROWS.items():
            semantic, letterbox = maps[name]
            pixels = letterbox.to_image(score(semantic).numpy())
            metrics[row][0].add(pixels, label)
            metrics[row][1].add(pixels, on_things)
    table = {}
    for row, (everywhere, things) in metrics.items():
        result = everywhere.result()
        table[row] = {'ap': result.ap, 'auroc': result.auroc, 'fpr95': result.fpr95,
                      'auroc_things': things.result().auroc}
    table['share of anomalous pixels'] = {
        'ap': result.anomalous / (result.anomalous + result.normal)}
    return table


def markdown(tables: dict[str, dict[str, dict[str, float | None]]]) -> str:
    """Return one row a score, one column a group, each AP / AUROC / FPR95 / AUROC on things."""
    lines = ['| score | ' + ' | '.join(f'{GROUPS[g]}' for g in tables) + ' |',
             '|---' * (len(tables) + 1) + '|']
    for row in next(iter(tables.values())):
        cells = [' / '.join('-' if v is None else f'{100 * v:.1f}' for v in t[row].values())
                 for t in tables.values()]
        lines.append(f'| {row} | ' + ' | '.join(cells) + ' |')
    return '\n'.join(lines)


def main() -> None:
    """Print the table, and write it as JSON where asked to."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n\n')[0])
    parser.add_argument('--bundle', default='tiny')
    parser.add_argument('--pictures', type=int, default=120, help='of each group')
    parser.add_argument('--json', type=Path)
    args = parser.parse_args()
    detector = Detector.open(args.bundle)
    model = StudyModel(detector.bundle)
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        tables = {g: evaluate_group(model, detector, g, args.pictures, pool) for g in GROUPS}
    print('AP / AUROC / FPR95 / AUROC among pixels on things, in %')
    print(markdown(tables))
    if args.json:
        args.json.write_text(json.dumps(
            {'bundle': detector.bundle.digest, 'pictures': args.pictures, 'tables': tables},
            indent=1))


if __name__ == '__main__':
    main()
