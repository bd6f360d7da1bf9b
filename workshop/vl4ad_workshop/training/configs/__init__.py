# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Configurations that `vl4ad train --config NAME` knows; copy one with --show."""
