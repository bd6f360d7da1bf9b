# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
From score maps to confirmed obstacles.

This part works on arrays and numbers only. It needs neither ROS nor an inference library.
"""
