# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""How well a replay went: pixel metrics, alert events, bags in, report out."""
