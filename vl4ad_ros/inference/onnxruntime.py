# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""ONNX Runtime: the smallest installation that runs a bundle, and the text network of GPUs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
import os
from pathlib import Path
import time
from typing import Any

import numpy as np
import onnxruntime

from vl4ad_ros.bundle import Bundle, BundleError
from vl4ad_ros.bundle.bundle import Signature, Tensor
from vl4ad_ros.bundle.errors import REPAIR
from vl4ad_ros.bundle.reference import Maps
from vl4ad_ros.inference.backend import BackendOptions
from vl4ad_ros.inference.errors import BackendError

_DTYPES = {'tensor(float)': 'float32', 'tensor(uint8)': 'uint8', 'tensor(int64)': 'int64',
           'tensor(int32)': 'int32'}
CPU = 'CPUExecutionProvider'
CLOSED = 'the backend is closed; open the detector again'


class OnnxRuntime:
    """Both networks of a bundle on the CPU."""

    name = 'onnxruntime'

    def __init__(self, bundle: Bundle, options: BackendOptions) -> None:
        """Load the networks and check their inputs and outputs against the manifest."""
        self.description = f'onnxruntime {onnxruntime.__version__}, fp32, CPU'
        self.stages: dict[str, float] = {}
        signature = bundle.vision_signature
        self._outputs = signature.output_names
        self._vision = open_session(bundle, bundle.cpu_graph.file, signature, options.threads)
        self._text = TextNetwork(bundle, options.threads)

    def run(self, image: np.ndarray, concepts: np.ndarray, concept_class: np.ndarray,
            num_known: np.ndarray, ensemble_weight: np.ndarray) -> Maps:
        """Score one network-sized image; see `Backend.run`."""
        start = time.perf_counter()
        maps = Maps(*_run(self._vision, self._outputs, {
            'image': image, 'concepts': concepts, 'concept_class': concept_class,
            'num_known': num_known, 'ensemble_weight': ensemble_weight}))
        self.stages = {'network': 1e3 * (time.perf_counter() - start)}
        return maps

    def encode_text(self, tokens: np.ndarray) -> np.ndarray:
        """Embed rows of tokens; see `Backend.encode_text`."""
        return self._text(tokens)

    def device_memory(self) -> None:
        """Return None: nothing is on a GPU."""

    def close(self) -> None:
        """Free both sessions."""
        self._vision = None
        self._text.close()


class TextNetwork:
    """The text network on the CPU; backends of GPUs use it too."""

    def __init__(self, bundle: Bundle, threads: int) -> None:
        """Load the network and check its input and output against the manifest."""
        self._session = open_session(bundle, bundle.text.file, bundle.text_signature, threads)

    def __call__(self, tokens: np.ndarray) -> np.ndarray:
        """Embed rows of tokens; see `Backend.encode_text`."""
        return _run(self._session, ('embedding',), {'tokens': tokens})[0]

    def close(self) -> None:
        """Free the session."""
        self._session = None


open_backend = OnnxRuntime


def unavailable(options: BackendOptions) -> str:
    """Return ``''``: a CPU is always there."""
    return ''


def open_session(bundle: Bundle, file: str, expected: Signature, threads: int,
                 provider: Any = CPU) -> onnxruntime.InferenceSession:
    """
    Load a graph of a bundle and check its inputs and outputs against the manifest.

    :param provider: what ONNX Runtime calls a way to compute, with its options.
    :raises BundleError: if it does not load or does not fit.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    # Waiting threads sleep instead of spinning: the cores are shared with the camera driver.
    options.add_session_config_entry('session.intra_op.allow_spinning', '0')
    options.log_severity_level = 4  # its errors are raised, and reported once, by us
    try:
        with _in_utf8(bundle.directory / file) as path:
            session = onnxruntime.InferenceSession(path, options, providers=[provider])
    except Exception as error:  # the library's own exceptions have no common base
        raise BundleError(
            f'{bundle.directory / file} does not load ({error}); {REPAIR}') from error
    bundle.check(file, expected, Signature(*(
        tuple(Tensor(t.name, _DTYPES.get(t.type, t.type),
                     tuple(n if isinstance(n, int) else -1 for n in t.shape)) for t in side)
        for side in (session.get_inputs(), session.get_outputs()))))
    return session


@contextmanager
def _in_utf8(file: Path) -> Iterator[str]:
    """Yield a path of a file that is UTF-8, as the library wants it, whatever its folders are."""
    if str(file).encode('utf-8', 'ignore') == os.fsencode(file):
        yield str(file)
        return
    folder = os.open(file.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f'/proc/self/fd/{folder}/{file.name}'
    finally:
        os.close(folder)


def _run(session: onnxruntime.InferenceSession | None, outputs: tuple[str, ...],
         inputs: dict[str, np.ndarray]) -> list[np.ndarray]:
    if session is None:
        raise BackendError(CLOSED)
    try:
        return session.run(outputs, inputs)
    except Exception as error:  # the library's own exceptions have no common base
        raise BackendError(f'onnxruntime {onnxruntime.__version__} failed: {error}') from error
