# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""One script or folder for each claim that the documentation makes in numbers."""
