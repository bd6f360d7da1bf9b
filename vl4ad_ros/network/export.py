# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Write a network as a bundle that runs without torch: the one place that meets the runtime."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import onnx
import torch
from torch import nn, Tensor

from vl4ad_ros.network.classification import ABSENT
from vl4ad_ros.network.scoring import semantic_map
from vl4ad_ros.network.vl4ad import Texts, Vl4ad
from vl4ad_ros.runtime.bundle import FORMAT, MAJOR, write_manifest

OPSET = 18
# Values of the graph that are no outputs of the shipped file (nobody on a vehicle needs them)
# but keep their names, so that a study can ask for them; see `vl4ad.Queries`.
STUDY_OUTPUTS = ('mask_logits', 'in_vocabulary', 'void', 'out_vocabulary')


class VisionGraph(nn.Module):
    """The network from uint8 pixels to the uncertainty at stride 4 (VL4AD eq. 1-3)."""

    def __init__(self, network: Vl4ad, classes: int) -> None:
        super().__init__()
        self.network, self.classes = network, classes

    def forward(self, image: Tensor, concepts: Tensor, concept_class: Tensor, num_known: Tensor,
                ensemble_weight: Tensor) -> tuple[Tensor, ...]:
        """
        Score a frame at network size; see docs/bundle.md for the inputs.

        :return: uncertainty (h, w) float32; best_known, best_anomaly (h, w) int32; then
            `STUDY_OUTPUTS`, the last only where it is computed.
        """
        texts = Texts(concepts, concept_class, self.classes, ensemble_weight)
        queries = self.network(image[None], texts)
        semantic = semantic_map(queries.mask_logits[0].sigmoid(), queries.probability[0])
        index = torch.arange(self.classes)[:, None, None]
        used = concept_class.amax(0) + 1
        known = torch.where(index < num_known, semantic, ABSENT)
        anomaly = torch.where((index >= num_known) & (index < used), semantic, ABSENT)
        best_anomaly = torch.where(used > num_known, anomaly.argmax(0) - num_known, -1)
        study = (queries.mask_logits, queries.in_vocabulary, queries.void, queries.out_vocabulary)
        return (-known.amax(0), known.argmax(0).int(), best_anomaly.int(),
                *(value for value in study if value is not None))


class TextGraph(nn.Module):
    """CLIP's text tower."""

    def __init__(self, network: Vl4ad) -> None:
        super().__init__()
        self.backbone = network.backbone

    def forward(self, tokens: Tensor) -> Tensor:
        """Map (n, context_length) int64 to (n, D) un-normalised embeddings."""
        return self.backbone.encode_text(tokens)


def export_bundle(network: Vl4ad, directory: Path, size: tuple[int, int], concepts: int,
                  classes: int, tokenizer: Path, manifest: dict[str, Any]) -> None:
    """
    Write vision.onnx, text.onnx, tokenizer.json and manifest.json.

    :param size: (height, width) of the vision graph's input, multiples of 32.
    :param concepts, classes: capacity of the graph's text inputs.
    :param manifest: what only the caller knows: name, notice, ensemble, calibration,
        vocabulary, provenance, and the text's special tokens.
    """
    network = network.eval().cpu()
    config = network.config
    directory.mkdir(parents=True, exist_ok=True)
    dim, length = config.embed_dim, config.clip['text_cfg']['context_length']
    concept_class = torch.full((concepts,), -1)
    concept_class[:3] = torch.arange(3)
    unit = torch.nn.functional.normalize(torch.randn(concepts, dim), dim=-1)
    example = (torch.randint(0, 255, (*size, 3), dtype=torch.uint8), unit, concept_class,
               torch.tensor([2]), torch.zeros(classes))
    outputs = ('uncertainty', 'best_known', 'best_anomaly', *STUDY_OUTPUTS)
    _export(VisionGraph(network, classes), example, directory / 'vision.onnx',
            ('image', 'concepts', 'concept_class', 'num_known', 'ensemble_weight'), outputs)
    _export(TextGraph(network), (torch.zeros(2, length, dtype=torch.int64),),
            directory / 'text.onnx', ('tokens',), ('embedding',), dynamic='tokens')
    (directory / 'tokenizer.json').write_bytes(tokenizer.read_bytes())
    text = manifest.pop('text')
    write_manifest(directory, {
        'format': FORMAT, 'version': f'{MAJOR}.0',
        'vision': {'file': 'vision.onnx', 'height': size[0], 'width': size[1], 'stride': 4},
        'text': {'file': 'text.onnx', 'context_length': length, 'embed_dim': dim, **text},
        'tokenizer': 'tokenizer.json',
        'capacity': {'concepts': concepts, 'classes': classes},
        # Zero after normalisation, as FC-CLIP pads.
        'padding_rgb': [round(m) for m in config.mean],
        'templates': list(config.templates),
        **manifest})


def _export(module: nn.Module, example: tuple[Tensor, ...], path: Path, inputs: tuple[str, ...],
            outputs: tuple[str, ...], dynamic: str | None = None) -> None:
    shapes = {dynamic: {0: torch.export.Dim('n')}} if dynamic else None
    with torch.no_grad():
        program = torch.onnx.export(
            module.eval(), example, input_names=list(inputs),
            output_names=[f'output.{o}' for o in outputs],
            opset_version=OPSET, dynamo=True, dynamic_shapes=shapes, verbose=False)
    model = program.model_proto
    # The exporter lets an output share its name with a value inside the graph.
    _rename(model, {o: f'inner.{o}' for o in outputs})
    _rename(model, {f'output.{o}': o for o in outputs})
    del model.metadata_props[:]
    for node in model.graph.node:
        # Stack traces of the exporting machine say nothing to a reader and hold its paths.
        del node.metadata_props[:]
        node.doc_string = ''
    for value in [*model.graph.value_info, *model.graph.input, *model.graph.output]:
        del value.metadata_props[:]
    study = [o for o in model.graph.output if o.name in STUDY_OUTPUTS]
    for output in study:
        model.graph.output.remove(output)
        model.graph.value_info.append(output)
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, path)


def _rename(model: onnx.ModelProto, names: dict[str, str]) -> None:
    graph = model.graph
    for value in [*graph.value_info, *graph.output]:
        value.name = names.get(value.name, value.name)
    for node in graph.node:
        for values in (node.input, node.output):
            values[:] = [names.get(v, v) for v in values]
