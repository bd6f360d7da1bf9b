# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Training on drawn pictures: pictures, tokenizer, CLIP stage, decoder stage, calibration."""
