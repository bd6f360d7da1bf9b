# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Compare scores, and options of one score, on held-out drawn pictures: the tables of docs/method.md.

    python -m benchmarks.anomaly_scores [--bundle tiny] [--pictures 120] [--json FILE]

All rows see the same masks; they differ in prompts, in how queries are classified, and in what is
made of the maps. Wrong-word and random rows are controls: a rise with them is no understanding.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
import json
import os
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from torch import Tensor
import torch.nn.functional as F
from tqdm import tqdm

from vl4ad_ros.evaluation.pixel_metrics import IGNORE, PixelMetrics
from vl4ad_ros.network import scoring
from vl4ad_ros.network.classification import class_probability, Classification
from vl4ad_ros.network.export import STUDY_OUTPUTS
from vl4ad_ros.runtime.bundle import Bundle
from vl4ad_ros.runtime.detector import Detector
from vl4ad_ros.runtime.letterbox import Letterbox
from vl4ad_ros.runtime.prompts import Prompts
from vl4ad_ros.scenes.frame import Frame
from vl4ad_ros.scenes.kinds import KINDS, kinds_in
from vl4ad_ros.scenes.still import draw_still
from vl4ad_ros.vocabularies import load
from vl4ad_ros.vocabulary import PromptClass, Vocabulary

SEED = 21
CAMERA = (360, 640)
GROUPS = {'masks': 'training masks', 'words': 'CLIP stage only', 'unseen': 'never seen'}


@dataclass(frozen=True)
class Answer:
    """What the network says of one picture with one set of prompts; batches of one."""

    mask_logits: Tensor
    in_vocabulary: Tensor
    void: Tensor
    out_vocabulary: Tensor
    ensemble_weight: Tensor
    known: int

    def probability(self, options: Classification = Classification(),
                    softer: float = 1.0) -> Tensor:
        """Return the known classes' probabilities (N, K); `softer` multiplies the learned T."""
        # CLIP's feature is at stride 32, the masks are at 4.
        at_32 = F.interpolate(self.mask_logits, scale_factor=1 / 8, mode='bilinear',
                              align_corners=False)
        pixels = (at_32 > 0).flatten(2).sum(-1, keepdim=True)
        weight = options.out_weight(self.ensemble_weight, pixels, guard=False)
        probability = class_probability(
            self.in_vocabulary / softer,
            None if options.classifier == 'in' else self.out_vocabulary / softer,
            self.void / softer, weight, options.keep_void)
        return probability[0, :, :self.known]

    def semantic(self, options: Classification, softer: float) -> Tensor:
        """Return the known classes' map (K, h, w); see `probability`."""
        return scoring.semantic_map(
            self.mask_logits[0].sigmoid(), self.probability(options, softer))

    def logits(self) -> Tensor:
        """Average the in-vocabulary logits of the known classes: (K, h, w)."""
        return scoring.logit_map(
            self.mask_logits[0].sigmoid(), self.in_vocabulary[0, :, :self.known])


class StudyModel:
    """A bundle's vision model that also gives the values a study needs."""

    def __init__(self, bundle: Bundle) -> None:
        self.bundle = bundle
        model = onnx.load(bundle.directory / bundle.cpu_graph.file)
        values = {v.name: v for v in model.graph.value_info}
        missing = [name for name in STUDY_OUTPUTS if name not in values]
        if missing:
            raise SystemExit(f"bundle '{bundle.name}' has no value {', '.join(missing)}; this "
                             'study needs one that was exported with both classifiers')
        model.graph.output.extend(values[name] for name in STUDY_OUTPUTS)
        self._session = onnxruntime.InferenceSession(
            model.SerializeToString(), providers=['CPUExecutionProvider'])

    def letterbox(self, size: tuple[int, int]) -> Letterbox:
        """Return the geometry of an image of `size` rows and columns."""
        vision = self.bundle.vision
        return Letterbox(size, (vision.height, vision.width), vision.stride)

    def __call__(self, image: np.ndarray, prompts: Prompts) -> Answer:
        """Run the network."""
        values = self._session.run(list(STUDY_OUTPUTS), {
            'image': self.letterbox(image.shape[:2]).to_network(image, self.bundle.padding_rgb),
            'concepts': prompts.concepts, 'concept_class': prompts.concept_class,
            'num_known': prompts.num_known, 'ensemble_weight': prompts.ensemble_weight})
        return Answer(*map(torch.from_numpy, values),
                      torch.tensor(prompts.ensemble_weight), len(prompts.vocabulary.known))


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
    merged = detector.encode(Vocabulary(
        tuple(merge(c for c in known if c.concepts[0] in super_class.concepts)
              for super_class in load('cityscapes_merged').known),
        detector.default_vocabulary.anomaly))
    return {'none': detector.encode(Vocabulary(known)), 'default': default, 'right': right,
            'wrong': wrong, 'random': replace(default, concepts=concepts), 'merged': merged}


def merge(classes: Iterable[PromptClass]) -> PromptClass:
    """Return one class that holds the concepts of all."""
    classes = tuple(classes)
    return PromptClass(' and '.join(c.name for c in classes),
                       tuple(concept for c in classes for concept in c.concepts))


@dataclass(frozen=True)
class Row:
    """One row of the table: prompts, options and a score."""

    prompts: str
    score: Callable[[Tensor], Tensor] = scoring.vl4ad
    options: Classification = Classification()
    softer: float = 1.0

    def __call__(self, answers: dict[str, Answer]) -> Tensor:
        """Score a picture: (h, w)."""
        answer = answers[self.prompts]
        if self.score in (scoring.max_logit, scoring.energy):
            return self.score(answer.logits())
        return self.score(answer.semantic(self.options, self.softer))


SCORES = {
    'max-softmax, known prompts': Row('none', scoring.max_softmax),
    'entropy, known prompts': Row('none', scoring.entropy),
    'max-logit, known prompts': Row('none', scoring.max_logit),
    'energy, known prompts': Row('none', scoring.energy),
    'RbA, known prompts': Row('none', scoring.rba),
    'VL4AD, known prompts': Row('none'),
    '**VL4AD + default OOD prompts**': Row('default'),
    "VL4AD + the group's own words": Row('right'),
    'control: known prompts, twice the temperature': Row('none', softer=2),
    'control: words of other groups': Row('wrong'),
    'control: random vectors, same mean and spread': Row('random'),
}
OPTIONS = {
    'as shipped: ensemble, void kept, T learned, no guard': Row('default'),
    'void dropped': Row('default', options=Classification(keep_void=False)),
    'void dropped, known prompts': Row('none', options=Classification(keep_void=False)),
    'RbA, known prompts, void dropped': Row(
        'none', scoring.rba, Classification(keep_void=False)),
    'in-vocabulary only': Row('default', options=Classification(classifier='in')),
    'out-of-vocabulary only': Row('default', options=Classification(classifier='out')),
    'out-of-vocabulary only, guard': Row(
        'default', options=Classification(classifier='out', empty_mask_guard=True)),
    'guard': Row('default', options=Classification(empty_mask_guard=True)),
    'half the temperature': Row('default', softer=0.5),
    'twice the temperature': Row('default', softer=2),
    'four times the temperature': Row('default', softer=4),
    'known classes merged to 8': Row('merged'),
}
ROWS = {**SCORES, **OPTIONS}
SHARE = 'share of anomalous pixels'


def evaluate_group(model: StudyModel, detector: Detector, group: str, pictures: int,
                   pool: ProcessPoolExecutor) -> dict[str, dict[str, float | None]]:
    """Return for each row AP, AUROC and FPR95, and AUROC among pixels on things."""
    prompts = prompt_sets(detector, group)
    metrics = {row: (PixelMetrics(), PixelMetrics()) for row in ROWS}
    drawn = pool.map(partial(draw, group=group), range(pictures), chunksize=4)
    for frame in tqdm(drawn, group, pictures):
        label, on_things = labels(frame)
        letterbox = model.letterbox(frame.image.shape[:2])
        answers = {name: model(frame.image, p) for name, p in prompts.items()}
        for row, score in ROWS.items():
            pixels = letterbox.to_image(letterbox.crop(score(answers).numpy()))
            metrics[row][0].add(pixels, label)
            metrics[row][1].add(pixels, on_things)
    table = {}
    for row, (everywhere, things) in metrics.items():
        result = everywhere.result()
        table[row] = {'ap': result.ap, 'auroc': result.auroc, 'fpr95': result.fpr95,
                      'auroc_things': things.result().auroc}
    table[SHARE] = {'ap': result.anomalous / (result.anomalous + result.normal)}
    return table


def markdown(tables: dict[str, dict[str, dict[str, float | None]]], rows: Iterable[str]) -> str:
    """Return one row a score, one column a group, each AP / AUROC / FPR95 / AUROC on things."""
    lines = ['| score | ' + ' | '.join(f'{GROUPS[g]}' for g in tables) + ' |',
             '|---' * (len(tables) + 1) + '|']
    for row in rows:
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
    print(markdown(tables, [*SCORES, SHARE]))
    print('Options, one changed at a time; VL4AD with default OOD prompts unless a row says else')
    print(markdown(tables, OPTIONS))
    if args.json:
        args.json.write_text(json.dumps(
            {'bundle': detector.bundle.digest, 'pictures': args.pictures, 'tables': tables},
            indent=1))


if __name__ == '__main__':
    main()
