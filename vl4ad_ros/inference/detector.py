# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Score images against text prompts: the class that both the node and the evaluation use."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
import logging
from pathlib import Path

import numpy as np

from vl4ad_ros.bundle import Bundle, BundleError
from vl4ad_ros.bundle.coverage import Coverage
from vl4ad_ros.bundle.errors import REPAIR
from vl4ad_ros.bundle.installed import DEFAULT
from vl4ad_ros.bundle.manifest import Calibration
from vl4ad_ros.bundle.prompt_encoder import PromptEncoder, Prompts
from vl4ad_ros.bundle.reference import Maps
from vl4ad_ros.bundle.tokenizer import Tokenizer
from vl4ad_ros.inference.backend import Backend, BackendOptions, open_backend
from vl4ad_ros.inference.errors import BackendError
from vl4ad_ros.inference.letterbox import Letterbox
from vl4ad_ros.inference.thresholding import pixels_above
from vl4ad_ros.prompts.vocabulary import Vocabulary


@dataclass(frozen=True, eq=False)
class Prediction:
    """
    The output of the network for one image.

    The maps have (h, w) cells. A cell is a square of `Letterbox.stride` pixels of the network's
    input, and the maps cover only the part of the input that the image fills. Maps of the size of
    the image are computed when they are first needed.

    :ivar uncertainty: float32 (h, w), u of VL4AD eq. 2, about -1 (in-distribution) to 0
        (anomalous).
    :ivar best_known: int32 (h, w), the known class with the most mass, as an index into
        ``prompts.vocabulary.known``.
    :ivar best_anomaly: int32 (h, w), the anomaly class with the most mass, as an index into
        ``prompts.vocabulary.anomaly``; -1 if there are no anomaly classes.
    :ivar prompts: the prompts that the image was scored against.
    :ivar letterbox: the geometry between the image, the network's input and the maps.
    :ivar calibration: the bundle's map from uncertainty to score.
    :ivar anomaly_mass: float32 (h, w), the mass of the class in `best_anomaly`, about 0 to 1;
        None if the bundle's image network does not have this output (bundle format 2.0).
    """

    uncertainty: np.ndarray
    best_known: np.ndarray
    best_anomaly: np.ndarray
    prompts: Prompts
    letterbox: Letterbox
    calibration: Calibration
    anomaly_mass: np.ndarray | None = None

    @property
    def image_size(self) -> tuple[int, int]:
        """Number of rows and columns of the image."""
        return self.letterbox.image_size

    @cached_property
    def cell_score(self) -> np.ndarray:
        """Calibrated score of each cell: float32 (h, w), 0 (in-distribution) to 1 (anomalous)."""
        return self.calibration(self.uncertainty)

    @cached_property
    def score(self) -> np.ndarray:
        """
        Calibrated score of each pixel: float32 (H, W), 0 (in-distribution) to 1 (anomalous).

        The array is read-only, and its rows need not be contiguous.
        """
        score = self.letterbox.to_image(self.cell_score)
        score.setflags(write=False)
        return score

    def mask(self, threshold: float) -> np.ndarray:
        """
        Return which pixels are anomalous.

        :param threshold: score, 0 to 1.
        :returns: uint8 (H, W), 255 where the score is above `threshold`, else 0. It is read-only,
            and the next call with this threshold returns it again.
        """
        if threshold not in self._last_mask:
            mask = pixels_above(self.score, threshold)
            mask.setflags(write=False)
            self._last_mask.clear()
            self._last_mask[threshold] = mask
        return self._last_mask[threshold]

    @cached_property
    def _last_mask(self) -> dict[float, np.ndarray]:
        """The newest mask by its threshold."""
        return {}

    def anomaly_class_in(self, box: tuple[float, float, float, float],
                         threshold: float) -> tuple[str, float]:
        """
        Name the anomaly class that has the most mass in the anomalous part of a box.

        The mean is taken over the cells of the box whose score is above `threshold`, or over all
        cells of the box if there are none. The network gives the mass of only the best class of
        each cell. A class counts as 0 in the other cells, so its mean is a lower bound of its
        true mean.

        :param box: x, y, width and height in pixels of the image.
        :param threshold: score, 0 to 1.
        :returns: the name of the class and its mean mass over these cells, 0 to 1;
            ``('', 0.0)`` without anomaly prompts, or if the network does not give the mass.
        """
        classes = self.prompts.vocabulary.anomaly
        if self.anomaly_mass is None or not classes:
            return '', 0.0
        cells = self.letterbox.to_cells(box)
        inside = self.cell_score[cells] > threshold
        if not inside.any():
            inside[:] = True
        # The masks of several queries may add up to more than 1 (VL4AD eq. 2).
        mass = np.bincount(self.best_anomaly[cells][inside],
                           np.clip(self.anomaly_mass[cells][inside], 0.0, 1.0),
                           minlength=len(classes)) / np.count_nonzero(inside)
        best = int(mass.argmax())
        return classes[best].name, float(mass[best])


class Detector:
    """
    A bundle on a backend: encodes prompts and scores images.

    One thread may call `encode` while another one is in `detect`.

    >>> import numpy as np
    >>> from vl4ad_ros.inference.detector import Detector
    >>> from vl4ad_ros.prompts.vocabulary import Vocabulary
    >>> detector = Detector.open('street')
    >>> prompts = detector.encode(Vocabulary.from_strings(
    ...     ['road: road, asphalt', 'sky'], ['cow', 'hay bale']))
    >>> image = np.zeros((360, 640, 3), np.uint8)
    >>> prediction = detector.detect(image, prompts)
    >>> prediction.score.shape, prediction.score.dtype
    ((360, 640), dtype('float32'))
    >>> prediction.mask(threshold=0.5).shape
    (360, 640)
    >>> detector.close()
    """

    def __init__(self, bundle: Bundle, backend: Backend) -> None:
        """
        Use a backend that has already loaded the bundle; `open` does both.

        :param bundle: the opened bundle.
        :param backend: a backend of this bundle; `close` closes it.
        :raises BundleError: if the bundle's tokenizer or stored embeddings cannot be read.
        """
        self.bundle = bundle
        self._backend = backend
        text = bundle.text
        try:
            tokenizer = Tokenizer(bundle.directory / bundle.tokenizer, text.context_length,
                                  text.sot, text.eot, text.pad)
        except (OSError, ValueError) as error:
            raise BundleError(f'{error}; {REPAIR}') from error
        self._encoder = PromptEncoder(bundle, tokenizer, backend.encode_text)

    @staticmethod
    def open(bundle: str | Path = DEFAULT, backend: str = 'auto',
             options: BackendOptions = BackendOptions(),
             log: Callable[[str], None] = logging.getLogger(__name__).info) -> Detector:
        """
        Open a bundle on a backend.

        :param bundle: name of an installed bundle, such as ``'street'``, or the path of a folder.
        :param backend: ``'auto'`` or a key of `backend.REGISTRY`; see `backend.open_backend`.
        :param options: what the backend may use.
        :param log: is called with one line that says which backend was chosen, and why.
        :returns: the detector; the caller closes it.
        :raises BundleError: if the bundle is missing, altered or does not fit this package.
        :raises BackendError: if the backend cannot be used; the subclass says why.
        """
        opened = Bundle.open(bundle)
        loaded = open_backend(opened, backend, options, log)
        try:
            return Detector(opened, loaded)
        except BaseException:
            loaded.close()
            raise

    @property
    def backend(self) -> Backend:
        """The backend that runs the networks."""
        return self._backend

    @property
    def default_vocabulary(self) -> Vocabulary:
        """The vocabulary that the bundle contains."""
        return self.bundle.vocabulary

    def check(self, vocabulary: Vocabulary) -> None:
        """
        Refuse a vocabulary that `encode` would refuse, without running the text network.

        :param vocabulary: known and anomaly classes with their concepts.
        :raises VocabularyError: if a concept has too many tokens, or if there are more concepts
            or classes than the bundle has room for; the message names the entry.
        """
        self._encoder.check(vocabulary)

    def encode(self, vocabulary: Vocabulary) -> Prompts:
        """
        Embed a vocabulary with the text network.

        :param vocabulary: known and anomaly classes with their concepts.
        :returns: the arrays that `detect` takes.
        :raises VocabularyError: as `check`.
        :raises BackendError: if the text network fails.
        """
        return self._encoder(vocabulary)

    def missing_classes(self, prompts: Prompts) -> tuple[str, ...]:
        """
        Return the known classes that the threshold was calibrated with and that prompts lack.

        The first call embeds the bundle's own prompts if `encode` has not done so yet.

        :param prompts: result of `encode` of this detector.
        :returns: names of classes; see `vl4ad_ros.bundle.coverage` for the rule.
        :raises BackendError: if the text network fails.
        """
        return self._coverage.missing(prompts)

    @cached_property
    def _coverage(self) -> Coverage:
        return Coverage(self._encoder(self.default_vocabulary))

    def warm_up(self, runs: int = 3) -> None:
        """
        Score black images, because the first calls of a library are slower than later ones.

        :param runs: number of images.
        :raises BackendError: as `detect`.
        """
        prompts = self.encode(self.default_vocabulary)
        image = np.zeros((self.bundle.vision.height, self.bundle.vision.width, 3), np.uint8)
        for _ in range(runs):
            self.detect(image, prompts)

    def detect(self, image: np.ndarray, prompts: Prompts) -> Prediction:
        """
        Score one image.

        :param image: uint8 (H, W, 3), RGB, of any size from 1 x 1 on, in any memory layout. It is
            neither kept nor changed.
        :param prompts: result of `encode` of this detector.
        :returns: the maps of the network with the geometry of the image.
        :raises ValueError: if the image has another type, shape or dtype.
        :raises BackendError: if the network fails or its output has values that are not finite.
        """
        if (not isinstance(image, np.ndarray) or image.dtype != np.uint8 or image.ndim != 3
                or image.shape[2] != 3 or 0 in image.shape):
            seen = (f'{image.dtype} {image.shape}' if isinstance(image, np.ndarray)
                    else type(image).__name__)
            raise ValueError(f'image must be uint8 (H, W, 3) RGB with H, W >= 1, seen {seen}; '
                             'convert the image first')
        vision = self.bundle.vision
        letterbox = Letterbox(image.shape[:2], (vision.height, vision.width), vision.stride)
        full = self._backend.run(
            letterbox.to_network(image, self.bundle.padding_rgb), prompts.concepts,
            prompts.concept_class, prompts.num_known, prompts.ensemble_weight)
        maps = Maps(
            letterbox.crop(full.uncertainty), letterbox.crop(full.best_known),
            letterbox.crop(full.best_anomaly),
            None if full.anomaly_mass is None else letterbox.crop(full.anomaly_mass))
        if not (np.isfinite(maps.uncertainty).all()
                and (maps.anomaly_mass is None or np.isfinite(maps.anomaly_mass).all())):
            raise BackendError(f'{self.bundle.directory} gives values that are not finite on '
                               f'{self._backend.description}; {REPAIR}')
        return Prediction(maps.uncertainty, maps.best_known, maps.best_anomaly, prompts, letterbox,
                          self.bundle.calibration, maps.anomaly_mass)

    def close(self) -> None:
        """Close the backend; `detect` raises `BackendError` from then on."""
        self._backend.close()
