# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The verb `vl4ad vocabulary`: what is in a vocabulary, and where its words are too alike."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from itertools import product
import textwrap

import numpy as np

from vl4ad_ros.bundle import Bundle
from vl4ad_ros.bundle.installed import DEFAULT, folder_of
from vl4ad_ros.bundle.prompt_encoder import Prompts
from vl4ad_ros.bundle.tokenizer import Tokenizer
from vl4ad_ros.commands import Verb
from vl4ad_ros.inference.detector import Detector
from vl4ad_ros.prompts.reader import DEFAULT_ANOMALY, DEFAULT_KNOWN, load, names, open_list
from vl4ad_ros.prompts.vocabulary import PromptClass, script_warnings, Vocabulary

COLUMNS = 99


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    parser.add_argument('action', choices=('show', 'check'),
                        help='show: classes, concepts, tokens; without a name, all vocabularies. '
                        'check: whether the bundle takes it, and the words that are most alike')
    parser.add_argument('name', nargs='?', metavar='NAME|FILE',
                        help=f'a shipped vocabulary or a .yaml file (check: {DEFAULT_KNOWN})')
    parser.add_argument('--anomaly', metavar='NAME|FILE', help='words for what does not belong '
                        f"(default: the file's own, else {DEFAULT_ANOMALY})")
    parser.add_argument('--bundle', default=DEFAULT, metavar='B', help='whose tokenizer, capacity '
                        'and text tower: the name of an installed bundle or a folder (default: '
                        '%(default)s)')
    parser.add_argument('--pairs', type=int, default=10, metavar='N',
                        help='check: how many pairs of words (default: %(default)s)')


def run(options: argparse.Namespace) -> None:
    """Print the report; an unusable vocabulary is a `VocabularyError` that says why."""
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
    print('\n'.join([f"bundle '{detector.bundle.name}' takes {name}", size(vocabulary),
                     *warnings(vocabulary, detector.bundle),
                     *likeness(prompts, detector.bundle, options.pairs)]))


def index() -> Iterator[str]:
    """Yield one line for each shipped vocabulary: name, classes, what it is."""
    yield f'{"name":18}  known  anomaly  what (classes are counted)'
    for name in names():
        words = open_list(name)
        counts = [str(len(side)) if side else '-' for side in (words.known, words.anomaly)]
        yield f'{name:18}  {counts[0]:>5}  {counts[1]:>7}  {words.about}'


def size(vocabulary: Vocabulary) -> str:
    """Return the numbers of classes and concepts in words."""
    return ', '.join(
        f'{len(side)} {name} classes ({sum(len(c.concepts) for c in side)} concepts)'
        for name, side in (('known', vocabulary.known), ('anomaly', vocabulary.anomaly)))


def contents(vocabulary: Vocabulary, bundle: Bundle) -> Iterator[str]:
    """Yield what the bundle would use of its capacity, and a table of all classes."""
    tokenizer = Tokenizer(bundle.directory / bundle.tokenizer, bundle.text.context_length,
                          bundle.text.sot, bundle.text.eot, bundle.text.pad)

    def tokens(c: PromptClass) -> int:
        return max(tokenizer.count(template.replace('{}', concept))
                   for concept in c.concepts for template in bundle.templates)

    used = ((len(vocabulary.classes), bundle.capacity.classes, 'classes'),
            (len(vocabulary.concepts), bundle.capacity.concepts, 'concepts'),
            (max(map(tokens, vocabulary.classes)), bundle.text.context_length,
             'tokens a sentence'))
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
    """Yield what a user must know of words that the bundle's text network cannot know."""
    for sentence in script_warnings(vocabulary, bundle.text.scripts):
        yield from textwrap.wrap(f'warning: {sentence}', COLUMNS)


def likeness(prompts: Prompts, bundle: Bundle, count: int) -> Iterator[str]:
    """Yield the `count` most alike pairs of a known and an anomaly class, by their words."""
    vocabulary = prompts.vocabulary
    if not vocabulary.anomaly:
        yield 'no anomaly words: nothing to compare'
        return
    seen = sum(concept in bundle.ensemble.seen for concept in vocabulary.concepts)
    yield ''
    yield f"most alike words of each two classes, by the text tower of bundle '{bundle.name}'"
    yield f'(its masks were trained with {seen} of these {len(vocabulary.concepts)} concepts)'
    if bundle.directory == folder_of(DEFAULT):
        yield ('(this tower learnt few other words, so most of this means little: ask the bundle '
               'you drive with)')
    pairs = sorted(_best_pairs(prompts), key=lambda pair: -pair[0])[:max(count, 0)]
    width = max((len(known) for _, known, _ in pairs), default=0)
    yield f'cosine  {"known":{width}}  anomaly'
    yield from (f'{cosine:6.3f}  {known:{width}}  {anomaly}' for cosine, known, anomaly in pairs)
    yield 'Detection fails here first: the anomaly passes as known, or takes mass from it.'


def _best_pairs(prompts: Prompts) -> Iterator[tuple[float, str, str]]:
    """Yield cosine, known and anomaly word of the most alike words of each two classes."""
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
