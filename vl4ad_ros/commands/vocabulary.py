# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The verb `vl4ad vocabulary`: shows vocabularies, and finds words that are too similar."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from itertools import product
import textwrap

import numpy as np

from vl4ad_ros.bundle import Bundle
from vl4ad_ros.bundle.installed import DEFAULT
from vl4ad_ros.bundle.prompt_encoder import Prompts
from vl4ad_ros.bundle.tokenizer import Tokenizer
from vl4ad_ros.commands import Verb
from vl4ad_ros.inference.detector import Detector
from vl4ad_ros.prompts.reader import DEFAULT_ANOMALY, DEFAULT_KNOWN, load, names, open_list
from vl4ad_ros.prompts.vocabulary import PromptClass, script_warnings, Vocabulary

COLUMNS = 99
"""Longest line that is printed, in characters."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    parser.add_argument('action', choices=('show', 'check'),
                        help='show: print classes, concepts and tokens, or without a name the '
                        'list of all vocabularies. check: encode the vocabulary with the bundle, '
                        'and print the most similar known and anomaly words')
    parser.add_argument('name', nargs='?', metavar='NAME|FILE',
                        help='a shipped vocabulary or a .yaml file (default of check: '
                        f'{DEFAULT_KNOWN})')
    parser.add_argument('--anomaly', metavar='NAME|FILE', help='words for what does not belong '
                        f"(default: the file's own, else {DEFAULT_ANOMALY})")
    parser.add_argument('--bundle', default=DEFAULT, metavar='B', help='whose tokenizer, capacity '
                        'and text tower: the name of an installed bundle or a folder (default: '
                        '%(default)s)')
    parser.add_argument('--pairs', type=int, default=10, metavar='N',
                        help='check: how many pairs of words (default: %(default)s)')


def run(options: argparse.Namespace) -> None:
    """Print the list, the vocabulary or the check; raise VocabularyError if it is unusable."""
    if options.action == 'show' and options.name is None:
        print('\n'.join(index()))
        return
    name = options.name or DEFAULT_KNOWN
    words = open_list(name)
    if options.anomaly is None and words.known is None:
        vocabulary, name = load(DEFAULT_KNOWN, name), f'{DEFAULT_KNOWN} with {name}'
    else:
        vocabulary = load(name, options.anomaly)
        if words.anomaly is None or options.anomaly:
            name = f'{name} with {options.anomaly or DEFAULT_ANOMALY}'
    if options.action == 'show':
        print('\n'.join([name, size(vocabulary),
                         *contents(vocabulary, Bundle.open(options.bundle))]))
        return
    detector = Detector.open(options.bundle)
    try:
        prompts = detector.encode(vocabulary)
    finally:
        detector.close()
    print('\n'.join([f"bundle '{detector.bundle.name}' accepts {name}", size(vocabulary),
                     *warnings(vocabulary, detector.bundle),
                     *likeness(prompts, detector.bundle, options.pairs)]))


def index() -> Iterator[str]:
    """Yield one line for each shipped vocabulary: name, numbers of classes, description."""
    yield f'{"name":18}  known  anomaly  description (numbers are classes)'
    for name in names():
        words = open_list(name)
        counts = [str(len(side)) if side else '-' for side in (words.known, words.anomaly)]
        yield f'{name:18}  {counts[0]:>5}  {counts[1]:>7}  {words.about}'


def size(vocabulary: Vocabulary) -> str:
    """Return the numbers of classes and concepts of a vocabulary as text."""
    return ', '.join(
        f'{len(side)} {name} classes ({sum(len(c.concepts) for c in side)} concepts)'
        for name, side in (('known', vocabulary.known), ('anomaly', vocabulary.anomaly)))


def contents(vocabulary: Vocabulary, bundle: Bundle) -> Iterator[str]:
    """
    Yield how much of the capacity of a bundle a vocabulary needs, and a table of its classes.

    :param vocabulary: the prompts.
    :param bundle: the bundle whose tokenizer and capacity are used.
    :returns: lines without line breaks.
    """
    tokenizer = Tokenizer(bundle.directory / bundle.tokenizer, bundle.text.context_length,
                          bundle.text.sot, bundle.text.eot, bundle.text.pad)

    def tokens(c: PromptClass) -> int:
        return max(tokenizer.count(template.replace('{}', concept))
                   for concept in c.concepts for template in bundle.templates)

    used = ((len(vocabulary.classes), bundle.capacity.classes, 'classes'),
            (len(vocabulary.concepts), bundle.capacity.concepts, 'concepts'),
            (max(map(tokens, vocabulary.classes)), bundle.text.context_length,
             'tokens per sentence'))
    fits = all(count <= most for count, most, _ in used)
    yield (f"bundle '{bundle.name}'{'' if fits else ' (too small)'}: "
           + ', '.join(f'{count} of {most} {what}' for count, most, what in used))
    width = max(len(c.name) for c in vocabulary.classes)
    for title, side in (('known', vocabulary.known), ('anomaly', vocabulary.anomaly)):
        if side:
            yield ''
            yield f'{title:{width}}  tokens  concepts'
        for c in side:
            lines = textwrap.wrap(', '.join(c.concepts), max(COLUMNS - width - 10, 30))
            yield f'{c.name:{width}}  {tokens(c):6}  {lines[0]}'
            yield from (' ' * (width + 10) + line for line in lines[1:])


def warnings(vocabulary: Vocabulary, bundle: Bundle) -> Iterator[str]:
    """
    Yield warnings about words in scripts that the text network of a bundle was not trained on.

    :param vocabulary: the prompts.
    :param bundle: the bundle that states its scripts.
    :returns: lines without line breaks; none if there is nothing to warn of.
    """
    for sentence in script_warnings(vocabulary, bundle.text.scripts):
        yield from textwrap.wrap(f'warning: {sentence}', COLUMNS)


def likeness(prompts: Prompts, bundle: Bundle, count: int) -> Iterator[str]:
    """
    Yield the most similar pairs of a known and an anomaly class, by the cosine of their words.

    :param prompts: the encoded vocabulary.
    :param bundle: the bundle that encoded it.
    :param count: largest number of pairs.
    :returns: lines without line breaks.
    """
    vocabulary = prompts.vocabulary
    if not vocabulary.anomaly:
        yield 'the vocabulary has no anomaly words, so there is nothing to compare'
        return
    seen = sum(concept in bundle.ensemble.seen for concept in vocabulary.concepts)
    yield ''
    yield f"most similar words of each pair of classes, by the text tower of '{bundle.name}'"
    yield f'(its masks were trained with {seen} of these {len(vocabulary.concepts)} concepts)'
    pairs = sorted(_best_pairs(prompts), key=lambda pair: -pair[0])[:max(count, 0)]
    width = max((len(known) for _, known, _ in pairs), default=0)
    yield f'cosine  {"known":{width}}  anomaly'
    yield from (f'{cosine:6.3f}  {known:{width}}  {anomaly}' for cosine, known, anomaly in pairs)
    yield 'Similar words are confused first: an anomaly is scored as known, or the reverse.'


def _best_pairs(prompts: Prompts) -> Iterator[tuple[float, str, str]]:
    """Yield, for each known and anomaly class, their most similar words with the cosine."""
    words, labels, first = [], [], 0
    for c in prompts.vocabulary.classes:
        words.append(prompts.concepts[first:first + len(c.concepts)])
        labels.append([w if w == c.name else f'{w} ({c.name})' for w in c.concepts])
        first += len(c.concepts)
    split = len(prompts.vocabulary.known)
    for i, j in product(range(split), range(split, len(words))):
        cosines = words[i] @ words[j].T
        k, a = np.unravel_index(cosines.argmax(), cosines.shape)
        yield float(cosines[k, a]), labels[i][k], labels[j][a]


VERB = Verb(add_arguments, run)
