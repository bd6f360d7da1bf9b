# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The words of a scene: classes that belong there, classes that do not, and their concepts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from vl4ad_ros.synonyms import meaning


class VocabularyError(ValueError):
    """A prompt that cannot be used; the message names the entry and the cure."""


@dataclass(frozen=True)
class PromptClass:
    """
    One class and the concepts whose best match is its logit (VL4AD eq. 3).

    Merging classes is putting their concepts into one class.

    :ivar where: what to call the class in an error, such as ``prompts.known[3]``; no part of its
        value.
    """

    name: str
    concepts: tuple[str, ...]
    where: str = field(default='', compare=False, repr=False)

    @staticmethod
    def parse(entry: str, where: str) -> PromptClass:
        """
        Read ``'vegetation: tree, trees, bushes'``, or a bare ``'road'`` that is its own concept.

        :raises VocabularyError: if the name or a concept is empty, or a concept stands twice.
        """
        name, colon, rest = (part.strip() for part in entry.partition(':'))
        concepts = tuple(' '.join(c.lower().split()) for c in rest.split(',')) if colon else (
            ' '.join(name.lower().split()),)
        if not name or not all(concepts):
            raise VocabularyError(
                f"{where} '{entry}': empty name or concept; "
                "write 'road' or 'vegetation: tree, trees, bushes'")
        if set('<>') & set(entry):
            raise VocabularyError(
                f"{where} '{entry}': < and > stand around the name or path of a whole list, as in "
                "'<everything>', with nothing else in the entry")
        for concept in concepts:
            if concepts.count(concept) > 1:
                raise VocabularyError(
                    f"{where} '{entry}': concept '{concept}' stands twice; keep one")
        return PromptClass(name, concepts, where)

    def __str__(self) -> str:
        """Return the entry that `parse` reads back."""
        if self.concepts == (self.name,):
            return self.name
        return f'{self.name}: {", ".join(self.concepts)}'


@dataclass(frozen=True)
class Vocabulary:
    """
    What belongs in the scene (`known`) and words that take mass away from it (`anomaly`).

    :ivar known: K >= 1 in-distribution classes; the score is the maximum over these.
    :ivar anomaly: Q >= 0 out-of-distribution classes; they join the softmax only.
    :raises VocabularyError: if there is no known class, a name or a concept stands twice, or an
        anomaly concept means the same as a known one; the message names the entries.
    """

    known: tuple[PromptClass, ...]
    anomaly: tuple[PromptClass, ...] = ()

    def __post_init__(self) -> None:
        """Refuse what contradicts itself."""
        if not self.known:
            raise VocabularyError(
                "prompts.known is empty; name at least one class that belongs, such as 'road'")
        _refuse_repetition(self)
        _refuse_synonyms(self)

    @staticmethod
    def from_strings(known: Sequence[str], anomaly: Sequence[str] = ()) -> Vocabulary:
        """
        Read two lists of entries as a bundle holds them; `vocabularies.read` also expands names.

        ``['']`` stands for an empty `anomaly` list, which ROS parameters cannot express.

        :raises VocabularyError: as the class, or if an entry is malformed.
        """
        return Vocabulary(
            _parse_all(known, 'prompts.known'),
            () if list(anomaly) == [''] else _parse_all(anomaly, 'prompts.anomaly'))

    def to_strings(self) -> tuple[list[str], list[str]]:
        """Return the two lists that `from_strings` reads back; `anomaly` is ``['']`` if none."""
        return [str(c) for c in self.known], [str(c) for c in self.anomaly] or ['']

    @property
    def classes(self) -> tuple[PromptClass, ...]:
        """All classes, known ones first: their order is the class index everywhere."""
        return self.known + self.anomaly

    @property
    def concepts(self) -> tuple[str, ...]:
        """All concepts in class order."""
        return tuple(concept for c in self.classes for concept in c.concepts)

    @property
    def located(self) -> Iterator[tuple[str, PromptClass]]:
        """Each class with what an error calls it: ``prompts.known[3] 'vehicle: car, truck'``."""
        for side in ('known', 'anomaly'):
            for i, c in enumerate(getattr(self, side)):
                yield f"{c.where or f'prompts.{side}[{i}]'} '{str(c):.60}'", c


def _parse_all(entries: Iterable[str], where: str) -> tuple[PromptClass, ...]:
    return tuple(PromptClass.parse(e, f'{where}[{i}]') for i, e in enumerate(entries))


def _refuse_repetition(vocabulary: Vocabulary) -> None:
    names: dict[str, str] = {}
    concepts: dict[str, str] = {}
    for where, c in vocabulary.located:
        if c.name in names:
            raise VocabularyError(
                f"{where}: class '{c.name}' is also {names[c.name]}; rename one")
        names[c.name] = where
        for concept in c.concepts:
            if concept in concepts:
                raise VocabularyError(f"{where}: concept '{concept}' is also in "
                                      f'{concepts[concept]}; keep it in one class')
            concepts[concept] = where


def _refuse_synonyms(vocabulary: Vocabulary) -> None:
    """Refuse one word on both sides: it would take its own mass away."""
    known: dict[str, tuple[str, str]] = {}
    for i, (where, c) in enumerate(vocabulary.located):
        for concept in c.concepts:
            if i < len(vocabulary.known):
                known.setdefault(meaning(concept), (concept, where))
            elif meaning(concept) in known:
                other, place = known[meaning(concept)]
                raise VocabularyError(f"{where}: '{concept}' means the same as '{other}' in "
                                      f'{place}; remove one of them')
