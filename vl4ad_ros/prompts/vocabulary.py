# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Vocabularies: in-distribution and out-of-distribution classes, and their concepts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
import re
from typing import NoReturn
from unicodedata import category

from vl4ad_ros.prompts.characters import clean, plain, quoted, scripts_of, split_list
from vl4ad_ros.prompts.synonyms import meaning

LONGEST_CONCEPT = 200
"""Most characters of a name or concept; CLIP takes 77 tokens, some of them for the template."""
MOST_CONCEPTS = 4000
"""Most concepts of an entry, of a list and of a vocabulary; bundles take far fewer."""
MOST_CHARACTERS = 100_000
"""Most characters of a list of entries, which is 25 for each concept."""
_NOT_TEXT = ('Cc', 'Cs', 'Co', 'Cn', 'Zl', 'Zp')
"""Categories of controls, surrogates, private and unassigned characters, and separators."""
_FORMS = "'road' or 'vegetation: tree, trees, bushes'"
_SHOWN = 4  # items of a list that an error message shows


class VocabularyError(ValueError):
    """A prompt that cannot be used; the message names the entry and says what to change."""


@dataclass(frozen=True)
class PromptClass:
    """
    A class and its concepts; the class's logit is that of the best concept (VL4AD eq. 3).

    Classes are merged by putting their concepts into one class.

    :ivar name: name of the class in results.
    :ivar concepts: words or phrases, at least one, in lower case.
    :ivar where: name of the class in error messages, such as ``prompts.known[3]``; ignored in
        comparisons.
    """

    name: str
    concepts: tuple[str, ...]
    where: str = field(default='', compare=False, repr=False)

    @staticmethod
    def parse(entry: str, where: str) -> PromptClass:
        """
        Read one entry of a list.

        Invisible characters and repeated spaces are removed from names and concepts
        (`characters.clean`), and concepts are converted to lower case.

        :param entry: a name and concepts, such as ``'vegetation: tree, trees, bushes'``, or a
            name that is its only concept, such as ``'road'``.
        :param where: name of the entry in error messages, such as ``prompts.known[3]``.
        :raises VocabularyError: if the name or a concept is empty, has a control character, no
            letter or digit, or more than `LONGEST_CONCEPT` characters; if a concept is a list
            (`characters.split_list`) or is there twice; if there are more than `MOST_CONCEPTS`.
        """
        at = f'{where} {quoted(entry)}'
        _refuse_length(entry, at)
        entry = clean(entry)
        _refuse_length(entry, at)  # again, because NFKC turns one character into up to 18
        name, colon, rest = (part.strip(' ') for part in entry.partition(':'))
        concepts = [c.strip(' ').lower() for c in rest.split(',')] if colon else [name.lower()]
        if not name or not all(concepts):
            _refuse(f'{at}: empty name or concept; write {_FORMS}')
        if set('<>') & set(entry):
            _refuse(f"{at}: < and > mark a reference to a whole list, as in '<everything>', which "
                    'must be the entire entry')
        if re.search(r'(?<!\d):|:(?!\d)', rest):
            _refuse(f'{at}: more than one colon; each class is an entry of its own, such as '
                    f'{_FORMS}')
        for concept in concepts:
            _refuse_list(concept, bool(colon), at)
        for text in (name, *concepts):
            odd = next((c for c in text if category(c) in _NOT_TEXT), None)
            if odd:
                _refuse(f'{at}: the character U+{ord(odd):04X} is not allowed in a word; remove '
                        'it')
            if not any(map(str.isalnum, text)):
                _refuse(f'{at}: {quoted(text)} has no letter or digit; write {_FORMS}')
        seen: set[str] = set()
        for concept in concepts:
            if plain(concept) in seen:
                _refuse(f'{at}: concept {quoted(concept)} is there twice; keep one')
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
    The classes that pixels are compared with.

    :ivar known: K >= 1 in-distribution classes; the score is computed from their maximum.
    :ivar anomaly: Q >= 0 out-of-distribution classes, which take part in the softmax only.
    :raises VocabularyError: if there is no known class, if a name or a concept is there twice, if
        an anomaly concept means the same as a known one (`synonyms.meaning`), or if there are more
        than `MOST_CONCEPTS` concepts; the message names the entries.
    """

    known: tuple[PromptClass, ...]
    anomaly: tuple[PromptClass, ...] = ()

    def __post_init__(self) -> None:
        """Check that the vocabulary does not contradict itself."""
        if not self.known:
            _refuse('prompts.known is empty; give at least one in-distribution class, such as '
                    "'road'")
        count = sum(len(c.concepts) for c in self.classes)
        if count > MOST_CONCEPTS:
            _refuse(f'prompts.known and prompts.anomaly have {count} concepts together; at most '
                    f'{MOST_CONCEPTS} are taken')
        _refuse_repetition(self)
        _refuse_synonyms(self)

    @staticmethod
    def from_strings(known: Sequence[str], anomaly: Sequence[str] = ()) -> Vocabulary:
        """
        Read two lists of entries; `vl4ad_ros.prompts.read` also expands references in them.

        >>> from vl4ad_ros.prompts import Vocabulary
        >>> vocabulary = Vocabulary.from_strings(['road', 'vehicle: car, truck'], ['cow'])
        >>> vocabulary.concepts
        ('road', 'car', 'truck', 'cow')

        :param known: entries of in-distribution classes, as `PromptClass.parse` reads them.
        :param anomaly: entries of out-of-distribution classes; ``['']`` stands for none, because
            ROS parameters cannot express an empty list.
        :raises VocabularyError: as the class, or if an entry is malformed.
        """
        return Vocabulary(
            _parse_all(known, 'prompts.known'),
            () if list(anomaly) == [''] else _parse_all(anomaly, 'prompts.anomaly'))

    def to_strings(self) -> tuple[list[str], list[str]]:
        """Return the two lists that `from_strings` reads; `anomaly` is ``['']`` if it is empty."""
        return [str(c) for c in self.known], [str(c) for c in self.anomaly] or ['']

    @property
    def classes(self) -> tuple[PromptClass, ...]:
        """All classes, known ones first; a class index is an index into this."""
        return self.known + self.anomaly

    @property
    def concepts(self) -> tuple[str, ...]:
        """All concepts in class order."""
        return tuple(concept for c in self.classes for concept in c.concepts)

    @property
    def located(self) -> Iterator[tuple[str, PromptClass]]:
        """Each class with its name in errors, like ``prompts.known[3] 'vehicle: car, truck'``."""
        for side in ('known', 'anomaly'):
            for i, c in enumerate(getattr(self, side)):
                yield f"{c.where or f'prompts.{side}[{i}]'} {quoted(str(c), 60)}", c


def check_size(entries: Sequence[str], where: str) -> None:
    """
    Check that a list of entries is not too long; this looks at lengths only, so it is fast.

    :param entries: the list.
    :param where: name of the list in error messages, such as ``prompts.known``.
    :raises VocabularyError: if there are too many entries, concepts or characters; the message has
        the limit.
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
    Return a warning for each script of concepts that the text network was not trained on.

    :param vocabulary: the concepts.
    :param known: names of the scripts that the network was trained on, as `characters.scripts_of`
        returns them.
    """
    unknown: dict[str, list[str]] = {}
    for concept in vocabulary.concepts:
        scripts = ' and '.join(sorted(scripts_of(concept) - set(known)))
        if scripts:
            unknown.setdefault(scripts, []).append(concept)
    remedy = 'write them in English' if tuple(known) == ('Latin',) else 'use words that it knows'
    all_known = ' and '.join(filter(None, (', '.join(known[:-1]), known[-1])))
    return [f'the text model knows {all_known} script only, not {scripts}, and so does not know '
            f'{_enumerated(concepts)}; {remedy}' for scripts, concepts in unknown.items()]


def _parse_all(entries: Sequence[str], where: str) -> tuple[PromptClass, ...]:
    check_size(entries, where)
    return tuple(PromptClass.parse(e, f'{where}[{i}]') for i, e in enumerate(entries))


def _refuse_length(entry: str, at: str) -> None:
    """Refuse long entries first, because later steps take more than linear time."""
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
        _refuse(f'{at}: a list separator in an entry without a name; write {quoted(one)}')
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
    """Refuse an anomaly concept that means the same as a known one, since both share the mass."""
    known: dict[str, tuple[str, str]] = {}
    for i, (where, c) in enumerate(vocabulary.located):
        for concept in c.concepts:
            if i < len(vocabulary.known):
                known.setdefault(meaning(concept), (concept, where))
            elif meaning(concept) in known:
                other, place = known[meaning(concept)]
                _refuse(f'{where}: {quoted(concept)} means the same as {quoted(other)} in '
                        f'{place}; remove one of them')
