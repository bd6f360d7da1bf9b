# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Which known classes of a bundle's own prompts other prompts no longer have.

A threshold is calibrated with the known classes of the bundle. If prompts have no word for one of
them, its pixels fit no known class as well as before, so they count as anomalies.

Cosines of words differ between text networks: those of unrelated words are near 0 in one and above
0.5 in another. Therefore a word is compared with the bundle's own words. It is covered if a known
word of the prompts is nearer to it than the most similar word of any other class of the bundle, by
a `SHARE` of the remaining distance to 1. A rare word that resembles nothing has no such neighbour,
so the median over all words is the least that is taken for it. A class is covered if one of its
words is. By this rule, a class whose words were removed is never covered by the other classes.
The share of 0.25 was chosen with the bundles `street` and `tiny`: it accepts the words of the
shipped lists and common synonyms, such as street for road and pedestrian for person.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np

from vl4ad_ros.bundle.prompt_encoder import Prompts

SHARE = 0.25
"""Part of the way from the most similar word of another class to 1."""
_NAMED = 8  # classes that a sentence names


class Coverage:
    """
    Compares prompts with those that the threshold was calibrated with.

    :param calibrated: the bundle's own prompts, encoded.
    """

    def __init__(self, calibrated: Prompts) -> None:
        """Keep the prompts; nothing is computed yet."""
        self._calibrated = calibrated

    def missing(self, prompts: Prompts) -> tuple[str, ...]:
        """
        Return the known classes of the calibration that the known classes of prompts do not cover.

        :param prompts: encoded by the same bundle.
        :returns: names of classes, in their order in the bundle.
        """
        known = self._calibrated.vocabulary.known
        if prompts.vocabulary.known == known:
            return ()
        words, owner = _known(self._calibrated)
        nearest = (words @ _known(prompts)[0].T).max(axis=1)
        covered = set(owner[nearest > self._least].tolist())
        return tuple(c.name for i, c in enumerate(known) if i not in covered)

    @cached_property
    def _least(self) -> np.ndarray:
        """The cosine above which each word is covered: float32 [words]."""
        words, owner = _known(self._calibrated)
        cosines = np.where(owner[:, None] == owner, np.float32(0), words @ words.T)
        similar = cosines.max(axis=1)
        similar = np.maximum(similar, np.median(similar))
        return similar + SHARE * (1 - similar)


def coverage_warning(missing: tuple[str, ...]) -> str:
    """
    Return a sentence about the result of `Coverage.missing`, or '' if nothing is missing.

    :param missing: names of classes.
    """
    if not missing:
        return ''
    more = f' and {len(missing) - _NAMED} more' if len(missing) > _NAMED else ''
    return ('the threshold was calibrated with known classes that the prompts no longer have: '
            f'{", ".join(missing[:_NAMED])}{more}; their pixels will count as anomalies')


def _known(prompts: Prompts) -> tuple[np.ndarray, np.ndarray]:
    """Return the embeddings of the known words, float32 [n, D], and the class of each, [n]."""
    is_known = (prompts.concept_class >= 0) & (prompts.concept_class < prompts.num_known[0])
    return prompts.concepts[is_known], prompts.concept_class[is_known]
