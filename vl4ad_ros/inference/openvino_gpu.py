# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""OpenVINO on an Intel GPU: the backend 'openvino-gpu', which only an explicit choice gets."""

from __future__ import annotations

from vl4ad_ros.bundle import Bundle
from vl4ad_ros.inference.backend import BackendOptions
from vl4ad_ros.inference.openvino import gpu_unavailable, OpenVino

unavailable = gpu_unavailable


class OpenVinoGpu(OpenVino):
    """`OpenVino` on GPU number `BackendOptions.device`."""

    name = 'openvino-gpu'


def open_backend(bundle: Bundle, options: BackendOptions) -> OpenVinoGpu:
    """Load a bundle on the GPU; see `backends.open_backend`."""
    return OpenVinoGpu(bundle, options, f'GPU.{options.device}')
