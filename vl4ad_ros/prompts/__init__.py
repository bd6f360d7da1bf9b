# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Text prompts: classes, the lists that ship, and which words mean the same."""
