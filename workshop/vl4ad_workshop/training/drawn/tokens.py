# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Train a small byte-pair tokenizer in CLIP's layout, which can encode any word."""

from __future__ import annotations

from collections.abc import Iterable
import json
import os
from pathlib import Path

from tokenizers import AddedToken, models, normalizers, pre_tokenizers, Regex, Tokenizer, trainers

START, END = '<|startoftext|>', '<|endoftext|>'
WORD_END = '</w>'


def train_tokenizer(texts: Iterable[str], vocab_size: int, path: Path) -> None:
    """
    Learn merges from `texts` and write the tokenizer, completely or not at all.

    Order of ids as in CLIP (arXiv 2103.00020): 256 bytes, the 256 bytes that end a word,
    merges, start, end. The end has the highest id of a text because open_clip pools there
    by argmax.

    :raises ValueError: if `vocab_size` leaves no room for merges.
    """
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    room = vocab_size - 2 * len(alphabet) - 2
    if room <= 0:
        raise ValueError(f'vocab_size is {vocab_size}; expected more than '
                         f'{2 * len(alphabet) + 2}')
    learner = _tokenizer(models.BPE(end_of_word_suffix=WORD_END))
    learner.train_from_iterator(texts, trainers.BpeTrainer(
        vocab_size=vocab_size, end_of_word_suffix=WORD_END, initial_alphabet=alphabet,
        show_progress=False))
    learnt = json.loads(learner.to_str())['model']['merges']
    merges = [tuple(m.split(' ')) if isinstance(m, str) else tuple(m) for m in learnt][:room]
    pieces = alphabet + [c + WORD_END for c in alphabet] + [a + b for a, b in merges]
    vocabulary = {piece: i for i, piece in enumerate(dict.fromkeys(pieces))}
    tokenizer = _tokenizer(models.BPE(
        vocab=vocabulary, merges=merges, end_of_word_suffix=WORD_END))
    tokenizer.add_special_tokens([AddedToken(t, special=True) for t in (START, END)])
    temporary = path.with_suffix('.tmp')
    tokenizer.save(str(temporary))
    os.replace(temporary, path)


def _tokenizer(model: models.BPE) -> Tokenizer:
    tokenizer = Tokenizer(model)
    tokenizer.normalizer = normalizers.Sequence([
        normalizers.NFC(), normalizers.Replace(Regex(r'\s+'), ' '), normalizers.Lowercase()])
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(r'\p{L}+|\p{N}|[^\s\p{L}\p{N}]+'), 'removed', invert=True),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    return tokenizer


def special_ids(path: Path) -> tuple[int, int]:
    """Return the ids of start and end of text."""
    tokenizer = Tokenizer.from_file(str(path))
    return tokenizer.token_to_id(START), tokenizer.token_to_id(END)
