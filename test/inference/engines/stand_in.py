# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
As a program: `vl4ad` or the node with stand-ins of TensorRT, of CUDA and of an Orin.

``python stand_in.py vl4ad|node ...``, in the environment that `environment` returns.
"""

from __future__ import annotations

import os
from pathlib import Path
import sys
import time

from fake_cuda import ORIN
from fake_tensorrt import FOLDER

HERE = Path(__file__).resolve().parent


def environment(folder: Path) -> dict[str, str]:
    """Return the environment of this program, with the folder of the stand-in of TensorRT."""
    paths = [str(HERE), str(HERE / 'in_child'), *filter(None, sys.path)]
    return {**os.environ, FOLDER: str(folder), 'PYTHONPATH': os.pathsep.join(paths)}


def has_ended(pid: int, within_s: float = 10.0) -> bool:
    """Return whether a process has ended, or ends within some time."""
    end = time.monotonic() + within_s
    while time.monotonic() < end:
        try:
            state = Path(f'/proc/{pid}/stat').read_text().rpartition(')')[2].split()[0]
        except (FileNotFoundError, ProcessLookupError):
            return True
        if state == 'Z':  # nobody has asked for its exit code
            return True
        time.sleep(0.02)
    return False


if __name__ == '__main__':
    from vl4ad_ros.inference.tensorrt import cuda
    cuda._devices = lambda: (ORIN,)
    import tensorrt  # noqa: F401, makes the stand-in of CUDA known as well
    if sys.argv.pop(1) == 'node':
        from vl4ad_ros.node.__main__ import main
    else:
        from vl4ad_ros.cli import main
    sys.exit(main())
