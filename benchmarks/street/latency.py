# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Time from a JPEG of a camera to the pipeline's result, on each CPU library."""

from __future__ import annotations

from time import perf_counter
from types import SimpleNamespace

import cv2
import numpy as np

from vl4ad_ros.images import compressed_to_rgb
from vl4ad_ros.inference.backend import BackendOptions
from vl4ad_ros.inference.detector import Detector
from vl4ad_ros.inference.errors import BackendError
from vl4ad_ros.obstacles.pipeline import Pipeline
from vl4ad_ros.settings import Settings

LIBRARIES = ('openvino', 'onnxruntime')
SIZE = (360, 640)  # rows and columns of the camera
THREADS = 2
_WARM_UP, _RUNS = 5, 60


def measure(bundle: str, rgb: np.ndarray | None = None) -> dict[str, float | None]:
    """
    Return the median and the 90th percentile in ms for each library, None if it is missing.

    :param bundle: name or directory.
    :param rgb: a frame, uint8 (H, W, 3); None for a grey ramp.
    """
    if rgb is None:
        rgb = np.broadcast_to(np.linspace(0, 255, SIZE[1]).astype(np.uint8)[None, :, None],
                              (*SIZE, 3))
    frame = cv2.resize(np.ascontiguousarray(rgb), SIZE[::-1], interpolation=cv2.INTER_AREA)
    _, encoded = cv2.imencode('.jpg', frame[..., ::-1])
    message = SimpleNamespace(format='jpeg', data=encoded.tobytes())
    figures: dict[str, float | None] = {}
    for library in LIBRARIES:
        try:
            detector = Detector.open(bundle, library, BackendOptions(threads=THREADS))
        except BackendError as error:
            print(f'No latency on {library}: {error}')
            figures[f'{library}, median'] = figures[f'{library}, p90'] = None
            continue
        prompts = detector.encode(detector.default_vocabulary)
        pipeline, limits, times = Pipeline(), Settings().limits, []
        for run in range(_WARM_UP + _RUNS):
            start = perf_counter()
            prediction = detector.detect(compressed_to_rgb(message), prompts)
            pipeline.process(prediction, 1 + 40_000_000 * run, 1 + 40_000_000 * run, limits)
            times.append(1e3 * (perf_counter() - start))
        detector.close()
        figures[f'{library}, median'] = float(np.median(times[_WARM_UP:]))
        figures[f'{library}, p90'] = float(np.quantile(times[_WARM_UP:], 0.9))
    return figures
