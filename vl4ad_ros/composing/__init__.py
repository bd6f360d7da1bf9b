# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Puts cut-out objects into pictures of roads, with exact masks of what was put there."""
