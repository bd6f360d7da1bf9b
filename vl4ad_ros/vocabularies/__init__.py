# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Lists of words by name or from YAML files; the shipped ones lie beside this module.

A file holds ``known:``, ``anomaly:`` or both, each a list of entries as `PromptClass.parse` reads
them, and may hold ``about:``, one line. An entry ``'<NAME>'`` or ``'<path/to/file.yaml>'`` stands
for the same list of another vocabulary, here as in ROS parameters (`expand`). Paths are relative
to the file that they stand in; those of parameters, to the working directory.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
import re
from typing import NoReturn

from vl4ad_ros.vocabulary import PromptClass, Vocabulary, VocabularyError
import yaml

DEFAULT_KNOWN = 'cityscapes_merged'
DEFAULT_ANOMALY = 'everything'
BUNDLE = '<bundle>'
"""Entry that stands for the list inside the bundle; in prompts, not in files."""

_FOLDER = Path(__file__).resolve().parent
_KEYS = ('about', 'known', 'anomaly')


@dataclass(frozen=True)
class WordList:
    """
    One file as written, with the lists that it refers to in their places.

    :ivar about: one line on what it is; may be empty.
    :ivar known: classes that belong; None if the file has no such list.
    :ivar anomaly: classes that do not; None if the file has no such list.
    """

    about: str
    known: tuple[PromptClass, ...] | None
    anomaly: tuple[PromptClass, ...] | None


def names() -> tuple[str, ...]:
    """Return the names of the shipped vocabularies."""
    return tuple(sorted(file.stem for file in _FOLDER.glob('*.yaml')))


def load(known: str, anomaly: str | None = None) -> Vocabulary:
    """
    Return a vocabulary of one or two lists.

    :param known: name or YAML file with the classes that belong.
    :param anomaly: name or YAML file with the classes that do not; by default the list in the
        file of `known`, else `DEFAULT_ANOMALY`.
    :raises VocabularyError: if there is no such list, it is malformed, or the two contradict each
        other; the message names file, line and cure.
    """
    belongs = open_list(known)
    if anomaly is None and belongs.anomaly is not None:
        return Vocabulary(_side(belongs, 'known', known), belongs.anomaly)
    other = DEFAULT_ANOMALY if anomaly is None else anomaly
    return Vocabulary(_side(belongs, 'known', known), _side(open_list(other), 'anomaly', other))


def concepts_of(name: str) -> frozenset[str]:
    """
    Return every concept in a named or filed vocabulary.

    ``concepts_of('coco_panoptic')`` are the words that public FC-CLIP checkpoints were trained
    with: their ``seen`` in FC-CLIP's geometric ensemble.

    :raises VocabularyError: as `load`.
    """
    opened = open_list(name)
    return frozenset(concept for c in (opened.known or ()) + (opened.anomaly or ())
                     for concept in c.concepts)


def read(known: Sequence[str], anomaly: Sequence[str] = (),
         bundled: Vocabulary | None = None) -> Vocabulary:
    """
    Read two lists of entries as `Vocabulary.from_strings` does, and expand references in them.

    :param bundled: what ``'<bundle>'`` stands for.
    :raises VocabularyError: as `load`, with ``prompts.anomaly[0]`` and the like for a line.
    """
    return Vocabulary(expand(known, 'known', bundled), expand(anomaly, 'anomaly', bundled))


def expand(entries: Sequence[str], side: str,
           bundled: Vocabulary | None = None) -> tuple[PromptClass, ...]:
    """
    Read one list of entries, with ``'<NAME>'``, ``'<FILE>'`` and ``'<bundle>'`` in their places.

    :param side: 'known' or 'anomaly': which list of a vocabulary a reference stands for.
    :param bundled: what ``'<bundle>'`` stands for; None for nothing.
    :raises VocabularyError: as `read`, for one list alone.
    """
    if side == 'anomaly' and list(entries) == ['']:
        return ()
    return tuple(_expand([(f'prompts.{side}[{i}]', e) for i, e in enumerate(entries)], side,
                         Path(), (), bundled))


def has_reference(entries: Sequence[str]) -> bool:
    """Return whether any entry stands for a whole list."""
    return any(map(_reference, entries))


def open_list(name: str) -> WordList:
    """
    Read a shipped vocabulary by its name, or a YAML file by its path.

    :raises VocabularyError: if there is none or it is malformed; the message names file and line.
    """
    return _open(name, Path(), (), '')


@lru_cache(maxsize=None)
def _shipped(name: str) -> WordList:
    return _read_file(_FOLDER / f'{name}.yaml', f"vocabulary '{name}'", ())


def _open(name: str, folder: Path, within: tuple[Path, ...], where: str) -> WordList:
    if name in names():
        return _shipped(name)
    if not name.endswith(('.yaml', '.yml')):
        _refuse(f"{where}no vocabulary '{name}'; expected one of {', '.join(names())}, or the "
                'path of a .yaml file')
    file = folder / Path(name).expanduser()
    if file.resolve() in within:
        _refuse(f"{where}'{file}' includes itself; remove one of its references")
    return _read_file(file, str(file), within, where)


def _read_file(file: Path, label: str, within: tuple[Path, ...], where: str = '') -> WordList:
    try:
        root = yaml.compose(file.read_text(encoding='utf-8'), yaml.SafeLoader)
    except OSError as error:
        _refuse(f"{where}vocabulary file '{file}' cannot be read ({error.strerror}); expected a "
                f".yaml file or one of {', '.join(names())}")
    except UnicodeDecodeError:
        _refuse(f'{where}{label}: expected text in UTF-8')
    except yaml.MarkedYAMLError as error:
        line = f', line {error.problem_mark.line + 1}' if error.problem_mark else ''
        _refuse(f'{label}{line}: not YAML ({error.problem})')
    except yaml.YAMLError as error:
        _refuse(f"{label}: not YAML ({' '.join(str(error).split())})")
    if not isinstance(root, yaml.MappingNode):
        _refuse(f'{label}: expected the keys known: or anomaly: with a list of entries each')
    tables: dict[str, yaml.Node] = {}
    for key, value in root.value:
        if key.value not in _KEYS or key.value in tables:
            again = 'a second' if key.value in _KEYS else 'unknown key'
            _refuse(f"{_line(label, key)}: {again} '{key.value}'; expected each of "
                    f"{', '.join(_KEYS)} once at most")
        tables[key.value] = value
    if not {'known', 'anomaly'} & set(tables):
        _refuse(f'{label}: expected a list known: or anomaly:')
    about = tables.get('about')
    if about is not None and not isinstance(about, yaml.ScalarNode):
        _refuse(f'{_line(label, about)}: about must be one line of text')
    return WordList(about.value if about else '', *(
        tuple(_expand(list(_entries(tables[side], side, label)), side, file.parent,
                      (*within, file.resolve()))) if side in tables else None
        for side in ('known', 'anomaly')))


def _entries(node: yaml.Node, side: str, label: str) -> Iterator[tuple[str, str]]:
    if not isinstance(node, yaml.SequenceNode):
        _refuse(f"{_line(label, node)}: {side} must be a list, such as ['cow', 'box']; [] is none")
    for item in node.value:
        if not isinstance(item, yaml.ScalarNode):
            _refuse(f'{_line(label, item)}: expected one entry in quotes, such as '
                    "'vegetation: tree, trees'")
        yield _line(label, item), item.value


def _expand(entries: Sequence[tuple[str, str]], side: str, folder: Path,
            within: tuple[Path, ...], bundled: Vocabulary | None = None) -> Iterator[PromptClass]:
    for where, entry in entries:
        name = _reference(entry)
        if not name:
            yield PromptClass.parse(entry, where)
            continue
        place = f"{where} '{entry.strip()}'"
        if entry.strip() == BUNDLE and not within:
            classes = getattr(bundled, side, ())
        else:
            classes = _side(_open(name, folder, within, f'{place}: '), side, name, f'{place}: ')
        yield from (replace(c, where=place) for c in classes)


def _reference(entry: str) -> str:
    """Return the name or path of the list that an entry stands for; empty if it is a class."""
    match = re.fullmatch(r'<([^<>]+)>', entry.strip())
    return match[1] if match else ''


def _side(opened: WordList, side: str, name: str, where: str = '') -> tuple[PromptClass, ...]:
    classes = getattr(opened, side)
    if classes is None or side == 'known' and not classes:
        _refuse(f"{where}'{name}' has no {side}: list; of the shipped vocabularies "
                f"{', '.join(n for n in names() if getattr(_shipped(n), side))} have one")
    return classes


def _line(label: str, node: yaml.Node) -> str:
    return f'{label}, line {node.start_mark.line + 1}'


def _refuse(message: str) -> NoReturn:
    raise VocabularyError(message) from None
