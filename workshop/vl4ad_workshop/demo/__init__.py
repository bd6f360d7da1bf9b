# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The verb `vl4ad demo`: two drawn scenes, their replay through the node, and the report."""
