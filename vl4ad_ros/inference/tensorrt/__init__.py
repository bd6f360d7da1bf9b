# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Engines of TensorRT and TensorRT-RTX: built, compared with the reference, stored, run."""
