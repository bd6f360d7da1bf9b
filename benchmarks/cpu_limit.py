# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Compare the network on the CPU with what its arithmetic needs at least: docs/benchmarks.md.

    python -m benchmarks.cpu_limit [--bundle tiny] [--backend openvino] [--threads 1 2]

The limit is the graph's multiplications (Conv, MatMul, Gemm) at the speed of the faster of two
libraries' large float32 matrix product on the same cores, measured in turns with the network.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
import math
import os
from pathlib import Path
import subprocess
import sys
import time

import numpy as np

SIZE = 2048
ROUNDS = 30
PAUSE_S = 0.05


def multiplications(path: Path) -> int:
    """Return the multiply-adds of one run of an ONNX file with static shapes."""
    import onnx
    model = onnx.load(str(path), load_external_data=False)
    graph = onnx.shape_inference.infer_shapes(model, strict_mode=True, data_prop=True).graph
    shapes = {v.name: [d.dim_value for d in v.type.tensor_type.shape.dim]
              for v in (*graph.input, *graph.value_info, *graph.output)}
    shapes.update({i.name: list(i.dims) for i in graph.initializer})
    total = 0
    for node in graph.node:
        if node.op_type in ('Conv', 'MatMul', 'Gemm'):
            out, weight = shapes[node.output[0]], shapes[node.input[1]]
            if node.op_type == 'Conv':
                depth = math.prod(weight[1:])
            elif node.op_type == 'MatMul':
                depth = weight[-2]
            else:
                depth = weight[1 if any(a.name == 'transB' and a.i for a in node.attribute) else 0]
            total += math.prod(out) * depth
    return total


def milliseconds(call: Callable[[], object]) -> float:
    """Return the time of one call, when waiting threads of the last one have gone to sleep."""
    time.sleep(PAUSE_S)
    start = time.perf_counter()
    call()
    return 1e3 * (time.perf_counter() - start)


def measure(args: argparse.Namespace, threads: int) -> None:
    """Print one row of the table; in a process of its own, for NumPy's number of threads."""
    import torch
    from vl4ad_ros.inference.backend import BackendOptions
    from vl4ad_ros.inference.detector import Detector
    from vl4ad_ros.inference.letterbox import Letterbox
    from vl4ad_workshop.scenes.still import draw_still
    torch.set_num_threads(threads)
    detector = Detector.open(args.bundle, args.backend, BackendOptions(threads))
    bundle = detector.bundle
    prompts = detector.encode(bundle.vocabulary)
    size = (bundle.vision.height, bundle.vision.width)
    picture = draw_still(np.random.default_rng(0), (360, 640)).image
    inputs = (Letterbox((360, 640), size, bundle.vision.stride).to_network(
        picture, bundle.padding_rgb), prompts.concepts, prompts.concept_class, prompts.num_known,
        prompts.ensemble_weight)
    matrix = np.random.default_rng(0).random((SIZE, SIZE), np.float32)
    tensor = torch.from_numpy(matrix)
    calls = (lambda: detector.backend.run(*inputs), lambda: matrix @ matrix,
             lambda: tensor @ tensor)
    for call in calls:
        for _ in range(5):
            call()
    rows = [[milliseconds(call) for call in calls] for _ in range(ROUNDS)]
    network, *products = np.median(rows, axis=0)
    macs = multiplications(bundle.directory / bundle.cpu_graph.file)
    peak = 2 * SIZE ** 3 / min(products) / 1e6
    limit = 2 * macs / peak / 1e6
    print(f'| {threads} | {macs / 1e9:.2f} | {peak:.0f} | {limit:.1f} | {network:.1f} '
          f'| {limit / network:.0%} |', flush=True)


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n\n')[0])
    parser.add_argument('--bundle', default='tiny')
    parser.add_argument('--backend', default='openvino')
    parser.add_argument('--threads', type=int, nargs='+', default=[1, 2])
    parser.add_argument('--row', type=int, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.row:
        measure(args, args.row)
        return
    print('| threads | GMAC a frame | matrix product, GFLOP/s | limit, ms | network, ms '
          '| of the limit |\n' + '|---' * 6 + '|', flush=True)
    for threads in args.threads:
        subprocess.run(
            [sys.executable, '-m', 'benchmarks.cpu_limit', '--bundle', args.bundle, '--backend',
             args.backend, '--row', str(threads)], check=True,
            env={**os.environ, 'OPENBLAS_NUM_THREADS': str(threads),
                 'OMP_NUM_THREADS': str(threads)})


if __name__ == '__main__':
    main()
