# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The Fast DDS profile without which large images are lost."""

from __future__ import annotations

import os
from pathlib import Path

VARIABLES = ('FASTRTPS_DEFAULT_PROFILES_FILE', 'FASTDDS_DEFAULT_PROFILES_FILE')
"""Read by Fast DDS up to Jazzy, and from Kilted on."""


def profile_path() -> Path:
    """Return the XML profile with a shared memory segment that holds several large images."""
    return Path(__file__).with_name('fastdds.xml')


def use_profile() -> None:
    """
    Let Fast DDS read the profile in this process, unless the user chose one.

    Call it before `rclpy.init`. The publisher of a large image needs it most: the default
    segment of 512 kB loses best-effort images from about 640x360 up, without a word.
    """
    if not any(os.environ.get(name) for name in VARIABLES):
        for name in VARIABLES:
            os.environ[name] = str(profile_path())
