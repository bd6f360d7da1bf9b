# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Turns a vocabulary into the arrays that the image network takes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
import hashlib
import threading

import numpy as np

from vl4ad_ros.bundle.bundle import Bundle
from vl4ad_ros.bundle.errors import BundleError, REPAIR
from vl4ad_ros.bundle.tokenizer import Tokenizer
from vl4ad_ros.prompts.vocabulary import Vocabulary, VocabularyError

_BATCH = 64  # sentences that the text network encodes at once
_REMEMBERED = 8192  # concepts; a limit, because a node may run for weeks


@dataclass(frozen=True, eq=False)
class Prompts:
    """
    A vocabulary and its embeddings, padded to the bundle's capacity of P concepts and C classes.

    The arrays are read-only.

    :ivar vocabulary: what was encoded.
    :ivar concepts: float32 [P, D], one embedding of length 1 in each row; padding is 0.
    :ivar concept_class: int64 [P], index of each concept's class in ``vocabulary.classes``;
        padding is -1.
    :ivar num_known: int64 [1], the number of known classes.
    :ivar ensemble_weight: float32 [C], exponent 0..1 of the geometric ensemble for each class;
        padding is 0.
    :ivar digest: sha256 of the vocabulary and the bundle; equal digests give equal results.
    """

    vocabulary: Vocabulary
    concepts: np.ndarray
    concept_class: np.ndarray
    num_known: np.ndarray
    ensemble_weight: np.ndarray
    digest: str


class PromptEncoder:
    """Encodes vocabularies for one bundle and caches the embedding of each concept."""

    def __init__(self, bundle: Bundle, tokenizer: Tokenizer,
                 encode_text: Callable[[np.ndarray], np.ndarray]) -> None:
        """
        Start with the embeddings that the bundle stores.

        :param bundle: an open bundle.
        :param tokenizer: the tokenizer of the bundle.
        :param encode_text: the text network: int64 tokens [n, length] to float32 [n, D]. It is
            called from one thread at a time.
        :raises BundleError: if the stored embeddings cannot be read.
        """
        self._bundle = bundle
        self._tokenizer = tokenizer
        self._encode_text = encode_text
        self._embeddings = bundle.stored_embeddings()
        self._lock = threading.Lock()

    def __call__(self, vocabulary: Vocabulary) -> Prompts:
        """
        Encode a vocabulary; may be called from several threads.

        :param vocabulary: what to encode.
        :raises VocabularyError: if a concept has too many tokens, or there are too many concepts
            or classes for the bundle; the message names the entry and the limit.
        :raises BundleError: if the text network returns values that are not finite.
        """
        self.check(vocabulary)
        bundle, count = self._bundle, len(vocabulary.concepts)
        concepts = np.zeros((bundle.capacity.concepts, bundle.text.embed_dim), np.float32)
        concept_class = np.full(bundle.capacity.concepts, -1, np.int64)
        weight = np.zeros(bundle.capacity.classes, np.float32)
        concepts[:count] = self._embed(vocabulary.concepts)
        concept_class[:count] = [i for i, c in enumerate(vocabulary.classes) for _ in c.concepts]
        ensemble = bundle.ensemble
        weight[:len(vocabulary.classes)] = [
            ensemble.beta if ensemble.seen.isdisjoint(c.concepts) else ensemble.alpha
            for c in vocabulary.classes]
        arrays = concepts, concept_class, np.array([len(vocabulary.known)]), weight
        for array in arrays:
            array.setflags(write=False)
        digest = hashlib.sha256(f'{bundle.digest} {vocabulary.to_strings()}'.encode())
        return Prompts(vocabulary, *arrays, digest.hexdigest())

    def check(self, vocabulary: Vocabulary) -> None:
        """
        Check that a vocabulary fits the bundle, without encoding it.

        :param vocabulary: what to check.
        :raises VocabularyError: as for encoding.
        """
        bundle, limit = self._bundle, self._tokenizer.context_length
        concepts = 0
        for index, (where, prompt_class) in enumerate(vocabulary.located):
            concepts += len(prompt_class.concepts)
            for noun, seen, most in (('classes', index + 1, bundle.capacity.classes),
                                     ('concepts', concepts, bundle.capacity.concepts)):
                if seen > most:
                    raise VocabularyError(
                        f"{where}: bundle '{bundle.name}' takes at most {most} {noun} (known and "
                        f'anomaly together), with this entry there are {seen}; remove some')
        # Tokens are counted last, because that is slow for many words.
        for where, prompt_class in vocabulary.located:
            for text in (t for c in prompt_class.concepts for t in self._sentences(c)):
                tokens = self._tokenizer.count(text)
                if tokens > limit:
                    raise VocabularyError(
                        f"{where}: {tokens} tokens, at most {limit} (in '{text:.80}'); shorten it")

    def _sentences(self, concept: str) -> list[str]:
        return [template.replace('{}', concept) for template in self._bundle.templates]

    def _embed(self, concepts: Sequence[str]) -> np.ndarray:
        """Return each concept's mean embedding over all templates: float32 [n, D] of length 1."""
        with self._lock:
            new = [c for c in concepts if c not in self._embeddings]
            if new:
                sentences = [s for c in new for s in self._sentences(c)]
                embeddings = np.concatenate([
                    self._encode_text(self._rows(sentences[i:i + _BATCH]))
                    for i in range(0, len(sentences), _BATCH)])
                if not np.isfinite(embeddings).all():
                    raise BundleError(
                        f'{self._bundle.directory / self._bundle.text.file} returns values that '
                        f'are not finite; {REPAIR}')
                by_concept = _normalise(embeddings).reshape(len(new), -1, embeddings.shape[1])
                self._embeddings.update(zip(new, _normalise(by_concept.mean(axis=1))))
            result = np.stack([self._embeddings[c] for c in concepts])
            while len(self._embeddings) > _REMEMBERED:
                del self._embeddings[next(iter(self._embeddings))]
        return result

    def _rows(self, sentences: Sequence[str]) -> np.ndarray:
        """Return tokens without the columns that hold only padding, which would cost most time."""
        tokens = self._tokenizer(sentences)
        return tokens[:, :((tokens == self._tokenizer.eot).argmax(axis=1) + 1).max()]


def _normalise(rows: np.ndarray) -> np.ndarray:
    return rows / np.maximum(np.linalg.norm(rows, axis=-1, keepdims=True), 1e-12)
