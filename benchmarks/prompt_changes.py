# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Show what one prompt does: the second table of docs/method.md.

    python -m benchmarks.prompt_changes [--bundle tiny] [--pictures 60]

Takes a known class out of the prompts and looks at its pixels, and puts an anomalous kind among
the known ones and looks at its. Nothing but the prompts changes.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from functools import lru_cache

import numpy as np
from tqdm import tqdm

from vl4ad_ros.runtime.detector import Detector
from vl4ad_ros.runtime.prompts import Prompts
from vl4ad_ros.scenes.kinds import KINDS
from vl4ad_ros.scenes.still import draw_still
from vl4ad_ros.vocabulary import PromptClass, Vocabulary

SEED, CAMERA, MIN_PIXELS = 22, (360, 640), 300


def changed(vocabulary: Vocabulary, kind: str) -> Vocabulary:
    """Return the vocabulary without a known kind, or with an anomalous one among the known."""
    if KINDS[kind].group == 'known':
        return Vocabulary(tuple(c for c in vocabulary.known if c.name != kind),
                          vocabulary.anomaly)
    return Vocabulary((*vocabulary.known, PromptClass(kind, KINDS[kind].words)),
                      tuple(c for c in vocabulary.anomaly if c.name != kind))


def main() -> None:
    """Print for each kind the median score of its pixels before and after its prompt changes."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n\n')[0])
    parser.add_argument('--bundle', default='tiny')
    parser.add_argument('--pictures', type=int, default=60)
    args = parser.parse_args()
    detector = Detector.open(args.bundle)
    default = detector.encode(detector.default_vocabulary)

    @lru_cache(maxsize=None)
    def prompts_for(kind: str) -> Prompts:
        return detector.encode(changed(detector.default_vocabulary, kind))

    rows: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for i in tqdm(range(args.pictures)):
        frame = draw_still(np.random.default_rng([SEED, i]), CAMERA, groups=('known', 'masks'),
                           split='test')
        before = detector.detect(frame.image, default).score
        for kind in sorted(set(frame.kinds)):
            pixels = np.isin(frame.segments, [s for s, k in enumerate(frame.kinds) if k == kind])
            if pixels.sum() >= MIN_PIXELS:
                after = detector.detect(frame.image, prompts_for(kind)).score
                rows[kind].append((np.median(before[pixels]), np.median(after[pixels])))
    print('| kind | change | pictures | score before | after |\n|---|---|---|---|---|')
    groups: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for kind in (k for k in KINDS if k in rows):
        change = 'no longer known' if KINDS[kind].group == 'known' else 'now known'
        mean = np.mean(rows[kind], axis=0)
        groups[change].append(tuple(mean))
        print(f'| {kind} | {change} | {len(rows[kind])} | {mean[0]:.2f} | {mean[1]:.2f} |')
    for change, means in groups.items():
        mean = np.mean(means, axis=0)
        print(f'| mean of {len(means)} kinds | {change} | | {mean[0]:.2f} | {mean[1]:.2f} |')


if __name__ == '__main__':
    main()
