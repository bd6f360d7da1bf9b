# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The TensorRT backend: builds engines, compares them with the reference, stores and runs them."""
