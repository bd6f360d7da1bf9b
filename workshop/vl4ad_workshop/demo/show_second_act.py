# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Runs the second part of the demo, in which prompts change while the node processes frames."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
import json
from pathlib import Path

from vl4ad_ros.bundle import Bundle
from vl4ad_ros.evaluation import CameraBag
from vl4ad_ros.evaluation.message_store import MessageStore
from vl4ad_ros.evaluation.report import METRICS
from vl4ad_ros.replay import session
from vl4ad_ros.replay.replay_and_report import FrameScorer, progress_bar, progress_callback
from vl4ad_workshop.demo.second_act import observe, Script, THRESHOLD
from vl4ad_workshop.demo.second_act_pictures import write_pictures

FILES = ('second_act.png', 'second_act.mp4', 'second_act.csv', 'second_act.log')
"""Files that the second part adds to the report."""


def show_second_act(bag: CameraBag, folder: Path, script: Script,
                    options: session.SessionOptions = session.SessionOptions()) -> dict[str, Path]:
    """
    Replay the script's scene, set prompts meanwhile, print the result, and add it to the report.

    :param bag: the script's scene.
    :param folder: where `replay_and_report` left its report.
    :param script: prompts of each phase.
    :param options: how the node is started.
    :return: the files written, by a short description.
    :raises SessionError: if the node fails, or refuses the prompts.
    """
    bundled = Bundle.open(options.bundle).vocabulary
    options = replace(options, calls=script.calls(bundled),
                      parameters={**options.parameters, 'threshold': THRESHOLD})
    print(f'second part: {" and ".join(f"a {kind}" for kind in script.kinds)} in front of a '
          'stationary camera; the prompts change while the node processes frames', flush=True)
    with closing(MessageStore(folder)) as messages:
        with progress_bar(len(bag.times_ns)) as bar:
            replayed = session.replay(
                bag, bag.truth(), messages, folder / 'second_act.log', options,
                on_progress=progress_callback(bar))
        with closing(FrameScorer(options.settings)) as score:
            act = observe(replayed, script, script.prompts(bundled), score)
        print('\n'.join(act.lines()), flush=True)
        metrics = json.loads((folder / METRICS).read_text())
        (folder / METRICS).write_text(
            json.dumps({**metrics, 'second_act': act.figures()}, indent=2) + '\n')
        files = write_pictures(act, replayed, folder, 'Prompts changed during operation')
    files['its frames'] = folder / 'second_act.csv'
    files['its frames'].write_text(act.table())
    return files
