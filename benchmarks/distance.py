# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Measure how wrong the distances of obstacles are, for the tables in docs/benchmarks.md.

    python -m benchmarks.distance --drives 10 [--video solidWhiteRight.mp4] [--json FILE]

Drawn drives are evaluated with the bundle `tiny` and the parameters of the demo. With `--video`, a
recording is composed with each of `SEEDS_COMPOSED` and evaluated with the bundle `street` and the
default parameters. The first half of the drives and of the composed recordings is that on which
another definition of the foot could have been chosen; the second half is reported by itself.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
import json
from pathlib import Path
import shutil
import tempfile
from typing import Any

import cv2
import numpy as np
from tqdm import tqdm

from vl4ad_ros.composing.composed_bag import write_composed_bag
from vl4ad_ros.composing.objects import read_objects, SHIPPED as SHIPPED_OBJECTS
from vl4ad_ros.composing.planning import ComposeOptions, make_plan
from vl4ad_ros.evaluation.alert_metrics import Alert, FrameResult
from vl4ad_ros.evaluation.bag_reader import CameraBag
from vl4ad_ros.evaluation.distance_error import distance_pairs, DistancePair, RANGES_M
from vl4ad_ros.evaluation.offline import EvaluatedFrame, OfflineRun
from vl4ad_ros.evaluation.true_places import true_distances
from vl4ad_ros.evaluation.video_bag import write_video_bag
from vl4ad_ros.inference.detector import Detector
from vl4ad_ros.obstacles.pipeline import Result
from vl4ad_ros.obstacles.regions import Region
from vl4ad_ros.settings import Settings
from vl4ad_workshop.demo.sample_drive import PARAMETERS
from vl4ad_workshop.scenes.bag import write_drive
from vl4ad_workshop.scenes.drive import Drive

FIRST_SEED = 800
"""Seed of the first drive; nothing was trained, chosen or tuned on it and those after it."""
SEEDS_COMPOSED = (0, 1)
SPEED, HEIGHT_M = 25.0, 1.5
"""Speed in metres per second and height of the camera that the composed recordings are given."""
CUT_OFF = 'cut off by the lower border'
SHIPPED = 'lower edge of the box'


def lower_edge(region: Region, score: np.ndarray, threshold: float) -> float:
    """Return the lower edge of the box, the definition of this package: a row, in pixels."""
    return region.foot[1]


def lowest_pixels(region: Region, score: np.ndarray, threshold: float) -> float:
    """Return the row below which 5 % of the columns of a region reach."""
    x, y, width, height = map(int, region.box)
    inside = (score[y:y + height, x:x + width] > threshold).astype(np.uint8)
    _, labels, stats, _ = cv2.connectedComponentsWithStats(inside)
    inside = labels == 1 + np.argmax(stats[1:, cv2.CC_STAT_AREA])
    reached = height - np.argmax(inside[::-1], axis=0)
    return y + float(np.percentile(reached[inside.any(axis=0)], 95))


def lower_threshold(region: Region, score: np.ndarray, threshold: float) -> float:
    """Return the row at which the score below a region falls below 0.8 of the threshold."""
    x, y, width, height = map(int, region.box)
    below = (score[y + height:, x:x + width] > 0.8 * threshold).any(axis=1)
    return y + height + float(np.argmin(np.append(below, False)))


FEET: Mapping[str, Callable[[Region, np.ndarray, float], float]] = {
    SHIPPED: lower_edge, '95th percentile of the lowest pixels': lowest_pixels,
    'where the score falls below 0.8 of the threshold': lower_threshold}


def measure(path: Path, detector: Detector, settings: Settings) -> dict[str, list[DistancePair]]:
    """
    Evaluate a recording.

    :param path: the recording.
    :param detector: the model.
    :param settings: the parameters of the node.
    :returns: published and true distances by `CUT_OFF` and, of obstacles that the lower border
        does not cut off, by the definition of the foot.
    """
    bag = CameraBag(path)
    results: dict[str, list[FrameResult]] = defaultdict(list)

    def add(done: EvaluatedFrame) -> None:
        result = FrameResult.of(done.frame.index, done.result)
        for name, one in with_feet(result, done.result, done.prediction.score,
                                   settings.threshold).items():
            results[name].append(one)

    OfflineRun(bag, detector, settings).run(add)
    truth = bag.truth()
    if truth is None:
        raise ValueError(f"'{path}' has no ground truth")
    true = true_distances(bag, settings.ground_frame_id)
    return {name: distance_pairs(results[name], truth, true) for name in (*FEET, CUT_OFF)}


def with_feet(result: FrameResult, found: Result, score: np.ndarray, threshold: float
              ) -> dict[str, FrameResult]:
    """
    Return the alerts of a frame with places by each definition of the foot.

    :param result: the alerts.
    :param found: the same, as the pipeline returned it.
    :param score: (H, W) float32, the score of each pixel.
    :param threshold: of the score.
    :returns: the same alerts under `CUT_OFF` and each name of `FEET`; those that do not belong
        there have no place. One that the frame does not show has its expected place everywhere.
    """
    shown = {one.region for one in found.detections}
    alerts: dict[str, list[Alert]] = defaultdict(list)
    for alert, one in zip(result.alerts or (), found.alerts or ()):
        cut_off = alert.place is not None and 'bottom' in alert.place.cut_off
        alerts[CUT_OFF].append(alert if cut_off else replace(alert, place=None))
        x, _, width, _ = alert.box
        for name, row_of in FEET.items():
            place = None if cut_off else alert.place
            if place is not None and one.region in shown and found.view is not None:
                foot = x + width / 2, row_of(one.region, score, threshold)
                (ahead, left), = found.view.points(np.array([foot]) - 0.5)
                place = replace(place, x_m=float(ahead), y_m=float(left)
                                ) if np.isfinite(ahead) else None
            alerts[name].append(replace(alert, place=place))
    return {name: replace(result, alerts=None if result.alerts is None else tuple(alerts[name]))
            for name in (*FEET, CUT_OFF)}


def drives(count: int, folder: Path) -> Iterator[Path]:
    """Draw drives into bags, one after another; each is removed after it was used."""
    for seed in tqdm(range(FIRST_SEED, FIRST_SEED + count), 'drives'):
        path = write_drive(Drive(seed), folder / f'drive_{seed}')
        yield path
        shutil.rmtree(path)


def composed(video: Path, folder: Path) -> Iterator[Path]:
    """Compose a video with objects, once for each seed."""
    write_video_bag(video, folder / 'source', compressed=True)
    source = CameraBag(folder / 'source')
    for seed in tqdm(SEEDS_COMPOSED, 'composed recordings'):
        plan = make_plan(source, read_objects(SHIPPED_OBJECTS),
                         ComposeOptions(seed=seed, speed=SPEED, camera_height_m=HEIGHT_M))
        write_composed_bag(plan, folder / f'composed_{seed}')
        yield folder / f'composed_{seed}'


def summary(pairs: list[DistancePair]) -> list[str]:
    """Return a row of the table for each range of distance, as Markdown."""
    rows = []
    for low, high in zip(RANGES_M, RANGES_M[1:]):
        shares = np.array([p.error_m / p.true_m for p in pairs if low < p.true_m <= high])
        if shares.size:
            rows.append(f'{low}-{high} m | {shares.size} | {np.median(abs(shares)):.1%} | '
                        f'{np.percentile(abs(shares), 95):.1%} | {np.median(shares):+.1%} | '
                        f'{(abs(shares) < 0.1).mean():.0%} |')
    return rows


def show(title: str, found: list[dict[str, list[DistancePair]]]) -> None:
    """Print the table of some recordings."""
    print(f'\n{title}: {len(found)} recordings\n\n| foot | true distance | obstacles '
          '| error, median | p95 | median with sign | within 10 % |\n'
          '|---|---|---|---|---|---|---|')
    for name in (*FEET, CUT_OFF):
        for row in summary([pair for one in found for pair in one[name]]):
            print(f'| {name} | {row}')


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[1])
    parser.add_argument('--drives', type=int, default=10, metavar='N')
    parser.add_argument('--video', type=Path, metavar='FILE')
    parser.add_argument('--json', type=Path, metavar='FILE', help='also write all pairs')
    options = parser.parse_args()
    stored: dict[str, Any] = {}
    jobs = [('tiny', PARAMETERS, lambda folder: drives(options.drives, folder))]
    if options.video:
        jobs.append(('street', {}, lambda folder: composed(options.video, folder)))
    for bundle, parameters, recordings in jobs:
        settings = Settings().changed({'model.bundle': bundle, **parameters})
        detector = Detector.open(bundle, settings.model_backend, settings.backend_options)
        with tempfile.TemporaryDirectory() as folder:
            found = [measure(path, detector, settings) for path in recordings(Path(folder))]
        detector.close()
        half = len(found) // 2
        show(f'{bundle}, first half', found[:half])
        show(f'{bundle}, second half', found[half:])
        show(f'{bundle}, all', found)
        stored[bundle] = [{name: [(p.published_m, p.true_m) for p in pairs]
                           for name, pairs in one.items()} for one in found]
    if options.json:
        options.json.write_text(json.dumps(stored))


if __name__ == '__main__':
    main()
