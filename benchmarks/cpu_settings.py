# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Compare settings of the CPU backends, alone and beside busy processes: docs/benchmarks.md.

    python -m benchmarks.cpu_settings [--bundle tiny] [--threads 2] [--busy 0 1 2]

Pinned is OpenVINO's default, spinning ONNX Runtime's; our backends use neither.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
import subprocess
import sys
import time

import numpy as np
import onnxruntime
import openvino
from vl4ad_ros.runtime.bundle import Bundle
from vl4ad_ros.runtime.detector import Detector
from vl4ad_ros.runtime.letterbox import Letterbox
from vl4ad_ros.runtime.reference import TEXT_INPUTS
from vl4ad_ros.scenes.still import draw_still

FRAMES = 40
PAUSE_S = 0.02
"""Between two frames, as a camera leaves it: what spins in it costs others time."""


def settings(bundle: Bundle, threads: int, texts: dict) -> dict[str, Callable]:
    """Return a function of a frame for each setting."""
    path = str(bundle.directory / bundle.cpu_graph.file)
    core, calls = openvino.Core(), {}
    for name, pinned in (('openvino', False), ('openvino, pinned', True)):
        request = core.compile_model(path, 'CPU', {
            'PERFORMANCE_HINT': 'LATENCY', 'INFERENCE_NUM_THREADS': threads,
            'INFERENCE_PRECISION_HINT': 'f32', 'ENABLE_CPU_PINNING': pinned}
        ).create_infer_request()
        calls[name] = lambda image, request=request: request.infer({'image': image, **texts})
    for name, spinning in (('onnxruntime', '0'), ('onnxruntime, spinning', '1')):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.add_session_config_entry('session.intra_op.allow_spinning', spinning)
        session = onnxruntime.InferenceSession(path, options, ['CPUExecutionProvider'])
        calls[name] = lambda image, session=session: session.run(None, {'image': image, **texts})
    return calls


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n\n')[0])
    parser.add_argument('--bundle', default='tiny')
    parser.add_argument('--threads', type=int, default=2)
    parser.add_argument('--busy', type=int, nargs='+', default=[0, 1, 2],
                        help='other processes that want a core each')
    args = parser.parse_args()
    bundle = Bundle.open(args.bundle)
    prompts = Detector.open(args.bundle).encode(bundle.vocabulary)
    size = (bundle.vision.height, bundle.vision.width)
    images = [Letterbox((360, 640), size, bundle.vision.stride).to_network(
        draw_still(np.random.default_rng(seed), (360, 640)).image, bundle.padding_rgb)
        for seed in range(4)]
    calls = settings(bundle, args.threads, {n: getattr(prompts, n) for n in TEXT_INPUTS})
    columns = []
    for busy in args.busy:
        others = [subprocess.Popen([sys.executable, '-c', 'while True: pass'])
                  for _ in range(busy)]
        try:
            columns.append(measure(calls, images))
        finally:
            for other in others:
                other.kill()
                other.wait()
    print('| | ' + ' | '.join(f'{n} busy' for n in args.busy) + ' | CPU time a frame |')
    print('|---' * (len(args.busy) + 2) + '|')
    for name in calls:
        print(f'| {name} | ' + ' | '.join(f'{c[name][0]:.1f}' for c in columns)
              + f' | {columns[0][name][1]:.1f} |')


def measure(calls: dict[str, Callable], images: list) -> dict[str, tuple[float, float]]:
    """Return the median ms of a frame and of CPU time, settings in turns."""
    wall, spent = ({name: [] for name in calls} for _ in range(2))
    for i in range(FRAMES):
        for name, call in calls.items():
            start, used = time.perf_counter(), time.process_time()
            call(images[i % len(images)])
            wall[name].append(1e3 * (time.perf_counter() - start))
            time.sleep(PAUSE_S)
            spent[name].append(1e3 * (time.process_time() - used))
    return {name: (np.median(wall[name][5:]), np.median(spent[name][5:])) for name in calls}


if __name__ == '__main__':
    main()
