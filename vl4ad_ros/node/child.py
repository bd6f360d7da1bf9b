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
    Have the kernel end this process with its parent; elsewhere than on Linux do nothing.

    Done here, after exec, and not between fork and exec, where Python code is not safe in a
    parent that has threads. A parent that ended before is noticed by the process id.

    :param parent: process id of the parent, as it knows it.
    """
    if sys.platform == 'linux':
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:
            sys.exit(1)


if __name__ == '__main__':
    end_with(int(sys.argv.pop(1)))
    sys.exit(main())
