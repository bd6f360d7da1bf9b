# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The memory of the node's process, over many images and from one image to the next."""

from __future__ import annotations

import os
from pathlib import Path
import platform
import subprocess
import sys

from domains import own_domain
import pytest

ROOT = Path(__file__).resolve().parents[2]
STREAM = """
import resource, sys
if sys.argv[1] == 'tuned':
    from vl4ad_ros.node.process import tune
    tune()
def images():
    blocks = [b'x' * 24_000_000 for _ in range(3)]
images()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(10):
    images()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def run(*words: str) -> str:
    """Run Python with arguments in a domain of its own; return what it prints."""
    done = subprocess.run(
        [sys.executable, *words], cwd=ROOT, text=True, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={**os.environ, 'ROS_DOMAIN_ID': own_domain(), 'PYTHONPATH': str(ROOT)})
    assert done.returncode == 0, done.stdout
    return done.stdout


@pytest.mark.skipif(platform.libc_ver()[0] != 'glibc', reason='needs the GNU C library')
def test_memory_of_an_image_is_kept_for_the_next():
    faults = {how: int(run('-c', STREAM, how)) for how in ('plain', 'tuned')}
    assert faults['tuned'] < 1000 < faults['plain']


def test_memory_does_not_grow_over_2000_images():
    """A leak of one mask in 10 images would be more than the limit."""
    printed = run('-m', 'benchmarks.node', '--memory', '--frames', '2000', '--size', '180x320',
                  '--most-growth', '4')
    assert 'growth from the second tenth' in printed
