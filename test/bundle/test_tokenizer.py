# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Token rows of the mock bundle's tokenizer; needs onnx, no rclpy or GPU."""

from __future__ import annotations

import numpy as np
import pytest
import tokenizers
from vl4ad_ros.bundle.tokenizer import Tokenizer, TokenLimitError


def test_rows_are_framed_and_padded(mock_bundle):
    file = mock_bundle / 'tokenizer.json'
    library = tokenizers.Tokenizer.from_file(str(file))
    rows = Tokenizer(file, 8, sot=90, eot=91, pad=7)(['road', 'a Cow', ''])
    road, cow, a = (library.token_to_id(word) for word in ('road', 'cow', 'a'))
    assert rows.dtype == np.int64
    assert rows.tolist() == [[90, road, 91, 7, 7, 7, 7, 7], [90, a, cow, 91, 7, 7, 7, 7],
                             [90, 91, 7, 7, 7, 7, 7, 7]]


def test_marks_are_the_last_of_the_vocabulary_by_default(mock_bundle):
    file = mock_bundle / 'tokenizer.json'
    library = tokenizers.Tokenizer.from_file(str(file))
    tokenizer = Tokenizer(file, 8)
    assert tokenizer.sot == library.token_to_id('[SOT]')
    assert tokenizer.eot == library.token_to_id('[EOT]')
    assert tokenizer(['']).tolist() == [[tokenizer.sot, tokenizer.eot, 0, 0, 0, 0, 0, 0]]


def test_text_that_just_fits_and_one_that_does_not(mock_bundle):
    tokenizer = Tokenizer(mock_bundle / 'tokenizer.json', 6)
    assert tokenizer.count('zzzz') == 6
    assert tokenizer(['zzzz'])[0, -1] == tokenizer.eot
    with pytest.raises(TokenLimitError, match="7 tokens, at most 6: shorten 'zzzzz'"):
        tokenizer(['road', 'zzzzz'])


def test_truncation_and_padding_of_the_file_are_not_used(mock_bundle, tmp_path):
    library = tokenizers.Tokenizer.from_file(str(mock_bundle / 'tokenizer.json'))
    library.enable_truncation(2)
    library.enable_padding(length=20)
    library.save(str(tmp_path / 'tokenizer.json'))
    assert Tokenizer(tmp_path / 'tokenizer.json', 24).count('zzzz') == 6


@pytest.mark.parametrize('content', ['', '{}', 'not json'])
def test_other_file_is_refused(tmp_path, content):
    (tmp_path / 'tokenizer.json').write_text(content)
    with pytest.raises(ValueError, match='tokenizer.json is not a tokenizer file'):
        Tokenizer(tmp_path / 'tokenizer.json', 24)
