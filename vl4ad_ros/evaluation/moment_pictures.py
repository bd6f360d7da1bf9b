# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Draws the frames that are worth looking at: the picture with its boxes, and its score."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import cv2
import numpy as np

from vl4ad_ros import captions
from vl4ad_ros.evaluation import drawing
from vl4ad_ros.evaluation.bag_reader import CameraBag
from vl4ad_ros.evaluation.offline import OfflineRun
from vl4ad_ros.evaluation.picture_writer import ReportError
from vl4ad_ros.evaluation.recording_result import Moment
from vl4ad_ros.evaluation.top_view import top_view
from vl4ad_ros.settings import Settings

WIDTH = 640
"""Width of the pictures in pixels."""
_QUALITY = 80
FALSE = (255, 110, 130)
"""Colour of a false alert, RGB, 0..255."""
_MARKS = {'miss': ('missed: ', drawing.TRUTH), 'false alert': ('false: ', FALSE),
          'alert': ('', drawing.ALERT)}


def file_names(number: int) -> tuple[str, str, str]:
    """Return the names of the pictures of a moment by its position: image, score, top view."""
    return f'{number:02d}.jpg', f'{number:02d}.score.jpg', f'{number:02d}.top.jpg'


def write_moments(moments: Sequence[Moment], run: OfflineRun, bag: CameraBag, settings: Settings,
                  folder: Path) -> None:
    """
    Write the pictures of each moment: the image with mask and boxes, its score, and the top view.

    A moment without an alert whose place is known has no top view.

    :param moments: the moments of one recording.
    :param run: the evaluation of the recording; it scores the frames once more.
    :param bag: the recording.
    :param settings: the parameters of the node.
    :param folder: an existing folder.
    :raises ReportError: if a picture cannot be written.
    """
    alerts = run.alerts
    for number, moment in enumerate(moments):
        frame = bag.frame(moment.index)
        image = bag.decode(frame, settings.image_max_pixels, settings.image_max_value)
        prediction = run.score(image)
        shown = alerts.get(moment.index, ())
        others = [alert for alert in shown if alert.box != moment.box]
        canvas = drawing.draw_alerts(image, prediction.mask(settings.threshold), others, None,
                                     WIDTH)
        heat = drawing.draw_score(image, prediction.score, WIDTH)
        text, colour = _MARKS[moment.kind]
        if moment.kind == 'alert':
            colour = next(drawing.colour_of(a) for a in shown if a.box == moment.box)
        for picture in (canvas, heat):
            captions.draw_box(picture, moment.box, text + moment.caption, WIDTH / image.shape[1],
                              colour)
        above = top_view(shown, partial(run.path_ahead, frame), canvas.shape[:2])
        for name, found in zip(file_names(number), (canvas, heat, above)):
            if found is not None:
                (folder / name).write_bytes(jpeg(found))


def jpeg(picture: np.ndarray) -> bytes:
    """
    Return a picture as JPEG.

    :param picture: (H, W, 3) uint8 RGB.
    :raises ReportError: if OpenCV cannot encode it.
    """
    done, data = cv2.imencode('.jpg', cv2.cvtColor(picture, cv2.COLOR_RGB2BGR),
                              [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    if not done:
        raise ReportError(f'a picture of {picture.shape[1]}x{picture.shape[0]} pixels cannot be '
                          'encoded as JPEG; run: pip install opencv-python-headless')
    return data.tobytes()
