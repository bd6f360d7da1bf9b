# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Headings of contact sheets."""

import numpy as np
import pytest

from vl4ad_ros.evaluation.contact_sheet import contact_sheet, GAP


@pytest.mark.parametrize('words, lines', [(3, 0), (20, 2), (40, 3)])
def test_a_long_subtitle_is_broken_into_lines_and_not_cut_off(words, lines):
    tile = np.zeros((10, 20, 3), np.uint8)

    def sheet(subtitle):
        return contact_sheet([('a caption', {'score': tile})], ('score',), 'title', subtitle)

    drawn, empty = sheet(' '.join(['notice'] * words)), sheet('')
    assert drawn.shape == (empty.shape[0] + 22 * lines, *empty.shape[1:])
    assert (drawn[:, -GAP:] == 255).all()
    for line in range(lines):
        assert (drawn[44 + 22 * line:66 + 22 * line] < 255).any()
