# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""An exported model on disk, and the checks that its files are what its manifest says."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vl4ad_ros.bundle.contents import check_contents, ContentError
from vl4ad_ros.bundle.errors import BundleError, REPAIR
from vl4ad_ros.bundle.installed import folder_of
from vl4ad_ros.bundle.manifest import (
    DTYPES, Graph, Manifest, MINOR, read_manifest, SAMPLING, sha256_of)
from vl4ad_ros.bundle.npz import read_arrays
from vl4ad_ros.files import open_regular, stands_for_another, START_BYTES


@dataclass(frozen=True)
class Tensor:
    """
    One input or output of a network.

    :ivar name: as in the graph.
    :ivar dtype: as NumPy calls it, such as ``'float32'``.
    :ivar shape: -1 stands for a size that is chosen at run time.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]

    def __str__(self) -> str:
        """Return a text such as ``image uint8 [192, 320, 3]``."""
        return f'{self.name} {self.dtype} {list(self.shape)}'


@dataclass(frozen=True)
class Signature:
    """
    The inputs and outputs of a network, in any order.

    :ivar inputs: what the network takes.
    :ivar outputs: what the network returns.
    """

    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]

    def __str__(self) -> str:
        """Return one line; equal signatures give equal lines, whatever their order."""
        return ' -> '.join('; '.join(map(str, sorted(side, key=str)))
                           for side in (self.inputs, self.outputs))

    @property
    def output_names(self) -> tuple[str, ...]:
        """Names of the outputs."""
        return tuple(tensor.name for tensor in self.outputs)


@dataclass(frozen=True)
class Bundle(Manifest):
    """
    A bundle whose files are present and unaltered, and whose contents have been checked.

    `open` is the way to make one. The fields are those of `Manifest`.

    >>> from vl4ad_ros import Bundle
    >>> bundle = Bundle.open('street')
    >>> bundle.vision.height, bundle.vision.width, bundle.map_size
    (352, 640, (88, 160))
    >>> [c.name for c in bundle.vocabulary.known[:3]]
    ['flat', 'construction', 'object']
    >>> print(bundle.text_signature)
    tokens int64 [-1, -1] -> embedding float32 [-1, 128]
    """

    @staticmethod
    def open(bundle: str | Path) -> Bundle:
        """
        Read the manifest of a bundle and check every file against it.

        :param bundle: name of an installed bundle, such as ``'street'``, or the path of a folder;
            `vl4ad_ros.bundle.installed` has the rule that tells them apart.
        :raises BundleError: if there is no such bundle, or a file is missing, altered or has
            contents that cannot be right, or a value of the manifest is out of range.
        """
        manifest = read_manifest(folder_of(bundle))
        directory = manifest.directory
        for name, expected in manifest.files.items():
            found = sha256_of(directory / name)
            if found != expected:
                with open_regular(directory / name) as stream:
                    other = stands_for_another(stream.read(START_BYTES))
                if other:
                    raise BundleError(f'{directory / name} {other}; or {REPAIR}')
                raise BundleError(f'{directory / name} is altered (sha256 {found[:12]}, expected '
                                  f'{expected[:12]}); {REPAIR}')
        try:
            check_contents(manifest)
        except (OSError, ContentError) as error:
            raise BundleError(f'{error}; {REPAIR}') from error
        return Bundle(**vars(manifest))

    @property
    def cpu_graph(self) -> Graph:
        """The float32 image network, in the form that is fastest on a CPU if there are several."""
        return self.graphs_for('fp32')[-1]

    def graphs_for(self, precision: str) -> tuple[Graph, ...]:
        """
        Return the image network's graphs of one precision, in the order of `SAMPLING`.

        :param precision: one of `DTYPES`, or ``'auto'`` for the first of them that the bundle has.
        :raises BundleError: if the bundle has none; the message has the command that adds it.
        """
        graphs = self.vision.graphs
        if precision == 'auto':
            precision = min((g.dtype for g in graphs), key=DTYPES.index)
        found = [g for g in graphs if g.dtype == precision]
        if not found:
            raise BundleError(f'{self.directory} holds no {precision} image network, only '
                              f'{", ".join(sorted({g.dtype for g in graphs}))}; run: vl4ad export '
                              f'{self.directory} --dtype {precision}')
        return tuple(sorted(found, key=lambda g: SAMPLING.index(g.sampling)))

    @property
    def map_size(self) -> tuple[int, int]:
        """Rows and columns of the image network's output maps."""
        return self.vision.height // self.vision.stride, self.vision.width // self.vision.stride

    @property
    def vision_signature(self) -> Signature:
        """Inputs and outputs that the image network must have; docs/bundle.md explains them."""
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
        """Inputs and outputs that the text network must have."""
        return Signature((Tensor('tokens', 'int64', (-1, -1)),),
                         (Tensor('embedding', 'float32', (-1, self.text.embed_dim)),))

    def stored_embeddings(self) -> dict[str, np.ndarray]:
        """
        Return the embeddings of the concepts that the bundle has embedded already.

        :return: float32 [D] of length 1 for each concept; empty if the bundle stores none.
        :raises BundleError: if the file is not what docs/bundle.md says.
        """
        if self.text.embeddings is None:
            return {}
        file = self.directory / self.text.embeddings
        try:
            concepts, embeddings = read_arrays(file, ('concepts', 'embeddings')).values()
        except (OSError, ValueError) as error:
            raise BundleError(f'{file} cannot be read ({error}); {REPAIR}') from error
        if (concepts.dtype.kind != 'U' or concepts.ndim != 1 or embeddings.dtype != np.float32
                or embeddings.shape != (len(concepts), self.text.embed_dim)
                or not np.allclose(np.linalg.norm(embeddings, axis=1), 1, atol=1e-4)):
            raise BundleError(
                f'{file}: expected float32 rows of length 1 and {self.text.embed_dim} columns for '
                f'{concepts.size} concepts, found {embeddings.dtype} {list(embeddings.shape)}; '
                f'{REPAIR}')
        return dict(zip(concepts.tolist(), embeddings))

    def check(self, file: str, expected: Signature, found: Signature) -> None:
        """
        Check the inputs and outputs of a loaded network.

        Outputs that a newer minor version has added are ignored.

        :param file: name of the network's file, for the error message.
        :param expected: `vision_signature` or `text_signature`.
        :param found: what the inference library says of the network.
        :raises BundleError: if they differ; the message has both.
        """
        if self.minor > MINOR:
            names = expected.output_names
            found = Signature(found.inputs, tuple(t for t in found.outputs if t.name in names))
        if str(expected) != str(found):
            raise BundleError(
                f'{self.directory / file} does not fit its manifest:\n  expected {expected}\n'
                f'  found    {found}\n{REPAIR}')
