# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What all data sets with labels have in common: samples, and how they are read."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
import io
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from vl4ad_ros.evaluation.component_metrics import SizeLimits
from vl4ad_ros.evaluation.label_map import LabelMap
from vl4ad_ros.evaluation.picture_source import PictureError, read_photo
from vl4ad_ros.files import read_regular
from vl4ad_ros.images import ConvertError, MAX_PIXELS
from vl4ad_ros.images.labels import label_file_values

PICTURES = ('.jpg', '.webp', '.png')
"""Endings of the images of data sets; the first one that exists is taken."""
_LARGEST = 1 << 28  # bytes of a label or an overlay


class DatasetError(ValueError):
    """A data set or one of its files that cannot be used; the message says what was expected."""


@dataclass(frozen=True)
class Sample:
    """
    One labelled image.

    :ivar name: its name in the data set.
    :ivar drive: the sequence or city that it belongs to; ``''`` if there is none.
    :ivar image: file of the image; it may be absent.
    :ivar label: file of the label; it may be absent.
    :ivar overlay: file with what is added to the image (Fishyscapes Static); None for nothing.
    """

    name: str
    drive: str
    image: Path
    label: Path
    overlay: Path | None = None


@dataclass(frozen=True)
class Dataset:
    """
    The labelled images of a data set.

    :ivar name: the name by which users choose it.
    :ivar title: its name in the literature, with the part that is used.
    :ivar samples: in the order of their names; at least one.
    :ivar label_map: what the values of its labels mean.
    :ivar limits: the smallest components that count; None for a data set without anomalies.
    :ivar expected: number of samples of the complete data set; None if it is not known.
    :ivar notes: a sentence about each thing that a reader of the figures has to know.
    """

    name: str
    title: str
    samples: tuple[Sample, ...]
    label_map: LabelMap
    limits: SizeLimits | None
    expected: int | None
    notes: tuple[str, ...] = ()

    def image(self, sample: Sample, max_pixels: int = MAX_PIXELS) -> np.ndarray:
        """
        Read the image of a sample.

        :param sample: one of `samples`.
        :param max_pixels: width times height of the largest image that is accepted.
        :returns: (H, W, 3) uint8 RGB.
        :raises DatasetError: if it cannot be read; the message names the file.
        """
        try:
            image = read_photo(sample.image, max_pixels)
        except PictureError as error:
            raise DatasetError(str(error)) from error
        return image if sample.overlay is None else _overlaid(image, sample.overlay)

    def label(self, sample: Sample) -> np.ndarray:
        """
        Read the label of a sample.

        :param sample: one of `samples`.
        :returns: (H, W) uint8 with 0 for normal, 1 for anomalous and 255 for ignored pixels.
        :raises DatasetError: if it cannot be read or has a value of unknown meaning; the message
            names the file.
        """
        try:
            values = label_file_values(read_regular(sample.label, _LARGEST))
        except FileNotFoundError:
            raise DatasetError(f"'{sample.label}' does not exist; expected the label of "
                               f'{sample.name}') from None
        except (OSError, ConvertError) as error:
            raise DatasetError(f"'{sample.label}' cannot be read: {error}") from error
        unknown = self.label_map.unknown(values)
        if unknown:
            raise DatasetError(
                f"'{sample.label}' has the value {', '.join(map(str, unknown[:8]))}; expected "
                f'only {_ranges(self.label_map.meaning)}, as in {self.title}')
        return self.label_map.translated(values)


def make_dataset(name: str, title: str, root: Path, layout: str, samples: Iterable[Sample],
                 label_map: str, limits: SizeLimits | None, expected: int | None,
                 notes: Sequence[str] = ()) -> Dataset:
    """
    Return a data set, and refuse one without samples.

    :param name: as of `Dataset`.
    :param title: as of `Dataset`.
    :param root: the folder that the user named.
    :param layout: where the files of the data set should be in it, for the error message.
    :param samples: as of `Dataset`; they are sorted by name here.
    :param label_map: text of the label map.
    :param limits: as of `Dataset`.
    :param expected: as of `Dataset`.
    :param notes: as of `Dataset`.
    :raises DatasetError: if there is no sample.
    """
    found = tuple(sorted(samples, key=lambda sample: sample.name))
    if not found:
        raise DatasetError(f"'{root}' has no labelled image of {title}; expected {layout}")
    if expected is not None and len(found) != expected:
        notes = [*notes, f'{len(found)} samples were found, but {title} has {expected}, so the '
                 'figures cannot be compared with published ones']
    return Dataset(name, title, found, LabelMap.parse(label_map), limits, expected, tuple(notes))


def base_of(root: Path, names: Sequence[str], inside: str) -> Path:
    """
    Return the folder of a data set: the one that the user named, or one in it.

    :param root: the folder that the user named.
    :param names: names of the folder that holds the data set, as archives unpack it.
    :param inside: a file or folder that a data set has.
    :raises DatasetError: if `root` is not a folder.
    """
    if not root.is_dir():
        raise DatasetError(f"there is no folder '{root}'; expected the one with the data set "
                           f'(it has {inside})')
    return next((folder for folder in (root, *(root / name for name in names))
                 if (folder / inside).exists()), root)


def picture(folder: Path, stem: str, endings: Sequence[str] = PICTURES) -> Path:
    """
    Return the file of an image, or the first one that was expected if there is none.

    :param folder: where it lies.
    :param stem: its name without the ending.
    :param endings: endings that it may have.
    """
    return next((file for ending in endings if (file := folder / f'{stem}{ending}').exists()),
                folder / f'{stem}{endings[0]}')


def stems(files: Iterable[Path], ending: str) -> set[str]:
    """
    Return the names of files without an ending; those without it are left out.

    :param files: the files.
    :param ending: such as ``_labels_semantic.png``.
    """
    return {file.name.removesuffix(ending) for file in files if file.name.endswith(ending)}


Loader = Callable[[Path, Path], Dataset]
"""Finds a data set: takes the folder that the user named, and the one with the images on which it
is built, which is the same folder unless the user says otherwise."""


def _overlaid(image: np.ndarray, overlay: Path) -> np.ndarray:
    """Add a signed difference to an image, and clip the sum to 0..255."""
    try:
        with np.load(io.BytesIO(read_regular(overlay, _LARGEST)), allow_pickle=False) as arrays:
            difference = arrays['rgb']
    except FileNotFoundError:
        raise DatasetError(f"'{overlay}' does not exist; expected the overlay of an image"
                           ) from None
    except (OSError, ValueError, KeyError, EOFError, BadZipFile) as error:
        raise DatasetError(f"'{overlay}' cannot be read: {error}; expected a .npz file with the "
                           "array 'rgb'") from error
    if difference.shape != image.shape:
        raise DatasetError(f"'{overlay}' has the shape {difference.shape}, but its image has "
                           f'{image.shape}; expected the same shape')
    return np.clip(image + difference.astype(np.float32), 0, 255).round().astype(np.uint8)


def _ranges(values: Iterable[int]) -> str:
    """Return numbers as a list of ranges, such as 0, 2-200."""
    found: list[list[int]] = []
    for value in sorted(values):
        if found and value == found[-1][1] + 1:
            found[-1][1] = value
        else:
            found.append([value, value])
    return ', '.join(f'{a}' if a == b else f'{a}-{b}' for a, b in found)
