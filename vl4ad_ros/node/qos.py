# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Quality of service by meaning, so that no call site holds a number.

Functions, not constants: `qos_overrides` parameters are written into the profile they are
given, and a shared one would carry one topic's override to the next.
"""

from __future__ import annotations

from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rclpy.qos_overriding_options import QoSOverridingOptions


def newest_image() -> QoSProfile:
    """Take from any camera, reliable or not, and only the newest (REP-2003)."""
    return QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)


def image_result() -> QoSProfile:
    """Serve RViz, bags (reliable) and sensor-data subscribers alike; only the newest counts."""
    return QoSProfile(depth=1, reliability=ReliabilityPolicy.RELIABLE)


def event() -> QoSProfile:
    """Keep a few for a subscriber that is briefly late."""
    return QoSProfile(depth=10, reliability=ReliabilityPolicy.RELIABLE)


def latched() -> QoSProfile:
    """Give late subscribers the last message."""
    return QoSProfile(depth=1, reliability=ReliabilityPolicy.RELIABLE,
                      durability=DurabilityPolicy.TRANSIENT_LOCAL)


def overridable() -> QoSOverridingOptions:
    """Let `qos_overrides.<topic>.<publisher|subscription>.*` parameters change the profile."""
    return QoSOverridingOptions.with_default_policies()
