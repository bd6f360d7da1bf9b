# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The street model: a frozen image classifier and a small trained head, prompted with text."""
