# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""From score maps to confirmed obstacles; arrays only, no ROS and no network."""
