# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Figures from one command on a machine with a GPU: python -m benchmarks.gpu --out DIR."""
