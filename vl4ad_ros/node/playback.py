# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What a person sees of a replay: progress, one line per alert, a table, and files."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import numpy as np
from tqdm import tqdm

from vl4ad_ros.evaluation.live import LiveLines
from vl4ad_ros.evaluation.replay import table
from vl4ad_ros.evaluation.report import METRICS, write_report
from vl4ad_ros.evaluation.result_bag import write_result_bag
from vl4ad_ros.evaluation.spool import Spool
from vl4ad_ros.node import session
from vl4ad_ros.runtime.detector import Detector


def show(bag_path: Path, out: Path, title: str, topic: str | None = None,
         options: session.SessionOptions = session.SessionOptions()) -> dict:
    """
    Replay a bag through the node, tell what happens, and write the report into `out`.

    :returns: the content of `metrics.json`.
    :raises BagError: if the bag cannot be used.
    :raises SessionError: if the node fails.
    """
    bag = session.open_bag(bag_path, topic)
    out.mkdir(parents=True, exist_ok=True)
    (out / METRICS).unlink(missing_ok=True)  # A failed run must not leave the last one's figures.
    truth = bag.truth()
    print(f'playing {bag.topic} of {bag_path}: {len(bag.times_ns)} frames, '
          f'{bag.duration_s:.1f} s', flush=True)
    spool = Spool(out)
    try:
        with tqdm(total=len(bag.times_ns), unit='frame', disable=None, leave=False) as bar:
            lines = LiveLines(bag.times_ns, truth, lambda text: tqdm.write(text))
            replayed = session.replay(
                bag, truth, spool, out / 'node.log', options, lines.add,
                lambda published: bar.update(published - bar.n))
        metrics = replayed.metrics()
        print(f'{table(metrics)}\nwriting the report', flush=True)
        with closing(_Scorer(options.bundle)) as score:
            files = write_report(replayed, out, title, score)
        files['result bag'] = write_result_bag(replayed, out / 'result_bag')
    finally:
        spool.close()
    for what, path in files.items():
        print(f'  {what:<14}{path}')
    return metrics


class _Scorer:
    """Scores single frames as the node did, for pictures of frames whose score was not sent."""

    def __init__(self, bundle: str) -> None:
        self._bundle = bundle
        self._detector: Detector | None = None

    def __call__(self, image: np.ndarray) -> np.ndarray:
        """Return the score (H, W) of an RGB image."""
        if self._detector is None:
            self._detector = Detector.open(self._bundle)
        detector = self._detector
        return detector.detect(image, detector.encode(detector.default_vocabulary)).score

    def close(self) -> None:
        """Free the model, if it was needed."""
        if self._detector is not None:
            self._detector.close()
