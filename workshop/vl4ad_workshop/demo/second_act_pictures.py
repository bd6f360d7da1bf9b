# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Pictures of the demo's second part: a sheet with phases and scores over time, and a video."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from vl4ad_ros import captions
from vl4ad_ros.evaluation import drawing
from vl4ad_ros.evaluation.contact_sheet import GAP, TILE_WIDTH
from vl4ad_ros.evaluation.picture_writer import Video, write_picture
from vl4ad_ros.evaluation.recorded_run import RecordedRun
from vl4ad_ros.evaluation.report import decoded, rate_hz, STRIP_HEIGHT, VIDEO_WIDTH
from vl4ad_workshop.demo.second_act import Act, FrameScore, state, THRESHOLD

NORMAL, ANOMALOUS = (120, 214, 130), (255, 110, 130)
COLOURS = ((38, 84, 214), (214, 96, 20), (20, 140, 90), (140, 50, 170))
HEADER, CAPTION, PLOT, MARGIN = 64, 62, 280, 46


def write_pictures(act: Act, replay: RecordedRun, folder: Path, title: str) -> dict[str, Path]:
    """
    Write `second_act.png` and `second_act.mp4` into an existing folder.

    :param act: the scores.
    :param replay: the replay that `act` was made of.
    :param folder: folder of the report.
    :param title: heading of the sheet.
    :return: the files written, by a short description.
    :raises ReportError: if a file cannot be written.
    """
    files = {'second act': folder / 'second_act.png', 'its video': folder / 'second_act.mp4'}
    times = replay.bag.times_ns
    scores = {f.time_s: f for f in act.frames}
    middles = _middles(act)
    tiles: dict[int, np.ndarray] = {}
    phase = 0
    video = Video(files['its video'], rate_hz(replay))
    try:
        for index, image, label, ids in _labelled(replay):
            seconds = (times[index] - times[0]) / 1e9
            score = scores.get(seconds)
            phase = phase if score is None else score.phase

            def picture(width: int) -> np.ndarray:
                drawn = drawing.draw_alerts(image, replay.mask(index), (), label, width)
                if score:
                    _name(drawn, act, score, ids)
                return drawn
            video.write(_video_frame(picture(VIDEO_WIDTH), act, phase, seconds, score))
            if seconds == middles.get(phase):
                tiles[phase] = picture(TILE_WIDTH)
    finally:
        video.close()
    about = f'model {replay.about["model"]} on {replay.about["backend"]}'
    write_picture(files['second act'], _sheet(act, tiles, title, about))
    return files


def _middles(act: Act) -> dict[int, float]:
    """Return the time in seconds of the frame in the middle of each phase, by phase index."""
    found = {}
    for phase in range(len(act.script.phases)):
        times = [f.time_s for f in act.frames if f.phase == phase]
        if times:
            found[phase] = times[len(times) // 2]
    return found


def _labelled(
        replay: RecordedRun) -> Iterator[tuple[int, np.ndarray, np.ndarray | None, np.ndarray]]:
    """Yield index, RGB image, label and map of object numbers of every published frame."""
    ids = {index: numbers for index, _, numbers in replay.bag.truth_maps()}
    for frame, image, label in decoded(replay):
        yield frame.index, image, label, ids[frame.index]


def _name(canvas: np.ndarray, act: Act, score: FrameScore, ids: np.ndarray) -> None:
    """Write the name and the median score of each object above it."""
    scale = canvas.shape[1] / ids.shape[1]
    for number, kind in enumerate(act.script.kinds, 1):
        rows, columns = np.nonzero(ids == number)
        if not rows.size:
            continue
        value = score.median[kind]
        anomalous = value > THRESHOLD
        asked = act.should_be_anomalous(score.phase, kind)
        wrong = '' if anomalous == asked else f', should be {state(asked)}'
        captions.put_tab(canvas, f'{kind} {value:.2f}{wrong}', round(columns.min() * scale),
                         round(rows.min() * scale) - 4, round(rows.max() * scale) + 4,
                         ANOMALOUS if anomalous else NORMAL)


def _video_frame(picture: np.ndarray, act: Act, phase: int, seconds: float,
                 score: FrameScore | None) -> np.ndarray:
    picture = picture[:picture.shape[0] // 2 * 2]
    strip = np.full((STRIP_HEIGHT, picture.shape[1], 3), captions.DARK, np.uint8)
    captions.put_text(strip, f'{seconds:5.1f} s', (14, 26), 13, captions.WHITE)
    now = act.script.phases[phase]
    said = f"'{now.says}' ({now.edits})" if score else 'frame not processed'
    captions.put_text(strip, said, (120, 26), 13, drawing.ALERT if score else captions.PALE)
    return np.concatenate([picture, strip])


def _sheet(act: Act, tiles: dict[int, np.ndarray], title: str, about: str) -> np.ndarray:
    phases = act.script.phases
    width = len(phases) * (TILE_WIDTH + GAP) + GAP
    height = next(iter(tiles.values())).shape[0] if tiles else 0
    head = np.full((HEADER + CAPTION + height, width, 3), 255, np.uint8)
    captions.put_text(head, f'{title}: {act.verdict}', (GAP, 38), 18, captions.DARK)
    captions.put_text(head, about, (width - GAP, 38), 12, captions.PALE, 'right')
    for i, phase in enumerate(phases):
        left = GAP + i * (TILE_WIDTH + GAP)
        captions.put_text(head, phase.says, (left, HEADER + 22), 14, captions.DARK)
        captions.put_text(head, phase.edits, (left, HEADER + 46), 12, captions.PALE)
        if i in tiles:
            head[HEADER + CAPTION:, left:left + TILE_WIDTH] = tiles[i]
    return np.concatenate([head, _plot(act, width)])


def _plot(act: Act, width: int) -> np.ndarray:
    """Draw the median score of each object over time."""
    canvas = np.full((PLOT + 2 * MARGIN, width, 3), 255, np.uint8)
    total = act.script.phase_s * len(act.script.phases)

    def at(seconds: float, value: float) -> tuple[int, int]:
        return (round(GAP + seconds / total * (width - 2 * GAP)),
                round(MARGIN + (1 - value) * PLOT))
    for value in (0, THRESHOLD, 1):
        cv2.line(canvas, at(0, value), at(total, value), captions.PALE, 1, cv2.LINE_AA)
        captions.put_text(canvas, f'{value:g}', (at(0, value)[0] + 4, at(0, value)[1] - 5), 11,
                          captions.PALE)
    captions.put_text(canvas, 'threshold', (at(0, THRESHOLD)[0] + 40, at(0, THRESHOLD)[1] - 5), 11,
                      captions.PALE)
    for seconds, latency in zip(act.call_s, act.latency_ms):
        x, top = at(seconds, 1)
        cv2.line(canvas, (x, top - 20), at(seconds, 0), captions.DARK, 1, cv2.LINE_AA)
        after = '' if latency is None else f'; first result after {latency:.0f} ms'
        captions.put_text(canvas, f'prompts set{after}', (x + 6, top - 10), 11, captions.DARK)
    for i, kind in enumerate(act.script.kinds):
        colour = COLOURS[i % len(COLOURS)]
        points = [at(f.time_s, f.median[kind]) for f in act.frames]
        if points:
            cv2.polylines(canvas, [np.array(points)], False, colour, 2, cv2.LINE_AA)
        for point in points:
            cv2.circle(canvas, point, 3, colour, -1, cv2.LINE_AA)
        captions.put_text(canvas, kind, (GAP + 110 * i, PLOT + 2 * MARGIN - 14), 14, colour)
    explanation = (f'median score over the ground truth pixels of each object, {total:g} s; one '
                   'dot is one frame')
    captions.put_text(canvas, explanation, (width - GAP, PLOT + 2 * MARGIN - 14), 11,
                      captions.PALE, 'right')
    return canvas
