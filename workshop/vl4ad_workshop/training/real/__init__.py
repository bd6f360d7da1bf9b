# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Training on data sets from local folders, by FC-CLIP's recipe."""
