# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The rows of the tables; each is a combination of prompts, options and a score."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import product

from benchmarks.words.model import Answer, Score, Words
from benchmarks.words.prompts import DRAWS, idea, IDEAS
from benchmarks.words.street_model import StreetAnswer
from torch import Tensor

from vl4ad_workshop.network import comparator_scores
from vl4ad_workshop.network.classification import Classification
from vl4ad_workshop.network.uncertainty import uncertainty
from vl4ad_workshop.training.drawn.selection import ALPHAS, BETAS, KEEP_VOID, SOFTER


@dataclass(frozen=True)
class Row:
    """
    A way to score a picture. The bundle provides the values that are None.

    :ivar prompts: names of prompts; the figures of the row are the mean over them.
    :ivar score: computes the score from a map of the network.
    :ivar softer: factor of the bundle's softmax temperature.
    :ivar keep_void: see `Classification`.
    :ivar classifier: see `Classification`.
    :ivar weights: exponents alpha and beta of the ensemble.
    """

    prompts: tuple[str, ...]
    score: Score = uncertainty
    softer: float = 1.0
    keep_void: bool | None = None
    classifier: str | None = None
    weights: tuple[float, float] | None = None

    @property
    def is_for_every_network(self) -> bool:
        """Whether the row leaves VL4AD's masks and options alone."""
        return self == Row(self.prompts)

    def fits(self, answer: Answer | StreetAnswer) -> bool:
        """Return whether the network holds what the row asks for."""
        if isinstance(answer, StreetAnswer):
            return self.is_for_every_network
        return self.classifier in (None, 'in') or 'out' in answer.embeddings

    def __call__(self, answer: Answer | StreetAnswer, words: Words,
                 shipped: Classification) -> Tensor:
        """Score a picture: (h, w)."""
        options = replace(shipped, **{
            name: value for name, value in (('keep_void', self.keep_void),
                                            ('classifier', self.classifier)) if value is not None})
        return answer.score(self.score, words.weighted(*self.weights) if self.weights else words,
                            options, self.softer)


@dataclass(frozen=True)
class Table:
    """A title and its rows by name."""

    title: str
    rows: Mapping[str, Row]


NONE, DEFAULT = ('none',), ('default',)
ID, OOD = 'ID-only', '+ default OOD prompts'
# Training may soften what it learnt by one of `SOFTER`: the learned T is among these.
SCALES = tuple(sorted({*SOFTER, 4.0} - {1.0}))

_SCORES = {
    'max-softmax, ID-only': Row(NONE, comparator_scores.max_softmax),
    'entropy, ID-only': Row(NONE, comparator_scores.entropy),
    'max-logit, ID-only': Row(NONE, comparator_scores.max_logit),
    'energy, ID-only': Row(NONE, comparator_scores.energy),
    'RbA, ID-only': Row(NONE, comparator_scores.rba),
    f'VL4AD, {ID}': Row(NONE),
    f'**VL4AD {OOD}**': Row(DEFAULT),
    "VL4AD + the group's own names": Row(('right',)),
    'control: as many wrong words': Row(tuple(f'wrong {i}' for i in range(DRAWS))),
    'control: as many random vectors': Row(tuple(f'random {i}' for i in range(DRAWS))),
}
_SCALES = {f'{name}, {scale:g} T': Row(prompts, softer=scale)
           for scale in (1.0, *SCALES) for name, prompts in ((ID, NONE), (OOD, DEFAULT))}
_IDEAS = {idea(*switches): Row((idea(*switches),)) for switches in IDEAS}
_OPTIONS = {f'{name}: {choice}': Row(prompts, **changes) for choice, changes in {
    'as shipped': {}, 'void kept': {'keep_void': True}, 'void dropped': {'keep_void': False},
    'in-vocabulary classifier only': {'classifier': 'in'},
    "CLIP's own classifier only": {'classifier': 'out'},
    "ensemble, FC-CLIP's 0.4 and 0.8": {'classifier': 'ensemble', 'weights': (0.4, 0.8)},
}.items() for name, prompts in ((ID, NONE), (OOD, DEFAULT))}
_OPTIONS['RbA, ID-only: void dropped'] = Row(NONE, comparator_scores.rba, keep_void=False)

TABLES = (
    Table('Scores, prompts and controls', _SCORES),
    Table("The softmax temperature T, in terms of the bundle's: VL4AD with the same T beside "
          'each other', _SCALES),
    Table("The paper's three ideas", _IDEAS),
    Table('Options, VL4AD', _OPTIONS))

SKIPPED_FOR_STREET: Mapping[str, str] = {
    "rows of other methods' scores":
        'they are defined on masks or logits, which a street network does not have',
    TABLES[1].title: 'a street network has several constants in its place',
    TABLES[3].title: "they are options of VL4AD's classification of masks",
    "CLIP's zero-shot accuracy": 'a street network has no CLIP',
    'mask recall': 'a street network has no masks'}
"""Parts of the study that a street network has nothing for, titles of tables among them."""

# What validation may choose from, as training does.
_CHOICES = {
    f'{name}, {softer:g} T, void {"kept" if keep else "dropped"}, alpha {alpha:g}, beta {beta:g}':
        Row(prompts, softer=softer, keep_void=keep, classifier='ensemble', weights=(alpha, beta))
    for (name, prompts), softer, keep, alpha, beta in product(
        ((ID, NONE), (OOD, DEFAULT)), SOFTER, KEEP_VOID, ALPHAS, BETAS)
    # No known class takes beta.
    if prompts == DEFAULT or beta == BETAS[0]}
CHOICES = Table('Settings on validation pictures', {
    **{f'{name}, as shipped': Row(prompts) for name, prompts in ((ID, NONE), (OOD, DEFAULT))},
    **_CHOICES})
