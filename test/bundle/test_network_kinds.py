# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Kinds of networks, licences and training data in a manifest (needs onnx for the mock bundle)."""

from __future__ import annotations

import json
from pathlib import Path

from mock_bundle import write_mock_bundle
import numpy as np
import pytest
from vl4ad_ros.bundle import Bundle, BundleError
from vl4ad_ros.bundle.manifest import parse_manifest, Source
from vl4ad_ros.bundle.onnx_file import table_rows

onnx = pytest.importorskip('onnx')
DATA = [{'name': 'CamVid', 'terms': 'research only', 'url': ''},
        {'name': 'Own drive', 'terms': 'free', 'url': 'https://example.org'}]


def parsed(folder: Path, **changes):
    """Return the manifest of the bundle with other values."""
    values = json.loads((folder / 'manifest.json').read_text(encoding='utf-8'))
    return parse_manifest({**values, **changes}, folder)


def test_a_bundle_says_its_licence_and_its_training_data(tmp_path):
    folder = write_mock_bundle(tmp_path / 'bundle', licence='MIT', training_data=DATA)
    bundle = Bundle.open(folder)
    assert bundle.licence == ('MIT',)
    assert bundle.training_data[1] == Source('Own drive', 'free', 'https://example.org')
    assert bundle.terms == ('licence MIT, trained with CamVid (research only), Own drive (free)')
    assert parsed(folder, licence=['MIT', 'Apache-2.0']).licence == ('MIT', 'Apache-2.0')


def test_both_are_optional(tmp_path):
    bundle = Bundle.open(write_mock_bundle(tmp_path / 'bundle'))
    assert bundle.licence == () and bundle.training_data == () and bundle.terms == ''


@pytest.mark.parametrize('changes, words', [
    ({'licence': ''}, 'licence must be a text of 1 to 100'),
    ({'licence': 3}, 'licence must be a list of strings'),
    ({'licence': []}, 'licence must be a text'),
    ({'licence': ['x'] * 101}, 'licence must be a text'),
    ({'training_data': 'CamVid'}, 'training_data must be a list of objects'),
    ({'training_data': [{'name': 'CamVid', 'url': ''}]}, 'terms must be a string'),
    ({'training_data': DATA * 51}, 'training_data must be a list of at most 100'),
])
def test_other_values_are_refused(changes, words, tmp_path):
    with pytest.raises(BundleError, match=words):
        parsed(write_mock_bundle(tmp_path / 'bundle'), **changes)


def test_kinds_of_networks(tmp_path):
    folder = write_mock_bundle(tmp_path / 'bundle')
    (folder / 'weights').write_bytes(b'')
    files = json.loads((folder / 'manifest.json').read_text())['files']
    record = {'config': {}, 'classification': {}, 'weights': 'weights'}
    more = {'weights': ['weights'], 'files': {**files, 'weights': '0' * 64}}
    assert parsed(folder, network=record, **more).network.kind == 'vl4ad'
    street = {'kind': 'street', 'config': {'embed_dim': 32}, 'weights': 'weights'}
    found = parsed(folder, network=street, **more).network
    assert (found.kind, found.classification, found.store) == ('street', {}, 'fp32')
    with pytest.raises(BundleError, match='kind must be one of vl4ad, street'):
        parsed(folder, network={**record, 'kind': 'other'}, **more)
    text = json.loads((folder / 'manifest.json').read_text())['text']
    with pytest.raises(BundleError, match='pad must be another token than sot'):
        parsed(folder, network=street, text={**text, 'pad': text['sot']}, **more)


@pytest.mark.parametrize('how', ['Mul', 'DequantizeLinear'])
def test_a_table_of_integers_is_found(how, tmp_path):
    helper = onnx.helper
    table = np.zeros((70, 4), np.int8)
    scale = np.ones((70, 1) if how == 'Mul' else (), np.float32)
    nodes = [helper.make_node('Cast', ['table'], ['cast'], to=onnx.TensorProto.FLOAT),
             helper.make_node('Mul', ['scale', 'cast'], ['wide'])] if how == 'Mul' else [
                 helper.make_node('DequantizeLinear', ['table', 'scale'], ['wide'])]
    nodes.append(helper.make_node('Gather', ['wide', 'tokens'], ['rows']))
    graph = helper.make_graph(
        nodes, 'text',
        [helper.make_tensor_value_info('tokens', onnx.TensorProto.INT64, ['n', 'length'])],
        [helper.make_tensor_value_info('rows', onnx.TensorProto.FLOAT, ['n', 'length', 4])],
        [onnx.numpy_helper.from_array(table, 'table'),
         onnx.numpy_helper.from_array(scale, 'scale')])
    onnx.save(helper.make_model(graph), tmp_path / 'text.onnx')
    assert table_rows(tmp_path / 'text.onnx', 'tokens') == 70
