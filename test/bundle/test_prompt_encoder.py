# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Encoding of vocabularies, by hand; needs onnx for the mock's tokenizer, no rclpy or GPU."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from vl4ad_ros.bundle import Bundle, BundleError, prompt_encoder as prompts_module
from vl4ad_ros.bundle.manifest import Capacity, Ensemble
from vl4ad_ros.bundle.prompt_encoder import PromptEncoder
from vl4ad_ros.bundle.tokenizer import Tokenizer
from vl4ad_ros.prompts.vocabulary import Vocabulary, VocabularyError


class TextNetwork:
    """Gives each row of tokens a random vector of its own, and keeps count of the rows."""

    def __init__(self, dimension: int) -> None:
        """Start counting."""
        self.dimension = dimension
        self.rows = 0

    def __call__(self, tokens: np.ndarray) -> np.ndarray:
        """Return [n, dimension], which padding does not change."""
        self.rows += len(tokens)
        self.columns = tokens.shape[1]
        return np.stack([np.random.default_rng(np.trim_zeros(row)).normal(
            0.5, 2.0, self.dimension) for row in tokens]).astype(np.float32)


@pytest.fixture
def bundle(mock_bundle) -> Bundle:
    """Return a bundle with two templates and room for six concepts in four classes."""
    return replace(
        Bundle.open(mock_bundle), templates=('a photo of a {}.', 'the {}'),
        capacity=Capacity(6, 4), ensemble=Ensemble(0.4, 0.8, frozenset({'tree', 'sky'})))


@pytest.fixture
def encoder(bundle) -> PromptEncoder:
    """Return an encoder over `TextNetwork`, which is its attribute `network`."""
    network = TextNetwork(bundle.text.embed_dim)
    tokenizer = Tokenizer(bundle.directory / bundle.tokenizer, 24)
    encoder = PromptEncoder(bundle, tokenizer, network)
    encoder.network, encoder.tokenizer = network, tokenizer
    return encoder


def unit(vector: np.ndarray) -> np.ndarray:
    """Return the vector at length 1."""
    return vector / np.sqrt((vector ** 2).sum())


VOCABULARY = Vocabulary.from_strings(['road', 'vegetation: grass, tree'], ['cow: cow, cows'])


def test_concept_is_the_mean_over_templates_of_unit_vectors(encoder):
    prompts = encoder(VOCABULARY)
    assert prompts.concepts.shape == (6, 32) and prompts.concepts.dtype == np.float32
    for row, concept in zip(prompts.concepts, ('road', 'grass', 'tree', 'cow', 'cows')):
        first, second = (TextNetwork(32)(encoder.tokenizer([text]))[0]
                         for text in (f'a photo of a {concept}.', f'the {concept}'))
        np.testing.assert_allclose(row, unit((unit(first) + unit(second)) / 2), atol=1e-6)
    assert not prompts.concepts[5].any()


def test_rows_are_as_short_as_the_longest_text(encoder):
    encoder(Vocabulary.from_strings(['road']))
    assert encoder.network.columns == encoder.tokenizer.count('a photo of a road.') == 8


def test_indices_and_weights_are_padded(encoder):
    prompts = encoder(VOCABULARY)
    assert prompts.concept_class.tolist() == [0, 1, 1, 2, 2, -1]
    assert prompts.num_known.tolist() == [2]
    # road is not seen, vegetation is by one of its concepts, cow is not.
    np.testing.assert_allclose(prompts.ensemble_weight, [0.8, 0.4, 0.8, 0.0])
    assert (prompts.concept_class.dtype, prompts.num_known.dtype,
            prompts.ensemble_weight.dtype) == (np.int64, np.int64, np.float32)


def test_arrays_cannot_be_written(encoder):
    with pytest.raises(ValueError, match='read-only'):
        encoder(VOCABULARY).concepts[0] = 1


def test_merging_classes_moves_indices_only(encoder):
    apart = encoder(Vocabulary.from_strings(['road', 'grass', 'tree']))
    merged = encoder(Vocabulary.from_strings(['road', 'nature: grass, tree']))
    np.testing.assert_array_equal(apart.concepts, merged.concepts)
    assert apart.concept_class.tolist() == [0, 1, 2, -1, -1, -1]
    assert merged.concept_class.tolist() == [0, 1, 1, -1, -1, -1]
    assert apart.digest != merged.digest


def test_concept_is_embedded_once(encoder):
    first = encoder(VOCABULARY)
    assert encoder.network.rows == 10  # 5 concepts, 2 templates
    again = encoder(VOCABULARY)
    assert encoder.network.rows == 10
    assert again.digest == first.digest
    encoder(Vocabulary.from_strings(['tree', 'dog'], ['road']))
    assert encoder.network.rows == 12


def test_memory_is_bounded(encoder, monkeypatch):
    monkeypatch.setattr(prompts_module, '_REMEMBERED', 5)
    encoder(VOCABULARY)
    encoder(Vocabulary.from_strings(['dog']))  # pushes out 'road', the oldest
    encoder(Vocabulary.from_strings(['cow', 'cows', 'dog']))
    assert encoder.network.rows == 12
    np.testing.assert_array_equal(encoder(VOCABULARY).concept_class, [0, 1, 1, 2, 2, -1])
    assert encoder.network.rows == 14


@pytest.mark.parametrize('known, anomaly, message', [
    (['a', 'b', 'c'], ['d', 'e'],
     r"^prompts.anomaly\[1\] 'e': bundle 'mock' takes at most 4 classes .* are 5; remove"),
    (['a: a, b, c', 'd: d, e, f, g'], [''],
     r"^prompts.known\[1\] 'd: d, e, f, g': bundle 'mock' takes at most 6 concepts .* are 7"),
    (['road', 'x: y, ' + 'z' * 30], [''],
     r"^prompts.known\[1\] 'x: y, zzz.*': 37 tokens, at most 24 .in 'a photo of a zzz.*; shorten"),
])
def test_vocabulary_beyond_a_limit_names_the_entry(encoder, known, anomaly, message):
    with pytest.raises(VocabularyError, match=message):
        encoder(Vocabulary.from_strings(known, anomaly))
    assert encoder.network.rows == 0


def test_tokens_of_too_many_words_are_not_counted(encoder, monkeypatch):
    def count(text):
        raise AssertionError(f'{text} was counted')

    monkeypatch.setattr(encoder.tokenizer, 'count', count)
    with pytest.raises(VocabularyError, match='takes at most 6 concepts'):
        encoder(Vocabulary.from_strings(['x: ' + ', '.join(f'w{i}' for i in range(3000))]))


def test_vocabulary_at_both_limits_is_taken(encoder):
    prompts = encoder(Vocabulary.from_strings(['a: a, b, c', 'd'], ['e', 'f']))
    assert prompts.concept_class.tolist() == [0, 0, 0, 1, 2, 3]


def test_text_network_that_gives_nan_is_refused(bundle, encoder):
    broken = PromptEncoder(
        bundle, encoder.tokenizer, lambda tokens: np.full((len(tokens), 32), np.nan, np.float32))
    with pytest.raises(BundleError, match='text.onnx returns values that are not finite'):
        broken(VOCABULARY)
