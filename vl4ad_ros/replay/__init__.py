# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Plays a recording through the real node over DDS, and records what the node publishes."""
