# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Everything slow that configure does, for a background thread."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from vl4ad_ros.bundle.prompt_encoder import Prompts
from vl4ad_ros.images import image_to_rgb
from vl4ad_ros.images.with_cv_bridge import BRIDGED, cv_bridge_problem, image_to_rgb_with_cv_bridge
from vl4ad_ros.inference.detector import Detector
from vl4ad_ros.inference.errors import FatalBackendError
from vl4ad_ros.node import background
from vl4ad_ros.node.frames import Convert
from vl4ad_ros.obstacles.labels import label_names
from vl4ad_ros.settings import Settings


@dataclass(frozen=True)
class LoadedModel:
    """
    What configure loads.

    :ivar detector: has run once on an empty image.
    :ivar prompts: those of the settings, encoded.
    :ivar convert_raw: converts a message with an uncompressed image.
    :ivar conversion: says which conversion this is, a sentence for the log.
    """

    detector: Detector
    prompts: Prompts
    convert_raw: Convert
    conversion: str


def load(settings: Settings, progress: Callable[[str], None]) -> LoadedModel:
    """
    Load the model, encode the prompts and choose the conversion of raw images.

    :param settings: name the bundle, the backend and the prompts.
    :param progress: is called with a line for the log before each long step.
    :returns: all that was loaded; the caller closes the detector.
    :raises Exception: if the bundle, the backend or the prompts cannot be used; nothing stays
        loaded unless it is a `FatalBackendError`.
    """
    # The test of cv_bridge waits for a child process, meanwhile the model is loaded.
    testing = background.submit(cv_bridge_problem)
    detector = Detector.open(settings.model_bundle, settings.model_backend,
                             settings.backend_options, progress)
    try:
        vocabulary = settings.vocabulary(detector.default_vocabulary)
        label_names(vocabulary)  # refuses more classes than labels have room for
        prompts = detector.encode(vocabulary)
        detector.warm_up()
        problem = testing.result()
    except FatalBackendError:
        raise
    except Exception:
        detector.close()
        raise
    if problem:
        return LoadedModel(detector, prompts, image_to_rgb,
                           f'raw images are converted without cv_bridge: {problem}')
    return LoadedModel(detector, prompts, image_to_rgb_with_cv_bridge,
                       f'raw images of {", ".join(BRIDGED)} are converted with cv_bridge')
