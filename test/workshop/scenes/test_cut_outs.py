# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The objects that the package ships are what the workshop draws."""

import cv2
import numpy as np

from vl4ad_ros.composing.objects import DESCRIPTION, read_objects, SHIPPED
from vl4ad_workshop.scenes.cut_outs import description, draw_cut_outs, write_cut_outs


def test_the_shipped_files_are_the_drawings():
    drawings = draw_cut_outs()
    assert {path.name for path in SHIPPED.iterdir()} == {
        DESCRIPTION, *(f'{name}.png' for name in drawings)}
    assert (SHIPPED / DESCRIPTION).read_text() == description(drawings)
    for name, drawing in drawings.items():
        shipped = cv2.imread(str(SHIPPED / f'{name}.png'), cv2.IMREAD_UNCHANGED)
        shipped = cv2.cvtColor(shipped, cv2.COLOR_BGRA2RGBA)
        assert shipped.shape == drawing.rgba.shape
        # Other versions of OpenCV may round the rims of shapes in another way.
        assert np.abs(shipped.astype(int) - drawing.rgba).mean() < 0.5, name


def test_what_is_written_can_be_read(tmp_path):
    write_cut_outs(tmp_path / 'new')
    objects = read_objects(tmp_path / 'new')
    assert [thing.name for thing in objects] == list(draw_cut_outs())
    assert {thing.name for thing in objects if thing.known} == {'person', 'car', 'bicycle'}


def test_rims_are_not_darker_than_the_object():
    """The pen darkens them; on a bright road a dark outline would show that it was pasted."""
    drawing = draw_cut_outs()['suitcase']
    alpha = drawing.rgba[..., 3]
    light = drawing.rgba[..., :3].mean(axis=2)
    rim = (alpha > 60) & (alpha < 200)
    assert rim.sum() > 50
    assert light[rim].mean() > 0.8 * light[alpha > 250].mean()
