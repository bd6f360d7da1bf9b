# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Which photographs of Indian roads show cows, and which show other animals only.

The boxes of the data set say 'animal'. The species were looked up by eye for this study, in the
photographs that choose constants and in those that report. Water buffaloes, and animals too small
to tell, are in neither group. A photograph is named by the first 8 digits of its sha256.
"""

COWS = frozenset((
    '06104afe', '08718da3', '186c61e8', '18a4f62a', '19390d80', '1ba1eeb7', '2b75c449',
    '2ed198fc', '31ed0fb4', '376aa2c7', '3fb80f41', '46faec68', '47a6dd27', '4d048ed0',
    '4d86acf0', '4ef412ab', '5493164d', '594d66c8', '74063ea5', '77123e16'))
"""Photographs whose animals are cows."""
OTHERS = frozenset((
    '03bd3b8b', '06a64737', '06e1458a', '0b0075ea', '0ce56b62', '13a5817c', '1583891d',
    '18587bbb', '1d873b4b', '21588566', '233baccd', '38d4dcf2', '485a9daf', '4952eabd',
    '4c2004a8', '515c88af', '5476944d', '557efc95', '5b5b6f6e', '5d673cc2', '61a39e0a',
    '676f7046', '6b0ec188', '75ca81b1', '76f57894', '786abcd1', '7ce6e7d8', '7d0dcdcb'))
"""Photographs with dogs, goats, sheep, camels, horses, elephants or monkeys, but no cows."""
