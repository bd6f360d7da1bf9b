# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Models on disk: opening, checking and writing them, and embedding prompts for them."""

from vl4ad_ros.bundle.bundle import Bundle
from vl4ad_ros.bundle.errors import BundleError
from vl4ad_ros.bundle.installed import is_name, names

__all__ = ['Bundle', 'BundleError', 'is_name', 'names']
