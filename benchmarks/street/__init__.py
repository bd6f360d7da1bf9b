# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Measure the model `street` on local data: the tables of its model card."""
