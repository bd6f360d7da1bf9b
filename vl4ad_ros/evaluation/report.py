# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A replay as files: metrics.json, an overlay video and a contact sheet."""

from __future__ import annotations

from collections.abc import Callable, Iterator
import json
from pathlib import Path

import cv2
import numpy as np

from vl4ad_ros.evaluation import drawing
from vl4ad_ros.evaluation.bag_reader import BagError
from vl4ad_ros.evaluation.replay_result import Replay

METRICS = 'metrics.json'
VIDEO_WIDTH, STRIP_HEIGHT = 960, 40
TILE_WIDTH, GAP, MAX_ROWS = 460, 14, 6


class ReportError(OSError):
    """A file of the report that cannot be written."""


def write_report(replay: Replay, folder: Path, title: str,
                 rescore: Callable[[np.ndarray], np.ndarray] | None = None) -> dict[str, Path]:
    """
    Write `metrics.json`, `overlay.mp4` and `contact_sheet.png` into an existing folder.

    The frames are read from the bag once; one that cannot be decoded is left out of the pictures.

    :param rescore: gives the score (H, W) of an image (H, W, 3) for the few frames on the
        contact sheet if the replay did not record it.
    :returns: the files written, by what they are.
    :raises ReportError: if a file cannot be written.
    """
    files = {'metrics': folder / METRICS, 'video': folder / 'overlay.mp4',
             'contact sheet': folder / 'contact_sheet.png'}
    files['metrics'].write_text(json.dumps(replay.metrics(), indent=2) + '\n')
    captions = _moments(replay)
    rows: list[tuple[str, dict[str, np.ndarray]]] = []
    video = Video(files['video'], rate_hz(replay))
    try:
        for index, image, label in decoded(replay):
            video.write(_video_frame(replay, index, image, label))
            if index in captions:
                rows.append((captions[index], _tiles(replay, index, image, label, rescore)))
    finally:
        video.close()
    about = replay.about
    sheet = _contact_sheet(rows, title, f'model {about["model"]} on {about["backend"]}, '
                           f'ROS 2 {about["ros_distro"]}. {about.get("notice", "")}')
    write_png(files['contact sheet'], sheet)
    return files


def write_png(path: Path, rgb: np.ndarray) -> None:
    """
    Write a picture (H, W, 3).

    :raises ReportError: if it cannot be written.
    """
    if not cv2.imwrite(str(path), cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR)):
        raise ReportError(f"cannot write '{path}'; check the disk and rights")


class Video:
    """
    An MPEG-4 Part 2 video in an mp4 file.

    OpenCV's wheels carry no H.264 encoder. This one plays in VLC, mpv, ffmpeg and most desktop
    players, though not in browsers; VP9, which does, takes many times longer to encode.
    """

    def __init__(self, path: Path, rate: float) -> None:
        """Write `path` at so many frames per second."""
        self._path, self._rate = path, rate
        self._writer: cv2.VideoWriter | None = None

    def write(self, rgb: np.ndarray) -> None:
        """Append a frame; the first one says how large all are."""
        if self._writer is None:
            self._size = rgb.shape[1::-1]
            self._writer = cv2.VideoWriter(
                str(self._path), cv2.VideoWriter_fourcc(*'mp4v'), self._rate, self._size)
            if not self._writer.isOpened():
                raise ReportError(f"OpenCV cannot write '{self._path}' (mp4v); install "
                                  'opencv-python-headless, which brings the encoder')
        if rgb.shape[1::-1] != self._size:
            rgb = cv2.resize(rgb, self._size)
        self._writer.write(cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR))

    def close(self) -> None:
        """Complete the file."""
        if self._writer is not None:
            self._writer.release()


def rate_hz(replay: Replay) -> float:
    """Return the frames per second at which a video of the bag's frames is in real time."""
    times = replay.bag.times_ns
    span = (times[-1] - times[0]) / 1e9
    return min(max((len(times) - 1) / span, 1.0), 120.0) if span > 0 else 10.0


def decoded(replay: Replay) -> Iterator[tuple[int, np.ndarray, np.ndarray | None]]:
    """Yield index, image and label of each frame that was published and can be decoded."""
    maps = replay.bag.truth_maps() if replay.truth else iter(())
    ahead = next(maps, None)
    for frame in replay.bag.frames():
        while ahead and ahead[0] < frame.index:
            ahead = next(maps, None)
        if frame.index not in replay.sent_ns:
            continue
        try:
            image = replay.bag.decode(frame)
        except BagError:
            continue
        matches = ahead and ahead[0] == frame.index and ahead[1].shape == image.shape[:2]
        yield frame.index, image, ahead[1] if matches else None


def _moments(replay: Replay) -> dict[int, str]:
    """
    Return the frames worth showing, with captions, at most `MAX_ROWS`.

    Where there is ground truth: each anomaly half-way from its first alert to its last, or where
    it was largest if it was missed; then false alerts. Otherwise alerts as they were raised. What
    is too many is thinned evenly.
    """
    moments: dict[int, str] = {}
    scores = replay.alert_scores
    if scores:
        for number in scores.anomalies:
            if number in scores.found:
                index = _nearest(replay, (scores.found[number] + scores.held[number]) // 2)
                text = f'alerted {scores.seconds[number]:.2f} s after it appeared'
            else:
                index = max((i for i, f in replay.truth.frames.items() if number in f.objects),
                            key=lambda i: replay.truth.frames[i].objects[number][0])
                text = 'missed'
            also = f'{moments[index]};  ' if index in moments else ''
            moments[index] = f'{also}{replay.truth.name(number)}: {text}'
        events = scores.false_events
        what = 'false alert'
    else:
        events, what = replay.events, 'alert raised'
    moments = _thinned(moments, MAX_ROWS)
    others = {e.first: f'{what} #{e.alert.id} {e.alert.label}' for e in reversed(events)
              if e.first not in moments}
    moments |= _thinned(others, MAX_ROWS - len(moments))
    if not moments:
        indices = sorted(replay.by_index)
        for i in indices[len(indices) // 8::max(1, len(indices) // 4)]:
            moments[i] = 'no alert'
    start = replay.bag.times_ns[0]
    return {i: f'{(replay.bag.times_ns[i] - start) / 1e9:.1f} s   {text}'
            for i, text in sorted(moments.items())}


def _thinned(moments: dict[int, str], most: int) -> dict[int, str]:
    """Return at most so many moments, spread over all."""
    indices = sorted(moments)
    chosen = indices if len(indices) <= most else [
        indices[i * len(indices) // most] for i in range(most)]
    return {i: moments[i] for i in chosen}


def _nearest(replay: Replay, index: int) -> int:
    return min(replay.by_index, key=lambda i: abs(i - index))


def _video_frame(replay: Replay, index: int, image: np.ndarray,
                 label: np.ndarray | None) -> np.ndarray:
    result = replay.by_index.get(index)
    alerts = result.alerts if result and result.alerts else ()
    picture = drawing.draw_alerts(image, replay.mask(index), alerts, label, VIDEO_WIDTH)
    picture = picture[:picture.shape[0] // 2 * 2]
    strip = np.full((STRIP_HEIGHT, VIDEO_WIDTH, 3), drawing.DARK, np.uint8)
    seconds = (replay.bag.times_ns[index] - replay.bag.times_ns[0]) / 1e9
    drawing.put_text(strip, f'{seconds:5.1f} s', (14, 26), 13, drawing.WHITE)
    if result is None:
        state, colour = 'frame not processed', drawing.PALE
    elif alerts:
        names = ', '.join(f'#{a.id} {a.label}' for a in alerts[:3])
        more = f' and {len(alerts) - 3} more' if len(alerts) > 3 else ''
        state, colour = f'{names}{more}', drawing.ALERT
    elif result.alerts is None:
        state, colour = 'alerts not known yet', drawing.PALE
    else:
        state, colour = 'no confirmed obstacle', drawing.PALE
    drawing.put_text(strip, state, (120, 26), 13, colour)
    age = f'age {result.age_ns / 1e6:.0f} ms   ' if result else ''
    drawing.put_text(strip, f'{age}model {replay.about["model"]}', (VIDEO_WIDTH - 14, 26), 13,
                     drawing.PALE, 'right')
    return np.concatenate([picture, strip])


def _tiles(replay: Replay, index: int, image: np.ndarray, label: np.ndarray | None,
           rescore: Callable[[np.ndarray], np.ndarray] | None) -> dict[str, np.ndarray]:
    """Return the pictures of one row by column title; what is not known is missing."""
    result = replay.by_index.get(index)
    alerts = result.alerts if result and result.alerts else ()
    tiles = {'alerts': drawing.draw_alerts(image, None, alerts, None, TILE_WIDTH)}
    score, mask = replay.score(index), replay.mask(index)
    if score is None and rescore:
        score = rescore(image)
    if score is not None:
        tiles['score'] = drawing.draw_score(image, score, TILE_WIDTH)
    if mask is not None:
        tiles['mask'] = cv2.cvtColor(drawing.fit(mask, TILE_WIDTH, False), cv2.COLOR_GRAY2RGB)
    if label is not None:
        tiles['ground truth'] = drawing.draw_truth(image, label, TILE_WIDTH)
    return tiles


def _contact_sheet(rows: list[tuple[str, dict[str, np.ndarray]]], title: str,
                   subtitle: str) -> np.ndarray:
    columns = [c for c in ('alerts', 'score', 'mask', 'ground truth')
               if any(c in tiles for _, tiles in rows)]
    width = max(2, len(columns)) * (TILE_WIDTH + GAP) + GAP
    parts = [_header(title, subtitle, columns, width)]
    for caption, tiles in rows:
        height = next(iter(tiles.values())).shape[0]
        part = np.full((height + 40, width, 3), 255, np.uint8)
        for i, column in enumerate(columns):
            if column in tiles:
                left = GAP + i * (TILE_WIDTH + GAP)
                part[:height, left:left + TILE_WIDTH] = tiles[column][:height]
        drawing.put_text(part, caption, (GAP, height + 22), 12, drawing.DARK)
        parts.append(part)
    return np.concatenate(parts)


def _header(title: str, subtitle: str, columns: list[str], width: int) -> np.ndarray:
    header = np.full((96, width, 3), 255, np.uint8)
    drawing.put_text(header, title, (GAP, 38), 18, drawing.DARK)
    drawing.put_text(header, subtitle, (width - GAP, 38), 12, drawing.PALE, 'right')
    for i, column in enumerate(columns):
        left = GAP + i * (TILE_WIDTH + GAP)
        drawing.put_text(header, column, (left, 84), 14, drawing.DARK)
        if column == 'score':
            bar = drawing.colour_scale(np.tile(np.linspace(0, 1, 120), (12, 1)))
            right = left + TILE_WIDTH - 16
            header[73:85, right - 120:right] = bar
            drawing.put_text(header, '0', (right - 126, 84), 11, drawing.PALE, 'right')
            drawing.put_text(header, '1', (right + 4, 84), 11, drawing.PALE)
    return header
