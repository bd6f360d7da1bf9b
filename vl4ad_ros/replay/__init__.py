# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The counterpart of the node: plays a recording over DDS and records what comes back."""
