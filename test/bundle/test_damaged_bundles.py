# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Bundles that are damaged or lie, with right sha256 sums; needs onnx for the mock bundle."""

from __future__ import annotations

from collections.abc import Callable
import hashlib
import io
import json
import os
from pathlib import Path
import pwd
import re
import shutil
from threading import Thread
import time
from typing import Any
import zipfile

import numpy as np
import pytest
from vl4ad_ros.bundle import Bundle, BundleError, contents, is_name
from vl4ad_ros.inference.detector import Detector
from vl4ad_ros.inference.errors import BackendError

onnx = pytest.importorskip('onnx')
onnxruntime = pytest.importorskip('vl4ad_ros.inference.onnxruntime', exc_type=ImportError)
openvino = pytest.importorskip('vl4ad_ros.inference.openvino', exc_type=ImportError)

BACKENDS = ('onnxruntime', 'openvino')
FORMATS = {'F32': np.float32, 'F16': np.float16, 'BF16': np.uint16}


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch) -> Path:
    """Let no test find what another one has checked."""
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))
    return tmp_path / 'cache' / 'vl4ad_ros'


@pytest.fixture
def copy(mock_bundle: Path, tmp_path: Path) -> Path:
    """Return a bundle that a test may break."""
    return Path(shutil.copytree(mock_bundle, tmp_path / 'copy'))


def sign(directory: Path, **changes: Any) -> Path:
    """Write a manifest with changes and with the sums of its files, whatever they hold."""
    file = directory / 'manifest.json'
    manifest = {**json.loads(file.read_text()), **changes}
    named = [*(g['file'] for g in manifest['vision']['graphs']), manifest['text']['file'],
             manifest['tokenizer'], *manifest.get('weights', ()), manifest.get('reference'),
             manifest['text'].get('embeddings')]
    manifest['files'] = {name: hashlib.sha256((directory / name).read_bytes()).hexdigest()
                         for name in named if name}
    file.write_text(json.dumps(manifest))
    return directory


def edit_graph(directory: Path, name: str, change: Callable[[Any], object]) -> Path:
    """Change a graph of a bundle, and sign it."""
    model = onnx.load(directory / name)
    change(model.graph)
    onnx.save(model, directory / name)
    return sign(directory)


def initializer(graph: Any, name: str) -> Any:
    return next(i for i in graph.initializer if i.name == name)


def set_one(graph: Any, name: str, value: float, typed: bool = False) -> None:
    """Set a number of a constant, which is stored as bytes or as a list of numbers."""
    tensor = initializer(graph, name)
    values = onnx.numpy_helper.to_array(tensor).copy()
    values.flat[-1] = value
    tensor.CopyFrom(onnx.helper.make_tensor(name, tensor.data_type, values.shape, values.ravel())
                    if typed else onnx.numpy_helper.from_array(values, name))


def add_constant(graph: Any, **value: Any) -> None:
    """Add a node that gives a constant which nobody takes."""
    graph.node.append(onnx.helper.make_node('Constant', [], ['unused'], **value))


def tensor(dtype: int, value: float, typed: bool = True) -> Any:
    if typed:
        return onnx.helper.make_tensor('planted', dtype, [2], [1.0, value])
    return onnx.numpy_helper.from_array(np.array([1.0, value]), 'planted')


def add_subgraph(graph: Any) -> None:
    inner = onnx.helper.make_graph([], 'inner', [], [], [tensor(onnx.TensorProto.FLOAT, np.nan)])
    graph.node.append(onnx.helper.make_node('If', ['has_anomalies'], ['unused'],
                                            then_branch=inner, else_branch=inner))


def lend_weights(directory: Path, dtype: str = 'F32', name: str = 'weights.safetensors',
                 value: float = 0.0, location: str = '') -> Path:
    """
    Move the image network's directions into a weight file, with `value` as the last number.

    In other formats than F32 there is a tensor beside it that no graph takes, and which has it.

    :param location: where the graph says that they are, if not in the file.
    """
    model = onnx.load(directory / 'vision.onnx')
    directions = initializer(model.graph, 'directions')
    values = onnx.numpy_helper.to_array(directions).copy()
    spare = np.array([1.0, value], FORMATS[dtype] if dtype != 'BF16' else np.float32)
    if dtype == 'F32':
        values[-1, -1] = value
    if dtype == 'BF16':
        spare = (spare.view(np.uint32) >> 16).astype(np.uint16)
    header = json.dumps({
        'directions': {'dtype': 'F32', 'shape': list(values.shape),
                       'data_offsets': [0, values.nbytes]},
        'spare': {'dtype': dtype, 'shape': [2],
                  'data_offsets': [values.nbytes, values.nbytes + spare.nbytes]}}).encode()
    if not name.endswith('.safetensors'):
        start = b''
    else:
        start = len(header).to_bytes(8, 'little') + header
    (directory / name).write_bytes(start + values.tobytes() + spare.tobytes())
    onnx.external_data_helper.set_external_data(
        directions, location or name, offset=len(start), length=values.nbytes)
    directions.ClearField('raw_data')
    onnx.save(model, directory / 'vision.onnx')
    return sign(directory, weights=[name])


def embed(directory: Path, write: Callable[[Path], object]) -> Path:
    """Add a file of embedded concepts to a bundle, as `write` writes it."""
    write(directory / 'concepts.npz')
    text = json.loads((directory / 'manifest.json').read_text())['text']
    return sign(directory, text={**text, 'embeddings': 'concepts.npz'})


def embeddings(**others: Any) -> dict[str, np.ndarray]:
    return {'concepts': np.array(['road', 'cow']), 'embeddings': np.eye(2, 32, dtype=np.float32),
            **others}


def refer(directory: Path, **others: np.ndarray) -> Path:
    """Add reference frames to a bundle; no backend on a CPU looks at them."""
    bundle = Bundle.open(directory)
    arrays = {t.name: np.zeros(t.shape if t in bundle.vision_signature.inputs[1:]
                               else (1, *t.shape), t.dtype)
              for t in (*bundle.vision_signature.inputs, *bundle.vision_signature.outputs)}
    np.savez_compressed(directory / 'reference.npz', **arrays, **others)
    return sign(directory, reference='reference.npz')


def refusal(directory: Path, backend: str = 'onnxruntime') -> str:
    """Return why a bundle is refused: by no other exception, and soon."""
    said: list[Any] = []

    def work() -> None:
        try:
            detector = Detector.open(directory, backend)
            detector.warm_up(1)
            detector.close()
            said.append('it is taken')
        except (BundleError, BackendError) as error:
            said.append(str(error))
        except BaseException as error:
            said.append(error)
    # A thread, because an open that waits for ever could not be ended.
    thread = Thread(target=work, daemon=True)
    thread.start()
    thread.join(60)
    assert said, 'opening the bundle waits for ever'
    assert isinstance(said[0], str), repr(said[0])
    said[0].encode()
    return said[0]


FLOAT, HALF, DOUBLE, BRAIN = (getattr(onnx.TensorProto, name)
                              for name in ('FLOAT', 'FLOAT16', 'DOUBLE', 'BFLOAT16'))
NOT_FINITE = {
    'a NaN': ('vision.onnx', lambda d: edit_graph(
        d, 'vision.onnx', lambda g: set_one(g, 'prototypes', np.nan))),
    'a NaN in a list of numbers': ('vision.onnx', lambda d: edit_graph(
        d, 'vision.onnx', lambda g: set_one(g, 'prototypes', np.nan, typed=True))),
    'an infinite weight': ('vision.onnx', lambda d: edit_graph(
        d, 'vision.onnx', lambda g: set_one(g, 'offset', -np.inf))),
    'an infinite number': ('vision.onnx', lambda d: edit_graph(
        d, 'vision.onnx', lambda g: set_one(g, 'scale', np.inf))),
    'a word of no prompt': ('text.onnx', lambda d: edit_graph(
        d, 'text.onnx', lambda g: set_one(g, 'table', np.nan))),
    'a constant node': ('text.onnx', lambda d: edit_graph(
        d, 'text.onnx', lambda g: add_constant(g, value=tensor(FLOAT, np.nan)))),
    'a number of a node': ('text.onnx', lambda d: edit_graph(
        d, 'text.onnx', lambda g: add_constant(g, value_float=np.nan))),
    'numbers of a node': ('text.onnx', lambda d: edit_graph(
        d, 'text.onnx', lambda g: add_constant(g, value_floats=[1.0, np.nan]))),
    'half precision': ('vision.onnx', lambda d: edit_graph(
        d, 'vision.onnx', lambda g: add_constant(g, value=tensor(HALF, np.nan)))),
    'bfloat16': ('vision.onnx', lambda d: edit_graph(
        d, 'vision.onnx', lambda g: add_constant(g, value=tensor(BRAIN, np.inf)))),
    'double': ('vision.onnx', lambda d: edit_graph(
        d, 'vision.onnx', lambda g: add_constant(g, value=tensor(DOUBLE, np.nan)))),
    'double as bytes': ('vision.onnx', lambda d: edit_graph(
        d, 'vision.onnx', lambda g: add_constant(g, value=tensor(DOUBLE, np.nan, typed=False)))),
    'a graph inside': ('vision.onnx', lambda d: edit_graph(d, 'vision.onnx', add_subgraph)),
    'safetensors': ('weights.safetensors', lambda d: lend_weights(d, value=np.nan)),
    'infinite in safetensors': ('weights.safetensors', lambda d: lend_weights(d, value=-np.inf)),
    'half in safetensors': ('weights.safetensors', lambda d: lend_weights(d, 'F16', value=np.nan)),
    'bfloat16 in safetensors': ('weights.safetensors', lambda d: lend_weights(
        d, 'BF16', value=np.inf)),
    'another weight file': ('vision.onnx', lambda d: lend_weights(
        d, name='vision.weights', value=np.nan)),
    'embedded prompts': ('concepts.npz', lambda d: embed(d, lambda f: np.savez(
        f, **embeddings(embeddings=np.full((2, 32), np.nan, np.float32))))),
    'reference frames': ('reference.npz', lambda d: refer(d, more=np.array([0, np.inf]))),
}


@pytest.mark.parametrize('backend', BACKENDS)
@pytest.mark.parametrize('file, damage', NOT_FINITE.values(), ids=NOT_FINITE)
def test_values_that_are_not_finite_are_refused(copy, file, damage, backend):
    said = refusal(damage(copy), backend)
    assert f'{copy / file} has values that are not finite, in ' in said
    assert 'reinstall the package or convert the bundle again' in said


def test_the_tensors_are_named(copy):
    said = refusal(edit_graph(copy, 'vision.onnx', lambda g: [
        set_one(g, name, np.nan) for name in ('prototypes', 'directions', 'void', 'nothing')]))
    assert said.count("'") == 6 and 'and 1 more' in said


SOUND = {
    'as it is': lambda d: d, 'safetensors': lend_weights,
    'bfloat16 in safetensors': lambda d: lend_weights(d, 'BF16', value=3.0),
    'another weight file': lambda d: lend_weights(d, name='vision.weights'),
    'embedded prompts': lambda d: embed(d, lambda f: np.savez(f, **embeddings())),
    'reference frames': refer,
    # Of what attention must not see; the shipped text tower has one.
    'a mask': lambda d: edit_graph(d, 'text.onnx', lambda g: g.initializer.append(
        onnx.numpy_helper.from_array(np.triu(np.full((9, 9), -np.inf, np.float32), 1), 'mask'))),
}


@pytest.mark.parametrize('damage', SOUND.values(), ids=SOUND)
@pytest.mark.parametrize('backend', BACKENDS)
def test_sound_bundles_are_taken(copy, damage, backend):
    assert refusal(damage(copy), backend) == 'it is taken'


def test_weights_are_read_in_pieces(copy, monkeypatch):
    monkeypatch.setattr(contents, '_BLOCK', 64)
    assert refusal(lend_weights(copy)) == 'it is taken'
    assert 'not finite' in refusal(lend_weights(copy, value=np.nan))


def test_a_bundle_is_checked_once(copy, cache, monkeypatch):
    checks = []
    check = contents._check_values
    monkeypatch.setattr(contents, '_check_values', lambda b: [checks.append(b.digest), check(b)])
    for _ in range(3):
        Bundle.open(copy)
    assert len(checks) == 1
    (found,) = (file for file in cache.rglob('*') if file.is_file())
    assert found.name == checks[0] and found.read_bytes() == b''
    # Another content is another bundle, and one that is refused stays so.
    edit_graph(copy, 'text.onnx', lambda g: set_one(g, 'table', np.nan))
    for _ in range(2):
        assert 'not finite' in refusal(copy)
    assert len(checks) == 3


@pytest.mark.parametrize('spoil', [
    lambda cache, digest: cache.parent.write_text('a file where the cache should be'),
    lambda cache, digest: (cache / 'checked-3' / digest).mkdir(parents=True),
    lambda cache, digest: [(cache / 'checked-3').mkdir(parents=True),
                           os.mkfifo(cache / 'checked-3' / digest)],
    lambda cache, digest: [(cache / 'checked-3').mkdir(parents=True),
                           (cache / 'checked-3' / digest).symlink_to('/dev/zero')],
    lambda cache, digest: [(cache / 'checked-3').mkdir(parents=True),
                           (cache / 'checked-3' / digest).symlink_to(digest)],
], ids=['no folder', 'folder', 'pipe', 'device', 'loop'])
def test_a_cache_that_cannot_be_used_is_harmless(copy, cache, tmp_path, monkeypatch, spoil):
    with monkeypatch.context() as elsewhere:
        elsewhere.setenv('XDG_CACHE_HOME', str(tmp_path / 'elsewhere'))
        digest = Bundle.open(copy).digest
    spoil(cache, digest)
    assert refusal(copy) == 'it is taken'
    edit_graph(copy, 'text.onnx', lambda g: set_one(g, 'table', np.nan))
    assert 'not finite' in refusal(copy)


def test_a_user_without_a_home_can_open_a_bundle(copy, monkeypatch):
    def nobody(number: int) -> None:
        raise KeyError(number)
    monkeypatch.setattr(pwd, 'getpwuid', nobody)
    monkeypatch.delenv('HOME', raising=False)
    monkeypatch.delenv('XDG_CACHE_HOME')
    assert refusal(copy) == 'it is taken'


@pytest.mark.parametrize('change, words', [
    ({'sot': 10 ** 6}, 'sot is 1000000, but the table of text.onnx has tokens 0..'),
    ({'eot': 10 ** 6}, 'eot is 1000000, but the table'),
    ({'pad': 2 ** 31 - 1}, 'pad is 2147483647, but the table'),
    ({'eot': 5, 'sot': 5}, 'eot must be another token than sot'),
])
def test_marks_that_the_table_lacks_are_refused(copy, change, words):
    text = json.loads((copy / 'manifest.json').read_text())['text']
    for backend in BACKENDS:
        assert words in refusal(sign(copy, text={**text, **change}), backend)


def test_a_tokenizer_with_more_tokens_than_the_table_is_refused(copy):
    file = copy / 'tokenizer.json'
    content = json.loads(file.read_text())
    content['model']['vocab']['zebra'] = rows = max(content['model']['vocab'].values()) + 1
    file.write_text(json.dumps(content))
    assert (f'the largest token of tokenizer.json is {rows}, but the table of text.onnx has '
            f'tokens 0..{rows - 1} only') in refusal(sign(copy))


def test_a_table_behind_other_operators_counts(copy):
    def hide(graph: Any) -> None:
        for node in graph.node:
            node.input[:] = ['cast' if name == 'tokens' else name for name in node.input]
        graph.node.insert(0, onnx.helper.make_node('Cast', ['tokens'], ['cast'], to=6))
    edit_graph(copy, 'text.onnx', hide)
    assert refusal(copy) == 'it is taken'
    text = json.loads((copy / 'manifest.json').read_text())['text']
    assert 'but the table' in refusal(sign(copy, text={**text, 'pad': 999}))


def test_a_table_that_is_stored_as_float16_counts(copy):
    def narrow(graph: Any) -> None:
        table = initializer(graph, 'table')
        values = onnx.numpy_helper.to_array(table).astype(np.float16)
        table.CopyFrom(onnx.numpy_helper.from_array(values, 'stored'))
        graph.node.insert(0, onnx.helper.make_node('Cast', ['stored'], ['table'], to=1))
        del graph.initializer[[i.name for i in graph.initializer].index('counted')]
        graph.initializer.append(onnx.numpy_helper.from_array(
            np.ones((len(values) + 9, 1), np.float32), 'counted'))
    edit_graph(copy, 'text.onnx', narrow)
    assert refusal(copy) == 'it is taken'
    text = json.loads((copy / 'manifest.json').read_text())['text']
    rows = len(onnx.numpy_helper.to_array(initializer(
        onnx.load(copy / 'text.onnx').graph, 'stored')))
    assert f'has tokens 0..{rows - 1} only' in refusal(sign(copy, text={**text, 'pad': rows}))


@pytest.mark.parametrize('value, says', [(0.25, 'it is taken'), (np.nan, 'not finite'),
                                         (np.inf, 'not finite')])
@pytest.mark.parametrize('name', ['weights.safetensors', 'vision.weights'])
def test_weights_that_are_stored_as_float16_are_checked(copy, name, value, says):
    lend_weights(copy, name=name)
    model = onnx.load(copy / 'vision.onnx', load_external_data=False)
    directions = initializer(model.graph, 'directions')
    values = np.full(list(directions.dims), 0.25, np.float16)
    values[-1, -1] = value
    header = json.dumps({'directions': {
        'dtype': 'F16', 'shape': list(values.shape), 'data_offsets': [0, values.nbytes]}}).encode()
    content = len(header).to_bytes(8, 'little') + header
    (copy / name).write_bytes(content + values.tobytes())
    directions.name, directions.data_type = 'stored', onnx.TensorProto.FLOAT16
    del directions.external_data[:]
    for key, entry in (('location', name), ('offset', str(len(content))),
                       ('length', str(values.nbytes))):
        directions.external_data.add(key=key, value=entry)
    model.graph.node.insert(0, onnx.helper.make_node('Cast', ['stored'], ['directions'], to=1))
    onnx.save(model, copy / 'vision.onnx')
    said = refusal(sign(copy))
    assert says in said and (says == 'it is taken' or name in said or 'stored' in said)


def test_our_own_network_takes_the_largest_token_for_the_end(tmp_path):
    if not is_name('tiny'):
        pytest.skip("the bundle 'tiny' is not installed; run: pip install . ./workshop")
    copy = Path(shutil.copytree(Bundle.open('tiny').directory, tmp_path / 'tiny'))
    text = json.loads((copy / 'manifest.json').read_text())['text']
    for change, words in (({'sot': 1023, 'eot': 1022}, 'eot must be above sot 1023'),
                          ({'pad': 1023, 'eot': 1022, 'sot': 5}, 'not below pad 1023'),
                          ({'eot': 1020, 'sot': 5}, 'has tokens up to 1023; the text network')):
        with pytest.raises(BundleError, match=words):
            Bundle.open(sign(copy, text={**text, **change}))


@pytest.mark.parametrize('u, score', [
    ([-1.0, 0.0, 1e-320], [0.0, 0.2, 1.0]), ([-1.0, -0.5, -0.5 + 1e-12], [0.0, 0.2, 1.0]),
    ([-1e300, 0.0], [0.0, 1.0]), ([-1.0, 1e39], [0.0, 1.0])])
def test_a_calibration_that_float32_cannot_compute_is_refused(copy, u, score):
    said = refusal(sign(copy, calibration={'u': u, 'score': score}))
    assert 'calibration: u must be numbers so far apart' in said


def test_a_steep_calibration_is_taken(copy):
    sign(copy, calibration={'u': [-1.0, -0.5, -0.4999, 0.0], 'score': [0.0, 0.1, 0.9, 1.0]})
    assert refusal(copy) == 'it is taken'


def save_npy(file: Path, **members: bytes) -> None:
    with zipfile.ZipFile(file, 'w', zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(f'{name}.npy', content)


def npy(header: str, data: bytes = b'', version: bytes = b'\1\0') -> bytes:
    """Return an array whose header says anything."""
    text = header.encode() + b'\n'
    return b'\x93NUMPY' + version + len(text).to_bytes(2, 'little') + text + data


def names() -> bytes:
    stream = io.BytesIO()
    np.save(stream, np.array(['road', 'cow']))
    return stream.getvalue()


ROWS = "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 32), }"
LYING = {
    'cut off': lambda f: [np.savez(f, **embeddings()), f.write_bytes(f.read_bytes()[:-300])],
    'a member that is cut off': lambda f: save_npy(
        f, concepts=names(), embeddings=npy(ROWS, bytes(100))),
    'altered bytes': lambda f: [np.savez_compressed(f, **embeddings()), f.write_bytes(
        f.read_bytes()[:150] + bytes(40) + f.read_bytes()[190:])],
    'objects': lambda f: np.savez(f, **embeddings(concepts=np.array(['a', None]))),
    'records': lambda f: np.savez(f, **embeddings(concepts=np.zeros(2, [('a', 'f4')]))),
    'a bomb': lambda f: save_npy(f, concepts=names(), embeddings=npy(
        ROWS.replace('2, 32', '200000, 32'), bytes(25_600_000))),
    'a size beyond memory': lambda f: save_npy(f, concepts=names(), embeddings=npy(
        ROWS.replace('2, 32', '10000000000, 32'))),
    'a size beyond numbers': lambda f: save_npy(f, concepts=names(), embeddings=npy(
        ROWS.replace('2, 32', '2' + 4000 * '0'))),
    'less than nothing': lambda f: save_npy(f, concepts=names(), embeddings=npy(
        ROWS.replace('2, 32', '-2, -32'), bytes(256))),
    'long texts': lambda f: save_npy(f, embeddings=npy(ROWS, bytes(256)), concepts=npy(
        "{'descr': '<U999999999', 'fortran_order': False, 'shape': (2,), }")),
    'a header that is code': lambda f: save_npy(f, concepts=names(), embeddings=npy('exit()')),
    'a header that is nested': lambda f: save_npy(
        f, concepts=names(), embeddings=npy(5000 * '[')),
    'another version': lambda f: save_npy(
        f, concepts=names(), embeddings=npy(ROWS, bytes(256), b'\7\0')),
    'an empty member': lambda f: save_npy(f, concepts=names(), embeddings=b''),
    'a table of texts': lambda f: np.savez(f, **embeddings(
        concepts=np.array([['a', 'b'], ['c', 'd']]))),
    'no concepts': lambda f: np.savez(f, embeddings=np.eye(2, 32, dtype=np.float32)),
    'a number of concepts': lambda f: np.savez(f, **embeddings(concepts=np.array('a'))),
    'no archive': lambda f: f.write_bytes(b'PK\3\4 rubbish'),
    'nothing': lambda f: f.write_bytes(b''),
    # The method is the field before the time, in the header of a file and in the directory.
    'a method that Python lacks': lambda f: [np.savez(f, **embeddings()), f.write_bytes(re.sub(
        b'(PK\3\4.{4}|PK\1\2.{6})\0\0', lambda m: m[1] + b'\x63\0', f.read_bytes(),
        flags=re.DOTALL))],
}


@pytest.mark.parametrize('write', LYING.values(), ids=LYING)
def test_arrays_that_are_cut_off_or_lie_are_refused(copy, write):
    began = time.monotonic()
    assert str(copy / 'concepts.npz') in refusal(embed(copy, write))
    assert time.monotonic() - began < 20


@pytest.mark.parametrize('name', ['vision.onnx', 'text.onnx', 'tokenizer.json', 'concepts.npz',
                                  'weights.safetensors', 'manifest.json'])
@pytest.mark.parametrize('make, words', [
    (os.mkfifo, 'is a named pipe'), (os.mkdir, 'is a directory'),
    (lambda f: os.symlink('/dev/zero', f), 'is a device'),
    (lambda f: os.symlink(f, f), 'symbolic link')], ids=['pipe', 'folder', 'device', 'loop'])
def test_only_regular_files_are_opened(copy, name, make, words):
    embed(lend_weights(copy), lambda f: np.savez(f, **embeddings()))
    (copy / name).unlink()
    make(copy / name)
    said = refusal(copy)
    assert words in said and name in said


@pytest.mark.parametrize('content', [
    b'', b'{}', b'\x08\x0a', b'\x3a\xff\xff\xff\xff\x0f', b'\xff' * 40, b'\x3a\x02\x2a\x7f',
    b'{"a": 1}', b'version https://git-lfs.github.com/spec/v1\n'])
@pytest.mark.parametrize('name', ['vision.onnx', 'text.onnx'])
def test_what_is_no_graph_is_refused(copy, name, content):
    (copy / name).write_bytes(content)
    assert f'{copy / name} does not load' in refusal(sign(copy))


def test_a_graph_inside_graphs_inside_graphs_is_refused(copy):
    def field(number: int, content: bytes) -> bytes:
        length, size = b'', len(content)
        while size > 127:
            length += bytes([size % 128 + 128])
            size //= 128
        return bytes([8 * number + 2]) + length + bytes([size]) + content
    graph = b''
    for _ in range(3000):
        graph = field(1, field(5, field(6, graph)))
    (copy / 'vision.onnx').write_bytes(field(7, graph))
    assert 'vision.onnx does not load (its graphs are nested' in refusal(sign(copy))


@pytest.mark.parametrize('place', ['../secret', '/etc/passwd', 'other.weights', ''])
def test_weights_outside_of_the_manifest_are_refused(copy, place):
    lend_weights(copy, location=place or './weights.safetensors')
    said = refusal(copy)
    assert f"{copy / 'vision.onnx'}: the constant 'directions' is in the file" in said
    assert 'which is not among the weights that the manifest lists' in said


@pytest.mark.parametrize('header', [
    b'', b'[]', b'{', b'{"a": 1}', b'[' * 100_000, b'{"a": {"dtype": "F32"}}',
    b'{"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 4]}}',
    b'{"a": {"dtype": "F32", "shape": [-1], "data_offsets": [0, 4]}}',
    b'{"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4e99]}}',
    b'{"a": {"dtype": "F32", "shape": [1e999], "data_offsets": [0, 4]}}',
    b'{"a": {"dtype": [], "shape": [1], "data_offsets": [0, 4]}}',
    b'{"a": {"dtype": "F32", "shape": [4611686018427387904], "data_offsets": [0, 9999999]}}',
    pytest.param(b'{"a": {"dtype": "F32", "shape": [' + b'4611686018427387904,' * 999_999
                 + b'1], "data_offsets": [0, 4]}}', id='many sides')])
def test_weight_files_that_lie_are_refused(copy, header):
    lend_weights(copy)
    content = len(header).to_bytes(8, 'little') + header + bytes(4)
    for damaged in (content, content[:7], b'\xff' * 8 + content[8:]):
        (copy / 'weights.safetensors').write_bytes(damaged)
        assert 'weights.safetensors' in refusal(sign(copy))


def manifest_text(change: str) -> Callable[[str], str]:
    """Return a change of a manifest's text: `change` stands before its first key."""
    return lambda text: '{' + change + ',' + text[1:]


MANIFESTS = {
    'nested lists': lambda t: '[' * 100_000 + ']' * 100_000,
    'nested objects': lambda t: '{"a":' * 100_000 + '1' + '}' * 100_000,
    'nested a little': manifest_text('"a": ' + '[' * 400 + ']' * 400),
    'nested where a name belongs': lambda t: t.replace('"mock"', '[' * 400 + ']' * 400),
    'a number beyond floats': lambda t: t.replace('"alpha": 0.0', '"alpha": 1e999'),
    'a number beyond integers': lambda t: t.replace('"alpha": 0.0', '"alpha": 1' + 5000 * '0'),
    'a long number': lambda t: t.replace('"alpha": 0.0', '"alpha": 1' + 4000 * '0'),
    'a long number in a list': lambda t: t.replace('[-1.0, ', '[-1' + 400 * '0' + ', '),
    'a long number as a size': lambda t: t.replace('"height": 96', '"height": 1' + 400 * '0'),
    'a long version': lambda t: t.replace('"version": "', '"version": "' + 5000 * '2'),
    'a key twice': manifest_text('"name": "other"'),
    'a NUL in the name': lambda t: t.replace('"mock"', '"mo\\u0000ck"'),
    'half a character in the name': lambda t: t.replace('"mock"', '"mo\\ud83dck"'),
    'half a character in the notice': lambda t: t.replace('Sees', '\\udc80'),
    'half a character in a key': manifest_text('"\\ud83d": 1'),
    'half a character in a list': manifest_text('"a": [[{"b": ["\\udfff"]}]]'),
    'a screen that is cleared': lambda t: t.replace('Sees', '\\u001b[2J'),
    'a long name': lambda t: t.replace('"mock"', '"' + 101 * 'm' + '"'),
    'a long notice': lambda t: t.replace('Sees', 2000 * 'm'),
    'a file above': lambda t: t.replace('"tokenizer": "', '"tokenizer": "../'),
    'a file below': lambda t: t.replace('"tokenizer": "', '"tokenizer": "a/'),
    'a file of NUL': lambda t: t.replace('"tokenizer": "', '"tokenizer": "\\u0000'),
    'more pixels than memory': lambda t: t.replace('"height": 96, "width": 160',
                                                   '"height": 8192, "width": 8192'),
    'more concepts than memory': lambda t: t.replace('"concepts": 64', '"concepts": 65536')
    .replace('"embed_dim": 32', '"embed_dim": 65536'),
    'more templates than time': lambda t: t.replace('["a photo of a {}."]',
                                                    json.dumps(257 * ['a {}.'])),
    'a long template': lambda t: t.replace('a photo of a {}.', 500 * 'a' + '{}'),
    'more knots than time': lambda t: t.replace('[-1.0, -0.5, 0.0]', json.dumps(
        [i / 2000 for i in range(1001)])).replace('[0.0, 0.5, 1.0]', json.dumps(
            [i / 2000 for i in range(1001)])),
    'another encoding': lambda t: '\ufeff' + t,
    'more bytes than a manifest': lambda t: t + 2 ** 22 * ' ',
    'a list': lambda t: '[' + t + ']', 'null': lambda t: 'null', 'nothing': lambda t: '',
}


@pytest.mark.parametrize('change', MANIFESTS.values(), ids=MANIFESTS)
def test_odd_manifests_are_refused(copy, change):
    file = copy / 'manifest.json'
    text = json.dumps(json.loads(file.read_text()))
    changed = change(text)
    assert changed != text
    file.write_text(changed)
    assert str(file) in refusal(copy)


def test_a_manifest_of_512_mb_is_not_read(copy):
    with open(copy / 'manifest.json', 'r+b') as stream:
        stream.truncate(2 ** 29)
    assert 'manifest.json' in refusal(copy) and 'expected at most 4194304' in refusal(copy)


@pytest.mark.parametrize('path', [
    'a\0b', '\ud800', '~nouser', '~nouser/bundle', '', 'x' * 5000, '/dev/zero', '/dev/null',
    'manifest.json', '/proc/self/mem'])
def test_paths_that_no_bundle_can_have_are_refused(path):
    assert 'no bundle at' in refusal(path) or 'manifest.json cannot be read' in refusal(path)


def test_a_loop_of_links_is_no_bundle(tmp_path):
    (tmp_path / 'loop').symlink_to(tmp_path / 'loop')
    assert 'symbolic links' in refusal(tmp_path / 'loop')


@pytest.mark.parametrize('backend', BACKENDS)
@pytest.mark.parametrize('name', [b'\xf0\x9f\x90\x84 cow', b'caf\xe9', b'a%20b "c\'; d'])
def test_a_bundle_may_be_anywhere(copy, tmp_path, name, backend):
    elsewhere = tmp_path / os.fsdecode(name)
    os.rename(lend_weights(copy), elsewhere)
    assert refusal(elsewhere, backend) == 'it is taken'
    (elsewhere / 'vision.onnx').write_bytes(b'rubbish')
    assert 'does not load' in refusal(sign(elsewhere), backend)


@pytest.mark.parametrize('backend', BACKENDS)
def test_flipped_bits_raise_nothing_else(copy, backend):
    rng = np.random.default_rng(0)
    sound = {name: (copy / name).read_bytes()
             for name in ('vision.onnx', 'text.onnx', 'tokenizer.json')}
    for _ in range(12):
        for name, content in sound.items():
            damaged = bytearray(content)
            for place in rng.integers(0, len(damaged), rng.integers(1, 4)):
                damaged[place] ^= 1 << rng.integers(8)
            (copy / name).write_bytes(damaged)
            refusal(sign(copy), backend)
            (copy / name).write_bytes(content)
