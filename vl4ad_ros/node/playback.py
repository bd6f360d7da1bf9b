# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What a person sees of a replay: progress, one line per alert, a table, and files."""

from __future__ import annotations

from pathlib import Path

from tqdm import tqdm

from vl4ad_ros.evaluation.live import LiveLines
from vl4ad_ros.evaluation.replay import table
from vl4ad_ros.evaluation.report import write_report
from vl4ad_ros.evaluation.result_bag import write_result_bag
from vl4ad_ros.evaluation.spool import Spool
from vl4ad_ros.node import session

LONGEST_SCORED_S = 60.0
"""Score maps are large; of longer bags without ground truth none are recorded."""


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
    truth = bag.truth()
    options = session.SessionOptions(
        options.bundle, options.rate, bool(truth) or bag.duration_s <= LONGEST_SCORED_S,
        options.parameters)
    print(f'playing {bag.topic} of {bag_path}: {len(bag.times_ns)} frames, '
          f'{bag.duration_s:.1f} s', flush=True)
    spool = Spool(out)
    try:
        with tqdm(total=len(bag.times_ns), unit='frame', disable=None, leave=False) as bar:
            lines = LiveLines(bag.times_ns, truth, lambda text: tqdm.write(text))
            replay = session.replay(
                bag, truth, spool, out / 'node.log', options, lines.add,
                lambda published: bar.update(published - bar.n))
        metrics = replay.metrics()
        print(table(metrics), flush=True)
        files = write_report(replay, out, title)
        files['result bag'] = write_result_bag(replay, out / 'result_bag')
    finally:
        spool.close()
    for what, path in files.items():
        print(f'  {what:<14}{path}')
    return metrics
