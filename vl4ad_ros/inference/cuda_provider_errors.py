# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Translate messages of ONNX Runtime's CUDA provider into the errors of backends."""

from __future__ import annotations

import re

from vl4ad_ros.inference.errors import BackendError, DeviceMemoryError, FatalBackendError

# The numbers in driver_types.h of the names in `cuda.STICKY`: ONNX Runtime reports the number of
# an error, not its name.
STICKY_NUMBERS = frozenset((4, 214, 220, 226, 700, 702, 709, 710, 714, 715, 716, 717, 718, 719,
                            721, 810, 911))
"""Numbers of CUDA errors after which a process cannot use its GPU any more."""


def cuda_error(message: str, version: str, device: int, free: int | None) -> BackendError:
    """
    Return the error that a message of the CUDA provider stands for.

    :param message: text of the exception that ONNX Runtime raised.
    :param version: version of ONNX Runtime.
    :param device: index of the GPU.
    :param free: bytes of free GPU memory; None if unknown.
    :returns: `DeviceMemoryError` if the GPU has too little memory, `FatalBackendError` if the
        process has lost the GPU, else `BackendError`.
    """
    text = f'onnxruntime {version} failed on GPU {device}: {" ".join(message.split())}'
    number = re.search(r'CUDA failure (\d+)', text)
    needed = re.search(r'requested buffer of size (\d+)', text)
    if needed or 'out of memory' in text.lower() or (number and number[1] == '2'):
        return DeviceMemoryError(
            f'GPU {device} has too little memory: needed '
            f'{_mebibytes(int(needed[1]) if needed else None)}, free {_mebibytes(free)}; end '
            f'other programs on the GPU, or export the bundle with a smaller --input-size ({text})'
        )
    if number and int(number[1]) in STICKY_NUMBERS:
        return FatalBackendError(f'{text}; this process cannot use the GPU any more, start it '
                                 'again')
    return BackendError(text)


def _mebibytes(size: int | None) -> str:
    return 'unknown' if size is None else f'{size >> 20} MiB'
