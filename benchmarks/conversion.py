# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
How long `vl4ad convert` takes and how much memory: drawn weights of a full architecture.

    python -m benchmarks.conversion [NAME ...] [--input-size HxW]
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
import subprocess
import sys
import tempfile
import time

from benchmarks.parity import drawn_state
import torch

from vl4ad_workshop.network.config import OFFICIAL

# In a process of its own, whose children are this one conversion.
WATCHER = ('import resource, subprocess, sys\n'
           'code = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL).returncode\n'
           'print(code, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024)')


@dataclass(frozen=True)
class Conversion:
    """What one conversion took: seconds, and bytes of the file and of memory at the peak."""

    seconds: float
    checkpoint_bytes: int
    peak_bytes: int


def convert_drawn(name: str, folder: Path, size: str) -> Conversion:
    """
    Write NAME.pth with drawn weights into `folder` and convert it to the bundle `folder`/out.

    :raises RuntimeError: if the conversion fails, with what it said.
    """
    checkpoint = folder / f'{name}.pth'
    torch.save({'model': drawn_state(OFFICIAL[name])}, checkpoint)
    start = time.monotonic()
    done = subprocess.run(
        [sys.executable, '-c', WATCHER, sys.executable, '-m', 'vl4ad_ros.cli', 'convert',
         str(checkpoint), '--out', str(folder / 'out'), '--input-size', size],
        capture_output=True, text=True)
    code, peak = done.stdout.split()
    if code != '0':
        raise RuntimeError(done.stderr)
    return Conversion(time.monotonic() - start, checkpoint.stat().st_size, int(peak))


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n\n')[0])
    parser.add_argument('names', nargs='*', metavar='NAME',
                        default=['rn50', 'convnext_large_d_320'])
    parser.add_argument('--input-size', default='1024x2048')
    args = parser.parse_args()
    print(f'| architecture, {args.input_size} | checkpoint | time | peak memory | of the '
          'checkpoint |\n|---|---|---|---|---|')
    for name in args.names:
        with tempfile.TemporaryDirectory() as folder:
            took = convert_drawn(name, Path(folder), args.input_size)
        print(f'| {name} | {took.checkpoint_bytes / 1e9:.2f} GB | {took.seconds:.0f} s | '
              f'{took.peak_bytes / 1e9:.2f} GB | {took.peak_bytes / took.checkpoint_bytes:.2f} |',
              flush=True)


if __name__ == '__main__':
    main()
