# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Run a bundle's networks: backends, letterbox geometry and the detector."""
