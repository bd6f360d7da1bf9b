# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Inference libraries that can run a bundle; one module each, and only it imports the library."""

from __future__ import annotations

import importlib
from typing import Protocol

import numpy as np

from vl4ad_ros.runtime.bundle import Bundle

NAMES = ('onnxruntime',)  # in the order in which 'auto' tries them


class BackendError(RuntimeError):
    """No usable inference library, or one that failed; the message has the cure."""


class Backend(Protocol):
    """A bundle's two networks, loaded and checked against its manifest."""

    name: str

    def run(self, image: np.ndarray, concepts: np.ndarray, concept_class: np.ndarray,
            num_known: np.ndarray, ensemble_weight: np.ndarray,
            ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """
        Return (uncertainty float32, best_known int32, best_anomaly int32) maps.

        Shapes and dtypes are `Bundle.vision_signature`. May be called from one thread at a time.

        :raises BackendError: if the library fails.
        """

    def encode_text(self, tokens: np.ndarray) -> np.ndarray:
        """
        Return float32 [n, D] embeddings, not normalised, of int64 [n, length] tokens.

        May be called while another thread is in `run`.

        :raises BackendError: if the library fails.
        """

    def close(self) -> None:
        """Free the networks; later calls raise `BackendError`."""


def open_backend(bundle: Bundle, name: str = 'auto', threads: int = 2) -> Backend:
    """
    Load a bundle with the library called `name`, or with ``'auto'`` the first that is installed.

    :param threads: cores that one call may use, at least 1.
    :raises BackendError: if the library is unknown or absent; the message lists all and why not.
    :raises BundleError: if a network does not load or does not fit the manifest.
    """
    if threads < 1:
        raise ValueError(f'threads must be at least 1, not {threads}')
    absent = {}
    for candidate in NAMES:
        if name in ('auto', candidate):
            try:
                module = importlib.import_module(f'{__name__}.{candidate}')
            except ImportError as error:
                absent[candidate] = f'{candidate} ({error}; pip install {candidate})'
            else:
                return module.open_backend(bundle, threads)
    raise BackendError(
        f"no backend '{name}'; backends: " + ', '.join(absent.get(n, n) for n in NAMES))
