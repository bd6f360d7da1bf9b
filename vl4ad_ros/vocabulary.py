# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The words of a scene: classes that belong there, classes that do not, and their concepts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass


class VocabularyError(ValueError):
    """A prompt that cannot be used; the message names the entry and the cure."""


@dataclass(frozen=True)
class PromptClass:
    """
    One class and the concepts whose best match is its logit (VL4AD eq. 3).

    Merging classes is putting their concepts into one class.
    """

    name: str
    concepts: tuple[str, ...]

    @staticmethod
    def parse(entry: str, where: str) -> PromptClass:
        """
        Read ``'vegetation: tree, trees, bushes'``, or a bare ``'road'`` that is its own concept.

        :param where: what to call the entry in an error, such as ``prompts.known[3]``.
        :raises VocabularyError: if the name or a concept is empty, or a concept stands twice.
        """
        name, colon, rest = (part.strip() for part in entry.partition(':'))
        concepts = tuple(' '.join(c.lower().split()) for c in rest.split(',')) if colon else (
            ' '.join(name.lower().split()),)
        if not name or not all(concepts):
            raise VocabularyError(
                f"{where} '{entry}': empty name or concept; "
                "write 'road' or 'vegetation: tree, trees, bushes'")
        for concept in concepts:
            if concepts.count(concept) > 1:
                raise VocabularyError(
                    f"{where} '{entry}': concept '{concept}' stands twice; keep one")
        return PromptClass(name, concepts)

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
    """

    known: tuple[PromptClass, ...]
    anomaly: tuple[PromptClass, ...] = ()

    @staticmethod
    def from_strings(known: Sequence[str], anomaly: Sequence[str] = ()) -> Vocabulary:
        """
        Read two lists of entries as ROS parameters and YAML files hold them.

        ``['']`` stands for an empty `anomaly` list, which ROS parameters cannot express.

        :raises VocabularyError: if there is no known class, a name or a concept stands twice,
            or an entry is malformed; the message names the entry.
        """
        vocabulary = Vocabulary(
            _parse_all(known, 'prompts.known'),
            () if list(anomaly) == [''] else _parse_all(anomaly, 'prompts.anomaly'))
        if not vocabulary.known:
            raise VocabularyError(
                "prompts.known is empty; name at least one class that belongs, such as 'road'")
        _refuse_repetition(vocabulary)
        return vocabulary

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


def _parse_all(entries: Iterable[str], where: str) -> tuple[PromptClass, ...]:
    return tuple(PromptClass.parse(e, f'{where}[{i}]') for i, e in enumerate(entries))


def _refuse_repetition(vocabulary: Vocabulary) -> None:
    names: dict[str, str] = {}
    concepts: dict[str, str] = {}
    for list_name in ('known', 'anomaly'):
        for i, c in enumerate(getattr(vocabulary, list_name)):
            where = f"prompts.{list_name}[{i}] '{c}'"
            if c.name in names:
                raise VocabularyError(
                    f"{where}: class '{c.name}' is also {names[c.name]}; rename one")
            names[c.name] = where
            for concept in c.concepts:
                if concept in concepts:
                    raise VocabularyError(f"{where}: concept '{concept}' is also in "
                                          f'{concepts[concept]}; keep it in one class')
                concepts[concept] = where
