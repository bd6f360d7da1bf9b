# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Training from nothing: pictures, tokenizer, CLIP stage, decoder stage, calibration."""
