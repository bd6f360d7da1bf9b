# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The networks, prompts and frames that are measured."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
import functools
from typing import Any

from benchmarks.gpu.device import Device
from benchmarks.parity import drawn_state
import numpy as np
import torch
from torch import nn, Tensor

from vl4ad_ros.bundle import Bundle
from vl4ad_ros.bundle.prompt_encoder import Prompts
from vl4ad_ros.bundle.reference import load_reference, TEXT_INPUTS
from vl4ad_ros.prompts.vocabulary import Vocabulary
from vl4ad_workshop.network.bundle_network import open_network
from vl4ad_workshop.network.checkpoint import empty_network
from vl4ad_workshop.network.config import NETWORKS
from vl4ad_workshop.network.deformable_sampling import set_sampling
from vl4ad_workshop.network.export import VisionGraph
from vl4ad_workshop.network.precision import set_precision
from vl4ad_workshop.network.vl4ad import Texts
from vl4ad_workshop.scenes.still import draw_still

STREET = 'street'
_LARGE = ((512, 1024), (1024, 2048))
_SMALL = ((64, 96), (64, 128))
_VL4AD = {'convnext_large_d_320': _LARGE, 'rn50': _LARGE, 'tiny': _SMALL}
"""
Architectures with drawn weights, and the sizes (rows, columns) in pixels at which they are
measured.

The tiny one is for trials on a CPU, where half precision can take a hundred times as long as
float32.
"""
ARCHES = (*_VL4AD, STREET)
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


class Models(ABC):
    """
    The networks of one architecture on a device, all with the same weights.

    :ivar arch: one of `ARCHES`.
    :ivar device: where the networks are.
    :ivar sizes: (rows, columns) in pixels at which it is measured.
    :ivar padding: colour beside an image whose aspect ratio is not the network's, RGB 0..255.
    :ivar bundle: the bundle of the weights; None if they are drawn.
    :ivar weights: what the weights are, for tables.
    :ivar forms: forms of deformable attention that PyTorch can run, of
        `deformable_sampling.FORMS`; none for a network without it.
    :ivar no_order: why the official order of operations cannot be measured; empty if it can.
    """

    weights: str
    forms: Sequence[str]
    bundle: Bundle | None = None
    no_order = ''

    def __init__(self, arch: str, device: Device, sizes: Sequence[tuple[int, int]],
                 padding: tuple[int, ...]) -> None:
        """Load no weights yet; the arguments are the members of the same names."""
        self.arch, self.device, self.sizes, self.padding = arch, device, sizes, padding
        self._graphs: dict[tuple[Variant, torch.device], nn.Module] = {}

    @abstractmethod
    def _graph(self, variant: Variant, device: Device) -> nn.Module:
        """Return a new network from pixels to maps on a device."""

    @abstractmethod
    def prompts(self, seed: int = 0) -> Prompts:
        """Return other prompts for each seed."""

    def graph(self, variant: Variant, device: Device | None = None) -> Any:
        """
        Return a network from pixels to maps, the same object for the same arguments.

        :param variant: how to run it.
        :param device: where it is; None for the device of the models.
        """
        device = device or self.device
        key = variant, device.torch
        if key not in self._graphs:
            # Tensors that inference mode makes would be of use in inference mode only.
            with torch.inference_mode(False):
                self._graphs[key] = self._graph(variant, device)
        return self._graphs[key]

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
        """Return the prompts of `inputs` on the device, as VL4AD takes them."""
        prompts = self.prompts()
        concepts, classes, weight = (
            torch.from_numpy(a).to(self.device.torch)
            for a in (prompts.concepts, prompts.concept_class, prompts.ensemble_weight))
        return Texts(concepts, classes, len(weight), weight)


class Vl4adModels(Models):
    """VL4AD's networks with weights that are drawn by name, so that no checkpoint is needed."""

    weights, forms = 'drawn weights', ('grid-sample', 'gather')

    def __init__(self, arch: str, device: Device) -> None:
        """Draw no weights yet; `arch` is a key of `NETWORKS`."""
        self._config = NETWORKS[arch]
        super().__init__(arch, device, _VL4AD[arch], tuple(round(m) for m in self._config.mean))

    @functools.cached_property
    def _state(self) -> dict[str, Tensor]:
        return drawn_state(self._config)

    def _graph(self, variant: Variant, device: Device) -> VisionGraph:
        network = empty_network(self._config)
        network.load_state_dict(self._state, assign=True)
        network.requires_grad_(False).eval()
        # Half precision replaces weights, so the drawn ones stay as they are.
        set_precision(network, variant.precision)
        set_sampling(network, variant.form)
        network.to(device.torch, memory_format=variant.layout)
        return VisionGraph(network, CLASSES).eval()

    def prompts(self, seed: int = 0) -> Prompts:
        """Return random prompts; what they say changes no cost."""
        return Prompts(VOCABULARY, _unit_rows(seed, CONCEPTS, self._config.embed_dim),
                       np.arange(CONCEPTS) * CLASSES // CONCEPTS,
                       np.array([KNOWN]), np.full(CLASSES, 0.4, np.float32), '')


class StreetModels(Models):
    """The network of the shipped bundle `street`, which needs no checkpoint either."""

    weights, forms = 'trained street model', ()
    no_order = 'only VL4AD has an official order of operations'

    def __init__(self, device: Device) -> None:
        """Open the bundle."""
        self.bundle: Bundle = Bundle.open(STREET)
        rows, columns = self.bundle.vision.height, self.bundle.vision.width
        super().__init__(STREET, device, _SMALL[:1] if device.name == 'cpu' else (
            (rows, columns), (2 * rows, 2 * columns)), self.bundle.padding_rgb)

    def _graph(self, variant: Variant, device: Device) -> nn.Module:
        network = open_network(self.bundle)
        network.set_precision(variant.precision)
        network.module.to(device.torch, memory_format=variant.layout)
        return network.graph().eval()

    @functools.cached_property
    def _default(self) -> Prompts:
        return Prompts(self.bundle.vocabulary, **load_reference(self.bundle).texts, digest='')

    def prompts(self, seed: int = 0) -> Prompts:
        """Return the default prompts of the bundle for seed 0, and else random words for them."""
        if not seed:
            return self._default
        rows = _unit_rows(seed, *self._default.concepts.shape)
        used = self._default.concept_class[:, None] >= 0
        return replace(self._default, concepts=np.where(used, rows, np.float32(0)))


def open_models(arch: str, device: Device) -> Models:
    """
    Return the networks of an architecture.

    :param arch: one of `ARCHES`.
    :param device: where the networks are put.
    """
    return StreetModels(device) if arch == STREET else Vl4adModels(arch, device)


def _unit_rows(seed: int, count: int, size: int) -> np.ndarray:
    """Return random rows of length 1: float32 (count, size)."""
    rows = np.random.default_rng(seed).standard_normal((count, size)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return rows


def text_inputs(prompts: Prompts) -> tuple[np.ndarray, ...]:
    """Return the inputs of the image network after the image."""
    return tuple(getattr(prompts, name) for name in TEXT_INPUTS)


@functools.cache
def scenes(size: tuple[int, int], count: int) -> tuple[np.ndarray, ...]:
    """Draw road scenes: uint8 (H, W, 3) each."""
    return tuple(draw_still(np.random.default_rng(seed), size, groups=('known', 'masks'),
                            split='test').image for seed in range(count))
