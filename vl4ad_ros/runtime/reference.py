# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Frames with known answers that travel in a bundle: what a new engine has to agree with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
import zipfile

import numpy as np

from vl4ad_ros.runtime.bundle import Bundle, BundleError, REPAIR

Maps = tuple[np.ndarray, np.ndarray, np.ndarray]
TEXT_INPUTS = ('concepts', 'concept_class', 'num_known', 'ensemble_weight')
OUTPUTS = ('uncertainty', 'best_known', 'best_anomaly')


@dataclass(frozen=True, eq=False)
class Reference:
    """
    Frames and what the float32 network in PyTorch says of them.

    :ivar images: uint8 [n, height, width, 3] at network size.
    :ivar texts: the image network's other inputs, by name, the same for all frames.
    :ivar answers: one tuple a frame: uncertainty, best_known, best_anomaly.
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
    """

    uncertainty: float
    known: float
    anomaly: float

    def __str__(self) -> str:
        """Return the three figures in words."""
        return (f'uncertainty off by {self.uncertainty:.4f} of its spread, best known class '
                f'elsewhere in {self.known:.2%} and best anomaly in {self.anomaly:.2%} of cells')


# Which of the classes is best is up to rounding where all of them score less, in 0..1: in a night
# scene fp16 changed 15 % of the cells' best known class, of 0.02, and moved u by 0.005.
ABSENT = 0.1

TOLERANCE: Mapping[str, Deviation] = {
    'fp32': Deviation(0.01, 0.01, 0.01),
    'fp16': Deviation(0.05, 0.01, 0.02),
    'bf16': Deviation(0.15, 0.03, 0.06),
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
    try:
        with np.load(file, allow_pickle=False) as content:
            values = {name: content[name] for name in ('image', *TEXT_INPUTS, *OUTPUTS)}
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise BundleError(f'{file} cannot be read ({error}); {REPAIR}') from error
    signature, count = bundle.vision_signature, len(values['image'])
    for tensor in (*signature.inputs, *signature.outputs):
        array = values[tensor.name]
        shape = tensor.shape if tensor.name in TEXT_INPUTS else (count, *tensor.shape)
        if (str(array.dtype), array.shape) != (tensor.dtype, shape) or not count:
            raise BundleError(f'{file}: {tensor.name} must be {tensor.dtype} {list(shape)}, seen '
                              f'{array.dtype} {list(array.shape)}; {REPAIR}')
    return Reference(values['image'], {name: values[name] for name in TEXT_INPUTS},
                     tuple(zip(*(values[name] for name in OUTPUTS))))


def save_reference(file: Path, reference: Reference) -> None:
    """Write what `load_reference` reads, compressed."""
    np.savez_compressed(file, image=reference.images, **reference.texts,
                        **dict(zip(OUTPUTS, map(np.stack, zip(*reference.answers)))))


def measure(reference: Reference, run: Callable[..., Maps]) -> Deviation:
    """
    Compare `run`, which is `Backend.run`, with the reference.

    Values that are not finite make the deviation infinite.
    """
    seen = [run(image, *(reference.texts[name] for name in TEXT_INPUTS))
            for image in reference.images]
    answer, expected = (tuple(map(np.stack, zip(*maps))) for maps in (seen, reference.answers))
    if not np.isfinite(answer[0]).all():
        return Deviation(float('inf'), 1.0, 1.0)
    rms = np.sqrt(np.mean((answer[0] - expected[0]) ** 2, dtype=np.float64))
    # A reference without any spread cannot tell a right answer from a constant one.
    spread = max(float(expected[0].std()), 1e-6)
    return Deviation(float(rms / spread), *other_classes(answer, expected))


def other_classes(answer: Maps, expected: Maps) -> tuple[float, float]:
    """
    Return the shares 0..1 of cells whose best known and best anomaly class is another.

    A class counts where it may have a score of `ABSENT`: a known one where the best of them has
    that, one of the anomalies where the known ones leave that.
    """
    u = expected[0]
    known, anomaly = (a != b for a, b in zip(answer[1:], expected[1:]))
    return (float(np.mean(known & (u <= -ABSENT))), float(np.mean(anomaly & (u >= ABSENT - 1))))


def excess(deviation: Deviation, dtype: str) -> str:
    """Return what exceeds `TOLERANCE` for a precision and by how much, ``''`` if nothing does."""
    limit = TOLERANCE[dtype]
    return ', '.join(
        f'{name} {seen:.4g} instead of at most {most:.4g}' for name, seen, most in (
            ('deviation of the uncertainty', deviation.uncertainty, limit.uncertainty),
            ('share of other known classes', deviation.known, limit.known),
            ('share of other anomaly classes', deviation.anomaly, limit.anomaly))
        if not seen <= most)
