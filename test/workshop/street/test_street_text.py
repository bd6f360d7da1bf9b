# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""MiniLM as a bundle's text network; needs its packages from PyPI, or else skips."""

import numpy as np
import pytest

pytest.importorskip('torch')
pytest.importorskip('onnx')
onnxruntime = pytest.importorskip('onnxruntime')

from vl4ad_ros.bundle.onnx_file import table_rows  # noqa: E402
from vl4ad_ros.bundle.tokenizer import Tokenizer  # noqa: E402
from vl4ad_workshop.street.downloads import MINILM, TOKENIZER  # noqa: E402
from vl4ad_workshop.street.text_encoder import (  # noqa: E402
    CONTEXT_LENGTH, EOT, MiniLm, PAD, SOT, Space, TEMPLATE, text_network)

NAMES = ['cow', 'a very large hay bale on a trailer', 'traffic cone', 'café', 'tyre', '犬']


@pytest.fixture(scope='module')
def minilm():
    try:
        return MiniLm()
    except FileNotFoundError as error:
        pytest.skip(f'{error} (and the same for {TOKENIZER.requirement}, {MINILM.requirement})')


@pytest.fixture(scope='module')
def network(minilm, tmp_path_factory):
    """Return the text network's file, its tokenizer and its space."""
    import onnx
    folder = tmp_path_factory.mktemp('text')
    rows = minilm([*NAMES, 'road', 'car', 'dog', 'tree'])
    space = Space.fit(rows, rows, 8)
    onnx.save(text_network(minilm.content, space), folder / 'text.onnx')
    (folder / 'tokenizer.json').write_text(minilm.tokenizer_json(), encoding='utf-8')
    return (folder / 'text.onnx',
            Tokenizer(folder / 'tokenizer.json', CONTEXT_LENGTH, SOT, EOT, PAD), space)


def embed(file, tokens):
    session = onnxruntime.InferenceSession(str(file), providers=['CPUExecutionProvider'])
    return session.run(None, {'tokens': tokens})[0]


def test_single_texts_agree_with_the_published_model(minilm, network):
    file, tokenizer, space = network
    tokens = tokenizer([TEMPLATE.format(name) for name in NAMES])
    seen = np.concatenate([embed(file, row[None, :(row == EOT).argmax() + 1]) for row in tokens])
    np.testing.assert_allclose(seen, (minilm(NAMES) - space.mean) @ space.axes, atol=1e-5)


def test_an_embedding_does_not_depend_on_the_batch(network):
    file, tokenizer, _ = network
    tokens = tokenizer([TEMPLATE.format(name) for name in NAMES])
    alone = np.concatenate([embed(file, row[None, :(row == EOT).argmax() + 1]) for row in tokens])
    np.testing.assert_allclose(embed(file, tokens), alone, atol=1e-6)


def test_special_tokens_cannot_be_written(network):
    _, tokenizer, _ = network
    row, = tokenizer(['a [SEP] [PAD] [MASK] b'])
    length = (row == EOT).argmax() + 1
    assert (row[1:length - 1] > EOT).all() and (row[length:] == PAD).all()


def test_the_table_is_found(network):
    file, tokenizer, _ = network
    assert table_rows(file, 'tokens') == 30522 == tokenizer.largest + 1
