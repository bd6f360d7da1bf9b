# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The node as a child that never outlives its parent: `python -m vl4ad_ros.node.child PID ...`."""

from __future__ import annotations

import ctypes
import os
import signal
import sys

from vl4ad_ros.node.__main__ import main

_PR_SET_PDEATHSIG = 1
"""From <linux/prctl.h>: the signal that a process gets when its parent ends."""


def end_with(parent: int) -> None:
    """
    Let the kernel end this process together with its parent; on Linux only.

    This process asks for it itself, after exec, because Python code between fork and exec is not
    safe if the parent has threads. If the parent has ended already, this process ends at once.

    :param parent: process id that the parent has in its own view.
    """
    if sys.platform == 'linux':
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:
            sys.exit(1)


if __name__ == '__main__':
    end_with(int(sys.argv.pop(1)))
    sys.exit(main())
