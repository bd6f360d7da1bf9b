# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A street bundle with random weights and a small text network, which needs no download."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

SIZE = (352, 640)
LETTERS = 'abcdefghijklmnopqrstuvwxyz'


def small_text_network(dimension=384, rows=100):
    """Return a sentence transformer with MiniLM's inputs that only adds two tables."""
    from onnx import helper, numpy_helper, TensorProto
    rng = np.random.default_rng(0)
    table = rng.integers(-127, 127, (rows, dimension)).astype(np.int8)
    constants = {'table_q': table, 'scale': rng.uniform(1e-3, 3e-3, (rows, 1)).astype(np.float32)}
    node = helper.make_node
    nodes = [
        node('Cast', ['table_q'], ['table_f'], to=TensorProto.FLOAT),
        node('Mul', ['table_f', 'scale'], ['table']),
        node('Gather', ['table', 'input_ids'], ['words']),
        node('Add', ['attention_mask', 'token_type_ids'], ['number']),
        node('Cast', ['number'], ['number_f'], to=TensorProto.FLOAT),
        node('Unsqueeze', ['number_f', 'last'], ['number_of_state']),
        node('Mul', ['words', 'number_of_state'], ['last_hidden_state'])]
    graph = helper.make_graph(
        nodes, 'small', [helper.make_tensor_value_info(name, TensorProto.INT64, ['n', 'length'])
                         for name in ('input_ids', 'attention_mask', 'token_type_ids')],
        [helper.make_tensor_value_info('last_hidden_state', TensorProto.FLOAT,
                                       ['n', 'length', dimension])],
        [*(numpy_helper.from_array(v, k) for k, v in constants.items()),
         numpy_helper.from_array(np.int64([-1]), 'last')])
    model = helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid('', 17)])
    return model.SerializeToString()


def small_tokenizer():
    """Return a tokenizer that spells words, with the special tokens 97, 98 and 0."""
    vocabulary = ['[PAD]', '[UNK]', *LETTERS, *(f'##{letter}' for letter in LETTERS)]
    return json.dumps({
        'version': '1.0', 'truncation': None, 'padding': None, 'added_tokens': [],
        'normalizer': {'type': 'Lowercase'}, 'pre_tokenizer': {'type': 'BertPreTokenizer'},
        'post_processor': None, 'decoder': None,
        'model': {'type': 'WordPiece', 'unk_token': '[UNK]', 'continuing_subword_prefix': '##',
                  'max_input_chars_per_word': 100,
                  'vocab': {word: i for i, word in enumerate(vocabulary)}}})


@pytest.fixture(scope='session')
def street_bundle(tmp_path_factory) -> Path:
    """Write a bundle at the size of the shipped one, with weights stored as fp16."""
    import torch
    from vl4ad_ros.bundle.manifest import Source
    from vl4ad_ros.prompts.vocabulary import Vocabulary
    from vl4ad_workshop.scenes.still import draw_still
    from vl4ad_workshop.street.bundle_writer import About, TextPart, write_street_bundle
    from vl4ad_workshop.street.classifier import Classifier
    from vl4ad_workshop.street.street_head import StreetHead
    from vl4ad_workshop.street.street_words import NAMES
    from vl4ad_workshop.street.text_encoder import Space, text_network
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    classifier, head = Classifier().eval(), StreetHead().eval()
    with torch.no_grad():
        # Random weights make ever smaller maps; these scales keep them in the usual range.
        for module in classifier.modules():
            if isinstance(module, torch.nn.Conv2d):
                torch.nn.init.kaiming_normal_(module.weight)
        classifier.classes.weight *= 2
        head.out[-1].weight *= 30

    def unit(rows, columns):
        values = rng.standard_normal((rows, columns))
        return (values / np.linalg.norm(values, axis=1, keepdims=True)).astype(np.float32)

    space = Space.fit(unit(500, 384), unit(20, 384))
    text = TextPart(text_network(small_text_network(), space), small_tokenizer(),
                    unit(1000, 128), unit(sum(map(len, NAMES.values())), 128), 32, 97, 98, 0)
    about = About(
        [(-1.0, 0.0), (-0.5, 0.5), (0.0, 1.0)],
        Vocabulary.from_strings(['road', 'car', 'person: person, pedestrian'],
                                ['cow: cow, cows', 'box']),
        0.2, 0.7, frozenset(['road', 'car']), licence=('Apache-2.0', 'MIT'),
        training_data=(Source('Drawn streets', 'free', 'https://example.org'),))
    pictures = [draw_still(np.random.default_rng(seed), (360, 640)).image for seed in (1, 2)]
    folder = tmp_path_factory.mktemp('street') / 'bundle'
    write_street_bundle(folder, classifier, head.state_dict(), text, about, pictures, SIZE)
    return folder
