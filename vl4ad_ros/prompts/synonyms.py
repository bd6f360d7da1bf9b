# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Tells whether two concepts mean the same, so that one cannot be both known and anomaly."""

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
    Return a key that is equal for two concepts if they mean the same by the file synonyms.yaml.

    Case, hyphens, spaces, singular or plural, British or American spelling, and what
    `characters.plain` removes do not matter: ``'The Tyres!'`` and ``'tire'`` have the same key,
    ``'toy car'`` and ``'car'`` do not. The key is for comparisons only. It is not a word, and
    prompts are never replaced by it.

    :param concept: a word or phrase.
    """
    key = _key(concept)
    return _groups().get(key, key)


def _key(concept: str) -> str:
    tables = _tables()
    words = letters(plain(concept).replace("'", '')).split()
    singular = (_singular(word, tables['plurals']) for word in words)
    # Joined without spaces, so that 'wheel barrow' equals 'wheelbarrow'.
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
    """Return, for the key of each concept in a group, the key of the group's first concept."""
    return {_key(concept): _key(group[0]) for group in _tables()['same'] for concept in group}
