# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Draw the objects that `vl4ad compose` pastes by default.

Write them into the package with: python -m vl4ad_workshop.scenes.cut_outs
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
import math
from pathlib import Path

import cv2
import numpy as np
from vl4ad_ros.composing.objects import DESCRIPTION, SHIPPED
from vl4ad_workshop.scenes.bank import model, Sprite
from vl4ad_workshop.scenes.kinds import KINDS
import yaml

_COPYRIGHT, _LICENCE = '2026 vl4ad_ros contributors', 'Apache-2.0'
_ROWS = 240
_SPLIT = 'test'
# Which drawn example of each kind, and its view. They were chosen to differ in form and colour.
_CHOSEN = (('cow', 7, 'any'), ('dog', 4, 'any'), ('box', 2, 'any'), ('tyre', 2, 'any'),
           ('suitcase', 1, 'any'), ('ladder', 4, 'any'),
           ('person', 7, 'any'), ('car', 3, 'rear'), ('bicycle', 5, 'side'))


@dataclass(frozen=True, eq=False)
class Drawing:
    """
    One drawn object.

    :ivar rgba: (H, W, 4) uint8, not premultiplied; black where nothing is opaque.
    :ivar height_m: its height in metres.
    :ivar known: whether it belongs on a road.
    """

    rgba: np.ndarray
    height_m: float
    known: bool


def draw_cut_outs() -> dict[str, Drawing]:
    """Draw the objects, always the same, and return them by name."""
    drawings = {}
    for kind, index, view in _CHOSEN:
        sprite = model(kind, index, _SPLIT, 100)[view]
        # The area of the canvas is given, but the height is wanted.
        pixels = round(_ROWS * math.sqrt(sprite.width / sprite.height))
        sprite = model(kind, index, _SPLIT, pixels)[view]
        drawings[kind] = Drawing(_straight(sprite), round(sprite.height, 2),
                                 KINDS[kind].role == 'traffic')
    return drawings


def _straight(sprite: Sprite) -> np.ndarray:
    """Return RGBA uint8 whose colours are not multiplied by the opacity."""
    alpha = sprite.rgba[..., 3:].astype(np.float32)
    rgb = sprite.rgba[..., :3] * np.float32(255) / np.maximum(alpha, 1)
    # The pen darkens the pixels at the rim. They get the colour of the opaque pixels beside them.
    opaque = (alpha > 250).astype(np.float32)
    weight = cv2.blur(opaque, (5, 5))[..., None]
    beside = cv2.blur(rgb * opaque, (5, 5)) / np.maximum(weight, 1e-3)
    rgb = np.where((opaque == 0) & (weight > 0), beside, rgb)
    rgb = np.where(alpha > 0, rgb, 0)
    return np.concatenate([rgb.round().clip(0, 255), alpha], -1).astype(np.uint8)


def description(drawings: Mapping[str, Drawing]) -> str:
    """
    Return the text of `objects.yaml`.

    :param drawings: by name, as `draw_cut_outs` returns them.
    """
    objects = [{'file': f'{name}.png', 'name': name, 'height_m': drawing.height_m,
                **({'known': True} if drawing.known else {}),
                'copyright': _COPYRIGHT, 'licence': _LICENCE}
               for name, drawing in drawings.items()]
    return ('# Written by: python -m vl4ad_workshop.scenes.cut_outs\n'
            + yaml.safe_dump({'objects': objects}, sort_keys=False))


def write_cut_outs(folder: Path) -> None:
    """
    Write the drawings and their description.

    :param folder: it is made if it does not exist; files with the same names are replaced.
    """
    folder.mkdir(parents=True, exist_ok=True)
    drawings = draw_cut_outs()
    for name, drawing in drawings.items():
        bgra = cv2.cvtColor(drawing.rgba, cv2.COLOR_RGBA2BGRA)
        cv2.imwrite(str(folder / f'{name}.png'), bgra, [cv2.IMWRITE_PNG_COMPRESSION, 9])
    (folder / DESCRIPTION).write_text(description(drawings))


if __name__ == '__main__':
    write_cut_outs(SHIPPED)
