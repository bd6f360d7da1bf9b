# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The network of a bundle in PyTorch, whatever its kind, as `vl4ad export` needs it."""

from __future__ import annotations

from collections.abc import Sequence
import importlib
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch import nn

from vl4ad_ros.bundle import Bundle, BundleError
from vl4ad_ros.bundle.errors import REPAIR
from vl4ad_workshop.network.checkpoint import empty_network
from vl4ad_workshop.network.classification import Classification
from vl4ad_workshop.network.config import NetworkConfig
from vl4ad_workshop.network.deformable_sampling import set_sampling
from vl4ad_workshop.network.export import export_vision, store_bundle, VisionGraph
from vl4ad_workshop.network.options import ENGINE_FORMS
from vl4ad_workshop.network.precision import set_precision
from vl4ad_workshop.network.vl4ad import Vl4ad
from vl4ad_workshop.network.weight_file import WeightFile


class BundleNetwork(Protocol):
    """
    A network that was built from the weights of a bundle.

    :ivar module: the float32 network in evaluation mode; `set_precision` changes it.
    :ivar weights: the file that its parameters are mapped from.
    :ivar cpu_form: form of deformable attention for CPUs, of `vl4ad_ros.bundle.manifest.SAMPLING`.
    :ivar gpu_forms: forms of deformable attention for GPUs, the one to try first comes first.
    """

    module: nn.Module
    weights: WeightFile
    cpu_form: str
    gpu_forms: Sequence[str]

    def graph(self) -> nn.Module:
        """Return the image network with the inputs and outputs of docs/bundle.md."""

    def set_precision(self, dtype: str) -> None:
        """Convert the weights in place to one of `precision.DTYPES`, where it is safe."""

    def set_sampling(self, form: str) -> None:
        """
        Choose the form of deformable attention.

        :raises ValueError: if the network does not have this form.
        """

    def encode_text(self, tokens: np.ndarray) -> np.ndarray:
        """Embed rows of tokens, int64 [n, length], as float32 [n, D]."""

    def write_graph(self, path: Path, size: tuple[int, int],
                    weights: Sequence[WeightFile]) -> None:
        """
        Write the image network as ONNX, in its present precision and form.

        :param path: the file.
        :param size: (height, width) of the input in pixels, multiples of 32.
        :param weights: files that hold its parameters.
        """

    def store(self, directory: Path, size: tuple[int, int], store: str) -> Bundle:
        """
        Write the bundle anew with its large weights in another format.

        The new bundle has the float32 image network for CPUs and no reference frames.

        :param directory: folder of the new bundle, which must not exist yet.
        :param size: (height, width) of the input in pixels, multiples of 32.
        :param store: one of `vl4ad_ros.bundle.manifest.STORAGE`.
        """


# Modules that have a class `OfBundle`, by the kind of network. They are imported when they are
# needed, because those of other kinds build on this part of the workshop.
_MODULES = {'vl4ad': 'vl4ad_workshop.network.bundle_network',
            'street': 'vl4ad_workshop.street.bundle_network'}


def open_network(bundle: Bundle) -> BundleNetwork:
    """
    Build a bundle's network in PyTorch, in evaluation mode.

    :param bundle: a bundle that the workshop wrote.
    :raises BundleError: if the bundle has no weights for it, or they do not fit.
    """
    return class_of(bundle)(bundle)


def class_of(bundle: Bundle) -> type[OfBundle]:
    """Return the class of a bundle's network, which has its forms, without loading weights."""
    kind = 'vl4ad' if bundle.network is None else bundle.network.kind
    found: type[OfBundle] = importlib.import_module(_MODULES[kind]).OfBundle
    return found


class OfBundle:
    """A VL4AD network; see `BundleNetwork`."""

    cpu_form = 'grid-sample'
    gpu_forms: Sequence[str] = ENGINE_FORMS

    def __init__(self, bundle: Bundle) -> None:
        """
        Build the network.

        :param bundle: a bundle that `vl4ad convert` or `vl4ad train` wrote.
        :raises BundleError: see `load_network`.
        """
        self.module, self.weights = load_network(bundle)
        self._bundle = bundle
        self._options = Classification(**bundle.network.classification)

    def graph(self) -> nn.Module:
        """Return the image network; see `BundleNetwork.graph`."""
        return VisionGraph(self.module, self._bundle.capacity.classes, self._options)

    def set_precision(self, dtype: str) -> None:
        """Convert the weights in place."""
        set_precision(self.module, dtype)

    def set_sampling(self, form: str) -> None:
        """Choose the form of deformable attention."""
        set_sampling(self.module, form)

    def encode_text(self, tokens: np.ndarray) -> np.ndarray:
        """Embed rows of tokens."""
        with torch.no_grad():
            return self.module.backbone.encode_text(torch.from_numpy(tokens)).numpy()

    def write_graph(self, path: Path, size: tuple[int, int],
                    weights: Sequence[WeightFile]) -> None:
        """Write the image network; see `BundleNetwork.write_graph`."""
        capacity = self._bundle.capacity
        export_vision(self.module, path, size, capacity.concepts, capacity.classes, self._options,
                      weights)

    def store(self, directory: Path, size: tuple[int, int], store: str) -> Bundle:
        """Write the bundle anew; see `BundleNetwork.store`."""
        return store_bundle(self.module, self._bundle, directory, size, store)


def load_network(bundle: Bundle) -> tuple[Vl4ad, WeightFile]:
    """
    Build a bundle's VL4AD network in PyTorch, in evaluation mode.

    :param bundle: a bundle that `vl4ad convert` or `vl4ad train` wrote.
    :return: the network, whose weights are mapped from their file, and that file.
    :raises BundleError: if the bundle has no weights for it, they do not fit, or its network is
        of another kind.
    """
    record = bundle.network
    if record is None:
        raise BundleError(f'{bundle.directory} has no weights that PyTorch could load; use a '
                          'bundle that `vl4ad convert` or `vl4ad train` wrote')
    if record.kind != 'vl4ad':
        raise BundleError(f'{bundle.directory} holds a {record.kind} network, which is not a '
                          'VL4AD network; use another bundle')
    try:
        network = empty_network(NetworkConfig.from_record(record.config))
        Classification(**record.classification)
        weights, state = WeightFile.read(bundle.directory / record.weights,
                                         widen=record.store == 'fp16')
        network.load_state_dict(state, assign=True)
    except Exception as error:  # a damaged record raises many kinds of errors
        raise BundleError(f'{bundle.directory / record.weights} does not fit the network of its '
                          f'manifest ({error}); {REPAIR}') from error
    return network.requires_grad_(False).eval(), weights
