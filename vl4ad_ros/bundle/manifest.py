# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The manifest of a bundle, and the validation of its values; docs/bundle.md has the format."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
import hashlib
import json
from pathlib import Path
import re
from typing import Any

import numpy as np

from vl4ad_ros.bundle.errors import BundleError, REPAIR
from vl4ad_ros.bundle.fields import check_json, Fields, unique_keys
from vl4ad_ros.bundle.installed import advice
from vl4ad_ros.files import open_regular, read_regular
from vl4ad_ros.prompts.vocabulary import Vocabulary, VocabularyError

FORMAT = 'vl4ad-bundle'
FILE = 'manifest.json'
MAJOR, MINOR = 2, 3
VERSION = f'{MAJOR}.{MINOR}'
"""Version of the bundles that this package writes."""
DTYPES = ('fp16', 'bf16', 'fp32')
"""Precisions of an image network, the one that a GPU prefers first."""
SAMPLING = ('gather', 'plugin', 'grid-sample', 'none')
"""
Forms of deformable attention, in the order in which engine builds try them.

'none' is for networks without deformable attention.
"""
KINDS = ('vl4ad', 'street')
"""Kinds of networks that can be built in PyTorch: VL4AD, and the street model."""
STORAGE = ('fp32', 'fp16')
"""Formats in which the large weights of a float32 network may be stored."""
MOST_PIXELS = 1 << 25
"""Most pixels of the image network's input: limits the memory that a manifest can ask for."""
_LARGEST_MANIFEST = 1 << 22  # bytes; the largest possible vocabulary takes a third of this
_LONGEST_NAME, _LONGEST_NOTICE, _LONGEST_TEMPLATE = 100, 2000, 500  # characters
_MOST_TEMPLATES = 256
_MOST_SOURCES = 100  # licences, and sources of training data
_LONGEST_TERMS = 1000  # characters
_MOST_KNOTS = 1000
_MOST_EMBEDDINGS = 1 << 26  # numbers in the image network's input `concepts`
_BLOCK = 1 << 20


@dataclass(frozen=True)
class Graph:
    """
    The image network in one precision and one form of deformable attention.

    :ivar file: name of the ONNX file.
    :ivar dtype: precision inside the graph, one of `DTYPES`; inputs and outputs are the same in
        every precision.
    :ivar sampling: form of deformable attention, one of `SAMPLING`.
    """

    file: str
    dtype: str
    sampling: str


@dataclass(frozen=True)
class Vision:
    """
    The image network.

    :ivar height: rows of the input image in pixels.
    :ivar width: columns of the input image in pixels.
    :ivar stride: the output maps have 1/`stride` of the input's rows and columns.
    :ivar graphs: at least one of them has the dtype fp32.
    """

    height: int
    width: int
    stride: int
    graphs: tuple[Graph, ...]


@dataclass(frozen=True)
class Text:
    """
    The text network, which turns rows of token numbers into embeddings.

    :ivar file: name of the ONNX file.
    :ivar embeddings: name of a file with concepts that are embedded already, or None.
    :ivar context_length: the largest number of tokens in a row.
    :ivar embed_dim: D, the size of an embedding.
    :ivar sot: number of the token that begins each row.
    :ivar eot: number of the token that ends each text.
    :ivar pad: number of the token that fills the rest of a row.
    :ivar scripts: names of the scripts that the network was trained on, as
        `vl4ad_ros.prompts.characters.scripts_of` returns them.
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
    What is needed to build the network again in PyTorch.

    :ivar config: sizes and constants: fields of the workshop's `NetworkConfig` or `StreetConfig`.
    :ivar classification: fields of the workshop's `Classification`; empty for other kinds than
        ``'vl4ad'``.
    :ivar weights: name of the safetensors file with the state dict.
    :ivar store: format in which the file holds large weights, one of `STORAGE`. The network
        computes in float32 either way.
    :ivar kind: one of `KINDS`.
    """

    config: Mapping[str, Any]
    classification: Mapping[str, Any]
    weights: str
    store: str = 'fp32'
    kind: str = 'vl4ad'


@dataclass(frozen=True)
class Source:
    """
    Data that a network was trained with.

    :ivar name: of the data set.
    :ivar terms: under which its pictures and labels may be used.
    :ivar url: where it is described; may be empty.
    """

    name: str
    terms: str
    url: str


@dataclass(frozen=True)
class Capacity:
    """
    The size of the image network's text inputs.

    :ivar concepts: P, the largest number of concepts, known and anomaly together.
    :ivar classes: C, the largest number of classes, known and anomaly together.
    """

    concepts: int
    classes: int


@dataclass(frozen=True)
class Ensemble:
    """
    Exponents of FC-CLIP's geometric ensemble of the decoder's and CLIP's classification.

    :ivar alpha: exponent 0..1 for classes with a concept in `seen`.
    :ivar beta: exponent 0..1 for all other classes.
    :ivar seen: concepts that the mask decoder was trained with.
    """

    alpha: float
    beta: float
    seen: frozenset[str]


@dataclass(frozen=True)
class Calibration:
    """
    A piecewise linear curve from the uncertainty u (VL4AD eq. 2) to a score 0..1.

    :ivar u: abscissae of the curve's knots, strictly increasing, at least two.
    :ivar score: the score 0..1 at each knot, increasing.
    """

    u: tuple[float, ...]
    score: tuple[float, ...]

    def __call__(self, uncertainty: np.ndarray) -> np.ndarray:
        """
        Return the scores of an array; beyond both ends the curve is flat.

        :param uncertainty: float32 of any shape.
        :return: float32 of the same shape, 0..1.
        """
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
class Manifest:
    """
    The validated content of a `manifest.json`; nothing is known about the other files yet.

    :ivar directory: the folder of the bundle.
    :ivar minor: the minor version of the format; see docs/bundle.md.
    :ivar name: a name for logs and reports.
    :ivar notice: a warning for the user, logged whenever the bundle is loaded; may be empty.
    :ivar licence: licences of the networks' weights; empty if the bundle does not say.
    :ivar training_data: what the networks were trained with; empty if the bundle does not say.
    :ivar vision: the image network.
    :ivar text: the text network.
    :ivar weights: names of the files that hold the weights of the graphs.
    :ivar network: how to build the network in PyTorch, or None if that is not possible.
    :ivar reference: name of the file of reference frames, or None; see
        `vl4ad_ros.bundle.reference`.
    :ivar tokenizer: name of the tokenizer file.
    :ivar capacity: the size of the image network's text inputs.
    :ivar padding_rgb: colour, 0..255 each, around an image that does not fill the input.
    :ivar templates: sentences with one ``{}`` each, where a concept is put in.
    :ivar ensemble: exponents of the two classifications.
    :ivar calibration: the curve from uncertainty to score.
    :ivar vocabulary: the prompts that are used unless the user gives others.
    :ivar provenance: how the bundle was made; free form.
    :ivar files: sha256 of every file except the manifest, by name.
    :ivar digest: sha256 of the manifest's content, and thereby of every file.
    """

    directory: Path
    minor: int
    name: str
    notice: str
    licence: tuple[str, ...]
    training_data: tuple[Source, ...]
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

    @property
    def terms(self) -> str:
        """Licence and training data in one line for logs; empty if the bundle says neither."""
        parts = []
        if self.licence:
            parts.append(f'licence {" and ".join(self.licence)}')
        if self.training_data:
            parts.append('trained with ' + ', '.join(
                f'{source.name} ({source.terms})' for source in self.training_data))
        return ', '.join(parts)


def read_manifest(directory: Path) -> Manifest:
    """
    Read and validate the manifest of a bundle.

    :param directory: the folder of the bundle.
    :raises BundleError: if there is no manifest, or it cannot be read, is of another format or
        major version, or has a value that is missing or out of range.
    """
    file = directory / FILE
    try:
        values = json.loads(read_regular(file, _LARGEST_MANIFEST).decode('utf-8'),
                            object_pairs_hook=unique_keys)
    except (FileNotFoundError, NotADirectoryError):
        raise BundleError(f"no bundle at '{directory}': {FILE} is missing; {advice()}") from None
    except (OSError, ValueError, RecursionError) as error:
        raise BundleError(f'{file} cannot be read ({error}); {REPAIR}') from error
    return parse_manifest(values, directory)


def parse_manifest(values: Any, directory: Path) -> Manifest:
    """
    Validate the content of a manifest.

    :param values: what a JSON parser returns for the file.
    :param directory: the folder of the bundle.
    :raises BundleError: as `read_manifest`.
    """
    root = Fields(values, str(directory / FILE))
    check_json(values, root.where)
    minor = _minor_version(root)
    vision, text = root.fields('vision'), root.fields('text')
    network = _network(root)
    capacity = _capacity(root, text)
    _check_special_tokens(text, network)
    names, files = file_names(root), root.fields('files')
    for name in names:
        if not re.fullmatch('[0-9a-f]{64}', files.text(name)):
            files.refuse(name, 'a sha256 of 64 hexadecimal digits')
    # A newer minor version may have added files, which this package neither reads nor checks.
    if set(files.values) != set(names) and minor <= MINOR:
        root.refuse('files', f'the sha256 sums of {", ".join(names)} only')
    ensemble = root.fields('ensemble')
    return Manifest(
        directory=directory, minor=minor, name=root.text('name', _LONGEST_NAME),
        notice=root.text('notice', _LONGEST_NOTICE), licence=_licence(root),
        training_data=_training_data(root), vision=_vision(vision), text=_text(text),
        weights=root.optional_files('weights'), network=network,
        reference=root.optional_file('reference'), tokenizer=root.file('tokenizer'),
        capacity=capacity, padding_rgb=_padding(root), templates=_templates(root),
        ensemble=Ensemble(ensemble.share('alpha'), ensemble.share('beta'),
                          frozenset(ensemble.texts('seen'))),
        calibration=_calibration(root.fields('calibration')),
        vocabulary=_vocabulary(root.fields('vocabulary')),
        provenance=root.fields('provenance').values,
        files={name: files.values[name] for name in names},
        digest=hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest())


def file_names(root: Fields) -> list[str]:
    """
    Return the name of every file that a manifest refers to.

    :param root: the manifest; only the fields that name files are read.
    :raises BundleError: if one of these fields is missing or wrong.
    """
    text = root.fields('text')
    optional = [text.optional_file('embeddings'), root.optional_file('reference')]
    return [*(g.file for g in _graphs(root.fields('vision'))), text.file('file'),
            *root.optional_files('weights'), *filter(None, optional), root.file('tokenizer')]


def sha256_of(file: Path) -> str:
    """
    Return the sha256 of a file's content as 64 hexadecimal digits.

    :raises BundleError: if the file cannot be read.
    """
    digest = hashlib.sha256()
    try:
        with open_regular(file) as stream:
            while chunk := stream.read(_BLOCK):
                digest.update(chunk)
    except OSError as error:
        raise BundleError(
            f'{file} cannot be read ({error.strerror or error}); {REPAIR}') from error
    return digest.hexdigest()


def _minor_version(root: Fields) -> int:
    if root.values.get('format') != FORMAT:
        root.refuse('format', f"'{FORMAT}'")
    version = re.fullmatch('([0-9]{1,9})[.]([0-9]{1,9})', root.text('version'))
    if not version:
        root.refuse('version', "of the form '1.0'")
    if int(version[1]) != MAJOR:
        remedy = 'update vl4ad_ros' if int(version[1]) > MAJOR else 'convert the bundle again'
        raise BundleError(f'{root.where}: version {root.text("version")}, but this package reads '
                          f'{MAJOR}.x; {remedy}')
    return int(version[2])


def _vision(vision: Fields) -> Vision:
    stride = vision.integer('stride', 1, 64)
    height, width = (vision.integer(side, stride, 8192) for side in ('height', 'width'))
    for side in ('height', 'width'):
        if vision.values[side] % stride:
            vision.refuse(side, f'a multiple of the stride {stride}')
    if height * width > MOST_PIXELS:
        vision.refuse('height', f'small enough for at most {MOST_PIXELS} pixels with this width, '
                      f'not {height * width}')
    return Vision(height, width, stride, _graphs(vision))


def _graphs(vision: Fields) -> tuple[Graph, ...]:
    graphs = tuple(Graph(g.file('file'), g.choice('dtype', DTYPES), g.choice('sampling', SAMPLING))
                   for g in vision.list_of_fields('graphs'))
    if not any(g.dtype == 'fp32' for g in graphs):
        vision.refuse('graphs', 'a list with at least one fp32 graph')
    if len({(g.dtype, g.sampling) for g in graphs}) < len(graphs):
        vision.refuse('graphs', 'a list with one graph for each dtype and sampling')
    return graphs


def _text(text: Fields) -> Text:
    sot, eot, pad = _special_tokens(text)
    return Text(text.file('file'), text.optional_file('embeddings'),
                text.integer('context_length', 3, 4096), text.integer('embed_dim', 1, 65536),
                sot, eot, pad, _scripts(text))


def _special_tokens(text: Fields) -> tuple[int, int, int]:
    sot, eot, pad = (text.integer(key, 0, 2 ** 31 - 1) for key in ('sot', 'eot', 'pad'))
    return sot, eot, pad


def _check_special_tokens(text: Fields, network: NetworkRecord | None) -> None:
    """Check that the end of a text can be found by its token."""
    sot, eot, pad = _special_tokens(text)
    if eot == sot:
        text.refuse('eot', 'another token than sot, because it marks the end of a text')
    kind = None if network is None else network.kind
    if kind == 'street' and pad in (sot, eot):
        text.refuse('pad', f'another token than sot {sot} and eot {eot}: the text network ignores '
                    'padding')
    if kind == 'vl4ad' and eot < max(sot, pad):
        text.refuse('eot', f'above sot {sot} and not below pad {pad}: the text network takes the '
                    'largest token for the end')


def _scripts(text: Fields) -> tuple[str, ...]:
    scripts = text.texts('scripts') if 'scripts' in text.values else ('Latin',)
    if not scripts or not all(re.fullmatch('[A-Z][a-z-]+', script) for script in scripts):
        text.refuse('scripts', "a list of names of scripts, such as 'Latin' and 'Han'")
    return scripts


def _network(root: Fields) -> NetworkRecord | None:
    network = root.optional_fields('network')
    if network is None:
        return None
    kind = network.choice('kind', KINDS) if 'kind' in network.values else 'vl4ad'
    return NetworkRecord(
        network.fields('config').values,
        network.fields('classification').values if kind == 'vl4ad' else {},
        network.choice('weights', root.optional_files('weights')),
        network.choice('store', STORAGE) if 'store' in network.values else 'fp32', kind)


def _licence(root: Fields) -> tuple[str, ...]:
    if 'licence' not in root.values:
        return ()
    if isinstance(root.values['licence'], str):
        licences: tuple[str, ...] = (root.text('licence'),)
    else:
        licences = root.texts('licence')
    if not 0 < len(licences) <= _MOST_SOURCES or not all(
            0 < len(licence) <= _LONGEST_NAME for licence in licences):
        root.refuse('licence', f'a text of 1 to {_LONGEST_NAME} characters, or a list of at most '
                    f'{_MOST_SOURCES} of them')
    return licences


def _training_data(root: Fields) -> tuple[Source, ...]:
    if 'training_data' not in root.values:
        return ()
    sources = root.list_of_fields('training_data')
    if len(sources) > _MOST_SOURCES:
        root.refuse('training_data', f'a list of at most {_MOST_SOURCES} objects')
    return tuple(Source(source.text('name', _LONGEST_NAME), source.text('terms', _LONGEST_TERMS),
                        source.text('url', _LONGEST_TERMS)) for source in sources)


def _capacity(root: Fields, text: Fields) -> Capacity:
    capacity = root.fields('capacity')
    concepts = capacity.integer('concepts', 1, 65536)
    numbers = concepts * text.integer('embed_dim', 1, 65536)
    if numbers > _MOST_EMBEDDINGS:
        capacity.refuse('concepts', f'small enough for at most {_MOST_EMBEDDINGS} numbers with '
                        f'this embed_dim, not {numbers}')
    return Capacity(concepts, capacity.integer('classes', 1, 65536))


def _padding(root: Fields) -> tuple[int, int, int]:
    rgb = root.numbers('padding_rgb')
    if len(rgb) != 3 or not all(v in range(256) for v in rgb):
        root.refuse('padding_rgb', 'three integers 0..255')
    return int(rgb[0]), int(rgb[1]), int(rgb[2])


def _templates(root: Fields) -> tuple[str, ...]:
    templates = root.texts('templates')
    if not templates or any(t.count('{}') != 1 for t in templates):
        root.refuse('templates', "at least one sentence with one '{}' each")
    if len(templates) > _MOST_TEMPLATES or max(map(len, templates)) > _LONGEST_TEMPLATE:
        root.refuse('templates', f'at most {_MOST_TEMPLATES} sentences of at most '
                    f'{_LONGEST_TEMPLATE} characters')
    return templates


def _calibration(table: Fields) -> Calibration:
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
        computed = curve(knots)
    # Slopes beyond the range of float32 give infinite scores. Knots that are equal in float32
    # give other scores than the curve has.
    if not np.isfinite(knots).all() or not np.allclose(computed, score, rtol=0, atol=1e-3):
        table.refuse('u', 'numbers so far apart that the curve can be computed in float32')
    return curve


def _vocabulary(table: Fields) -> Vocabulary:
    try:
        return Vocabulary.from_strings(table.texts('known'), table.texts('anomaly'))
    except VocabularyError as error:
        raise BundleError(f'{table.where}: {error}; {REPAIR}') from None
