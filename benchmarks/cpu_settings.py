# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Compare settings of the CPU backends, alone and beside busy processes: docs/benchmarks.md.

    python -m benchmarks.cpu_settings [--bundle tiny] [--threads 2] [--busy 0 1 2]

Pinned is OpenVINO's default, spinning ONNX Runtime's; our backends use neither. Each setting runs
in processes of its own, in turns: in one process, two of OpenVINO share its threads.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
import json
import subprocess
import sys
import time

import numpy as np
import onnxruntime
import openvino
from vl4ad_ros.bundle import Bundle
from vl4ad_ros.bundle.reference import TEXT_INPUTS
from vl4ad_ros.inference.detector import Detector
from vl4ad_ros.inference.letterbox import Letterbox
from vl4ad_workshop.scenes.still import draw_still

SETTINGS = ('openvino', 'openvino, pinned', 'onnxruntime', 'onnxruntime, spinning')
FRAMES, WARM_UP = 60, 10
PAUSE_S = 0.02
"""Between two frames, as a camera leaves it: what spins in it costs others time."""


def loaded(setting: str, bundle: Bundle, threads: int, texts: dict) -> Callable:
    """Return a function of a frame."""
    path = str(bundle.directory / bundle.cpu_graph.file)
    if setting.startswith('openvino'):
        request = openvino.Core().compile_model(path, 'CPU', {
            'PERFORMANCE_HINT': 'LATENCY', 'INFERENCE_NUM_THREADS': threads,
            'INFERENCE_PRECISION_HINT': 'f32', 'ENABLE_CPU_PINNING': 'pinned' in setting}
        ).create_infer_request()
        return lambda image: request.infer({'image': image, **texts})
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.add_session_config_entry(
        'session.intra_op.allow_spinning', str(int('spinning' in setting)))
    session = onnxruntime.InferenceSession(path, options, ['CPUExecutionProvider'])
    return lambda image: session.run(None, {'image': image, **texts})


def measure(setting: str, bundle_path: str, threads: int) -> list[tuple[float, float]]:
    """Return ms of each frame and of the CPU time until the next."""
    bundle, detector = Bundle.open(bundle_path), Detector.open(bundle_path, 'onnxruntime')
    prompts = detector.encode(bundle.vocabulary)
    detector.close()
    call = loaded(setting, bundle, threads, {n: getattr(prompts, n) for n in TEXT_INPUTS})
    size = (bundle.vision.height, bundle.vision.width)
    box = Letterbox((360, 640), size, bundle.vision.stride)
    images = [box.to_network(draw_still(np.random.default_rng(s), (360, 640)).image,
                             bundle.padding_rgb) for s in range(4)]
    rows = []
    for i in range(WARM_UP + FRAMES):
        start, used = time.perf_counter(), time.process_time()
        call(images[i % len(images)])
        wall = time.perf_counter() - start
        time.sleep(PAUSE_S)
        rows.append((1e3 * wall, 1e3 * (time.process_time() - used)))
    return rows[WARM_UP:]


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n\n')[0])
    parser.add_argument('--bundle', default='tiny')
    parser.add_argument('--threads', type=int, default=2)
    parser.add_argument('--busy', type=int, nargs='+', default=[0, 1, 2],
                        help='other processes that want a core each')
    parser.add_argument('--rounds', type=int, default=3)
    parser.add_argument('--only', choices=SETTINGS, help='measure one and print JSON')
    args = parser.parse_args()
    if args.only:
        print(json.dumps(measure(args.only, args.bundle, args.threads)))
        return
    rows = {(s, b): [] for s in SETTINGS for b in args.busy}
    for busy in args.busy:
        others = [subprocess.Popen([sys.executable, '-c', 'while True: pass'])
                  for _ in range(busy)]
        try:
            for setting in SETTINGS * args.rounds:
                rows[setting, busy] += json.loads(subprocess.run(
                    [sys.executable, '-m', 'benchmarks.cpu_settings', '--only', setting,
                     '--bundle', args.bundle, '--threads', str(args.threads)],
                    check=True, capture_output=True, text=True).stdout)
        finally:
            for other in others:
                other.kill()
                other.wait()
    print('| | ' + ' | '.join(f'{n} busy' for n in args.busy) + ' | CPU time a frame |')
    print('|---' * (len(args.busy) + 2) + '|')
    for setting in SETTINGS:
        medians = [np.median(rows[setting, b], axis=0) for b in args.busy]
        print(f'| {setting} | ' + ' | '.join(f'{wall:.1f}' for wall, _ in medians)
              + f' | {medians[0][1]:.1f} |')


if __name__ == '__main__':
    main()
