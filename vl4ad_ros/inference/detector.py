# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Images and prompts in, anomaly scores out: the same object in the node and in evaluation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
import logging
from pathlib import Path

import numpy as np

from vl4ad_ros.bundle import Bundle, BundleError
from vl4ad_ros.bundle.errors import REPAIR
from vl4ad_ros.bundle.installed import DEFAULT
from vl4ad_ros.bundle.manifest import Calibration
from vl4ad_ros.bundle.prompt_encoder import PromptEncoder, Prompts
from vl4ad_ros.bundle.reference import Maps
from vl4ad_ros.bundle.tokenizer import Tokenizer
from vl4ad_ros.inference.backend import Backend, BackendOptions, open_backend
from vl4ad_ros.inference.errors import BackendError
from vl4ad_ros.inference.letterbox import Letterbox
from vl4ad_ros.prompts.vocabulary import Vocabulary


@dataclass(frozen=True, eq=False)
class Prediction:
    """
    What the network says of one image; maps of the image's size are made when first asked for.

    :ivar uncertainty: float32 (h, w), u of VL4AD eq. 2, about -1 (belongs) to 0 (does not).
    :ivar best_known: int32 (h, w), index into ``prompts.vocabulary.known``.
    :ivar best_anomaly: int32 (h, w), index into ``prompts.vocabulary.anomaly``, -1 if it is empty.
    :ivar anomaly_mass: float32 (h, w), the mass of that class, about 0 to 1; None if the bundle's
        image network does not give it (bundle format 2.0).

    The (h, w) cells are `Letterbox.stride` network pixels wide and cover the image's part only.
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
        """Rows and columns of the image."""
        return self.letterbox.image_size

    @cached_property
    def cell_score(self) -> np.ndarray:
        """Calibrated score of each cell: float32 (h, w), 0..1, 1 = anomalous."""
        return self.calibration(self.uncertainty)

    @cached_property
    def score(self) -> np.ndarray:
        """Calibrated score of each pixel: float32 (H, W), 0..1, 1 = anomalous; read-only."""
        score = self.letterbox.to_image(self.cell_score)
        score.setflags(write=False)
        return score

    def mask(self, threshold: float) -> np.ndarray:
        """Return uint8 (H, W): 255 where the score is above `threshold`, else 0."""
        mask = np.greater(self.score, threshold).view(np.uint8)
        return np.negative(mask, out=mask)

    def anomaly_class_in(self, box: tuple[float, float, float, float],
                         threshold: float) -> tuple[str, float]:
        """
        Name the anomaly class that has most mass in the anomalous part of a box.

        The cells of the box whose score is above `threshold` count, or all of them if none is. The
        network tells the mass of the best class of each cell only, so a class counts as 0 where
        another one is best: the mean is a lower bound of the class's true mean.

        :param box: x, y, width, height in pixels of the image.
        :param threshold: 0..1.
        :returns: the name of the class and its own mean mass over these cells, 0..1;
            ``('', 0.0)`` without anomaly prompts, or if the network does not tell the mass.
        """
        classes = self.prompts.vocabulary.anomaly
        if self.anomaly_mass is None or not classes:
            return '', 0.0
        cells = self.letterbox.to_cells(box)
        inside = self.cell_score[cells] > threshold
        if not inside.any():
            inside[:] = True
        # Masks of several queries may add up to more than 1 (VL4AD eq. 2).
        mass = np.bincount(self.best_anomaly[cells][inside],
                           np.clip(self.anomaly_mass[cells][inside], 0.0, 1.0),
                           minlength=len(classes)) / np.count_nonzero(inside)
        best = int(mass.argmax())
        return classes[best].name, float(mass[best])


class Detector:
    """A bundle on a backend. `encode` may be called while another thread is in `detect`."""

    def __init__(self, bundle: Bundle, backend: Backend) -> None:
        """Use a backend that has loaded `bundle`; see `open` for the usual way."""
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
        Open a bundle by its name or folder on the named backend.

        :param log: told which backend was chosen and why.
        :raises BundleError: if the bundle is missing, altered or does not fit this package.
        :raises BackendError: if the backend cannot be used; its subclasses tell why.
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
        """What runs the networks."""
        return self._backend

    @property
    def default_vocabulary(self) -> Vocabulary:
        """The bundle's own vocabulary."""
        return self.bundle.vocabulary

    def check(self, vocabulary: Vocabulary) -> None:
        """
        Refuse a vocabulary that `encode` would refuse, in milliseconds.

        :raises VocabularyError: as `encode`.
        """
        self._encoder.check(vocabulary)

    def encode(self, vocabulary: Vocabulary) -> Prompts:
        """
        Turn a vocabulary into the arrays that `detect` takes.

        :raises VocabularyError: naming the entry that has too many tokens or exceeds the capacity.
        """
        return self._encoder(vocabulary)

    def warm_up(self, runs: int = 3) -> None:
        """Score empty images, so that the first real one does not pay for the library's set-up."""
        prompts = self.encode(self.default_vocabulary)
        image = np.zeros((self.bundle.vision.height, self.bundle.vision.width, 3), np.uint8)
        for _ in range(runs):
            self.detect(image, prompts)

    def detect(self, image: np.ndarray, prompts: Prompts) -> Prediction:
        """
        Score one image.

        :param image: uint8 (H, W, 3) RGB of any size from 1 x 1; not kept, not changed.
        :param prompts: from `encode` of this detector.
        :raises ValueError: if the image is anything else.
        :raises BackendError: if the network fails or gives values that are not finite.
        """
        if (not isinstance(image, np.ndarray) or image.dtype != np.uint8 or image.ndim != 3
                or image.shape[2] != 3 or 0 in image.shape):
            seen = (f'{image.dtype} {image.shape}' if isinstance(image, np.ndarray)
                    else type(image).__name__)
            raise ValueError(f'image must be uint8 (H, W, 3) RGB with H, W >= 1, seen {seen}; '
                             'convert it first')
        vision = self.bundle.vision
        letterbox = Letterbox(image.shape[:2], (vision.height, vision.width), vision.stride)
        maps = Maps(*(None if m is None else letterbox.crop(m) for m in self._backend.run(
            letterbox.to_network(image, self.bundle.padding_rgb), prompts.concepts,
            prompts.concept_class, prompts.num_known, prompts.ensemble_weight)))
        if not (np.isfinite(maps.uncertainty).all()
                and (maps.anomaly_mass is None or np.isfinite(maps.anomaly_mass).all())):
            raise BackendError(f'{self.bundle.directory} gave values that are not finite on '
                               f'{self._backend.description}; {REPAIR}')
        return Prediction(maps.uncertainty, maps.best_known, maps.best_anomaly, prompts, letterbox,
                          self.bundle.calibration, maps.anomaly_mass)

    def close(self) -> None:
        """Free the backend; `detect` raises `BackendError` from here on."""
        self._backend.close()
