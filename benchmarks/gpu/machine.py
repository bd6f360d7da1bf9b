# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What the figures were measured on, and how fast it copies and multiplies."""

from __future__ import annotations

from collections.abc import Callable
import functools
import os
from pathlib import Path
import platform
import statistics
import subprocess

from benchmarks.gpu.device import Device, tf32
from benchmarks.gpu.models import Models
from benchmarks.gpu.report import Figures, Report
import cv2
import numpy as np
import torch

CEILINGS = {'fp32': (torch.float32, False), 'fp32 with TF32': (torch.float32, True),
            'fp16': (torch.float16, False), 'bf16': (torch.bfloat16, False)}
"""Products of large matrices that are timed: the type, and whether TF32 is allowed."""
# Rows of a square matrix, and bytes of a copy, that fill the device and exceed its caches.
_SIDE = {'cuda': 8192, 'cpu': 512}
_BYTES = {'cuda': 2 ** 30, 'cpu': 2 ** 26}


def names(models: Models) -> list[str]:
    """Return the names of all figures."""
    return ['facts', 'copy', *CEILINGS]


def run(report: Report, models: Models, runs: int) -> None:
    """Write facts and ceilings."""
    device = models.device
    report.item('machine', 'facts', 0, lambda: facts(device))
    report.item('machine', 'copy', 5, lambda: copy_rate(device, runs))
    for name, (dtype, allowed) in CEILINGS.items():
        report.item('machine', name, 5,
                    functools.partial(product_rate, device, dtype, allowed, runs))
    device.release()


def facts(device: Device) -> Figures:
    """Return names and versions."""
    cpu = next((line.split(':')[1].strip() for line in Path('/proc/cpuinfo').read_text()
                .splitlines() if line.startswith('model name')), platform.machine())
    found = {'processor': cpu, 'cores': os.cpu_count(), 'threads': torch.get_num_threads(),
             'python': platform.python_version(), 'torch': torch.__version__,
             'numpy': np.__version__, 'opencv': cv2.__version__}
    if device.name == 'cuda':
        gpu = torch.cuda.get_device_properties(device.torch)
        found |= {'gpu': gpu.name, 'capability': f'{gpu.major}.{gpu.minor}',
                  'gpu_memory_gib': gpu.total_memory / 2 ** 30,
                  'multiprocessors': gpu.multi_processor_count, 'cuda': torch.version.cuda,
                  'cudnn': torch.backends.cudnn.version(), 'driver': _driver()}
    return found


def _driver() -> str:
    try:
        return subprocess.run(
            ['nvidia-smi', '--query-gpu=driver_version', '--format=csv,noheader'],
            check=True, capture_output=True, text=True, timeout=20).stdout.split()[0]
    except (OSError, subprocess.SubprocessError, IndexError) as error:
        return f'unknown ({type(error).__name__})'


@torch.inference_mode()
def copy_rate(device: Device, runs: int) -> Figures:
    """Return the rate of a large copy inside the device, bytes read and written together."""
    source = torch.randint(0, 256, (_BYTES[device.name],), dtype=torch.uint8, device=device.torch)
    target = torch.empty_like(source)
    ms = _median(device, lambda: target.copy_(source), runs)
    return {'ms': ms, 'gb_per_s': 2 * source.numel() / ms / 1e6}


@torch.inference_mode()
def product_rate(device: Device, dtype: torch.dtype, allowed: bool, runs: int) -> Figures:
    """Return the rate of a large matrix product of random numbers."""
    side = _SIDE[device.name]
    a, b = (torch.randn(side, side, device=device.torch).to(dtype) for _ in range(2))
    with tf32(allowed):
        ms = _median(device, lambda: a @ b, runs)
    return {'ms': ms, 'tflop_per_s': 2 * side ** 3 / ms / 1e9}


def _median(device: Device, run: Callable[[], object], runs: int) -> float:
    for _ in range(device.warm_up):
        run()
    return statistics.median(device.milliseconds(run) for _ in range(max(runs // 5, 3)))
