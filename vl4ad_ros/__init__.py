# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Road-anomaly perception for ROS 2: score every pixel by how badly it fits text prompts."""

__version__ = '0.2.0'
