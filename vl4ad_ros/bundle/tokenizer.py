# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Turns texts into rows of token numbers, as CLIP's text encoder takes them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import tokenizers

from vl4ad_ros.files import read_regular

_LARGEST = 1 << 26  # bytes; the tokenizer files of language models have up to 20 MB


class TokenLimitError(ValueError):
    """A text that has more tokens than fit into a row; the message has both numbers."""


class Tokenizer:
    """
    A tokenizer of the Hugging Face `tokenizers` library that adds special tokens and padding.

    :ivar context_length: the number of tokens in a row.
    :ivar sot: number of the token that begins a row.
    :ivar eot: number of the token that ends a text.
    :ivar pad: number of the token that fills the rest of a row.
    """

    def __init__(self, path: str | Path, context_length: int, sot: int | None = None,
                 eot: int | None = None, pad: int = 0) -> None:
        """
        Read a tokenizer file.

        :param path: the file.
        :param context_length: the number of tokens in a row.
        :param sot: number of the token that begins a row; by default the last but one of the
            vocabulary, as in CLIP.
        :param eot: number of the token that ends a text; by default the last of the vocabulary,
            as in CLIP.
        :param pad: number of the token that fills the rest of a row.
        :raises OSError: if the file cannot be read.
        :raises ValueError: if it is not a tokenizer file.
        """
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
        Return a row of tokens for each text: `sot`, the text's tokens, `eot`, `pad`.

        :param texts: n texts.
        :return: int64 [n, context_length].
        :raises TokenLimitError: if a text does not fit into a row; no text is truncated.
        :raises ValueError: if the tokenizer cannot read a text.
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
        """
        Return the number of tokens of a text, `sot` and `eot` included.

        :param text: a text of any length.
        :raises ValueError: if the tokenizer cannot read it.
        """
        return len(self._tokens(text))

    @property
    def largest(self) -> int:
        """The largest token number of the vocabulary."""
        return max(self._tokenizer.get_vocab(with_added_tokens=True).values(), default=0)

    def _tokens(self, text: str) -> list[int]:
        try:
            tokens = self._tokenizer.encode(text, add_special_tokens=False).ids
        except Exception as error:  # the library raises bare Exception
            raise ValueError(f'the tokenizer cannot read {text!r:.80} ({error})') from None
        return [self.sot, *tokens, self.eot]
