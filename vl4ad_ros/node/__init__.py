# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The ROS 2 side: the only folder that imports rclpy or a message package."""
