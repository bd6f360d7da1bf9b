# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The words of a scene: classes that belong there, classes that do not, and their concepts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
import re
from typing import NoReturn
from unicodedata import category

from vl4ad_ros.prompts.characters import clean, plain, quoted, scripts_of, split_list
from vl4ad_ros.prompts.synonyms import meaning

LONGEST_CONCEPT = 200
"""Most characters of a name or concept; CLIP takes 77 tokens, and a template needs some."""
MOST_CONCEPTS = 4000
"""Most concepts of an entry, a list and a vocabulary, far more than bundles take."""
MOST_CHARACTERS = 100_000
"""Most characters of a list of entries: 25 for each concept."""
_NO_TEXT = ('Cc', 'Cs', 'Co', 'Cn', 'Zl', 'Zp')  # controls, lone surrogates, unassigned, breaks
_FORMS = "'road' or 'vegetation: tree, trees, bushes'"
_SHOWN = 4  # items of a list in a message


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

        Name and concepts lose invisible characters and repeated spaces (`characters.clean`),
        concepts also capital letters.

        :raises VocabularyError: if the name or a concept is empty, has a control character, no
            letter or digit, or more than `LONGEST_CONCEPT` characters; if a concept is a list
            (`characters.split_list`) or stands twice; if there are more than `MOST_CONCEPTS`.
        """
        at = f'{where} {quoted(entry)}'
        _refuse_length(entry, at)
        entry = clean(entry)
        _refuse_length(entry, at)  # again, because a character can stand for up to 18
        name, colon, rest = (part.strip(' ') for part in entry.partition(':'))
        concepts = [c.strip(' ').lower() for c in rest.split(',')] if colon else [name.lower()]
        if not name or not all(concepts):
            _refuse(f'{at}: empty name or concept; write {_FORMS}')
        if set('<>') & set(entry):
            _refuse(f'{at}: < and > stand around the name or path of a whole list, as in '
                    "'<everything>', with nothing else in the entry")
        if re.search(r'(?<!\d):|:(?!\d)', rest):
            _refuse(f'{at}: more than one colon; each class is an entry of its own, such as '
                    f'{_FORMS}')
        for concept in concepts:
            _refuse_list(concept, bool(colon), at)
        for text in (name, *concepts):
            odd = next((c for c in text if category(c) in _NO_TEXT), None)
            if odd:
                _refuse(f'{at}: the character U+{ord(odd):04X} is not part of any word; remove it')
            if not any(map(str.isalnum, text)):
                _refuse(f'{at}: {quoted(text)} has no letter or digit; write {_FORMS}')
        seen: set[str] = set()
        for concept in concepts:
            if plain(concept) in seen:
                _refuse(f'{at}: concept {quoted(concept)} stands twice; keep one')
            seen.add(plain(concept))
        return PromptClass(name, tuple(concepts), where)

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
    :raises VocabularyError: if there is no known class, a name or a concept stands twice, an
        anomaly concept means the same as a known one, or there are more than `MOST_CONCEPTS`;
        the message names the entries.
    """

    known: tuple[PromptClass, ...]
    anomaly: tuple[PromptClass, ...] = ()

    def __post_init__(self) -> None:
        """Refuse what contradicts itself."""
        if not self.known:
            _refuse("prompts.known is empty; name at least one class that belongs, such as 'road'")
        count = sum(len(c.concepts) for c in self.classes)
        if count > MOST_CONCEPTS:
            _refuse(f'prompts.known and prompts.anomaly have {count} concepts together; at most '
                    f'{MOST_CONCEPTS} are taken')
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
                yield f"{c.where or f'prompts.{side}[{i}]'} {quoted(str(c), 60)}", c


def check_size(entries: Sequence[str], where: str) -> None:
    """
    Refuse a list of entries that is too long to be worth reading; looks at lengths only.

    :param where: what to call the list in an error, such as ``prompts.known``.
    :raises VocabularyError: with the limit.
    """
    for count, most, what in (
            (len(entries), MOST_CONCEPTS, 'entries'),
            (sum(map(len, entries)), MOST_CHARACTERS, 'characters'),
            (sum(e.count(',') + 1 for e in entries), MOST_CONCEPTS, 'concepts')):
        if count > most:
            _refuse(f'{where} has {count} {what}, at most {most} are taken; its longest entry is '
                    f'{quoted(max(entries, key=len), 40)}')


def script_warnings(vocabulary: Vocabulary, known: Sequence[str] = ('Latin',)) -> list[str]:
    """
    Return a sentence for each script of concepts that a text model was not trained on.

    :param known: names of the scripts that it was trained on, as `characters.scripts_of` gives.
    """
    unknown: dict[str, list[str]] = {}
    for concept in vocabulary.concepts:
        scripts = ' and '.join(sorted(scripts_of(concept) - set(known)))
        if scripts:
            unknown.setdefault(scripts, []).append(concept)
    cure = 'write them in English' if tuple(known) == ('Latin',) else 'use words that it knows'
    all_known = ' and '.join(filter(None, (', '.join(known[:-1]), known[-1])))
    return [f'the text model knows {all_known} script only, not {scripts}, and so does not know '
            f'{_enumerated(concepts)}; {cure}' for scripts, concepts in unknown.items()]


def _parse_all(entries: Sequence[str], where: str) -> tuple[PromptClass, ...]:
    check_size(entries, where)
    return tuple(PromptClass.parse(e, f'{where}[{i}]') for i, e in enumerate(entries))


def _refuse_length(entry: str, at: str) -> None:
    """Refuse an entry before any work whose time grows faster than its length."""
    pieces = re.split('[,:，：]', entry)
    for count, most, what in (
            (len(entry), MOST_CHARACTERS, 'characters'),
            (len(pieces) - 1, MOST_CONCEPTS, 'concepts'),
            (max(map(len, pieces)), LONGEST_CONCEPT, 'characters in one name or concept')):
        if count > most:
            _refuse(f'{at}: {count} {what}, at most {most}; shorten it')


def _refuse_list(concept: str, has_name: bool, at: str) -> None:
    parts = split_list(concept)
    items = [part for part in parts if part]
    if len(parts) < 2 or not items:
        return
    one = ', '.join(item[:40] for item in items[:_SHOWN]) + ', ...' * (len(items) > _SHOWN)
    if has_name:
        _refuse(f'{at}: {quoted(concept)} is a list; put a comma between each two concepts, as '
                f"in {quoted(f'name: {one}', 250)}")
    if len(items) == 1:
        _refuse(f'{at}: a separator of lists in an entry without a name; write {quoted(one)}')
    _refuse(f'{at}: a list in an entry without a name; write {_enumerated(items)} as '
            f"{len(items)} entries, or {quoted(f'{items[0][:40]}: {one}', 250)} for one class")


def _enumerated(words: Sequence[str]) -> str:
    more = f' and {len(words) - _SHOWN} more' if len(words) > _SHOWN else ''
    return ', '.join(quoted(word, 40) for word in words[:_SHOWN]) + more


def _refuse(message: str) -> NoReturn:
    raise VocabularyError(message)


def _refuse_repetition(vocabulary: Vocabulary) -> None:
    names: dict[str, str] = {}
    concepts: dict[str, str] = {}
    for where, c in vocabulary.located:
        if c.name in names:
            _refuse(f'{where}: class {quoted(c.name)} is also {names[c.name]}; rename one')
        names[c.name] = where
        for concept in c.concepts:
            key = plain(concept)
            if key in concepts:
                _refuse(f'{where}: concept {quoted(concept)} is also in {concepts[key]}; keep it '
                        'in one class')
            concepts[key] = where


def _refuse_synonyms(vocabulary: Vocabulary) -> None:
    """Refuse one word on both sides: it would take its own mass away."""
    known: dict[str, tuple[str, str]] = {}
    for i, (where, c) in enumerate(vocabulary.located):
        for concept in c.concepts:
            if i < len(vocabulary.known):
                known.setdefault(meaning(concept), (concept, where))
            elif meaning(concept) in known:
                other, place = known[meaning(concept)]
                _refuse(f'{where}: {quoted(concept)} means the same as {quoted(other)} in '
                        f'{place}; remove one of them')
