# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What a person sees of a replay: progress, one line per alert, a table, and files."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from dataclasses import replace
import json
from pathlib import Path

import numpy as np
from tqdm import tqdm

from vl4ad_ros.evaluation.live import LiveLines
from vl4ad_ros.evaluation.replay import table
from vl4ad_ros.evaluation.report import METRICS, write_report
from vl4ad_ros.evaluation.result_bag import write_result_bag
from vl4ad_ros.evaluation.second_act import Act, observe, Script, THRESHOLD
from vl4ad_ros.evaluation.second_act_pictures import write_pictures
from vl4ad_ros.evaluation.spool import Spool
from vl4ad_ros.node import session
from vl4ad_ros.runtime.bundle import Bundle
from vl4ad_ros.runtime.detector import Detector
from vl4ad_ros.vocabulary import Vocabulary


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
        lines = LiveLines(bag.times_ns, truth, tqdm.write)
        with _progress(len(bag.times_ns)) as bar:
            replayed = session.replay(bag, truth, spool, out / 'node.log', options, lines.add,
                                      lambda published: bar.update(published - bar.n))
        metrics = replayed.metrics()
        print(f'{table(metrics)}\nwriting the report', flush=True)
        with closing(_Scorer(options.bundle)) as score:
            files = write_report(replayed, out, title, score)
        files['result bag'] = write_result_bag(replayed, out / 'result_bag')
    finally:
        spool.close()
    _tell(files)
    return metrics


def show_second_act(bag_path: Path, out: Path, script: Script,
                    options: session.SessionOptions = session.SessionOptions()) -> Act:
    """
    Set prompts while the script's scene plays, tell what came of it, and add it to the report.

    :param bag_path: the script's scene.
    :param out: where `show` left its report.
    :raises SessionError: if the node fails, or refuses the prompts.
    """
    bag = session.open_bag(bag_path)
    bundled = Bundle.open(options.bundle).vocabulary
    options = replace(options, calls=script.calls(bundled),
                      parameters={**options.parameters, 'threshold': THRESHOLD})
    print(f'second act: {" and ".join(f"a {kind}" for kind in script.kinds)} before a standing '
          'camera; prompts are set while frames flow', flush=True)
    spool = Spool(out)
    try:
        with _progress(len(bag.times_ns)) as bar:
            replayed = session.replay(
                bag, bag.truth(), spool, out / 'second_act.log', options,
                on_progress=lambda published: bar.update(published - bar.n))
        with closing(_Scorer(options.bundle)) as score:
            act = observe(replayed, script, script.prompts(bundled), score)
        print('\n'.join(act.lines()))
        metrics = json.loads((out / METRICS).read_text())
        (out / METRICS).write_text(
            json.dumps({**metrics, 'second_act': act.figures()}, indent=2) + '\n')
        files = write_pictures(act, replayed, out, 'Prompts set while frames flow')
        files['its frames'] = out / 'second_act.csv'
        files['its frames'].write_text(act.table())
    finally:
        spool.close()
    _tell(files)
    return act


def _progress(frames: int) -> tqdm:
    return tqdm(total=frames, unit='frame', disable=None, leave=False)


def _tell(files: Mapping[str, Path]) -> None:
    for what, path in files.items():
        print(f'  {what:<14}{path}')


class _Scorer:
    """Scores single frames as the node did."""

    def __init__(self, bundle: str) -> None:
        self._bundle = bundle
        self._detector: Detector | None = None

    def __call__(self, image: np.ndarray, vocabulary: Vocabulary | None = None) -> np.ndarray:
        """Return the score (H, W) of an RGB image, by default with the bundle's own prompts."""
        if self._detector is None:
            self._detector = Detector.open(self._bundle)
        detector = self._detector
        prompts = detector.encode(vocabulary or detector.default_vocabulary)
        return detector.detect(image, prompts).score

    def close(self) -> None:
        """Free the model, if it was needed."""
        if self._detector is not None:
            self._detector.close()
