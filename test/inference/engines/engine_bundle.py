# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The mock bundle with reference frames and with its network under the name of several forms."""

from __future__ import annotations

import json
from pathlib import Path

from mock_bundle import COLOURS, make_version_2_0, write_mock_bundle
import numpy as np
import onnx
from onnx import helper, numpy_helper
from vl4ad_ros.bundle import Bundle
from vl4ad_ros.bundle.prompt_encoder import PromptEncoder
from vl4ad_ros.bundle.reference import Reference, save_reference, TEXT_INPUTS
from vl4ad_ros.bundle.tokenizer import Tokenizer
from vl4ad_ros.bundle.writer import write_manifest
from vl4ad_ros.inference import onnxruntime
from vl4ad_ros.inference.backend import BackendOptions

FORMS = ('gather', 'grid-sample')


def write_engine_bundle(directory: Path, forms: tuple[str, ...] = FORMS,
                        minor: int = 1) -> Bundle:
    """
    Write the bundle with one fp32 graph a form, and reference frames from ONNX Runtime.

    :param minor: see `write_mock_bundle`.
    """
    write_mock_bundle(directory)
    bundle = Bundle.open(directory)
    network = onnxruntime.open_backend(bundle, BackendOptions(threads=1))
    tokenizer = Tokenizer(directory / bundle.tokenizer, bundle.text.context_length,
                          bundle.text.sot, bundle.text.eot, bundle.text.pad)
    prompts = PromptEncoder(bundle, tokenizer, network.encode_text)(bundle.vocabulary)
    texts = {name: getattr(prompts, name) for name in TEXT_INPUTS}
    cells = np.random.default_rng(0).integers(0, len(COLOURS), (3, 24, 40))
    images = np.uint8(list(COLOURS.values()))[cells].repeat(4, 1).repeat(4, 2)
    save_reference(directory / 'reference.npz', Reference(images, texts, tuple(
        network.run(image, *texts.values()) for image in images)))
    manifest = json.loads((directory / 'manifest.json').read_text())
    del manifest['files']
    manifest['reference'] = 'reference.npz'
    manifest['vision']['graphs'] = []
    network = _without_scatter(onnx.load(directory / 'vision.onnx'))
    for form in forms:
        onnx.save(network, directory / f'vision.{form}.onnx')
        manifest['vision']['graphs'].append(
            {'file': f'vision.{form}.onnx', 'dtype': 'fp32', 'sampling': form})
    (directory / 'vision.onnx').unlink()
    write_manifest(directory, manifest)
    if minor == 0:
        make_version_2_0(directory)
    return Bundle.open(directory)


def _without_scatter(model: onnx.ModelProto) -> onnx.ModelProto:
    """Take the largest similarity of each class without ScatterElements, which engines lack."""
    graph = model.graph
    nodes = {node.output[0]: node for node in graph.node}
    for name in ('class_row', 'similarities_shape', 'class_rows'):
        graph.node.remove(nodes[name])
    scatter = nodes['class_max']
    place = list(graph.node).index(scatter)
    graph.node.remove(scatter)
    classes = next(i for i in graph.initializer if i.name == 'nothing').dims[1]
    graph.initializer.extend((
        numpy_helper.from_array(np.arange(classes), 'every_class'),
        numpy_helper.from_array(np.float32(-1e4), 'minus_much'),
        numpy_helper.from_array(np.int64([2]), 'last_axis')))
    for node in reversed((
            helper.make_node('Unsqueeze', ['concept_class', 'axis'], ['class_column']),
            helper.make_node('Equal', ['class_column', 'every_class'], ['is_of_class']),
            helper.make_node('Unsqueeze', ['similarities', 'last_axis'], ['similarities3']),
            helper.make_node('Where', ['is_of_class', 'similarities3', 'minus_much'],
                             ['by_class']),
            helper.make_node('ReduceMax', ['by_class', 'axis'], ['class_max'], keepdims=0))):
        graph.node.insert(place, node)
    return model
