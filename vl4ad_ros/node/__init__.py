# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The ROS 2 node. Only this folder and `replay` import rclpy and message packages."""
