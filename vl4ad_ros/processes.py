# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Child processes that never outlive their parent."""

from __future__ import annotations

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1
"""From <linux/prctl.h>: the signal that a process gets when its parent ends."""


def end_with(parent: int) -> None:
    """
    Have the kernel kill the calling process when its parent ends; does nothing except on Linux.

    A child calls this first, after exec. Between fork and exec it would not be safe, because the
    parent may have other threads. If the parent has ended already, this process exits with code 1.

    The kernel watches the thread that started the child. That thread must therefore stay alive for
    as long as the child is needed.

    :param parent: process id of the parent, which the parent itself has passed on.
    """
    if sys.platform == 'linux':
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:
            sys.exit(1)
