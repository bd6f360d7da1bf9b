# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The files of recordings: which files belong to one, and the messages that each of them holds."""
