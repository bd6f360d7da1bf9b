# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""VL4AD in PyTorch: frozen CLIP, pixel decoder, mask decoder, text classification, scores."""
