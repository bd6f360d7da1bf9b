# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""From an RGB image to a map of scores: backends, letterbox and detector."""
