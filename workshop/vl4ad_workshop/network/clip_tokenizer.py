# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Write CLIP's byte-pair tokenizer as a file that is read without torch and open_clip."""

from __future__ import annotations

from pathlib import Path

import open_clip
from tokenizers import models, normalizers, pre_tokenizers, Regex, Tokenizer

# The pattern of one word in CLIP's tokenizer.
_WORD = r"'s|'t|'re|'ve|'m|'ll|'d|\p{L}+|\p{N}|[^\s\p{L}\p{N}]+"


def write_clip_tokenizer(path: str | Path) -> tuple[int, int]:
    """
    Write open_clip's own vocabulary and merges as a `tokenizers` file.

    It gives the same tokens as open_clip. Of the text repairs that open_clip makes with ftfy, it
    makes those that a prompt may need: composed accents, straight quotes, single spaces. HTML
    entities and text in a wrong encoding are not repaired.

    :param path: file to write.
    :return: ids of the start-of-text and end-of-text tokens.
    """
    clip = open_clip.tokenizer.SimpleTokenizer()
    merges = sorted(clip.bpe_ranks, key=clip.bpe_ranks.get)
    tokenizer = Tokenizer(models.BPE(
        vocab=clip.encoder, merges=merges, end_of_word_suffix='</w>',
        continuing_subword_prefix=''))
    tokenizer.normalizer = normalizers.Sequence([
        normalizers.NFC(), normalizers.Replace(Regex('[‘’]'), "'"),
        normalizers.Replace(Regex('[“”]'), '"'), normalizers.Replace(Regex(r'\s+'), ' '),
        normalizers.Strip(), normalizers.Lowercase()])
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(_WORD), 'removed', invert=True),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    Path(path).write_text(tokenizer.to_str(), encoding='utf-8')
    return clip.sot_token_id, clip.eot_token_id
