# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""An exported model on disk: its manifest, and the checks that its files are what it says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
import hashlib
import json
import os
from pathlib import Path
import re
import sys
import tempfile
from typing import Any, NoReturn

import numpy as np

from vl4ad_ros.bundle.contents import check_contents, ContentError
from vl4ad_ros.bundle.npz import read_arrays
from vl4ad_ros.files import open_regular, read_regular
from vl4ad_ros.prompts.vocabulary import Vocabulary, VocabularyError

FORMAT = 'vl4ad-bundle'
MAJOR, MINOR = 2, 1
VERSION = f'{MAJOR}.{MINOR}'
"""Version of the bundles that this package writes."""
SHIPPED = Path(__file__).resolve().parent.parent / 'models'
REPAIR = 'reinstall the package or convert the bundle again'
DTYPES = ('fp16', 'bf16', 'fp32')
"""Precisions of an image network, in the order in which a GPU takes them."""
SAMPLING = ('gather', 'plugin', 'grid-sample')
"""Forms of deformable attention, in the order in which engines are built of them."""
MOST_PIXELS = 1 << 25
"""Of the image network's input, so that a manifest cannot ask for any amount of memory."""
_LARGEST_MANIFEST = 1 << 22  # bytes; the largest vocabulary takes a third of it
_MOST_NESTED = 50
_LONGEST_NAME, _LONGEST_NOTICE, _LONGEST_TEMPLATE = 100, 2000, 500  # characters
_MOST_TEMPLATES = 256
_MOST_KNOTS = 1000
_MOST_EMBEDDINGS = 1 << 26  # numbers in the image network's input `concepts`


class BundleError(ValueError):
    """A bundle that cannot be used; the message says what was expected, seen, and the cure."""

    def __init__(self, message: str) -> None:
        """Take a message; paths in it may have bytes that are no characters."""
        super().__init__(message.encode('utf-8', 'backslashreplace').decode('utf-8'))


@dataclass(frozen=True)
class Tensor:
    """
    One input or output of a network.

    :ivar dtype: a numpy name, such as ``'float32'``.
    :ivar shape: -1 stands for a size that is chosen at run time.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]

    def __str__(self) -> str:
        """Return ``image uint8 [192, 320, 3]``."""
        return f'{self.name} {self.dtype} {list(self.shape)}'


@dataclass(frozen=True)
class Signature:
    """What a network takes and gives, in any order."""

    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]

    def __str__(self) -> str:
        """Return one line that two signatures can be compared by."""
        return ' -> '.join('; '.join(map(str, sorted(side, key=str)))
                           for side in (self.inputs, self.outputs))

    @property
    def output_names(self) -> tuple[str, ...]:
        """Names of the outputs."""
        return tuple(tensor.name for tensor in self.outputs)


@dataclass(frozen=True)
class Graph:
    """
    The image network in one precision and one form of deformable attention.

    :ivar dtype: one of `DTYPES`, which the graph has inside; its inputs and outputs do not.
    :ivar sampling: one of `SAMPLING`.
    """

    file: str
    dtype: str
    sampling: str


@dataclass(frozen=True)
class Vision:
    """The image network: `height` x `width` pixels in, maps at 1/`stride` of that out."""

    height: int
    width: int
    stride: int
    graphs: tuple[Graph, ...]


@dataclass(frozen=True)
class Text:
    """
    The text network: rows of at most `context_length` tokens in, `embed_dim` numbers out.

    :ivar embeddings: file of concepts that are embedded already, or None.
    :ivar scripts: names of the scripts that it was trained on, as `characters.scripts_of` gives.
    """

    file: str
    embeddings: str | None
    context_length: int
    embed_dim: int
    sot: int
    eot: int
    pad: int
    scripts: tuple[str, ...] = ('Latin',)


@dataclass(frozen=True)
class NetworkRecord:
    """
    What builds the network anew in PyTorch.

    :ivar config, classification: fields of `network.config.NetworkConfig` and of
        `network.classification.Classification`.
    :ivar weights: file of its state dict, in the safetensors format.
    """

    config: Mapping[str, Any]
    classification: Mapping[str, Any]
    weights: str


@dataclass(frozen=True)
class Capacity:
    """How many concepts and classes (known and anomaly together) the image network takes."""

    concepts: int
    classes: int


@dataclass(frozen=True)
class Ensemble:
    """FC-CLIP's geometric ensemble: exponent `alpha` for `seen` concepts, else `beta`, 0..1."""

    alpha: float
    beta: float
    seen: frozenset[str]


@dataclass(frozen=True)
class Calibration:
    """A piecewise linear curve from the uncertainty u (VL4AD eq. 2) to a score in 0..1."""

    u: tuple[float, ...]
    score: tuple[float, ...]

    def __call__(self, uncertainty: np.ndarray) -> np.ndarray:
        """Return float32 scores 0..1 of the same shape; flat beyond both ends of the curve."""
        # A sum of clipped pieces takes a third of the time of np.interp.
        score = np.full(uncertainty.shape, self.score[0], np.float32)
        knots = list(zip(self.u, self.score))
        for (u, low), (next_u, high) in zip(knots, knots[1:]):
            piece = np.clip(uncertainty, u, next_u, dtype=np.float32)
            piece -= np.float32(u)
            piece *= np.float32((high - low) / (next_u - u))
            score += piece
        return np.clip(score, self.score[0], self.score[-1], out=score)


@dataclass(frozen=True)
class Bundle:
    """
    A bundle whose files are present and unaltered.

    :ivar minor: the minor version of its format; see docs/bundle.md.
    :ivar notice: what a user must be told when it is loaded; may be empty.
    :ivar padding_rgb: colour 0..255 around an image that does not fill the network's input.
    :ivar templates: sentences with one ``{}`` each, for a concept.
    :ivar weights: files of the networks' weights (ONNX external data, safetensors format).
    :ivar network: None in a bundle that was not made from this package's network.
    :ivar reference: file of stored frames and answers, or None; see `runtime.reference`.
    :ivar files: sha256 of every file but the manifest, by name.
    :ivar digest: sha256 of the manifest, and so of every file.
    """

    directory: Path
    minor: int
    name: str
    notice: str
    vision: Vision
    text: Text
    weights: tuple[str, ...]
    network: NetworkRecord | None
    reference: str | None
    tokenizer: str
    capacity: Capacity
    padding_rgb: tuple[int, int, int]
    templates: tuple[str, ...]
    ensemble: Ensemble
    calibration: Calibration
    vocabulary: Vocabulary
    provenance: Mapping[str, Any]
    files: Mapping[str, str]
    digest: str

    @staticmethod
    def open(path: str | Path) -> Bundle:
        """
        Read a bundle's manifest and check every file against it.

        :param path: a directory, or ``'tiny'`` for the bundle in this package.
        :raises BundleError: if anything is missing, altered, of a newer format or out of range.
        """
        directory = SHIPPED / 'tiny' if str(path) == 'tiny' else Path(path)
        file = directory / 'manifest.json'
        try:
            manifest = json.loads(read_regular(file, _LARGEST_MANIFEST).decode('utf-8'),
                                  object_pairs_hook=_object)
        except (FileNotFoundError, NotADirectoryError):
            _refuse(f"no bundle at '{directory}': {file.name} is missing; give a directory that "
                    "`vl4ad train` or `vl4ad convert` wrote, or 'tiny'")
        except (OSError, ValueError, RecursionError) as error:
            _refuse(f'{file} cannot be read ({error}); {REPAIR}')
        bundle = _parse(manifest, directory)
        for name, expected in bundle.files.items():
            seen = _sha256(directory / name)
            if seen != expected:
                _refuse(f'{directory / name} is altered (sha256 {seen[:12]}, expected '
                        f'{expected[:12]}); {REPAIR}')
        try:
            check_contents(bundle)
        except (OSError, ContentError) as error:
            _refuse(f'{error}; {REPAIR}')
        return bundle

    @property
    def cpu_graph(self) -> Graph:
        """The float32 image network, in the form that is fastest on a CPU if there are several."""
        return self.graphs_for('fp32')[-1]

    def graphs_for(self, precision: str) -> tuple[Graph, ...]:
        """
        Return the image network's forms in one precision, in the order of `SAMPLING`.

        :param precision: one of `DTYPES`, or ``'auto'`` for the first of them that is there.
        :raises BundleError: if the bundle has none; the message has the command that adds it.
        """
        graphs = self.vision.graphs
        if precision == 'auto':
            precision = min((g.dtype for g in graphs), key=DTYPES.index)
        found = [g for g in graphs if g.dtype == precision]
        if not found:
            _refuse(f'{self.directory} holds no {precision} image network, only '
                    f'{", ".join(sorted({g.dtype for g in graphs}))}; run: vl4ad export '
                    f'{self.directory} --dtype {precision}')
        return tuple(sorted(found, key=lambda g: SAMPLING.index(g.sampling)))

    @property
    def map_size(self) -> tuple[int, int]:
        """Rows and columns of the image network's output maps."""
        return self.vision.height // self.vision.stride, self.vision.width // self.vision.stride

    @property
    def vision_signature(self) -> Signature:
        """What the image network must take and give; `anomaly_mass` since version 2.1."""
        concepts, classes = self.capacity.concepts, self.capacity.classes
        anomaly_mass = Tensor('anomaly_mass', 'float32', self.map_size)
        return Signature(
            (Tensor('image', 'uint8', (self.vision.height, self.vision.width, 3)),
             Tensor('concepts', 'float32', (concepts, self.text.embed_dim)),
             Tensor('concept_class', 'int64', (concepts,)),
             Tensor('num_known', 'int64', (1,)),
             Tensor('ensemble_weight', 'float32', (classes,))),
            (Tensor('uncertainty', 'float32', self.map_size),
             Tensor('best_known', 'int32', self.map_size),
             Tensor('best_anomaly', 'int32', self.map_size),
             *([anomaly_mass] if self.minor >= 1 else [])))

    @property
    def text_signature(self) -> Signature:
        """What the text network must take and give."""
        return Signature((Tensor('tokens', 'int64', (-1, -1)),),
                         (Tensor('embedding', 'float32', (-1, self.text.embed_dim)),))

    def stored_embeddings(self) -> dict[str, np.ndarray]:
        """
        Return the concepts that the bundle has embedded already: float32 [D], length 1, each.

        :raises BundleError: if the file is not what docs/bundle.md says.
        """
        if self.text.embeddings is None:
            return {}
        file = self.directory / self.text.embeddings
        try:
            concepts, embeddings = read_arrays(file, ('concepts', 'embeddings')).values()
        except (OSError, ValueError) as error:
            _refuse(f'{file} cannot be read ({error}); {REPAIR}')
        if (concepts.dtype.kind != 'U' or concepts.ndim != 1 or embeddings.dtype != np.float32
                or embeddings.shape != (len(concepts), self.text.embed_dim)
                or not np.allclose(np.linalg.norm(embeddings, axis=1), 1, atol=1e-4)):
            _refuse(f'{file} must hold float32 rows of length 1 and {self.text.embed_dim} columns '
                    f'for {concepts.size} concepts; {REPAIR}')
        return dict(zip(concepts.tolist(), embeddings))

    def check(self, file: str, expected: Signature, seen: Signature) -> None:
        """
        Refuse a network whose inputs or outputs are not what the manifest says.

        Outputs that a newer minor version has added are ignored.

        :raises BundleError: with both signatures.
        """
        if self.minor > MINOR:
            seen = Signature(seen.inputs, tuple(
                t for t in seen.outputs if t.name in expected.output_names))
        if str(expected) != str(seen):
            _refuse(f'{self.directory / file} does not fit its manifest:\n  expected {expected}\n'
                    f'  seen     {seen}\n{REPAIR}')


def write_manifest(directory: str | Path, manifest: Mapping[str, Any]) -> Path:
    """
    Write ``manifest.json`` for the files in `directory`, whole or not at all; return its path.

    :param manifest: all but ``files``, whose sha256 sums are computed here.
    :raises BundleError: if a file is missing or the manifest is one that `Bundle.open` refuses.
    """
    directory = Path(directory)
    root = _Table(manifest, str(directory / 'manifest.json'))
    complete = {**manifest, 'files': {name: _sha256(directory / name) for name in _files(root)}}
    _parse(complete, directory)
    handle, temporary = tempfile.mkstemp(dir=directory, prefix='.manifest')
    try:
        with open(handle, 'w', encoding='utf-8') as stream:
            json.dump(complete, stream, indent=1, ensure_ascii=False)
            stream.write('\n')
            stream.flush()
            os.fsync(stream.fileno())
        os.chmod(temporary, 0o644)
        os.replace(temporary, directory / 'manifest.json')
    except BaseException:
        os.unlink(temporary)
        raise
    return directory / 'manifest.json'


def _refuse(message: str) -> NoReturn:
    raise BundleError(message) from None


def _sha256(file: Path) -> str:
    digest = hashlib.sha256()
    try:
        with open_regular(file) as stream:
            while chunk := stream.read(1 << 20):
                digest.update(chunk)
    except OSError as error:
        _refuse(f'{file} cannot be read ({error.strerror or error}); {REPAIR}')
    return digest.hexdigest()


_FILE = r'\w[\w.-]*'
_NO_TEXT = re.compile('[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]')
"""Control characters and halves of characters."""


class _Table:
    """A JSON object read with an error that names the key, what it must be and what it is."""

    def __init__(self, values: Any, where: str) -> None:
        self.where = where
        self.values = values
        if not isinstance(values, dict):
            _refuse(f'{where}: expected an object, seen {values!r:.60}; {REPAIR}')

    def refuse(self, key: str, expected: str) -> NoReturn:
        seen = repr(self.values[key])[:60] if key in self.values else 'nothing'
        _refuse(f'{self.where}: {key} must be {expected}, seen {seen}; {REPAIR}')

    def table(self, key: str) -> _Table:
        if not isinstance(self.values.get(key), dict):
            self.refuse(key, 'an object')
        return _Table(self.values[key], f'{self.where}: {key}')

    def text(self, key: str, longest: int = sys.maxsize) -> str:
        if not isinstance(self.values.get(key), str):
            self.refuse(key, 'a string')
        if len(self.values[key]) > longest:
            self.refuse(key, f'at most {longest} characters long')
        return self.values[key]

    def file(self, key: str) -> str:
        if not re.fullmatch(_FILE, self.text(key)):
            self.refuse(key, 'the name of a file in the bundle')
        return self.values[key]

    def optional_file(self, key: str) -> str | None:
        return self.file(key) if key in self.values else None

    def optional_files(self, key: str) -> tuple[str, ...]:
        if key not in self.values:
            return ()
        if not all(re.fullmatch(_FILE, name) for name in self.texts(key)):
            self.refuse(key, 'a list of names of files in the bundle')
        return self.texts(key)

    def integer(self, key: str, low: int, high: int) -> int:
        if type(self.values.get(key)) is not int or not low <= self.values[key] <= high:
            self.refuse(key, f'an integer {low}..{high}')
        return self.values[key]

    def choice(self, key: str, choices: Sequence[str]) -> str:
        if self.text(key) not in choices:
            self.refuse(key, f'one of {", ".join(choices)}')
        return self.values[key]

    def tables(self, key: str) -> list[_Table]:
        values = self.values.get(key)
        if not isinstance(values, list):
            self.refuse(key, 'a list of objects')
        return [_Table(v, f'{self.where}: {key}[{i}]') for i, v in enumerate(values)]

    def optional_table(self, key: str) -> _Table | None:
        return self.table(key) if key in self.values else None

    def texts(self, key: str) -> tuple[str, ...]:
        values = self.values.get(key)
        if not isinstance(values, list) or not all(isinstance(v, str) for v in values):
            self.refuse(key, 'a list of strings')
        return tuple(values)

    def share(self, key: str) -> float:
        if not _is_number(self.values.get(key)) or not 0 <= self.values[key] <= 1:
            self.refuse(key, 'a number 0..1')
        return float(self.values[key])

    def numbers(self, key: str) -> tuple[float, ...]:
        values = self.values.get(key)
        if not isinstance(values, list) or not all(map(_is_number, values)):
            self.refuse(key, 'a list of numbers')
        return tuple(map(float, values))


def _is_number(value: Any) -> bool:
    # An integer of JSON may be larger than any float.
    return type(value) in (int, float) and abs(value) <= sys.float_info.max


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return an object of JSON, in which each key must be there once: readers choose another."""
    values = {}
    for key, value in pairs:
        if key in values:
            raise ValueError(f'the key {key!r:.60} is there twice')
        values[key] = value
    return values


def _check_json(value: Any, where: str) -> None:
    """Refuse values that are nested so deeply, or texts so odd, that others fail on them."""
    waiting = [(value, 0)]
    while waiting:
        value, depth = waiting.pop()
        if depth > _MOST_NESTED:
            _refuse(f'{where} is nested more than {_MOST_NESTED} deep; {REPAIR}')
        if isinstance(value, dict):
            value = [*value, *value.values()]
        if isinstance(value, list):
            waiting += [(v, depth + 1) for v in value]
        elif isinstance(value, str) and (odd := _NO_TEXT.search(value)):
            _refuse(f'{where} has the character {odd[0]!a} in {value!a:.60}, which belongs in no '
                    f'text; {REPAIR}')


def _parse(manifest: Any, directory: Path) -> Bundle:
    root = _Table(manifest, str(directory / 'manifest.json'))
    _check_json(manifest, root.where)
    if root.values.get('format') != FORMAT:
        root.refuse('format', f"'{FORMAT}'")
    version = re.fullmatch('([0-9]{1,9})[.]([0-9]{1,9})', root.text('version'))
    if not version:
        root.refuse('version', "of the form '1.0'")
    if int(version[1]) != MAJOR:
        _refuse(f'{root.where}: version {root.text("version")}, but this package reads {MAJOR}.x; '
                + ('update vl4ad_ros' if int(version[1]) > MAJOR else 'convert the bundle again'))
    vision, text, capacity = root.table('vision'), root.table('text'), root.table('capacity')
    stride = vision.integer('stride', 1, 64)
    for side in ('height', 'width'):
        if vision.integer(side, stride, 8192) % stride:
            vision.refuse(side, f'a multiple of the stride {stride}')
    pixels = vision.values['height'] * vision.values['width']
    if pixels > MOST_PIXELS:
        vision.refuse('height', f'one with at most {MOST_PIXELS} pixels, which are {pixels}')
    ensemble = root.table('ensemble')
    templates = root.texts('templates')
    if not templates or any(t.count('{}') != 1 for t in templates):
        root.refuse('templates', "at least one sentence with one '{}' each")
    if len(templates) > _MOST_TEMPLATES or max(map(len, templates)) > _LONGEST_TEMPLATE:
        root.refuse('templates', f'at most {_MOST_TEMPLATES} sentences of at most '
                    f'{_LONGEST_TEMPLATE} characters')
    rgb = root.numbers('padding_rgb')
    if len(rgb) != 3 or not all(v in range(256) for v in rgb):
        root.refuse('padding_rgb', 'three integers 0..255')
    network = root.optional_table('network')
    _check_tokens(text, network is not None)
    embeddings = capacity.integer('concepts', 1, 65536) * text.integer('embed_dim', 1, 65536)
    if embeddings > _MOST_EMBEDDINGS:
        capacity.refuse('concepts', f'one that makes at most {_MOST_EMBEDDINGS} numbers with '
                        f'embed_dim, which are {embeddings}')
    files, names = root.table('files'), _files(root)
    for name in names:
        if not re.fullmatch('[0-9a-f]{64}', files.text(name)):
            files.refuse(name, 'a sha256 of 64 hexadecimal digits')
    minor = int(version[2])
    # A newer minor version may have added files, which this package neither reads nor checks.
    if set(files.values) != set(names) and minor <= MINOR:
        root.refuse('files', f'the sha256 sums of {", ".join(names)} only')
    return Bundle(
        directory=directory, minor=minor, name=root.text('name', _LONGEST_NAME),
        notice=root.text('notice', _LONGEST_NOTICE),
        vision=Vision(vision.integer('height', 1, 8192), vision.integer('width', 1, 8192),
                      stride, _parse_graphs(vision)),
        text=Text(text.file('file'), text.optional_file('embeddings'),
                  text.integer('context_length', 3, 4096),
                  text.integer('embed_dim', 1, 65536),
                  *(text.integer(key, 0, 2 ** 31 - 1) for key in ('sot', 'eot', 'pad')),
                  _parse_scripts(text)),
        weights=root.optional_files('weights'),
        network=network and NetworkRecord(
            network.table('config').values, network.table('classification').values,
            network.choice('weights', root.optional_files('weights'))),
        reference=root.optional_file('reference'),
        tokenizer=root.file('tokenizer'),
        capacity=Capacity(capacity.integer('concepts', 1, 65536),
                          capacity.integer('classes', 1, 65536)),
        padding_rgb=tuple(map(int, rgb)), templates=templates,
        ensemble=Ensemble(ensemble.share('alpha'), ensemble.share('beta'),
                          frozenset(ensemble.texts('seen'))),
        calibration=_parse_calibration(root.table('calibration')),
        vocabulary=_parse_vocabulary(root.table('vocabulary')),
        provenance=root.table('provenance').values,
        files={name: files.values[name] for name in names},
        digest=hashlib.sha256(json.dumps(manifest, sort_keys=True).encode()).hexdigest())


def _files(root: _Table) -> list[str]:
    """List every file that a manifest names."""
    text = root.table('text')
    optional = [text.optional_file('embeddings'), root.optional_file('reference')]
    return [*(g.file for g in _parse_graphs(root.table('vision'))), text.file('file'),
            *root.optional_files('weights'), *filter(None, optional), root.file('tokenizer')]


def _parse_graphs(vision: _Table) -> tuple[Graph, ...]:
    graphs = tuple(Graph(g.file('file'), g.choice('dtype', DTYPES), g.choice('sampling', SAMPLING))
                   for g in vision.tables('graphs'))
    if not any(g.dtype == 'fp32' for g in graphs):
        vision.refuse('graphs', 'a list with at least one fp32 graph')
    if len({(g.dtype, g.sampling) for g in graphs}) < len(graphs):
        vision.refuse('graphs', 'a list with one graph a dtype and sampling')
    return graphs


def _parse_scripts(text: _Table) -> tuple[str, ...]:
    scripts = text.texts('scripts') if 'scripts' in text.values else ('Latin',)
    if not scripts or not all(re.fullmatch('[A-Z][a-z-]+', script) for script in scripts):
        text.refuse('scripts', "a list of names of scripts, such as 'Latin' and 'Han'")
    return scripts


def _parse_calibration(table: _Table) -> Calibration:
    u, score = table.numbers('u'), table.numbers('score')
    if len(u) < 2 or any(a >= b for a, b in zip(u, u[1:])):
        table.refuse('u', 'at least two numbers, each above the one before')
    if len(score) != len(u) or any(a > b for a, b in zip((0.0, *score), (*score, 1.0))):
        table.refuse('score', f'{len(u)} numbers that rise from 0 or more to 1 or less')
    if len(u) > _MOST_KNOTS:
        table.refuse('u', f'at most {_MOST_KNOTS} numbers')
    curve = Calibration(u, score)
    with np.errstate(all='ignore'):
        knots = np.array(u).astype(np.float32)
        seen = curve(knots)
    # Slopes that float32 does not hold give infinite scores, knots that it does not tell apart
    # give others than the curve has.
    if not np.isfinite(knots).all() or not np.allclose(seen, score, rtol=0, atol=1e-3):
        table.refuse('u', 'numbers so far apart that the curve can be computed in float32')
    return curve


def _check_tokens(text: _Table, is_ours: bool) -> None:
    """Refuse marks by which the end of a text cannot be found."""
    sot, eot, pad = (text.integer(key, 0, 2 ** 31 - 1) for key in ('sot', 'eot', 'pad'))
    if eot == sot:
        text.refuse('eot', 'another token than sot, or the end of a text cannot be found')
    if is_ours and eot < max(sot, pad):
        text.refuse('eot', f'above sot {sot} and not below pad {pad}: the text network takes the '
                    'largest token for the end')


def _parse_vocabulary(table: _Table) -> Vocabulary:
    try:
        return Vocabulary.from_strings(table.texts('known'), table.texts('anomaly'))
    except VocabularyError as error:
        _refuse(f'{table.where}: {error}; {REPAIR}')
