# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Writes the report of a replay: metrics.json, an overlay video and a contact sheet."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
import json
from pathlib import Path

import cv2
import numpy as np

from vl4ad_ros import captions
from vl4ad_ros.evaluation import drawing
from vl4ad_ros.evaluation.alert_metrics import AlertEvent
from vl4ad_ros.evaluation.bag_reader import BagError, BagFrame
from vl4ad_ros.evaluation.contact_sheet import contact_sheet, TILE_WIDTH
from vl4ad_ros.evaluation.picture_writer import Video, write_picture
from vl4ad_ros.evaluation.recorded_run import RecordedRun
from vl4ad_ros.evaluation.top_view import top_view

METRICS = 'metrics.json'
"""Name of the file with the figures."""
VIDEO_WIDTH, STRIP_HEIGHT = 960, 40
"""Pixels: width of the video, and height of the line of text below each of its pictures."""
MAX_ROWS = 6
"""Largest number of moments on the contact sheet."""


def write_report(run: RecordedRun, folder: Path, title: str,
                 rescore: Callable[[np.ndarray], np.ndarray] | None = None) -> dict[str, Path]:
    """
    Write `metrics.json`, `overlay.mp4` and `contact_sheet.png` into an existing folder.

    A frame that the node refused is left out of the pictures; `metrics.json` counts such frames.

    :param run: the replay.
    :param folder: an existing folder.
    :param title: heading of the contact sheet.
    :param rescore: computes the score of an image, (H, W, 3) uint8 RGB to (H, W) float32 in 0..1.
        It is called for the few frames on the contact sheet whose score the replay did not record;
        None leaves these scores out.
    :returns: the files written, by a short description such as `'video'`.
    :raises BagError: if the bag is damaged.
    :raises ReportError: if a file cannot be written.
    """
    files = {'metrics': folder / METRICS, 'video': folder / 'overlay.mp4',
             'contact sheet': folder / 'contact_sheet.png'}
    files['metrics'].write_text(json.dumps(run.metrics(), indent=2) + '\n')
    captions = _moments(run)
    rows: list[tuple[str, dict[str, np.ndarray]]] = []
    video = Video(files['video'], rate_hz(run))
    try:
        for frame, image, label in decoded(run):
            index = frame.index
            video.write(_video_frame(run, index, image, label))
            if index in captions:
                rows.append((captions[index], _tiles(run, frame, image, label, rescore)))
    finally:
        video.close()
    about = run.about
    columns = [c for c in ('alerts', 'score', 'mask', 'ground truth', 'from above')
               if any(c in tiles for _, tiles in rows)]
    write_picture(files['contact sheet'], contact_sheet(
        rows, columns, title, f'model {about["model"]} on {about["backend"]}, '
        f'ROS 2 {about["ros_distro"]}. {about.get("notice", "")}'))
    return files


def rate_hz(run: RecordedRun) -> float:
    """Return the mean frame rate of the recording, 1..120 Hz; 10 Hz if it is unknown."""
    times = run.bag.times_ns
    span = (times[-1] - times[0]) / 1e9
    return min(max((len(times) - 1) / span, 1.0), 120.0) if span > 0 else 10.0


def decoded(run: RecordedRun) -> Iterator[tuple[BagFrame, np.ndarray, np.ndarray | None]]:
    """
    Decode the frames that were published and that the node could decode.

    :param run: the replay.
    :returns: frame, image (H, W, 3) uint8 RGB, and label (H, W) uint8 with 0 for normal, 1
        for anomalous and 255 for ignored pixels; the label is None without ground truth.
    :raises BagError: if the bag is damaged.
    """
    for frame, label, _ in run.bag.labelled_frames():
        if frame.index not in run.sent_ns:
            continue
        try:
            image = run.bag.decode(frame, run.max_pixels, run.max_value)
        except BagError:
            continue
        fits = run.truth is not None and label is not None and label.shape == image.shape[:2]
        yield frame, image, label if fits else None


def _moments(run: RecordedRun) -> dict[int, str]:
    """
    Return the captions of the frames to show on the contact sheet, by index, at most `MAX_ROWS`.

    With ground truth these are one frame for each anomaly (in the middle between its first and its
    last alert, or where it was largest if it was missed), and then the false alerts. Without
    ground truth they are the frames in which alerts were raised. If there are too many, some of
    them are chosen at equal distances.
    """
    moments: dict[int, str] = {}
    truth, scores = run.truth, run.alert_scores
    events: Sequence[AlertEvent]
    if truth is not None and scores is not None:
        for number in scores.anomalies:
            if number in scores.found:
                index = _nearest(run, (scores.found[number] + scores.held[number]) // 2)
                text = f'alerted {scores.seconds[number]:.2f} s after it appeared'
            else:
                sizes = {i: frame.objects[number][0] for i, frame in truth.frames.items()
                         if number in frame.objects}
                index = max(sizes, key=lambda i: sizes[i])
                text = 'missed'
            also = f'{moments[index]};  ' if index in moments else ''
            moments[index] = f'{also}{truth.name(number)}: {text}'
        events, what = scores.false_events, 'false alert'
    else:
        events, what = run.events, 'alert raised'
    moments = _thinned(moments, MAX_ROWS)
    others = {e.first: f'{what} #{e.alert.id} {e.alert.caption}' for e in reversed(events)
              if e.first not in moments}
    moments |= _thinned(others, MAX_ROWS - len(moments))
    if not moments:
        indices = sorted(run.by_index)
        for i in indices[len(indices) // 8::max(1, len(indices) // 4)]:
            moments[i] = 'no alert'
    start = run.bag.times_ns[0]
    return {i: f'{(run.bag.times_ns[i] - start) / 1e9:.1f} s   {text}'
            for i, text in sorted(moments.items())}


def _thinned(moments: dict[int, str], most: int) -> dict[int, str]:
    """Return at most `most` of the moments, evenly spread."""
    indices = sorted(moments)
    chosen = indices if len(indices) <= most else [
        indices[i * len(indices) // most] for i in range(most)]
    return {i: moments[i] for i in chosen}


def _nearest(run: RecordedRun, index: int) -> int:
    """Return the processed frame that is nearest to a frame index."""
    return min(run.by_index, key=lambda i: abs(i - index))


def _video_frame(run: RecordedRun, index: int, image: np.ndarray,
                 label: np.ndarray | None) -> np.ndarray:
    result = run.by_index.get(index)
    alerts = result.alerts if result and result.alerts else ()
    picture = drawing.draw_alerts(image, run.mask(index), alerts, label, VIDEO_WIDTH)
    picture = picture[:picture.shape[0] // 2 * 2]
    strip = np.full((STRIP_HEIGHT, VIDEO_WIDTH, 3), captions.DARK, np.uint8)
    seconds = (run.bag.times_ns[index] - run.bag.times_ns[0]) / 1e9
    captions.put_text(strip, f'{seconds:5.1f} s', (14, 26), 13, captions.WHITE)
    if result is None:
        state, colour = 'frame not processed', captions.PALE
    elif alerts:
        names = ', '.join(f'#{a.id} {a.label}' for a in alerts[:3])
        more = f' and {len(alerts) - 3} more' if len(alerts) > 3 else ''
        state, colour = f'{names}{more}', drawing.ALERT
    elif result.alerts is None:
        state, colour = 'alerts not known yet', captions.PALE
    else:
        state, colour = 'no confirmed obstacle', captions.PALE
    captions.put_text(strip, state, (120, 26), 13, colour)
    age = f'age {result.age_ns / 1e6:.0f} ms   ' if result else ''
    captions.put_text(strip, f'{age}model {run.about["model"]}', (VIDEO_WIDTH - 14, 26), 13,
                      captions.PALE, 'right')
    return np.concatenate([picture, strip])


def _tiles(run: RecordedRun, frame: BagFrame, image: np.ndarray, label: np.ndarray | None,
           rescore: Callable[[np.ndarray], np.ndarray] | None) -> dict[str, np.ndarray]:
    """Return the pictures of one row by column title, without those that are not known."""
    index = frame.index
    result = run.by_index.get(index)
    alerts = result.alerts if result and result.alerts else ()
    tiles = {'alerts': drawing.draw_alerts(image, None, alerts, None, TILE_WIDTH)}
    score, mask = run.score(index), run.mask(index)
    if score is None and rescore:
        score = rescore(image)
    if score is not None:
        tiles['score'] = drawing.draw_score(image, score, TILE_WIDTH)
    if mask is not None:
        tiles['mask'] = cv2.cvtColor(drawing.fit(mask, TILE_WIDTH, False), cv2.COLOR_GRAY2RGB)
    if label is not None:
        tiles['ground truth'] = drawing.draw_truth(image, label, TILE_WIDTH)
    above = top_view(alerts, partial(run.path_ahead, frame), tiles['alerts'].shape[:2])
    return tiles if above is None else {**tiles, 'from above': above}
