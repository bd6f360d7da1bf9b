# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The networks, prompts and frames that are measured; weights are drawn by name."""

from __future__ import annotations

from dataclasses import dataclass
import functools

from benchmarks.gpu.device import Device
from benchmarks.parity import drawn_state
import numpy as np
import torch
from torch import Tensor

from vl4ad_ros.bundle.prompt_encoder import Prompts
from vl4ad_ros.bundle.reference import TEXT_INPUTS
from vl4ad_ros.prompts.vocabulary import Vocabulary
from vl4ad_workshop.network.checkpoint import empty_network
from vl4ad_workshop.network.config import NETWORKS
from vl4ad_workshop.network.deformable_sampling import set_sampling
from vl4ad_workshop.network.export import VisionGraph
from vl4ad_workshop.network.precision import set_precision
from vl4ad_workshop.network.vl4ad import Texts, Vl4ad
from vl4ad_workshop.scenes.still import draw_still

_LARGE = ((512, 1024), (1024, 2048))
ARCHES = {'convnext_large_d_320': _LARGE, 'rn50': _LARGE, 'tiny': ((64, 96), (64, 128))}
"""
Architectures, with the sizes (rows, columns) in pixels at which they are measured.

The tiny one is for trials on a CPU, where half precision can take a hundred times as long as
float32.
"""
CAMERA = (1080, 1920)
VOCABULARY = Vocabulary.from_strings(
    ['road', 'sidewalk', 'building', 'wall', 'fence', 'pole', 'traffic light', 'traffic sign',
     'vegetation', 'terrain', 'sky', 'person', 'rider', 'car', 'truck', 'bus', 'train',
     'motorcycle', 'bicycle'],
    ['animal', 'box', 'tyre', 'barrel', 'sofa', 'tree trunk', 'rock', 'caravan'])
"""The 19 classes of Cityscapes, and things that may lie on a road."""
CLASSES, KNOWN = len(VOCABULARY.classes), len(VOCABULARY.known)
CONCEPTS = 60  # FC-CLIP has about three for each class of Cityscapes


@dataclass(frozen=True)
class Variant:
    """
    A way to run the network.

    :ivar precision: one of `precision.DTYPES`.
    :ivar form: how deformable attention samples, of `deformable_sampling.FORMS`.
    :ivar channels_last: whether weights of convolutions lie channel by channel.
    """

    precision: str
    form: str = 'grid-sample'
    channels_last: bool = True

    @property
    def layout(self) -> torch.memory_format:
        """The layout of weights."""
        return torch.channels_last if self.channels_last else torch.preserve_format


class Models:
    """
    The networks of one architecture on a device, all with the same drawn weights.

    :ivar arch: one of `ARCHES`.
    :ivar config: its sizes.
    :ivar sizes: (rows, columns) in pixels at which it is measured.
    """

    def __init__(self, arch: str, device: Device) -> None:
        """
        Draw no weights yet.

        :param arch: one of `ARCHES`.
        :param device: where the networks are put.
        """
        self.arch, self.device = arch, device
        self.config, self.sizes = NETWORKS[arch], ARCHES[arch]
        self._graphs: dict[tuple[Variant, torch.device], VisionGraph] = {}

    @functools.cached_property
    def _state(self) -> dict[str, Tensor]:
        return drawn_state(self.config)

    @torch.inference_mode(False)  # such tensors would be of use in inference mode only
    def _network(self, variant: Variant, device: Device) -> Vl4ad:
        """Return a new network on a device."""
        network = empty_network(self.config)
        network.load_state_dict(self._state, assign=True)
        network.requires_grad_(False).eval()
        # Half precision replaces weights, so the drawn ones stay as they are.
        set_precision(network, variant.precision)
        set_sampling(network, variant.form)
        return network.to(device.torch, memory_format=variant.layout)

    def graph(self, variant: Variant, device: Device | None = None) -> VisionGraph:
        """
        Return a network from pixels to maps, the same object for the same arguments.

        :param variant: how to run it.
        :param device: where it is; None for the device of the models.
        """
        device = device or self.device
        key = variant, device.torch
        if key not in self._graphs:
            self._graphs[key] = VisionGraph(self._network(variant, device), CLASSES).eval()
        return self._graphs[key]

    def prompts(self, seed: int = 0) -> Prompts:
        """Return random prompts; what they say changes no cost."""
        rng = np.random.default_rng(seed)
        concepts = rng.standard_normal((CONCEPTS, self.config.embed_dim)).astype(np.float32)
        concepts /= np.linalg.norm(concepts, axis=1, keepdims=True)
        return Prompts(VOCABULARY, concepts, np.arange(CONCEPTS) * CLASSES // CONCEPTS,
                       np.array([KNOWN]), np.full(CLASSES, 0.4, np.float32), '')

    @torch.inference_mode(False)
    def inputs(self, image: np.ndarray, device: Device | None = None) -> tuple[Tensor, ...]:
        """
        Return the inputs of `graph` on its device.

        :param image: uint8 (H, W, 3).
        :param device: as for `graph`.
        """
        arrays = image, *text_inputs(self.prompts())
        return tuple(torch.from_numpy(a.copy()).to((device or self.device).torch) for a in arrays)

    @torch.inference_mode(False)
    def texts(self) -> Texts:
        """Return the prompts of `inputs` on the device, as the network takes them."""
        prompts = self.prompts()
        concepts, classes, weight = (
            torch.from_numpy(a).to(self.device.torch)
            for a in (prompts.concepts, prompts.concept_class, prompts.ensemble_weight))
        return Texts(concepts, classes, CLASSES, weight)


def text_inputs(prompts: Prompts) -> tuple[np.ndarray, ...]:
    """Return the inputs of the image network after the image."""
    return tuple(getattr(prompts, name) for name in TEXT_INPUTS)


@functools.cache
def scenes(size: tuple[int, int], count: int) -> tuple[np.ndarray, ...]:
    """Draw road scenes: uint8 (H, W, 3) each."""
    return tuple(draw_still(np.random.default_rng(seed), size, groups=('known', 'masks'),
                            split='test').image for seed in range(count))
