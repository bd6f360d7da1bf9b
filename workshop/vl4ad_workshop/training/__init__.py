# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""`vl4ad train`: `drawn` makes the tiny model from nothing, `real` trains on real data sets."""
