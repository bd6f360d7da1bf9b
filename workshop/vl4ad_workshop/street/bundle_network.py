# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The street network of a bundle in PyTorch, as `vl4ad export` needs it."""

from __future__ import annotations

from collections.abc import Sequence
import json
from pathlib import Path
import shutil

import numpy as np
import torch
from torch import nn

from vl4ad_ros.bundle import Bundle, BundleError
from vl4ad_ros.bundle.errors import REPAIR
from vl4ad_ros.bundle.manifest import FILE as MANIFEST
from vl4ad_ros.inference.onnxruntime import TextNetwork
from vl4ad_workshop.network.export import kept_entries
from vl4ad_workshop.network.precision import DTYPES
from vl4ad_workshop.network.weight_file import WeightFile
from vl4ad_workshop.street.bundle_writer import write_image_network
from vl4ad_workshop.street.graph import (
    export_street_graph, StreetConfig, StreetGraph, StreetNetwork)


class OfBundle:
    """A street network; see `vl4ad_workshop.network.bundle_network.BundleNetwork`."""

    cpu_form = 'none'
    gpu_forms: Sequence[str] = ('none',)

    def __init__(self, bundle: Bundle) -> None:
        """
        Build the network from the weights of a bundle.

        :param bundle: a bundle that `write_street_bundle` wrote.
        :raises BundleError: if the weights do not fit the record of the network.
        """
        record, self._bundle = bundle.network, bundle
        try:
            with torch.device('meta'):
                self.module = StreetNetwork(StreetConfig.from_record(record.config))
            self.weights, state = WeightFile.read(bundle.directory / record.weights,
                                                  widen=record.store == 'fp16')
            self.module.load_state_dict(state, assign=True)
        except Exception as error:  # a damaged record raises many kinds of errors
            raise BundleError(f'{bundle.directory / record.weights} does not fit the network of '
                              f'its manifest ({error}); {REPAIR}') from error
        self.module.requires_grad_(False).eval()

    def graph(self) -> nn.Module:
        """Return the image network; see `BundleNetwork.graph`."""
        return StreetGraph(self.module, self._bundle.capacity.classes)

    def set_precision(self, dtype: str) -> None:
        """Convert in place all convolutions except the two that return logits."""
        logits = self.module.classifier.classes, self.module.head.out[-1]
        for module in self.module.modules():
            if isinstance(module, nn.Conv2d) and module not in logits:
                module.to(DTYPES[dtype])

    def set_sampling(self, form: str) -> None:
        """
        Accept the only form.

        :raises ValueError: for a form of deformable attention, which the network does not have.
        """
        if form != 'none':
            raise ValueError(f'sampling is {form!r}; a street network has no deformable attention')

    def encode_text(self, tokens: np.ndarray) -> np.ndarray:
        """Embed rows of tokens with the bundle's text network."""
        return TextNetwork(self._bundle, 1)(tokens)

    def write_graph(self, path: Path, size: tuple[int, int],
                    weights: Sequence[WeightFile]) -> None:
        """Write the image network; see `BundleNetwork.write_graph`."""
        capacity = self._bundle.capacity
        export_street_graph(self.module, path, size, capacity.concepts, capacity.classes, weights)

    def store(self, directory: Path, size: tuple[int, int], store: str) -> Bundle:
        """Write the bundle anew; see `BundleNetwork.store`."""
        bundle = self._bundle
        directory.mkdir(parents=True)
        for file in (bundle.text.file, bundle.tokenizer):
            shutil.copyfile(bundle.directory / file, directory / file)
        old = json.loads((bundle.directory / MANIFEST).read_text(encoding='utf-8'))
        write_image_network(self.module, directory, size, bundle.capacity.concepts,
                            bundle.capacity.classes, store, {
                                **kept_entries(old, bundle, store), 'text': old['text'],
                                'tokenizer': bundle.tokenizer})
        return Bundle.open(directory)
