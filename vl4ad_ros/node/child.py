# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The node as a child that never outlives its parent: `python -m vl4ad_ros.node.child PID ...`."""

from __future__ import annotations

import sys

from vl4ad_ros.node.__main__ import main
from vl4ad_ros.processes import end_with

if __name__ == '__main__':
    end_with(int(sys.argv.pop(1)))
    sys.exit(main())
