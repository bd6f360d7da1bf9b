# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""When two concepts are the same word, so that one cannot both belong and not belong."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from vl4ad_ros.prompts.characters import letters, plain
import yaml

_KEPT_ENDINGS = ('ss', 'us', 'is')


def meaning(concept: str) -> str:
    """
    Return a key that two concepts share if they mean the same, by the tables in synonyms.yaml.

    Case, hyphens, spaces, singular or plural, British or American spelling, and what
    `characters.plain` leaves out do not matter: ``'The Tyres!'`` and ``'tire'`` share a key,
    ``'toy car'`` and ``'car'`` do not. For comparing only: it is no word, and no prompt is ever
    replaced by it.
    """
    key = _key(concept)
    return _groups().get(key, key)


def _key(concept: str) -> str:
    tables = _tables()
    words = letters(plain(concept).replace("'", '')).split()
    singular = (_singular(word, tables['plurals']) for word in words)
    # Without spaces: 'wheel barrow' is 'wheelbarrow'.
    return ''.join(tables['spellings'].get(word, word) for word in singular)


def _singular(word: str, plurals: Mapping[str, str]) -> str:
    for plural, singular in plurals.items():
        if word.endswith(plural):
            return word[:-len(plural)] + singular
    if len(word) < 4 or not word.endswith('s') or word.endswith(_KEPT_ENDINGS):
        return word
    if word.endswith('ies') and len(word) > 4:
        return word[:-3] + 'y'
    if word.endswith(('sses', 'shes', 'ches', 'xes', 'zzes', 'oes')):
        return word[:-2]
    return word[:-1]


@lru_cache(maxsize=1)
def _tables() -> Mapping[str, Any]:
    return yaml.safe_load(Path(__file__).with_name('synonyms.yaml').read_text(encoding='utf-8'))


@lru_cache(maxsize=1)
def _groups() -> Mapping[str, str]:
    """Return the key of the group's first concept for the key of each concept in a group."""
    return {_key(concept): _key(group[0]) for group in _tables()['same'] for concept in group}
