# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The workshop: makes model bundles; never installed on a vehicle."""
