# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Scores photos and videos, and writes a picture of each, a contact sheet and a table."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
import csv
from dataclasses import astuple, dataclass, field, fields
from pathlib import Path
from statistics import median
import time
from typing import Generic, TypeVar

import cv2
import numpy as np

from vl4ad_ros import captions
from vl4ad_ros.bundle.prompt_encoder import Prompts
from vl4ad_ros.evaluation import drawing
from vl4ad_ros.evaluation.contact_sheet import contact_sheet, TILE_WIDTH
from vl4ad_ros.evaluation.picture_source import read_photo, Source
from vl4ad_ros.evaluation.picture_writer import Video, write_picture
from vl4ad_ros.evaluation.video_file import VideoFile
from vl4ad_ros.inference.detector import Detector, Prediction
from vl4ad_ros.obstacles.pipeline import ANOMALY, Finding, Pipeline
from vl4ad_ros.settings import Settings

SHEET, TABLE = 'contact_sheet.png', 'table.csv'
"""Names of the files about all pictures."""
OVERLAY, OVERLAY_VIDEO, SCORE, SCORES = (
    '.overlay.jpg', '.overlay.mp4', '.score.png', '.scores')
"""Endings of the files about one picture; `SCORES` is that of a folder for a video."""
MOST_BLOCKS, MOST_OF_VIDEO = 24, 4
"""Largest number of pictures on the contact sheet, and of frames of a video among these."""
_LONGEST_SIDE, _LEAST_WIDTH, _VIDEO_WIDTH = 1280, 480, 640
_TILE_HEIGHT = 345
_STRIP_HEIGHT, _MARGIN = 40, 14
_Item = TypeVar('_Item')


@dataclass(frozen=True)
class Row:
    """
    The results of one photo or of one frame of a video; the fields are the columns of the table.

    :ivar picture: the file, as it was given.
    :ivar time_s: seconds since the first frame of the video; None for a photo.
    :ivar width: of the picture, in pixels.
    :ivar height: of the picture, in pixels.
    :ivar regions: number of regions that are reported.
    :ivar highest_score: the highest score of a pixel, 0 to 1.
    :ivar name: the class that names the region with the highest mean score; ``anomaly`` if no
        class does, and ``''`` without a region.
    :ivar ms: time from the pixels to the regions, in milliseconds.
    :ivar overlay: name of the file with the picture on which the regions are drawn.
    """

    picture: str
    time_s: float | None
    width: int
    height: int
    regions: int
    highest_score: float
    name: str
    ms: float
    overlay: str


def output_names(sources: Sequence[Source], out: Path) -> list[str]:
    """
    Return the names of all files and folders that the results can have.

    :param sources: the photos and videos.
    :param out: the folder of the results. Where it has a table, an earlier run has written the
        files in it that have the endings of results, so they are replaced too.
    """
    names = [SHEET, TABLE]
    for source in sources:
        names += [_overlay_name(source), source.stem + (SCORES if source.video else SCORE)]
    if (out / TABLE).is_file():
        names += [file.name for file in out.iterdir()
                  if file.name.endswith((OVERLAY, OVERLAY_VIDEO, SCORE, SCORES))]
    return list(dict.fromkeys(names))


class PictureRun:
    """
    Processes photos and videos one by one and writes their results into a folder.

    Every picture is taken by itself: the regions are the detections that the node publishes for
    it, and nothing is followed from frame to frame.

    :ivar rows: the results so far.
    :ivar warnings: a sentence about each video of which damaged frames were left out.
    """

    def __init__(self, detector: Detector, prompts: Prompts, settings: Settings, folder: Path,
                 scores: bool) -> None:
        """
        Start without results.

        :param detector: the model.
        :param prompts: what the pictures are scored against, from `detector`.
        :param settings: threshold and limits of the regions, and the largest picture.
        :param folder: an existing folder.
        :param scores: write the scores as PNG files of 16 bits, too.
        """
        self.rows: list[Row] = []
        self.warnings: list[str] = []
        self._detector, self._prompts, self._settings = detector, prompts, settings
        self._folder, self._scores = folder, scores
        self._blocks: _EvenlySpread[tuple[str, dict[str, np.ndarray]]] = _EvenlySpread(MOST_BLOCKS)

    def add(self, source: Source, on_picture: Callable[[], None] = lambda: None) -> None:
        """
        Process a photo, or all frames of a video.

        :param source: the photo or video.
        :param on_picture: called after the photo, or after each frame.
        :raises PictureError: if the photo cannot be read.
        :raises VideoError: if the video cannot be read.
        :raises BackendError: if the inference fails.
        :raises ReportError: if a file cannot be written.
        """
        if source.video:
            self._add_video(source, on_picture)
            return
        image = read_photo(source.path, self._settings.image_max_pixels)
        row, prediction, findings = self._process(source, None, image)
        mask = prediction.mask(self._settings.threshold)
        write_picture(self._folder / _overlay_name(source), _overlay(
            image, prediction.score, mask, findings, _overlay_width(image), row))
        if self._scores:
            _write_score(self._folder / f'{source.stem}{SCORE}', prediction.score)
        self._blocks.add(lambda: _block(image, prediction.score, mask, findings, row))
        on_picture()

    def _add_video(self, source: Source, on_picture: Callable[[], None]) -> None:
        file = VideoFile(source.path)
        video = Video(self._folder / _overlay_name(source),
                      min(max(file.rate_hz, 1.0), 120.0))
        scores = self._folder / f'{source.stem}{SCORES}'
        if self._scores:
            scores.mkdir()
        blocks: _EvenlySpread[tuple[str, dict[str, np.ndarray]]] = _EvenlySpread(MOST_OF_VIDEO)
        try:
            for index, (time_ns, image) in enumerate(file.frames()):
                row, prediction, findings = self._process(source, time_ns / 1e9, image)
                score, mask = prediction.score, prediction.mask(self._settings.threshold)
                picture = _overlay(image, score, mask, findings, _VIDEO_WIDTH, row)
                video.write(picture[:picture.shape[0] // 2 * 2, :picture.shape[1] // 2 * 2])
                if self._scores:
                    _write_score(scores / f'{index:06}.png', score)
                blocks.add(lambda: _block(image, score, mask, findings, row))
                on_picture()
        finally:
            video.close()
        if file.warning:
            self.warnings.append(file.warning)
        for block in blocks.kept:
            self._blocks.add(lambda: block)

    def _process(self, source: Source, time_s: float | None,
                 image: np.ndarray) -> tuple[Row, Prediction, tuple[Finding, ...]]:
        start = time.perf_counter()
        prediction = self._detector.detect(image, self._prompts)
        # A new pipeline has no earlier frames, so the stamp does not matter.
        findings = Pipeline().process(prediction, 1, 1, self._settings.limits).detections
        ms = (time.perf_counter() - start) * 1e3
        name = ''
        if findings:
            name = max(findings, key=lambda found: found.region.score).name or ANOMALY
        row = Row(str(source.path), time_s, image.shape[1], image.shape[0], len(findings),
                  float(prediction.score.max()), name, ms, _overlay_name(source))
        self.rows.append(row)
        return row, prediction, findings

    def finish(self, subtitle: str) -> None:
        """
        Write the contact sheet and the table.

        :param subtitle: what is to stand beside the heading of the contact sheet.
        :raises ReportError: if a file cannot be written.
        """
        blocks = self._blocks.kept
        shown, total = len(blocks), len(self.rows)
        title = f'{shown} of {total} pictures' if shown < total else (
            f'{total} picture' + 's' * (total != 1))
        write_picture(self._folder / SHEET, contact_sheet(
            blocks, ('regions', 'score'), title, subtitle, 2 if len(blocks) > 1 else 1))
        # The names of files may have bytes that are not UTF-8.
        with (self._folder / TABLE).open('w', newline='', encoding='utf-8',
                                         errors='backslashreplace') as file:
            writer = csv.writer(file)
            writer.writerow(column.name for column in fields(Row))
            for row in self.rows:
                writer.writerow('' if value is None else
                                f'{value:.4f}' if isinstance(value, float) else value
                                for value in astuple(row))


def summary(rows: Sequence[Row]) -> Iterator[str]:
    """
    Yield a table for a terminal: a line for each photo, and one for all frames of a video.

    :param rows: the results, in the order of the pictures.
    """
    lines = [('picture', 'size', 'regions', 'highest score', 'name', 'ms')]
    pictures: dict[str, list[Row]] = {}
    for row in rows:
        pictures.setdefault(row.picture, []).append(row)
    for picture, group in pictures.items():
        best = max(group, key=lambda row: row.highest_score)
        frames = f' ({len(group)} frames)' if best.time_s is not None else ''
        counts = sorted({min(row.regions for row in group), max(row.regions for row in group)})
        lines.append((picture + frames, f'{best.width}x{best.height}',
                      ' to '.join(map(str, counts)), f'{best.highest_score:.3f}', best.name,
                      f'{median(row.ms for row in group):.0f}'))
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    for line in lines:
        cells = [cell.rjust(width) if i in (1, 2, 3, 5) else cell.ljust(width)
                 for i, (cell, width) in enumerate(zip(line, widths))]
        yield '  '.join(cells).rstrip()


@dataclass
class _EvenlySpread(Generic[_Item]):
    """
    Keeps at most `most` items of a series of unknown length, at equal distances.

    :ivar most: the largest number of items, at least 2.
    :ivar kept: the items, in their order.
    """

    most: int
    kept: list[_Item] = field(default_factory=list)
    _seen: int = 0
    _distance: int = 1

    def add(self, make: Callable[[], _Item]) -> None:
        """Count an item of the series; it is made only if it is kept."""
        if self._seen % self._distance == 0:
            if len(self.kept) == self.most:
                del self.kept[1::2]
                self._distance *= 2
            if self._seen % self._distance == 0:
                self.kept.append(make())
        self._seen += 1


def _overlay_name(source: Source) -> str:
    return source.stem + (OVERLAY_VIDEO if source.video else OVERLAY)


def _overlay_width(image: np.ndarray) -> int:
    """Return the width for the picture of a photo: its own, unless that is very large or small."""
    height, width = image.shape[:2]
    scale = min(_LONGEST_SIDE / max(height, width), max(1.0, _LEAST_WIDTH / width))
    return max(1, round(width * scale))


def _overlay(image: np.ndarray, score: np.ndarray, mask: np.ndarray,
             findings: Sequence[Finding], width: int, row: Row) -> np.ndarray:
    """Return the picture with its regions, the score beside it, and a line of text below."""
    pair = np.concatenate([drawing.draw_findings(image, mask, findings, width),
                           drawing.draw_score(image, score, width)], axis=1)
    if pair.shape[1] < 2 * _LEAST_WIDTH:
        # There must be room for the line of text.
        pair = cv2.copyMakeBorder(pair, 0, 0, 0, 2 * _LEAST_WIDTH - pair.shape[1],
                                  cv2.BORDER_CONSTANT, value=captions.DARK)
    strip = np.full((_STRIP_HEIGHT, pair.shape[1], 3), captions.DARK, np.uint8)
    facts = _facts(row)
    captions.put_text(strip, facts, (strip.shape[1] - _MARGIN, 26), 13, captions.PALE, 'right')
    room = strip.shape[1] - captions.text_width(facts, 13) - 4 * _MARGIN
    captions.put_text(strip, _shortened(_name(row), 13, room), (_MARGIN, 26), 13, captions.WHITE)
    return np.concatenate([pair, strip])


def _block(image: np.ndarray, score: np.ndarray, mask: np.ndarray, findings: Sequence[Finding],
           row: Row) -> tuple[str, dict[str, np.ndarray]]:
    """Return caption and pictures for the contact sheet."""
    height, width = image.shape[:2]
    width = max(1, min(TILE_WIDTH, round(_TILE_HEIGHT * width / height)))
    facts = _facts(row)
    room = 2 * TILE_WIDTH - captions.text_width(facts, 12)
    return f'{_shortened(_name(row), 12, room)}   {facts}', {
        'regions': drawing.draw_findings(image, mask, findings, width)[:_TILE_HEIGHT],
        'score': drawing.draw_score(image, score, width)[:_TILE_HEIGHT]}


def _name(row: Row) -> str:
    moment = '' if row.time_s is None else f'   {row.time_s:.1f} s'
    return f'{Path(row.picture).name}{moment}'


def _facts(row: Row) -> str:
    regions = f'{row.regions} region' + 's' * (row.regions != 1)
    return (f'{row.width}x{row.height}   {regions}   highest score {row.highest_score:.2f}   '
            f'{row.ms:.0f} ms')


def _shortened(text: str, height: int, room: int) -> str:
    """Return the end of a text that fits into so many pixels."""
    shown = text
    while len(shown) > 4 and captions.text_width(shown, height) > room:
        text = text[1:]
        shown = f'...{text}'
    return shown


def _write_score(path: Path, score: np.ndarray) -> None:
    """Write a score of 0 to 1 as a PNG with values from 0 to 65535."""
    write_picture(path, np.rint(score * 65535.0).astype(np.uint16))
