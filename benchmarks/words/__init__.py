# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Measure the effect of a bundle's prompts: the tables of docs/tiny_model.md."""
