# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Quality-of-service profiles, named by their purpose.

These are functions and not constants, because rclpy writes the values of `qos_overrides`
parameters into the profile that it is given. A shared profile would carry the override of one
topic to the next.
"""

from __future__ import annotations

from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rclpy.qos_overriding_options import QoSOverridingOptions


def newest_image() -> QoSProfile:
    """Return the profile that receives the newest image of any camera (REP-2003)."""
    return QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)


def stream() -> QoSProfile:
    """Return the profile that receives all messages of a sensor, as far as the network can."""
    return QoSProfile(depth=50, reliability=ReliabilityPolicy.BEST_EFFORT)


def image_result() -> QoSProfile:
    """Return the profile for images that reliable and best-effort subscribers can receive."""
    return QoSProfile(depth=1, reliability=ReliabilityPolicy.RELIABLE)


def event() -> QoSProfile:
    """Return the profile for events, of which a subscriber that is late can get the last ten."""
    return QoSProfile(depth=10, reliability=ReliabilityPolicy.RELIABLE)


def latched() -> QoSProfile:
    """Return the profile that gives the last message to subscribers that come later."""
    return QoSProfile(depth=1, reliability=ReliabilityPolicy.RELIABLE,
                      durability=DurabilityPolicy.TRANSIENT_LOCAL)


def overridable() -> QoSOverridingOptions:
    """Return options by which `qos_overrides.<topic>.*` parameters can change a profile."""
    return QoSOverridingOptions.with_default_policies()
