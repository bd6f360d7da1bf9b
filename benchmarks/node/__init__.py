# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What the node costs around the model, over DDS, beside a subscriber that only copies."""
