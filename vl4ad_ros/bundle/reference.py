# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Reference frames: images in a bundle with known answers, which a new engine must reproduce."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from vl4ad_ros.bundle.bundle import Bundle
from vl4ad_ros.bundle.errors import BundleError, REPAIR
from vl4ad_ros.bundle.npz import read_arrays

TEXT_INPUTS = ('concepts', 'concept_class', 'num_known', 'ensemble_weight')
"""Names of the image network's inputs after the image, in its order."""


class Maps(NamedTuple):
    """
    Outputs of the image network for one image: maps of the size `Bundle.map_size`.

    The mass of a class in a cell is the sum over all masks of mask value times class probability
    (docs/method.md).

    :ivar uncertainty: float32, u of VL4AD eq. 2: about -1 (in-distribution) to 0 (anomalous).
    :ivar best_known: int32, index of the known class with the largest mass.
    :ivar best_anomaly: int32, index of the anomaly class with the largest mass, counted from 0;
        -1 if there are no anomaly classes.
    :ivar anomaly_mass: float32, the mass of that class, about 0 to 1; 0 if there are no anomaly
        classes. None for a bundle of version 2.0, whose image network does not have this output.
    """

    uncertainty: np.ndarray
    best_known: np.ndarray
    best_anomaly: np.ndarray
    anomaly_mass: np.ndarray | None = None


OUTPUTS = Maps._fields
"""Names of the image network's outputs, in its order."""


@dataclass(frozen=True, eq=False)
class Reference:
    """
    Images and the outputs of the float32 network in PyTorch for them.

    :ivar images: uint8 [n, height, width, 3], RGB, of the image network's input size.
    :ivar texts: the inputs of `TEXT_INPUTS` by name, the same for all images; docs/bundle.md has
        their shapes.
    :ivar answers: the outputs for each of the n images.
    """

    images: np.ndarray
    texts: Mapping[str, np.ndarray]
    answers: tuple[Maps, ...]


@dataclass(frozen=True)
class Deviation:
    """
    The difference of an image network's outputs from the reference, over all frames.

    :ivar uncertainty: root mean square of the difference, in standard deviations of the
        reference's uncertainty.
    :ivar known: share 0..1 of the cells with another best known class; see `other_classes`.
    :ivar anomaly: share 0..1 of the cells with another best anomaly class; see `other_classes`.
    :ivar mass: root mean square of the difference of the anomaly masses, both clipped to 0..1;
        None if the reference does not have them (bundle version 2.0).
    """

    uncertainty: float
    known: float
    anomaly: float
    mass: float | None = None

    def __str__(self) -> str:
        """Return the numbers in a sentence, for logs."""
        return (f'uncertainty off by {self.uncertainty:.4f} of its standard deviation, another '
                f'best known class in {self.known:.2%} and another best anomaly class in '
                f'{self.anomaly:.2%} of the cells'
                + ('' if self.mass is None else f', its mass off by {self.mass:.4f}'))


LEAST_MASS = 0.1
"""
Where the best class has less mass than this (0..1), rounding decides which class is best.

In a night scene, fp16 changed the best known class of 15 % of the cells, whose mass was 0.02,
while u moved by 0.005.
"""
TOLERANCE: Mapping[str, Deviation] = {
    'fp32': Deviation(0.01, 0.01, 0.01, 0.005),
    'fp16': Deviation(0.05, 0.01, 0.02, 0.02),
    'bf16': Deviation(0.15, 0.03, 0.06, 0.06),
}
"""
The largest deviation that is accepted from an image network in each precision.

Half precision moves the edges of masks, and sometimes changes the class of a query and thereby of
a whole mask. A miscompiled network deviates far more. docs/method.md has the measurements.
"""


def load_reference(bundle: Bundle) -> Reference:
    """
    Return the reference frames of a bundle.

    :param bundle: an open bundle.
    :raises BundleError: if it has none, or if they are not what docs/bundle.md says.
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
            raise BundleError(f'{file}: {tensor.name} must be {tensor.dtype} {list(shape)}, found '
                              f'{array.dtype} {list(array.shape)}; {REPAIR}')
    return Reference(values['image'], {name: values[name] for name in TEXT_INPUTS},
                     tuple(Maps(*maps) for maps in zip(*(values[name] for name in names))))


def save_reference(file: Path, reference: Reference) -> None:
    """
    Write the file that `load_reference` reads, compressed.

    :param file: the .npz file, which is replaced if it exists.
    :param reference: what to write.
    """
    arrays: dict[str, Any] = {'image': reference.images, **reference.texts,
                              **dict(zip(OUTPUTS, _stacked(reference.answers)))}
    np.savez_compressed(file, **arrays)


def measure(reference: Reference, run: Callable[..., Maps]) -> Deviation:
    """
    Return the deviation of an image network from the reference.

    :param reference: the frames.
    :param run: `Backend.run` of the network.
    :return: infinite deviations if an output of the network is not finite, or if only the
        reference has anomaly masses.
    """
    found = [run(image, *(reference.texts[name] for name in TEXT_INPUTS))
             for image in reference.images]
    answer, expected = (Maps(*_stacked(maps)) for maps in (found, reference.answers))
    mass = None
    if expected.anomaly_mass is not None:
        mass = (float('inf') if answer.anomaly_mass is None else
                _rms(answer.anomaly_mass.clip(0, 1), expected.anomaly_mass.clip(0, 1)))
    if not (np.isfinite(answer.uncertainty).all() and np.isfinite(mass or 0)):
        return Deviation(float('inf'), 1.0, 1.0, None if mass is None else float('inf'))
    # The bound avoids a division by zero if the reference is the same everywhere.
    spread = max(float(expected.uncertainty.std()), 1e-6)
    return Deviation(
        _rms(answer.uncertainty, expected.uncertainty) / spread, *other_classes(answer, expected),
        mass)


def other_classes(answer: Maps, expected: Maps) -> tuple[float, float]:
    """
    Return the shares of cells with another best known class and another best anomaly class.

    A cell counts only where the class may have a mass of `LEAST_MASS`. The best known class has
    the mass -u, and the anomaly classes have the remaining 1 + u or less.

    :param answer: outputs of a network, of any shape.
    :param expected: outputs of the reference, of the same shape.
    :return: both shares of all cells, 0..1.
    """
    u = expected.uncertainty
    known = answer.best_known != expected.best_known
    anomaly = answer.best_anomaly != expected.best_anomaly
    return (float(np.mean(known & (u <= -LEAST_MASS))),
            float(np.mean(anomaly & (u >= LEAST_MASS - 1))))


def excess(deviation: Deviation, dtype: str) -> str:
    """
    Say which deviations are larger than `TOLERANCE` allows, and by how much.

    :param deviation: what `measure` returned.
    :param dtype: precision of the network, one of `vl4ad_ros.bundle.manifest.DTYPES`.
    :return: a part of a sentence; empty if all deviations are within the tolerance.
    """
    limit = TOLERANCE[dtype]
    return ', '.join(
        f'{name} {found:.4g} instead of at most {most:.4g}' for name, found, most in (
            ('deviation of the uncertainty', deviation.uncertainty, limit.uncertainty),
            ('share of cells with another known class', deviation.known, limit.known),
            ('share of cells with another anomaly class', deviation.anomaly, limit.anomaly),
            ("deviation of the anomaly's mass", deviation.mass, limit.mass))
        if found is not None and most is not None and not found <= most)


def _stacked(answers: Sequence[Maps]) -> list[np.ndarray]:
    """Return one array [n, h, w] for each output that is not None."""
    return [np.stack(maps) for maps in zip(*answers) if maps[0] is not None]


def _rms(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.sqrt(np.mean((a - b) ** 2, dtype=np.float64)))
