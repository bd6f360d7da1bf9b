# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Text to rows of token numbers, as CLIP's text encoder takes them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import tokenizers

from vl4ad_ros.files import read_regular

_LARGEST = 1 << 26  # bytes; tokenizers of languages have up to 20 MB


class TokenLimitError(ValueError):
    """A text with more tokens than a row holds; the message has both counts."""


class Tokenizer:
    """
    A Hugging Face `tokenizers` file, framed by start and end marks and padded.

    :param sot: start mark; by default the last but one number of the vocabulary, as in CLIP.
    :param eot: end mark; by default the last number of the vocabulary, as in CLIP.
    :raises OSError: if the file cannot be read.
    :raises ValueError: if it is not a tokenizer file.
    """

    def __init__(self, path: str | Path, context_length: int, sot: int | None = None,
                 eot: int | None = None, pad: int = 0) -> None:
        """Read the file at `path`; rows will have `context_length` tokens."""
        content = read_regular(path, _LARGEST)
        try:
            self._tokenizer = tokenizers.Tokenizer.from_str(content.decode('utf-8'))
        except Exception as error:  # the library raises bare Exception
            raise ValueError(f'{path} is not a tokenizer file ({error})') from None
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        size = self._tokenizer.get_vocab_size()
        self.context_length = context_length
        self.sot = size - 2 if sot is None else sot
        self.eot = size - 1 if eot is None else eot
        self.pad = pad

    def __call__(self, texts: Sequence[str]) -> np.ndarray:
        """
        Return int64 rows [len(texts), context_length]: start mark, tokens, end mark, padding.

        :raises TokenLimitError: if a text does not fit a row; nothing is ever cut off.
        """
        rows = np.full((len(texts), self.context_length), self.pad, np.int64)
        for row, text in zip(rows, texts):
            tokens = self._tokens(text)
            if len(tokens) > self.context_length:
                raise TokenLimitError(
                    f'{len(tokens)} tokens, at most {self.context_length}: shorten {text!r}')
            row[:len(tokens)] = tokens
        return rows

    def count(self, text: str) -> int:
        """Return how many tokens `text` takes, its start and end mark included."""
        return len(self._tokens(text))

    @property
    def largest(self) -> int:
        """The largest token that a text can have, its start and end mark not counted."""
        return max(self._tokenizer.get_vocab(with_added_tokens=True).values(), default=0)

    def _tokens(self, text: str) -> list[int]:
        try:
            tokens = self._tokenizer.encode(text, add_special_tokens=False).ids
        except Exception as error:  # the library raises bare Exception
            raise ValueError(f'the tokenizer cannot read {text!r:.80} ({error})') from None
        return [self.sot, *tokens, self.eot]
