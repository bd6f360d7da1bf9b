# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Cleans the characters of prompts, splits lists that are one text, and names scripts."""

from __future__ import annotations

from functools import lru_cache
import re
from unicodedata import category, name, normalize

_ARTICLES = ('a', 'an', 'the')
_TYPOGRAPHY = {**dict.fromkeys(map(ord, '’‘‛ʼ`´′＇'), "'"), **dict.fromkeys(map(ord, '™©®'))}
# Default ignorable characters of Unicode that are not in the category Cf, and the Braille blank.
_INVISIBLE = re.compile('[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f'
                        '\uffa0\U000e0100-\U000e01ef]')
_SPACES = re.compile('[ \u1680]+')  # NFKC turns all other spaces into one of these
_SCRIPTS = {'Cjk': 'Han', 'Ideographic': 'Han', 'Katakana-hiragana': 'Katakana'}

_SEPARATOR_NAMES = re.compile(r'\b(COMMA|SEMICOLON|BULLET|VERTICAL (LINE|BAR)|BROKEN BAR)\b')
_CONTROLS = '\t\n\v\f\r\x1c\x1d\x1e\x1f\x85\u2028\u2029'  # tab, and str.splitlines' breaks
_FULL_STOPS = '。।॥۔።'  # no space is needed behind these
_BETWEEN = re.compile(
    r'(?<=\s)[./·・]+(?=\s)'  # 'cow / sheep', 'cow . sheep'
    r'|(?<=[^\W\d_]{3})[./](?=[^\W\d_]{3})'  # 'cow/sheep', 'cow.sheep', but not 'a/c unit'
    r'|[.]{2,}')  # 'cow... sheep'
_DASHES = re.compile(r'(?:^|(?<=\s))[-‐‑‒–—―−]+(?=\s)')
_SENTENCE = re.compile(r'(\w*)([.!?]+)\s+(?=\S)')
_ABBREVIATIONS = frozenset(
    'approx av ave blvd ca cf co dept dr est etc fig ft gen hwy inc int jr lt ltd max min misc mr '
    'mrs ms mt mts no nos nr op prof pt rd resp rev sgt sr st sta ste tel vol vs'.split())


def quoted(text: str, most: int = 80) -> str:
    """
    Return a text in quotes for an error message, with control characters escaped.

    :param text: any text.
    :param most: the largest number of characters that are shown.
    """
    return repr(text if len(text) <= most else f'{text[:most]}...')


def clean(text: str) -> str:
    """
    Return a text without invisible characters and with one space between words.

    Variants of a character, such as full-width letters, become the usual one (Unicode's NFKC).
    Control characters are kept, so that the caller can refuse them.

    :param text: any text.
    """
    text = ''.join(c for c in _INVISIBLE.sub('', text) if category(c) != 'Cf')
    return _SPACES.sub(' ', normalize('NFKC', text)).strip(' ')


@lru_cache(maxsize=8192)
def plain(text: str) -> str:
    """
    Return a form of a text that is equal for texts that differ only in insignificant characters.

    These are what `clean` changes, case, articles, brackets, quotes, and punctuation around words:
    ``'(The  Car!)'`` and ``'car'`` have the same plain form. It is for comparisons only.

    :param text: any text.
    """
    text = normalize('NFKC', clean(text.translate(_TYPOGRAPHY)).casefold())
    kinds = {c: category(c) for c in set(text)}
    text = ''.join(' ' if c == '"' or kinds[c] in ('Ps', 'Pe', 'Pi', 'Pf') else
                   '-' if kinds[c] == 'Pd' else c for c in text)
    marks = "'-" + ''.join(c for c in kinds if kinds[c][0] not in 'LMN')
    words = [word for word in (w.strip(marks) for w in text.split()) if word]
    return ' '.join([w for w in words[:-1] if w not in _ARTICLES] + words[-1:])


def letters(text: str) -> str:
    """
    Return a text in which every character other than letters, digits and accents is a space.

    :param text: any text.
    """
    return ''.join(c if category(c)[0] in 'LMN' else ' ' for c in text)


def split_list(text: str) -> list[str]:
    """
    Split a text that is a list.

    Lists are separated by commas, semicolons, bars, backslashes, bullets, line breaks and tabs, by
    full stops as in ``'cow. sheep. box.'``, and by slashes between words. An abbreviation
    (``'st. bernard'``), a hyphen, or a short form with a slash (``'a/c unit'``) does not separate.

    :param text: any text.
    :return: the items, some of which may be empty; one item if the text is not a list.
    """
    text = ''.join(',' if _separates(c) else c for c in text.strip(f' .!?{_FULL_STOPS}'))
    text = _BETWEEN.sub(',', text)
    if len(_DASHES.findall(text)) > 1:  # one dash may begin a remark: 'barrier - concrete'
        text = _DASHES.sub(',', text)
    text = _SENTENCE.sub(
        lambda found: found[0] if _abbreviates(found[1], found[2]) else f'{found[1]},', text)
    return [part.strip(' .!?') for part in text.split(',')]


def scripts_of(text: str) -> frozenset[str]:
    """
    Return the names of the scripts of a text's letters, such as 'Latin', 'Han' and 'Cyrillic'.

    :param text: any text.
    """
    # Python's standard library does not tell scripts, but characters' names begin with them.
    words = {name(c, '').partition(' ')[0].capitalize() for c in normalize('NFKC', text)
             if c.isalpha()} - {'', 'Modifier'}
    return frozenset(_SCRIPTS.get(word, word) for word in words)


def _separates(character: str) -> bool:
    if character.isascii():
        return character in ',;|\\' or character in _CONTROLS
    return character in _CONTROLS or character in _FULL_STOPS or (
        category(character)[0] in 'PS' and bool(_SEPARATOR_NAMES.search(name(character, ''))))


def _abbreviates(word: str, stop: str) -> bool:
    """Return whether a word and the punctuation behind it are an abbreviation or a number."""
    return stop == '.' and (
        len(word) < 2 or word.isdigit() or word.casefold() in _ABBREVIATIONS)
