# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Image messages to RGB arrays, by duck typing; no rclpy."""
