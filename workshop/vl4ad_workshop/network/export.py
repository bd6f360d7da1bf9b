# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Write a network as a bundle that runs without torch: the one place that meets the runtime."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
import json
import logging
import os
from pathlib import Path
import shutil
import tempfile
from typing import Any

import onnx
import onnx_ir
from onnx_ir.passes import common
import onnxscript.optimizer
import torch
from torch import nn, Tensor
import torch.nn.functional as F

from vl4ad_ros import __version__
from vl4ad_ros.bundle import Bundle
from vl4ad_ros.bundle.manifest import FILE as MANIFEST, FORMAT, VERSION
from vl4ad_ros.bundle.reference import OUTPUTS
from vl4ad_ros.bundle.writer import write_manifest
from vl4ad_workshop.network.classification import Classification, EMPTY_CLASS_LOGIT
from vl4ad_workshop.network.fused_padding import fuse_padding
from vl4ad_workshop.network.fused_projections import fuse_projections
from vl4ad_workshop.network.uncertainty import semantic_map
from vl4ad_workshop.network.vl4ad import Texts, Vl4ad
from vl4ad_workshop.network.weight_file import (
    page_out, Progress, round_to_half, silent, WeightFile)

OPSET = 18
# Values of the graph that are no outputs of the shipped file (nobody on a vehicle needs them)
# but keep their names, so that a study can ask for them; see `vl4ad.QueryPredictions`.
STUDY_OUTPUTS = ('mask_logits', 'in_vocabulary', 'void', 'out_vocabulary')
WEIGHTS = 'weights.safetensors'
# Values of one side of a map times channels: 8192 pixels of an image at stride 8, 128 channels.
_LARGEST_ENCODING = 1024 * 128


class VisionGraph(nn.Module):
    """The network from uint8 pixels to the uncertainty at stride 4 (VL4AD eq. 1-3)."""

    def __init__(self, network: Vl4ad, classes: int,
                 options: Classification = Classification()) -> None:
        super().__init__()
        self.network, self.classes, self.options = network, classes, options

    def forward(self, image: Tensor, concepts: Tensor, concept_class: Tensor, num_known: Tensor,
                ensemble_weight: Tensor) -> tuple[Tensor, ...]:
        """
        Score a frame at network size; see docs/bundle.md for the inputs.

        :return: the four maps of `runtime.reference.Maps`, (h, w); then `STUDY_OUTPUTS`, the last
            only where it is computed.
        """
        texts = Texts(concepts, concept_class, self.classes, ensemble_weight)
        # TensorRT takes uint8 into a cast only, so this comes before anything else.
        queries = self.network(image.float()[None], texts, self.options)
        semantic = semantic_map(queries.mask_logits[0].sigmoid(), queries.probability[0])
        index = torch.arange(self.classes, device=semantic.device)[:, None, None]
        used = concept_class.amax(0) + 1
        known = torch.where(index < num_known, semantic, EMPTY_CLASS_LOGIT)
        anomaly = torch.where((index >= num_known) & (index < used), semantic, EMPTY_CLASS_LOGIT)
        best_anomaly = torch.where(used > num_known, anomaly.argmax(0) - num_known, -1)
        anomaly_mass = torch.where(used > num_known, anomaly.amax(0), 0.0)
        study = (queries.mask_logits, queries.in_vocabulary, queries.void, queries.out_vocabulary)
        return (-known.amax(0), known.argmax(0).int(), best_anomaly.int(), anomaly_mass,
                *(value for value in study if value is not None))


class TextGraph(nn.Module):
    """CLIP's text tower."""

    def __init__(self, network: Vl4ad) -> None:
        super().__init__()
        self.backbone = network.backbone

    def forward(self, tokens: Tensor) -> Tensor:
        """Map (n, length) int64 to (n, D) un-normalised embeddings."""
        return self.backbone.encode_text(tokens)


@contextmanager
def new_folder(out: Path) -> Iterator[Path]:
    """
    Give a folder to fill that becomes `out` when all went well, else leave nothing.

    :raises ValueError: if `out` exists.
    """
    if out.exists():
        raise ValueError(f"'{out}' exists already; remove it or choose another folder with --out")
    out.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(prefix=f'.{out.name}.', dir=out.parent))
    try:
        yield partial
        partial.chmod(0o755)
        os.rename(partial, out)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise


def export_bundle(network: Vl4ad, directory: Path, size: tuple[int, int], concepts: int,
                  classes: int, tokenizer: Path, manifest: dict[str, Any],
                  options: Classification = Classification(),
                  progress: Progress = silent, store: str = 'fp32') -> None:
    """
    Write vision.onnx, text.onnx, weights.safetensors, tokenizer.json and manifest.json.

    :param network: float32; moved to the CPU, and with ``store='fp16'`` its large weights are
        rounded in place.
    :param directory: made if it does not exist.
    :param size: (height, width) of the vision graph's input, multiples of 32.
    :param concepts, classes: capacity of the graph's text inputs.
    :param tokenizer: a `tokenizers` file, copied unless it is the bundle's already.
    :param manifest: what only the caller knows: name, notice, ensemble, calibration,
        vocabulary, provenance, and the text's special tokens.
    :param options: how masks are classified.
    :param progress: called with each step and the number of bytes of weights that it wrote.
    :param store: ``'fp16'`` stores large weights as float16, which halves the size of the bundle;
        the graphs cast them to float32 and compute in float32 as with ``'fp32'``.
    :raises ValueError: if `size` is no multiple of 32.
    :raises BundleError: if weights or what is computed of them are not finite.
    """
    if size[0] % 32 or size[1] % 32 or min(size) < 32:
        raise ValueError(f'input size {size[0]}x{size[1]}: both sides must be multiples of 32, '
                         f'such as {max(size[0] // 32, 1) * 32}x{max(size[1] // 32, 1) * 32}')
    network = network.eval().cpu()
    config = network.config
    directory.mkdir(parents=True, exist_ok=True)
    progress('weights', 0)
    halves = round_to_half(network) if store == 'fp16' else []
    weights = WeightFile.write(directory / WEIGHTS, network.state_dict(), progress, halves)
    progress('text tower', 0)
    # The text tower first: the image network's export has the higher peak.
    export_text(network, directory / 'text.onnx', weights)
    progress('image network', 0)
    export_vision(network, directory / 'vision.onnx', size, concepts, classes, options, [weights])
    progress('manifest', 0)
    if tokenizer != directory / 'tokenizer.json':
        (directory / 'tokenizer.json').write_bytes(tokenizer.read_bytes())
    text = manifest.pop('text')
    write_manifest(directory, {
        'format': FORMAT, 'version': VERSION,
        'vision': {
            'height': size[0], 'width': size[1], 'stride': 4,
            'normalisation': {'mean': list(config.mean), 'std': list(config.std)},
            'graphs': [{'file': 'vision.onnx', 'dtype': 'fp32', 'sampling': 'grid-sample'}]},
        'text': {'file': 'text.onnx', 'context_length': config.context_length,
                 'embed_dim': config.embed_dim, **text},
        'weights': [WEIGHTS],
        'network': {'config': asdict(config), 'classification': asdict(options),
                    'weights': WEIGHTS, 'store': store},
        'tokenizer': 'tokenizer.json',
        'capacity': {'concepts': concepts, 'classes': classes},
        # Zero after normalisation, as FC-CLIP pads.
        'padding_rgb': [round(m) for m in config.mean],
        'templates': list(config.templates),
        **manifest})
    # Nothing is written that `open` would refuse, such as weights of a training that diverged.
    Bundle.open(directory)


def store_bundle(network: Vl4ad, bundle: Bundle, directory: Path, size: tuple[int, int],
                 store: str) -> Bundle:
    """
    Write a bundle anew with its weights stored in another format.

    The new bundle has the float32 image network for CPUs and no reference frames: its weights are
    others if they were rounded, so everything that was computed from them is out of date.

    :param network: the network of `bundle`; rounded in place for ``store='fp16'``.
    :param bundle: where everything else is taken from.
    :param directory: folder of the new bundle.
    :param size: (height, width) of the image network's input, multiples of 32.
    :param store: one of `vl4ad_ros.bundle.manifest.STORAGE`.
    :return: the new bundle.
    """
    directory.mkdir(parents=True)
    if bundle.text.embeddings is not None:
        shutil.copyfile(bundle.directory / bundle.text.embeddings,
                        directory / bundle.text.embeddings)
    old = json.loads((bundle.directory / MANIFEST).read_text(encoding='utf-8'))
    kept = kept_entries(old, bundle, store)
    kept['text'] = {key: value for key, value in old['text'].items()
                    if key not in ('file', 'context_length', 'embed_dim')}
    export_bundle(network, directory, size, bundle.capacity.concepts, bundle.capacity.classes,
                  bundle.directory / bundle.tokenizer, kept,
                  Classification(**old['network']['classification']), store=store)
    return Bundle.open(directory)


def kept_entries(old: Mapping[str, Any], bundle: Bundle, store: str) -> dict[str, Any]:
    """
    Return the entries of a manifest that stay the same when weights are stored in another format.

    :param old: the manifest.
    :param bundle: its bundle, which the new `provenance` names.
    :param store: the new format.
    """
    kept = {key: old[key] for key in (
        'name', 'notice', 'licence', 'training_data', 'padding_rgb', 'templates', 'ensemble',
        'calibration', 'vocabulary', 'provenance') if key in old}
    kept['provenance'].setdefault('stored', []).append({
        'store': store, 'from_digest': bundle.digest, 'vl4ad_ros': __version__})
    return kept


def export_text(network: Vl4ad, path: Path, weights: WeightFile) -> None:
    """Write the text tower as ONNX, for any number of rows of any length."""
    length = network.config.context_length
    shapes = {'tokens': {0: torch.export.Dim('n'), 1: torch.export.Dim('length', max=length)}}
    _export(TextGraph(network), (torch.zeros(2, length - 1, dtype=torch.int64),), path,
            ('tokens',), ('embedding',), [weights], shapes)


def export_vision(network: Vl4ad, path: Path, size: tuple[int, int], concepts: int, classes: int,
                  options: Classification, weights: Sequence[WeightFile]) -> None:
    """
    Write the image network as ONNX, in its present precision and form of sampling.

    :param weights: files that hold its parameters.
    """
    study = STUDY_OUTPUTS[:3] if options.classifier == 'in' else STUDY_OUTPUTS
    export_vision_graph(VisionGraph(network, classes, options), path, size, concepts, classes,
                        network.config.embed_dim, weights, study)


def export_vision_graph(graph: nn.Module, path: Path, size: tuple[int, int], concepts: int,
                        classes: int, embed_dim: int, weights: Sequence[WeightFile],
                        study: Sequence[str] = ()) -> None:
    """
    Write a module with the inputs and outputs of docs/bundle.md as ONNX.

    :param graph: returns the four maps and then the values of `study`.
    :param path: the file.
    :param size: (height, width) of the input in pixels.
    :param concepts: P, capacity of the text inputs.
    :param classes: C, likewise.
    :param embed_dim: D.
    :param weights: files that hold the parameters.
    :param study: names of inner values, of `STUDY_OUTPUTS`.
    """
    concept_class = torch.full((concepts,), -1)
    concept_class[:3] = torch.arange(3)
    unit = F.normalize(torch.randn(concepts, embed_dim), dim=-1)
    example = (torch.randint(0, 255, (*size, 3), dtype=torch.uint8), unit, concept_class,
               torch.tensor([2]), torch.zeros(classes))
    _export(graph, example, path,
            ('image', 'concepts', 'concept_class', 'num_known', 'ensemble_weight'),
            (*OUTPUTS, *study), weights)


def _export(module: nn.Module, example: tuple[Tensor, ...], path: Path, inputs: tuple[str, ...],
            outputs: tuple[str, ...], weights: Sequence[WeightFile],
            shapes: dict[str, dict[int, Any]] | None = None) -> None:
    # It warns of every operation that it leaves as it is.
    logging.getLogger('onnxscript').setLevel(logging.ERROR)
    with torch.no_grad():
        program = torch.onnx.export(
            module.eval(), example, input_names=list(inputs), output_names=list(outputs),
            opset_version=OPSET, dynamo=True, dynamic_shapes=shapes, verbose=False,
            optimize=False)
    page_out(module.state_dict().values())
    model = program.model
    parameters = {value.data_ptr() for value in module.state_dict().values()}
    _simplify(model, parameters)
    _tidy(model, outputs)
    make_gelu_fusible(model)
    fuse_projections(model)
    fuse_padding(model)
    for file in weights:
        file.lend(model)
    onnx_ir.save(model, path)
    page_out(module.state_dict().values())
    # Convolutions of bfloat16 came with opset 22, which TensorRT 10.3 does not read; it takes them
    # in older ones. Shape inference would not.
    halves = {value.const_value.dtype for value in model.graph.initializers.values()}
    onnx.checker.check_model(path, full_check=onnx_ir.DataType.BFLOAT16 not in halves)


def _simplify(model: onnx_ir.Model, parameters: set[int]) -> None:
    """
    Compute what is constant, share what is equal, drop what is unused.

    The exporter's own optimiser would also merge parameters into new ones (batch norms into
    convolutions), which inference libraries do by themselves.
    """
    common.InlinePass()(model)
    for _ in range(2):
        onnxscript.optimizer.fold_constants(
            model, onnx_shape_inference=True, input_size_limit=_LARGEST_ENCODING,
            should_fold=lambda node: _may_fold(node, parameters))
        common.RemoveUnusedNodesPass()(model)
    onnx_ir.passes.Sequential(
        common.RemoveUnusedFunctionsPass(), common.RemoveUnusedOpsetsPass(),
        common.LiftConstantsToInitializersPass(lift_all_constants=True, size_limit=0),
        common.DeduplicateInitializersPass(), common.CommonSubexpressionEliminationPass(),
        common.OutputFixPass(), common.NameFixPass())(model)


def _may_fold(node: onnx_ir.Node, parameters: set[int]) -> bool | None:
    """Keep parameters as they are: a transposed copy would be in no other file."""
    for value in node.inputs:
        raw = getattr(value and value.const_value, 'raw', None)
        if isinstance(raw, Tensor) and raw.data_ptr() in parameters:
            return False
    return None


def make_gelu_fusible(model: onnx_ir.Model) -> int:
    """
    Write GELU in the order that inference libraries know as one operation; return how many.

    The exporter writes x * (0.5 * (1 + erf)); ONNX Runtime fuses (x * (1 + erf)) * 0.5 only. A
    half is exact, so the values are the same.
    """
    count = 0
    for erf in [node for node in model.graph if node.op_type == 'Erf']:
        chain = [erf]
        for kind in ('Add', 'Mul', 'Mul'):
            users = [user for user, _ in chain[-1].outputs[0].uses()]
            if len(users) != 1 or users[0].op_type != kind:
                break
            chain.append(users[0])
        else:
            _, plus_one, halved, gelu = chain
            half = 1 - halved.inputs.index(plus_one.outputs[0])
            x = 1 - gelu.inputs.index(halved.outputs[0])
            factor, value = halved.inputs[half], gelu.inputs[x]
            if factor.const_value is not None and factor.const_value.numpy().tolist() == 0.5:
                halved.replace_input_with(half, value)
                gelu.replace_input_with(x, factor)
                count += 1
    return count


def _tidy(model: onnx_ir.Model, outputs: tuple[str, ...]) -> None:
    """Name the outputs, turn study values into inner ones, drop traces of the exporter."""
    graph = model.graph
    # The exporter lets an output share its name with a value inside the graph.
    for value in [v for node in graph for v in node.outputs if v.name in outputs]:
        value.name = f'inner.{value.name}'
    for name, value in zip(outputs, graph.outputs):
        value.name = name
    for value in [v for v in graph.outputs if v.name in STUDY_OUTPUTS]:
        graph.outputs.remove(value)
    model.metadata_props.clear()
    for value in [*graph.inputs, *graph.outputs, *graph.initializers.values()]:
        value.metadata_props.clear()
    for node in graph:
        # Stack traces of the exporting machine say nothing to a reader and hold its paths.
        node.metadata_props.clear()
        node.doc_string = None
        for value in node.outputs:
            value.metadata_props.clear()
