# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Trains the head of the model `street` on local folders of labelled road photographs."""
