# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Runs the second act of the demo: prompts change while frames flow through the node."""

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
"""What the second act adds to a report."""


def show_second_act(bag: CameraBag, folder: Path, script: Script,
                    options: session.SessionOptions = session.SessionOptions()) -> dict[str, Path]:
    """
    Set prompts while the script's scene plays, tell what came of it, and add it to the report.

    :param bag: the script's scene.
    :param folder: where `replay_and_report` left its report.
    :returns: the files written, by what they are.
    :raises SessionError: if the node fails, or refuses the prompts.
    """
    bundled = Bundle.open(options.bundle).vocabulary
    options = replace(options, calls=script.calls(bundled),
                      parameters={**options.parameters, 'threshold': THRESHOLD})
    print(f'second act: {" and ".join(f"a {kind}" for kind in script.kinds)} before a standing '
          'camera; prompts are set while frames flow', flush=True)
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
        files = write_pictures(act, replayed, folder, 'Prompts set while frames flow')
    files['its frames'] = folder / 'second_act.csv'
    files['its frames'].write_text(act.table())
    return files
