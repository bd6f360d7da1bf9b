# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The prompts that the study compares, and the controls."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import product

from benchmarks.words.model import Words
from benchmarks.words.pictures import counted, GROUPS
import numpy as np
import torch
import torch.nn.functional as F

from vl4ad_ros.inference.detector import Detector
from vl4ad_ros.prompts.reader import load
from vl4ad_ros.prompts.synonyms import meaning
from vl4ad_ros.prompts.vocabulary import PromptClass, Vocabulary
from vl4ad_workshop.scenes.kinds import KINDS, kinds_in

DRAWS = 5
"""Number of sets of wrong words, and of random vectors, whose figures are averaged."""
IDEAS = tuple(product((False, True), repeat=3))
"""The paper's prompt ensembling, class merging and anomaly prompts, each off or on."""


class Encoder:
    """
    Embeds vocabularies with all templates of a bundle, or with the first one only.

    :ivar default: the bundle's prompts, without known words for what is anomalous in the pictures.
    :ivar left_out: these words.
    """

    def __init__(self, detector: Detector) -> None:
        """Use the text tower that `detector` has loaded."""
        bundle = detector.bundle
        self.default, self.left_out = without_anomalies(bundle.vocabulary)
        self._ensemble = bundle.ensemble
        self._all = detector
        # Stored embeddings are means over all templates.
        self._first = Detector(
            replace(bundle, templates=bundle.templates[:1],
                    text=replace(bundle.text, embeddings=None)), detector.backend)

    def __call__(self, vocabulary: Vocabulary, all_templates: bool = True) -> Words:
        """Embed a vocabulary."""
        detector = self._all if all_templates else self._first
        return Words.of(detector.encode(vocabulary), self._ensemble)


def without_anomalies(vocabulary: Vocabulary) -> tuple[Vocabulary, tuple[str, ...]]:
    """
    Take words for anomalies of the drawn pictures out of the known classes.

    :return: the vocabulary, and the words that were taken out.
    """
    known = without(vocabulary.known, (
        word for kind in KINDS.values() if kind.group != 'known' for word in kind.words))
    kept = {word for c in known for word in c.concepts}
    return Vocabulary(known, vocabulary.anomaly), tuple(
        word for c in vocabulary.known for word in c.concepts if word not in kept)


def without(classes: Iterable[PromptClass], words: Iterable[str]) -> tuple[PromptClass, ...]:
    """Return the classes without what means the same as a word, and without empty classes."""
    gone = set(map(meaning, words))
    left = (replace(c, concepts=tuple(w for w in c.concepts if meaning(w) not in gone))
            for c in classes if not gone.issuperset(map(meaning, c.concepts)))
    return tuple(left)


def prepared(vocabulary: Vocabulary, kind: str) -> Vocabulary:
    """
    Take a kind out of a vocabulary before it is added elsewhere.

    A vocabulary may name it with words that `KINDS` does not have. Known classes lose the words
    that mean the same, because they are often wide ('vehicle'). Anomaly classes are narrow, so a
    class with such a word is removed.
    """
    gone = set(map(meaning, KINDS[kind].words))
    return Vocabulary(without(vocabulary.known, KINDS[kind].words), tuple(
        c for c in vocabulary.anomaly if gone.isdisjoint(map(meaning, c.concepts))))


def common_prompts(encode: Encoder) -> dict[str, Words]:
    """Return the prompts that all groups share: 'none', 'default' and each of `IDEAS`."""
    vocabulary = encode.default
    prompts = {'none': encode(Vocabulary(vocabulary.known)), 'default': encode(vocabulary)}
    for ensembling, merging, anomaly in IDEAS:
        changed = vocabulary if ensembling else first_words(vocabulary)
        known = merge(changed.known) if merging else changed.known
        prompts[idea(ensembling, merging, anomaly)] = encode(
            Vocabulary(known, changed.anomaly if anomaly else ()), ensembling)
    return prompts


def idea(ensembling: bool, merging: bool, anomaly: bool) -> str:
    """Name one of `IDEAS`."""
    return (f'ensembling {"on" if ensembling else "off"}, merging {"on" if merging else "off"}, '
            f'OOD prompts {"on" if anomaly else "off"}')


def first_words(vocabulary: Vocabulary) -> Vocabulary:
    """Return the vocabulary without synonyms."""
    return Vocabulary(*(tuple(replace(c, concepts=c.concepts[:1]) for c in side)
                        for side in (vocabulary.known, vocabulary.anomaly)))


def merge(known: Sequence[PromptClass]) -> tuple[PromptClass, ...]:
    """Merge classes like the shipped `cityscapes_merged`; other classes stay as they are."""
    merged: dict[str, list[PromptClass]] = {}
    for c in known:
        super_class = next((s.name for s in load('cityscapes_merged').known
                            if c.concepts[0] in s.concepts), c.name)
        merged.setdefault(super_class, []).append(c)
    return tuple(PromptClass(name, tuple(w for c in members for w in c.concepts))
                 for name, members in merged.items())


def control_prompts(encode: Encoder, column: str) -> dict[str, Words]:
    """Return 'right', and `DRAWS` times 'wrong N' and 'random N', for a column of the tables."""
    known = encode.default.known
    right = encode(Vocabulary(known, right_classes(column)))
    prompts = {'right': right}
    for i in range(DRAWS):
        rng = np.random.default_rng(i)
        prompts[f'wrong {i}'] = encode(Vocabulary(known, wrong_classes(column, rng)))
        concepts = right.concepts.clone()
        concepts[right.anomaly] = torch.from_numpy(
            random_like(right.concepts[right.anomaly].numpy(), rng))
        prompts[f'random {i}'] = replace(right, concepts=concepts)
    return prompts


def right_classes(column: str) -> tuple[PromptClass, ...]:
    """Return a class for each kind that counts as an anomaly in a column, with its name."""
    return tuple(PromptClass(k.name, k.words[:1]) for k in KINDS.values()
                 if k.name in counted(column))


def wrong_classes(column: str, rng: np.random.Generator) -> tuple[PromptClass, ...]:
    """
    Draw as many classes of one word as `right_classes` has from the words of other kinds.

    Of kinds that are in no picture of the group. Near-OOD is in pictures of all groups: there, of
    kinds whose pixels are ignored.
    """
    others = [w for g in GROUPS if g != column for k in kinds_in(g)
              if k.name not in counted(column) for w in k.words]
    chosen = rng.choice(others, len(right_classes(column)), replace=False)
    return tuple(PromptClass(word, (word,)) for word in map(str, chosen))


def random_like(texts: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Draw unit rows (P, D) with the mean and the standard deviation of the columns of texts."""
    drawn = rng.standard_normal(texts.shape) * texts.std(0) + texts.mean(0)
    return F.normalize(torch.from_numpy(drawn), dim=-1).float().numpy()
