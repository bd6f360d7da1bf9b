# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
A real bundle with hand-made networks that see colours, for tests without trained weights.

Each cell of 4 x 4 pixels is the nearest of ten colours, each word is one of them, and a class
fits a cell as well as the best cosine of its concepts, as in VL4AD. A grey cell is 'road', a red
one 'cow', and so on (`WORDS`). A cell that no class fits is anomalous. Purple is close to orange:
a purple cell passes as a 'truck' until 'caravan' joins the anomaly prompts.
Unlisted words are spelt letter by letter and fit no colour.
"""

from __future__ import annotations

import json
from pathlib import Path
import string

import numpy as np
from onnx import helper, load, numpy_helper, save, TensorProto
import tokenizers
from vl4ad_ros.bundle.manifest import VERSION
from vl4ad_ros.bundle.writer import write_manifest

COLOURS = {
    'grey': (128, 128, 128), 'blue': (90, 150, 235), 'green': (50, 140, 50),
    'red': (200, 30, 30), 'white': (235, 235, 235), 'black': (15, 15, 15),
    'brown': (110, 70, 35), 'yellow': (240, 230, 40), 'orange': (240, 140, 20),
    'purple': (150, 40, 160)}
WORDS = {
    'grey': ('road', 'asphalt', 'street', 'grey'), 'blue': ('sky', 'blue'),
    'green': ('grass', 'tree', 'trees', 'bushes', 'vegetation', 'green'),
    'red': ('cow', 'cows', 'red'), 'white': ('marking', 'cloud', 'white'),
    'black': ('car', 'cars', 'tyre', 'black'), 'brown': ('dog', 'box', 'brown'),
    'yellow': ('sign', 'yellow'), 'orange': ('truck', 'orange'),
    'purple': ('caravan', 'purple')}
SILENT = ('a', 'an', 'the', 'photo', 'of', 'there', 'is', 'in', 'scene', '.')
SCALE = 20.0  # of the cosines; an unnamed class 'none of these' has the constant cosine VOID
VOID = 0.5
DIMENSION = 32


def write_mock_bundle(directory: str | Path, height: int = 96, width: int = 160,
                      concepts: int = 64, classes: int = 32, minor: int = 1,
                      **manifest: object) -> Path:
    """
    Write the bundle into `directory` and return it.

    :param concepts: capacity.
    :param classes: capacity.
    :param minor: of the format's version; 0 leaves the output `anomaly_mass` out.
    :param manifest: top-level manifest entries to replace.
    """
    directory = Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    tokenizer, vocabulary = _tokenizer()
    tokenizer.save(str(directory / 'tokenizer.json'))
    save(_text_network(vocabulary), str(directory / 'text.onnx'))
    save(_vision_network(height, width, concepts, classes), str(directory / 'vision.onnx'))
    write_manifest(directory, {
        'format': 'vl4ad-bundle', 'version': VERSION, 'name': 'mock',
        'notice': 'Sees colours only: not for driving.',
        'vision': {'height': height, 'width': width, 'stride': 4, 'graphs': [
            {'file': 'vision.onnx', 'dtype': 'fp32', 'sampling': 'grid-sample'}]},
        'text': {'file': 'text.onnx', 'context_length': 24, 'embed_dim': DIMENSION,
                 'sot': len(vocabulary) - 2, 'eot': len(vocabulary) - 1, 'pad': 0},
        'tokenizer': 'tokenizer.json', 'capacity': {'concepts': concepts, 'classes': classes},
        'padding_rgb': [123, 117, 104], 'templates': ['a photo of a {}.'],
        'ensemble': {'alpha': 0.0, 'beta': 0.0, 'seen': ['road', 'sky', 'car']},
        'calibration': {'u': [-1.0, -0.5, 0.0], 'score': [0.0, 0.5, 1.0]},
        'vocabulary': {
            'known': ['road: road, asphalt', 'vegetation: grass, tree, trees', 'sky', 'car',
                      'truck', 'marking'],
            'anomaly': ['cow: cow, cows', 'dog']},
        'provenance': {}, **manifest})
    if minor == 0:
        make_version_2_0(directory)
    return directory


def make_version_2_0(directory: Path) -> None:
    """Turn any bundle into one of version 2.0, which does not know the output `anomaly_mass`."""
    manifest = json.loads((directory / 'manifest.json').read_text(encoding='utf-8'))
    for entry in manifest['vision']['graphs']:
        model = load(directory / entry['file'], load_external_data=False)
        model.graph.output.remove(
            next(o for o in model.graph.output if o.name == 'anomaly_mass'))
        save(model, directory / entry['file'])
    if 'reference' in manifest:
        values = dict(np.load(directory / manifest['reference']))
        del values['anomaly_mass']
        np.savez(directory / manifest['reference'], **values)
    write_manifest(directory, {**manifest, 'version': '2.0'})


def _tokenizer() -> tuple[tokenizers.Tokenizer, list[str]]:
    letters = string.ascii_lowercase + string.digits + string.punctuation
    words = [word for group in WORDS.values() for word in group]
    vocabulary = ['[PAD]', '[UNK]', *dict.fromkeys((*SILENT, *words, *letters)),
                  *('##' + letter for letter in letters), '[SOT]', '[EOT]']
    tokenizer = tokenizers.Tokenizer(tokenizers.models.WordPiece(
        {word: i for i, word in enumerate(vocabulary)}, unk_token='[UNK]',
        max_input_chars_per_word=1000))
    tokenizer.normalizer = tokenizers.normalizers.Lowercase()
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    return tokenizer, vocabulary


def _directions() -> np.ndarray:
    """Return a unit vector for each colour: [colours, DIMENSION]."""
    directions = np.eye(len(COLOURS), DIMENSION, dtype=np.float32)
    purple, orange = list(COLOURS).index('purple'), list(COLOURS).index('orange')
    directions[purple] = 0.75 * directions[orange] + np.sqrt(1 - 0.75 ** 2) * directions[purple]
    return directions


def _text_network(vocabulary: list[str]):
    """Mean over a sentence's tokens of a table that gives each its colour and some of its own."""
    table = np.zeros((len(vocabulary), DIMENSION), np.float32)
    table[:, len(COLOURS):] = 0.05 * np.random.default_rng(0).standard_normal(
        (len(vocabulary), DIMENSION - len(COLOURS)))
    for direction, words in zip(_directions(), WORDS.values()):
        for word in words:
            table[vocabulary.index(word)] += direction
    counted = np.ones((len(vocabulary), 1), np.float32)
    for word in ('[PAD]', '[SOT]', '[EOT]', *SILENT):
        table[vocabulary.index(word)] = counted[vocabulary.index(word)] = 0
    nodes = [
        helper.make_node('Gather', ['table', 'tokens'], ['vectors']),
        helper.make_node('Gather', ['counted', 'tokens'], ['counts']),
        helper.make_node('ReduceSum', ['vectors', 'axis'], ['sum'], keepdims=0),
        helper.make_node('ReduceSum', ['counts', 'axis'], ['count'], keepdims=0),
        helper.make_node('Max', ['count', 'one'], ['divisor']),
        helper.make_node('Div', ['sum', 'divisor'], ['embedding'])]
    return _model(
        nodes, [('tokens', TensorProto.INT64, ['n', 'length'])],
        [('embedding', TensorProto.FLOAT, ['n', DIMENSION])],
        {'table': table, 'counted': counted, 'axis': np.array([1]), 'one': np.float32([1])})


def _vision_network(height: int, width: int, concepts: int, classes: int):
    h, w = height // 4, width // 4
    colours = np.array(list(COLOURS.values()), np.float32)
    constants = {
        'cells': np.array([h * w, 3]), 'map': np.array([h, w]),
        # The nearest colour has the largest 2 c.p - |p|^2, c.c being common to all.
        'prototypes': 2 * colours.T / 1000, 'offset': -(colours ** 2).sum(1) / 1000,
        'directions': _directions(), 'scale': np.float32(SCALE),
        'void': np.full((h * w, 1), SCALE * VOID, np.float32),
        'nothing': np.full((h * w, classes + 1), -1e4, np.float32),
        'index': np.arange(classes), 'first': np.array([0]), 'last': np.array([classes]),
        'axis': np.array([1]), 'zero': np.int64([0]),
        'minus_one': np.int64([-1]), 'low': np.float32(-1e5), 'tenth': np.float32(0.1),
        'unit': np.float32(1), 'none': np.float32(0)}
    node = helper.make_node
    nodes = [
        node('Cast', ['image'], ['float'], to=TensorProto.FLOAT),
        node('Transpose', ['float'], ['planes3'], perm=[2, 0, 1]),
        node('Unsqueeze', ['planes3', 'zero'], ['planes']),
        node('AveragePool', ['planes'], ['pooled'], kernel_shape=[4, 4], strides=[4, 4]),
        node('Transpose', ['pooled'], ['pooled_last'], perm=[0, 2, 3, 1]),
        node('Reshape', ['pooled_last', 'cells'], ['colour']),
        node('MatMul', ['colour', 'prototypes'], ['product']),
        node('Add', ['product', 'offset'], ['nearness']),
        node('Softmax', ['nearness'], ['membership'], axis=1),
        node('MatMul', ['membership', 'directions'], ['visual']),
        node('LpNormalization', ['visual'], ['visual_unit'], axis=1, p=2),
        node('Transpose', ['concepts'], ['concepts_t'], perm=[1, 0]),
        node('MatMul', ['visual_unit', 'concepts_t'], ['cosines']),
        node('Mul', ['cosines', 'scale'], ['similarities']),
        # Index -1, the padding, falls into a last column that is cut off again.
        node('Unsqueeze', ['concept_class', 'zero'], ['class_row']),
        node('Shape', ['similarities'], ['similarities_shape']),
        node('Expand', ['class_row', 'similarities_shape'], ['class_rows']),
        node('ScatterElements', ['nothing', 'class_rows', 'similarities'], ['class_max'],
             axis=1, reduction='max'),
        node('Slice', ['class_max', 'first', 'last', 'axis'], ['class_logits']),
        node('Mul', ['ensemble_weight', 'tenth'], ['damping']),
        node('Sub', ['unit', 'damping'], ['gain']),
        node('Mul', ['class_logits', 'gain'], ['logits']),
        node('Concat', ['logits', 'void'], ['all_logits'], axis=1),
        node('Softmax', ['all_logits'], ['all_probabilities'], axis=1),
        node('Slice', ['all_probabilities', 'first', 'last', 'axis'], ['probabilities']),
        node('Less', ['index', 'num_known'], ['is_known']),
        node('Where', ['is_known', 'probabilities', 'low'], ['known']),
        node('ReduceMax', ['known', 'axis'], ['most'], keepdims=0),
        node('Neg', ['most'], ['u']),
        node('Reshape', ['u', 'map'], ['uncertainty']),
        node('Where', ['is_known', 'logits', 'low'], ['known_logits']),
        node('ArgMax', ['known_logits'], ['best_known_flat'], axis=1, keepdims=0),
        node('Reshape', ['best_known_flat', 'map'], ['best_known_map']),
        node('Cast', ['best_known_map'], ['best_known'], to=TensorProto.INT32),
        node('ReduceMax', ['concept_class'], ['last_class'], keepdims=1),
        node('LessOrEqual', ['index', 'last_class'], ['is_used']),
        node('Not', ['is_known'], ['is_not_known']),
        node('And', ['is_used', 'is_not_known'], ['is_anomaly']),
        node('Where', ['is_anomaly', 'logits', 'low'], ['anomaly_logits']),
        node('ArgMax', ['anomaly_logits'], ['best_class'], axis=1, keepdims=0),
        node('Sub', ['best_class', 'num_known'], ['best_of_anomalies']),
        node('GreaterOrEqual', ['last_class', 'num_known'], ['has_anomalies']),
        node('Where', ['has_anomalies', 'best_of_anomalies', 'minus_one'], ['best_anomaly_flat']),
        node('Reshape', ['best_anomaly_flat', 'map'], ['best_anomaly_map']),
        node('Cast', ['best_anomaly_map'], ['best_anomaly'], to=TensorProto.INT32),
        node('Where', ['is_anomaly', 'probabilities', 'none'], ['anomalies']),
        node('ReduceMax', ['anomalies', 'axis'], ['mass'], keepdims=0),
        node('Reshape', ['mass', 'map'], ['anomaly_mass'])]
    return _model(
        nodes,
        [('image', TensorProto.UINT8, [height, width, 3]),
         ('concepts', TensorProto.FLOAT, [concepts, DIMENSION]),
         ('concept_class', TensorProto.INT64, [concepts]),
         ('num_known', TensorProto.INT64, [1]),
         ('ensemble_weight', TensorProto.FLOAT, [classes])],
        [('uncertainty', TensorProto.FLOAT, [h, w]), ('best_known', TensorProto.INT32, [h, w]),
         ('best_anomaly', TensorProto.INT32, [h, w]),
         ('anomaly_mass', TensorProto.FLOAT, [h, w])], constants)


def _model(nodes: list, inputs: list, outputs: list, constants: dict[str, np.ndarray]):
    graph = helper.make_graph(
        nodes, 'mock', [helper.make_tensor_value_info(*i) for i in inputs],
        [helper.make_tensor_value_info(*o) for o in outputs],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()])
    # Old enough for every inference library that the package supports.
    return helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid('', 18)])
