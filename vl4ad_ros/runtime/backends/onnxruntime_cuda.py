# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""ONNX Runtime on an NVIDIA GPU: 'onnxruntime-cuda', which only an explicit choice gets."""

from __future__ import annotations

from vl4ad_ros.runtime.backends.onnxruntime import cuda_unavailable, OnnxRuntimeCuda

open_backend = OnnxRuntimeCuda
unavailable = cuda_unavailable
