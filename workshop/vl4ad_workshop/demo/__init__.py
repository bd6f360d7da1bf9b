# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The drawn drives of the demonstration and what is shown of them."""
