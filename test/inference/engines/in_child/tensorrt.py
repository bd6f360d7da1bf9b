# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What `import tensorrt` gives in a build process: the stand-in, over a stand-in of CUDA."""

import itertools
import os
import sys
from types import SimpleNamespace

from fake_cuda import FakeCuda
from fake_tensorrt import fake_tensorrt, FOLDER
from vl4ad_ros.inference.tensorrt import compile as compiling

cuda = FakeCuda().install(SimpleNamespace(setitem=dict.__setitem__))
sys.modules[__name__] = module = fake_tensorrt(cuda, folder=os.environ[FOLDER])
if module.faults.clock:
    clock = itertools.count(0, 4)
    compiling.time = SimpleNamespace(monotonic=lambda: next(clock))
