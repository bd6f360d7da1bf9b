# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Reads vocabularies by name or from YAML files; those that ship are in the folder `lists/`.

A file has the keys ``known:`` or ``anomaly:`` or both, each with a list of entries as
`PromptClass.parse` reads them. It may have ``about:``, a line of text. An entry ``'<NAME>'`` or
``'<path/to/file.yaml>'`` is a reference to the same list of another vocabulary, in files as in
ROS parameters (`expand`). Paths are relative to the file that they are in, and those in parameters
to the working directory.

Only regular files of at most `LARGEST_FILE` bytes are read. One call opens each file once, opens
at most `MOST_FILES` files, and follows references at most `DEEPEST` levels deep.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache, lru_cache
import os
from pathlib import Path
import re
from typing import Any, NoReturn

from vl4ad_ros.files import FileRefused, read_regular
from vl4ad_ros.prompts.characters import quoted
from vl4ad_ros.prompts.vocabulary import (
    check_size, MOST_CONCEPTS, PromptClass, Vocabulary, VocabularyError)
import yaml

DEFAULT_KNOWN = 'cityscapes_merged'
DEFAULT_ANOMALY = 'everything'
BUNDLE = '<bundle>'
"""Entry that is replaced by the list of the bundle; in prompts only, not in files."""
LARGEST_FILE = 256 * 1024
"""The largest size of a file in bytes; PyYAML takes about a second for that."""
MOST_FILES = 32
"""The largest number of files that one call opens."""
DEEPEST = 8
"""The largest number of files in a chain of references."""

_FOLDER = Path(__file__).resolve().parent / 'lists'
_KEYS = ('about', 'known', 'anomaly')
_DEEPEST_NODE = 8  # levels of YAML nodes; a valid file has 3
_OTHER_NODES = 7  # YAML nodes of a valid file that are not entries: root, keys, their values


@dataclass(frozen=True)
class WordList:
    """
    The content of one file, in which references are replaced by the lists that they refer to.

    :ivar about: a line that describes the list; may be empty.
    :ivar known: in-distribution classes; None if the file has no such list.
    :ivar anomaly: out-of-distribution classes; None if the file has no such list.
    """

    about: str
    known: tuple[PromptClass, ...] | None
    anomaly: tuple[PromptClass, ...] | None


@lru_cache(maxsize=1)
def names() -> tuple[str, ...]:
    """Return the names of the shipped vocabularies."""
    return tuple(sorted(file.stem for file in _FOLDER.glob('*.yaml')))


def load(known: str, anomaly: str | None = None) -> Vocabulary:
    """
    Return a vocabulary that is composed of one or two named lists.

    :param known: name of a shipped vocabulary, or path of a YAML file, with the in-distribution
        classes.
    :param anomaly: the same for the out-of-distribution classes; None for those of `known`, or
        `DEFAULT_ANOMALY` if that has none.
    :raises VocabularyError: if there is no such list, if it is malformed, or if the two contradict
        each other; the message names the file and the line, and says what to change.
    """
    reading = _Reading()
    belongs = reading.open(known)
    if anomaly is None and belongs.anomaly is not None:
        return Vocabulary(_side(belongs, 'known', known), belongs.anomaly)
    other = DEFAULT_ANOMALY if anomaly is None else anomaly
    return Vocabulary(_side(belongs, 'known', known),
                      _side(reading.open(other), 'anomaly', other))


def concepts_of(name: str) -> frozenset[str]:
    """
    Return all concepts of a vocabulary, of both lists.

    ``concepts_of('coco_panoptic')`` are the words that the published FC-CLIP checkpoints were
    trained with, which is what ``seen`` means in FC-CLIP's geometric ensemble.

    :param name: name of a shipped vocabulary, or path of a YAML file.
    :raises VocabularyError: as `load`.
    """
    opened = open_list(name)
    return frozenset(concept for c in (opened.known or ()) + (opened.anomaly or ())
                     for concept in c.concepts)


def read(known: Sequence[str], anomaly: Sequence[str] = (),
         bundled: Vocabulary | None = None) -> Vocabulary:
    """
    Read two lists of entries as `Vocabulary.from_strings` does, and expand references in them.

    This opens the files that entries refer to, which takes time; `check_entries` does not.

    :param known: entries of in-distribution classes.
    :param anomaly: entries of out-of-distribution classes; ``['']`` stands for none.
    :param bundled: the vocabulary that ``'<bundle>'`` refers to; None if there is none.
    :raises VocabularyError: as `load`; the message names an entry as ``prompts.anomaly[0]``.
    """
    reading = _Reading(bundled)
    return Vocabulary(reading.parameter(known, 'known'), reading.parameter(anomaly, 'anomaly'))


def expand(entries: Sequence[str], side: str,
           bundled: Vocabulary | None = None) -> tuple[PromptClass, ...]:
    """
    Read one list of entries and expand references in it.

    :param entries: classes as `PromptClass.parse` reads them, or references ``'<NAME>'``,
        ``'<path/to/file.yaml>'`` or ``'<bundle>'``.
    :param side: 'known' or 'anomaly': which list of another vocabulary a reference means.
    :param bundled: the vocabulary that ``'<bundle>'`` refers to; None if there is none.
    :raises VocabularyError: as `read`, for this list alone.
    """
    return _Reading(bundled).parameter(entries, side)


def check_entries(entries: Sequence[str], side: str) -> None:
    """
    Check one list of entries as `expand` does, but without opening files of the user.

    Only the form of a reference to a file is checked. Shipped lists are read, once in a process.

    :param entries: as for `expand`.
    :param side: 'known' or 'anomaly': which list of another vocabulary a reference means.
    :raises VocabularyError: as `expand`.
    """
    _Reading(opens_files=False).parameter(entries, side)


def names_file(entries: Sequence[str]) -> bool:
    """
    Return whether any entry refers to a file of the user, which `read` would open.

    :param entries: as for `expand`.
    """
    return any(_is_file(_reference(entry)) for entry in entries)


def open_list(name: str) -> WordList:
    """
    Read a shipped vocabulary by its name, or a YAML file by its path.

    :param name: the name or the path.
    :raises VocabularyError: if it does not exist or is malformed; the message names the file and
        the line.
    """
    return _Reading().open(name)


@cache
def _shipped(name: str) -> WordList:
    return _Reading().file(_FOLDER / f'{name}.yaml', f"vocabulary '{name}'", '')


class _Reading:
    """The state of one call that reads lists which may refer to each other."""

    def __init__(self, bundled: Vocabulary | None = None, opens_files: bool = True) -> None:
        """Expand ``'<bundle>'`` to `bundled`; without `opens_files`, skip files of the user."""
        self._bundled = bundled
        self._opens_files = opens_files
        self._lists: dict[str, WordList] = {}
        self._within: list[str] = []  # files that are being read; each refers to the next one

    def parameter(self, entries: Sequence[str], side: str) -> tuple[PromptClass, ...]:
        """Expand a list of entries of ROS parameters."""
        if side == 'anomaly' and list(entries) == ['']:
            return ()
        check_size(entries, f'prompts.{side}')
        return self._expand([(f'prompts.{side}[{i}]', e) for i, e in enumerate(entries)], side,
                            Path())

    def open(self, name: str, folder: Path = Path(), where: str = '') -> WordList:
        """Return a list by its name, or by its path relative to `folder`; begin errors `where`."""
        if name in names():
            return _shipped(name)
        if not _is_file(name):
            _refuse(f"{where}no vocabulary {quoted(name)}; expected one of {', '.join(names())}, "
                    'or the path of a .yaml file')
        try:
            file = folder / Path(name).expanduser()
            place = os.path.realpath(file)
        except (OSError, RuntimeError, ValueError) as error:
            _refuse(f'{where}{quoted(name)} is not the path of a file ({error})')
        if place in self._within:
            _refuse(f'{where}{quoted(str(file))} includes itself; remove one of its references')
        if place not in self._lists:
            if len(self._within) >= DEEPEST:
                _refuse(f'{where}files refer to each other more than {DEEPEST} levels deep; put '
                        'their entries into fewer files')
            if len(self._lists) + len(self._within) >= MOST_FILES:
                _refuse(f'{where}more than {MOST_FILES} files; put their entries into fewer files')
            self._within.append(place)
            self._lists[place] = self.file(file, quoted(str(file), 200)[1:-1], where)
            self._within.pop()
        return self._lists[place]

    def file(self, file: Path, label: str, where: str) -> WordList:
        """Read a file that errors call `label`; `where` is the entry that refers to it, or ''."""
        try:
            text = read_regular(file, LARGEST_FILE).decode()
            root = yaml.compose(text, _Loader)
        except FileRefused as error:
            _refuse(f'{where}{error}')
        except OSError as error:
            _refuse(f'{where}vocabulary file {quoted(str(file), 200)} cannot be read '
                    f"({error.strerror}); expected a .yaml file or one of {', '.join(names())}")
        except UnicodeDecodeError:
            _refuse(f'{where}{label}: expected text in UTF-8')
        except yaml.MarkedYAMLError as error:
            line = f', line {error.problem_mark.line + 1}' if error.problem_mark else ''
            _refuse(f'{label}{line}: expected YAML with lists of words '
                    f'({str(error.problem):.200})')
        except Exception as error:  # PyYAML raises its own and those of int(), chr() and others
            _refuse(f"{label}: expected YAML ({' '.join(str(error).split()):.200})")
        if not isinstance(root, yaml.MappingNode):
            _refuse(f'{label}: expected the keys known: or anomaly: with a list of entries each')
        tables: dict[str, yaml.Node] = {}
        for key, value in root.value:
            if key.value not in _KEYS or key.value in tables:
                again = 'a second' if key.value in _KEYS else 'unknown key'
                _refuse(f'{_line(label, key)}: {again} {quoted(str(key.value), 40)}; expected '
                        f"each of {', '.join(_KEYS)} once at most")
            tables[key.value] = value
        if not {'known', 'anomaly'} & set(tables):
            _refuse(f'{label}: expected a list known: or anomaly:')
        about = tables.get('about')
        if about is not None and not isinstance(about, yaml.ScalarNode):
            _refuse(f'{_line(label, about)}: about must be one line of text')
        return WordList(about.value if about else '', *(
            self._expand(_entries(tables[side], side, label), side, file.parent)
            if side in tables else None for side in ('known', 'anomaly')))

    def _expand(self, entries: Sequence[tuple[str, str]], side: str,
                folder: Path) -> tuple[PromptClass, ...]:
        """Return the classes of entries, which come with their places for error messages."""
        classes: list[PromptClass] = []
        count = 0
        for where, entry in entries:
            found = self._classes_of(where, entry, side, folder)
            count += sum(len(c.concepts) for c in found)
            if count > MOST_CONCEPTS:
                _refuse(f'{where} {quoted(entry)}: with this entry the list has more than '
                        f'{MOST_CONCEPTS} concepts; remove some')
            classes += found
        return tuple(classes)

    def _classes_of(self, where: str, entry: str, side: str,
                    folder: Path) -> Sequence[PromptClass]:
        name = _reference(entry)
        if not name:
            return [PromptClass.parse(entry, where)]
        place = f'{where} {quoted(entry.strip())}'
        if entry.strip() == BUNDLE and not self._within:
            found = getattr(self._bundled, side, ())
        elif self._opens_files or not _is_file(name):
            opened = self.open(name, folder, f'{place}: ')
            found = _side(opened, side, name, f'{place}: ')
        else:
            found = ()
        return [replace(c, where=place) for c in found]


class _Loader(yaml.SafeLoader):
    """
    PyYAML's pure Python loader, with limits on the number and the depth of nodes.

    The loader of libyaml crashes on text that is nested deeply.
    """

    def __init__(self, text: str) -> None:
        """Start with the first document of a text."""
        super().__init__(text)
        self._nodes = self._depth = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        """Return the next node; raise an error if there are more than a valid file can have."""
        self._nodes += 1
        self._depth += 1
        if (self._nodes > MOST_CONCEPTS + _OTHER_NODES
                or self._depth > _DEEPEST_NODE):
            raise yaml.MarkedYAMLError(
                problem=f'more than {MOST_CONCEPTS} entries, or lists nested too deeply',
                problem_mark=self.peek_event().start_mark)
        node = super().compose_node(parent, index)
        self._depth -= 1
        return node


def _entries(node: yaml.Node, side: str, label: str) -> list[tuple[str, str]]:
    if not isinstance(node, yaml.SequenceNode):
        _refuse(f"{_line(label, node)}: {side} must be a list, such as ['cow', 'box']; [] is none")
    for item in node.value:
        if not isinstance(item, yaml.ScalarNode):
            _refuse(f'{_line(label, item)}: expected one entry in quotes, such as '
                    "'vegetation: tree, trees'")
    check_size([item.value for item in node.value], f'{_line(label, node)}: {side}')
    # A text in one of YAML's block styles ends in a line break, which is not part of the entry.
    return [(_line(label, item), item.value.rstrip('\n')) for item in node.value]


def _reference(entry: str) -> str:
    """Return the name or path that an entry refers to; empty if the entry is a class."""
    match = re.fullmatch(r'<([^<>]+)>', entry.strip())
    return match[1] if match else ''


def _is_file(reference: str) -> bool:
    return reference.endswith(('.yaml', '.yml')) and reference not in names()


def _side(opened: WordList, side: str, name: str, where: str = '') -> tuple[PromptClass, ...]:
    classes = getattr(opened, side)
    if classes is None or side == 'known' and not classes:
        _refuse(f'{where}{quoted(name)} has no {side}: list; of the shipped vocabularies '
                f"{', '.join(n for n in names() if getattr(_shipped(n), side))} have one")
    return classes


def _line(label: str, node: yaml.Node) -> str:
    return f'{label}, line {node.start_mark.line + 1}'


def _refuse(message: str) -> NoReturn:
    raise VocabularyError(message) from None
