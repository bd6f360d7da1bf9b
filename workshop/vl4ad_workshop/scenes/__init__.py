# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Drawn roads: pictures to train on, drives to replay, with the truth of every pixel."""
