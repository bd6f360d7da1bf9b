# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Run an exported VL4AD bundle on images; numpy, OpenCV and one inference library, no torch."""
