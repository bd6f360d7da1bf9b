# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Frames with known answers that travel in a bundle: what a new engine has to agree with."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from vl4ad_ros.bundle.bundle import Bundle
from vl4ad_ros.bundle.errors import BundleError, REPAIR
from vl4ad_ros.bundle.npz import read_arrays

TEXT_INPUTS = ('concepts', 'concept_class', 'num_known', 'ensemble_weight')


class Maps(NamedTuple):
    """
    What an image network says of one image: maps of the size `Bundle.map_size`.

    :ivar uncertainty: float32, u of VL4AD eq. 2: about -1 (belongs) to 0 (does not).
    :ivar best_known: int32, the known class of most mass.
    :ivar best_anomaly: int32, the anomaly class of most mass, counted from 0; -1 without any.
    :ivar anomaly_mass: float32, the mass of that class: about 0 to 1, and 0 without any; None for
        a bundle of version 2.0, whose image network does not give it.
    """

    uncertainty: np.ndarray
    best_known: np.ndarray
    best_anomaly: np.ndarray
    anomaly_mass: np.ndarray | None = None


OUTPUTS = Maps._fields


@dataclass(frozen=True, eq=False)
class Reference:
    """
    Frames and what the float32 network in PyTorch says of them.

    :ivar images: uint8 [n, height, width, 3] at network size.
    :ivar texts: the image network's other inputs, by name, the same for all frames.
    :ivar answers: one for each frame.
    """

    images: np.ndarray
    texts: Mapping[str, np.ndarray]
    answers: tuple[Maps, ...]


@dataclass(frozen=True)
class Deviation:
    """
    How far an image network is from the reference, over all frames.

    :ivar uncertainty: root mean square of the difference, in standard deviations of the
        reference's uncertainty.
    :ivar known, anomaly: shares 0..1 of the cells whose best class is another, see
        `other_classes`.
    :ivar mass: root mean square of the difference of the best anomaly class's mass, clipped to
        0..1 as its readers do; None if the reference does not tell it (bundle version 2.0).
    """

    uncertainty: float
    known: float
    anomaly: float
    mass: float | None = None

    def __str__(self) -> str:
        """Return the figures in words."""
        return (f'uncertainty off by {self.uncertainty:.4f} of its spread, best known class '
                f'elsewhere in {self.known:.2%} and best anomaly in {self.anomaly:.2%} of cells'
                + ('' if self.mass is None else f', its mass off by {self.mass:.4f}'))


# Which of the classes is best is up to rounding where all of them score less, in 0..1: in a night
# scene fp16 changed 15 % of the cells' best known class, of 0.02, and moved u by 0.005.
ABSENT = 0.1

TOLERANCE: Mapping[str, Deviation] = {
    'fp32': Deviation(0.01, 0.01, 0.01, 0.005),
    'fp16': Deviation(0.05, 0.01, 0.02, 0.02),
    'bf16': Deviation(0.15, 0.03, 0.06, 0.06),
}
"""
The largest deviation of an image network in each precision.

Half precision moves mask edges, and a query that changes its class moves a whole mask; a
miscompiled network is far beyond. docs/method.md has what was measured.
"""


def load_reference(bundle: Bundle) -> Reference:
    """
    Return the frames of a bundle.

    :raises BundleError: if it has none or they are not what docs/bundle.md says.
    """
    if bundle.reference is None:
        raise BundleError(f'{bundle.directory} has no reference frames to compare an engine with; '
                          f'run: vl4ad export {bundle.directory}')
    file = bundle.directory / bundle.reference
    signature = bundle.vision_signature
    names = signature.output_names
    try:
        values = read_arrays(file, ('image', *TEXT_INPUTS, *names))
    except (OSError, ValueError) as error:
        raise BundleError(f'{file} cannot be read ({error}); {REPAIR}') from error
    count = len(values['image'])
    for tensor in (*signature.inputs, *signature.outputs):
        array = values[tensor.name]
        shape = tensor.shape if tensor.name in TEXT_INPUTS else (count, *tensor.shape)
        if (str(array.dtype), array.shape) != (tensor.dtype, shape) or not count:
            raise BundleError(f'{file}: {tensor.name} must be {tensor.dtype} {list(shape)}, seen '
                              f'{array.dtype} {list(array.shape)}; {REPAIR}')
    return Reference(values['image'], {name: values[name] for name in TEXT_INPUTS},
                     tuple(Maps(*maps) for maps in zip(*(values[name] for name in names))))


def save_reference(file: Path, reference: Reference) -> None:
    """Write what `load_reference` reads, compressed."""
    np.savez_compressed(file, image=reference.images, **reference.texts,
                        **dict(zip(OUTPUTS, _stacked(reference.answers))))


def measure(reference: Reference, run: Callable[..., Maps]) -> Deviation:
    """
    Compare `run`, which is `Backend.run`, with the reference.

    Values that are not finite make the deviation infinite.
    """
    seen = [run(image, *(reference.texts[name] for name in TEXT_INPUTS))
            for image in reference.images]
    answer, expected = (Maps(*_stacked(maps)) for maps in (seen, reference.answers))
    tells_mass = expected.anomaly_mass is not None
    if not (np.isfinite(answer.uncertainty).all()
            and (not tells_mass or np.isfinite(answer.anomaly_mass).all())):
        return Deviation(float('inf'), 1.0, 1.0, float('inf') if tells_mass else None)
    # A reference without any spread cannot tell a right answer from a constant one.
    spread = max(float(expected.uncertainty.std()), 1e-6)
    return Deviation(
        _rms(answer.uncertainty, expected.uncertainty) / spread, *other_classes(answer, expected),
        _rms(*(np.clip(maps.anomaly_mass, 0, 1) for maps in (answer, expected)))
        if tells_mass else None)


def _stacked(answers: Sequence[Maps]) -> list[np.ndarray]:
    """Return the maps of all frames, one array [n, h, w] for each output that there is."""
    return [np.stack(maps) for maps in zip(*answers) if maps[0] is not None]


def _rms(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.sqrt(np.mean((a - b) ** 2, dtype=np.float64)))


def other_classes(answer: Maps, expected: Maps) -> tuple[float, float]:
    """
    Return the shares 0..1 of cells whose best known and best anomaly class is another.

    A class counts where it may have a score of `ABSENT`: a known one where the best of them has
    that, one of the anomalies where the known ones leave that.
    """
    u = expected[0]
    known, anomaly = (a != b for a, b in zip(answer[1:3], expected[1:3]))
    return (float(np.mean(known & (u <= -ABSENT))), float(np.mean(anomaly & (u >= ABSENT - 1))))


def excess(deviation: Deviation, dtype: str) -> str:
    """Return what exceeds `TOLERANCE` for a precision and by how much, ``''`` if nothing does."""
    limit = TOLERANCE[dtype]
    return ', '.join(
        f'{name} {seen:.4g} instead of at most {most:.4g}' for name, seen, most in (
            ('deviation of the uncertainty', deviation.uncertainty, limit.uncertainty),
            ('share of other known classes', deviation.known, limit.known),
            ('share of other anomaly classes', deviation.anomaly, limit.anomaly),
            ("deviation of the anomaly's mass", deviation.mass, limit.mass))
        if seen is not None and not seen <= most)
