# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""`vl4ad export` writes a bundle's network in another precision, form or size as a new bundle."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import asdict, replace
from importlib.metadata import version
import json
from pathlib import Path
import re
import shutil
from tempfile import TemporaryDirectory

import numpy as np
import torch
from torch import nn

from vl4ad_ros import __version__
from vl4ad_ros.bundle import Bundle, BundleError
from vl4ad_ros.bundle.manifest import DTYPES, Graph, MAJOR, MINOR, STORAGE, VERSION
from vl4ad_ros.bundle.prompt_encoder import PromptEncoder
from vl4ad_ros.bundle.reference import (
    Deviation, excess, load_reference, Maps, measure, OUTPUTS, Reference, save_reference,
    TEXT_INPUTS)
from vl4ad_ros.bundle.tokenizer import Tokenizer
from vl4ad_ros.bundle.writer import write_manifest
from vl4ad_ros.commands import Verb
from vl4ad_ros.inference.letterbox import Letterbox
from vl4ad_workshop.network.bundle_network import class_of, open_network
from vl4ad_workshop.network.export import new_folder
from vl4ad_workshop.network.options import add_precision_arguments, parse_size, read_pictures
from vl4ad_workshop.network.weight_file import WeightFile

REFERENCE = 'reference.npz'
_ALL_OUTPUTS = 1  # minor version since which graphs have all outputs of `OUTPUTS`


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `vl4ad export`."""
    parser.add_argument('bundle', metavar='BUNDLE', help="'tiny' or a directory")
    parser.add_argument('--input-size', type=parse_size, metavar='HxW',
                        help="size of the network's input in pixels (default: the bundle's)")
    add_precision_arguments(parser, default='fp16')
    parser.add_argument('--store-dtype', choices=STORAGE,
                        help='format of large weights in the files of the new bundle: fp16 halves '
                        'their size and rounds the weights; the network computes as before '
                        '(default: as in BUNDLE)')
    parser.add_argument('--out', type=Path, metavar='DIR',
                        help='folder of the new bundle, which must not exist yet (default: '
                        'NAME-HxW-DTYPE here)')


def run(args: argparse.Namespace) -> int:
    """Run `vl4ad export`."""
    bundle = Bundle.open(args.bundle)
    size = args.input_size or (bundle.vision.height, bundle.vision.width)
    name = re.sub(r'[^\w.-]+', '-', bundle.name)  # which may have slashes
    out = args.out or Path(f'{name}-{size[0]}x{size[1]}-{args.dtype}')
    forms = forms_for(bundle, args.sampling)
    pictures = read_pictures(args.images) if args.images else ()
    deviation = export(bundle, out, size, args.dtype, forms, pictures,
                       lambda step: print(f'{step} ...', flush=True), args.store_dtype)
    how = '' if forms == ('none',) else f', deformable attention as {" and ".join(forms)}'
    print(f'{out}: {args.dtype}{how}\n'
          f'deviation from fp32 on the reference frames: {deviation}\n'
          f'build its engine on the machine that will run it: vl4ad build {out}')
    return 0


def export(bundle: Bundle, out: Path, size: tuple[int, int], dtype: str, forms: Sequence[str],
           pictures: Sequence[np.ndarray] = (), say: Callable[[str], None] = lambda step: None,
           store: str | None = None) -> Deviation:
    """
    Write a new bundle with the image network in one more precision, whole or not at all.

    The new bundle keeps the fp32 network, and those of other precisions unless the size is
    another. Graphs of a bundle of version 2.0 lack an output, so all of them are written anew.

    :param bundle: a bundle with weights that PyTorch loads.
    :param out: folder of the new bundle, which must not exist yet.
    :param size: (height, width) of the network's input in pixels, multiples of 32.
    :param dtype: one of `DTYPES`.
    :param forms: of `SAMPLING`, one graph each.
    :param pictures: uint8 (H, W, 3) RGB of any size for the reference frames; without any, those
        of the bundle's own reference are taken, or of the shipped bundle's if it has none.
    :param say: called with one line for each step.
    :param store: format of large weights in the new bundle, one of `STORAGE`; None for that of
        `bundle`. Another format drops the graphs that were not asked for, except the fp32 network.
    :return: the deviation of the network in `dtype` from fp32 on the reference frames, both
        computed in PyTorch.
    :raises BundleError: if the bundle has no weights to export or its format is newer than this
        package's, or if a precision is too coarse.
    :raises ValueError: if `out` exists.
    """
    if bundle.minor > MINOR:
        raise BundleError(f'{bundle.directory} has version {MAJOR}.{bundle.minor}, but this '
                          f'package writes {VERSION}; update vl4ad_ros to export it')
    pictures = pictures if len(pictures) else _own_pictures(bundle)
    origin = bundle.digest
    with ExitStack() as stack:
        if store not in (None, bundle.network and bundle.network.store):
            say(f'weights in {store}')
            out.parent.mkdir(parents=True, exist_ok=True)
            place = Path(stack.enter_context(TemporaryDirectory(prefix='.store.', dir=out.parent)))
            bundle = open_network(bundle).store(place / 'bundle', size, store)
        folder = stack.enter_context(new_folder(out))
        return write_graphs(bundle, folder, size, dtype, forms, pictures, say, origin)


def forms_for(bundle: Bundle, sampling: str | None) -> tuple[str, ...]:
    """
    Return the forms of deformable attention in which to write a bundle's network for GPUs.

    :param bundle: whose network to write.
    :param sampling: the form that the user asks for, or None for those of this kind of network.
    :raises BundleError: if the network has no deformable attention and a form is asked for.
    """
    forms = tuple(class_of(bundle).gpu_forms)
    if sampling is None:
        return forms
    if 'none' in forms:
        raise BundleError(f"bundle '{bundle.name}' holds a network that has no deformable "
                          'attention; leave out --sampling')
    return (sampling,)


def write_graphs(bundle: Bundle, folder: Path, size: tuple[int, int], dtype: str,
                 forms: Sequence[str], pictures: Sequence[np.ndarray],
                 say: Callable[[str], None], origin: str | None = None) -> Deviation:
    """
    Write what `export` writes into a folder that exists.

    :param folder: an empty folder, or the bundle's own, to which graphs of `dtype` and reference
        frames are then added.
    :param origin: digest of the bundle that was exported; None for that of `bundle`.

    Other arguments, result and errors are those of `export`.
    """
    same_size = size == (bundle.vision.height, bundle.vision.width)
    new = [Graph(_file_of(dtype, form), dtype, form) for form in forms]
    asked = [(g.dtype, g.sampling) for g in new]
    graphs = [g for g in bundle.vision.graphs
              if same_size and (g.dtype, g.sampling) not in asked]
    copied = graphs.copy() if bundle.minor >= _ALL_OUTPUTS else []
    cpu_form = class_of(bundle).cpu_form
    if ('fp32', cpu_form) not in asked and not any(g.dtype == 'fp32' for g in graphs):
        graphs.append(Graph(_file_of('fp32', cpu_form), 'fp32', cpu_form))
    graphs += new
    say('reference frames in fp32')
    reference = reference_frames(bundle, size, pictures)
    save_reference(folder / REFERENCE, reference)
    weights = [w for w in bundle.weights if w == bundle.network.weights
               or copied and w != _weights_of(dtype)]
    if folder != bundle.directory:
        for file in (bundle.text.file, bundle.text.embeddings, bundle.tokenizer, *weights,
                     *(g.file for g in copied)):
            if file is not None:
                shutil.copyfile(bundle.directory / file, folder / file)
    manifest = json.loads((bundle.directory / 'manifest.json').read_text(encoding='utf-8'))
    del manifest['files']
    exports = manifest['provenance'].setdefault('exports', [])
    deviations: dict[str, Deviation] = {}
    for precision in reversed(DTYPES):
        written = [g for g in graphs if g.dtype == precision and g not in copied]
        if not written:
            continue
        deviations[precision], files = _write(bundle, folder, size, written, reference, say)
        weights += files
        exports.append({
            'dtype': precision, 'forms': [g.sampling for g in written],
            'deviation': asdict(deviations[precision]),
            'from_digest': origin or bundle.digest, 'format': VERSION,
            'vl4ad_ros': __version__, 'torch': version('torch'), 'onnx': version('onnx')})
    manifest['vision'].update(height=size[0], width=size[1], graphs=[asdict(g) for g in graphs])
    manifest.update(version=VERSION, weights=list(dict.fromkeys(weights)), reference=REFERENCE)
    write_manifest(folder, manifest)
    Bundle.open(folder)  # refuses weights that are not finite in `dtype`
    return deviations[dtype]


def _write(bundle: Bundle, folder: Path, size: tuple[int, int], graphs: Sequence[Graph],
           reference: Reference, say: Callable[[str], None]) -> tuple[Deviation, list[str]]:
    """Write graphs of one precision if it agrees with the reference; also return weight files."""
    dtype = graphs[0].dtype
    # Each precision rounds weights in place, so each starts from the weights of the bundle.
    network = open_network(bundle)
    files = [replace(network.weights, path=folder / network.weights.path.name)]
    if dtype != 'fp32':
        network.set_precision(dtype)
        state = {k: v for k, v in network.module.state_dict().items()
                 if v.data_ptr() not in network.weights.places}
        files.append(WeightFile.write(folder / _weights_of(dtype), state))
    say(f'{dtype} on the reference frames')
    network.set_sampling(network.gpu_forms[0])
    deviation = measure(reference, _in_numpy(network.graph()))
    if excess(deviation, dtype):
        raise BundleError(
            f'{dtype} is too coarse for {bundle.name}: {excess(deviation, dtype)}; '
            f'choose another --dtype of {", ".join(d for d in DTYPES if d != dtype)}')
    for graph in graphs:
        say(graph.file)
        network.set_sampling(graph.sampling)
        network.write_graph(folder / graph.file, size, files)
    return deviation, [file.path.name for file in files]


def _file_of(dtype: str, sampling: str) -> str:
    if dtype == 'fp32' and sampling in ('grid-sample', 'none'):
        return 'vision.onnx'
    if sampling == 'none':
        return f'vision.{dtype}.onnx'
    return f'vision.{dtype}.{sampling}.onnx'


def _weights_of(dtype: str) -> str:
    return f'vision.{dtype}.safetensors'


def reference_frames(bundle: Bundle, size: tuple[int, int],
                     pictures: Sequence[np.ndarray]) -> Reference:
    """
    Return pictures at the network's size with the answers of the fp32 network in PyTorch.

    :param bundle: a bundle with weights that PyTorch loads.
    :param size: (height, width) of the network's input in pixels, multiples of 32.
    :param pictures: uint8 (H, W, 3) RGB of any size; none for those of the bundle's own reference.
    :raises BundleError: if the bundle has no weights to load.
    """
    network = open_network(bundle)
    network.set_sampling(network.cpu_form)
    text = bundle.text
    tokenizer = Tokenizer(bundle.directory / bundle.tokenizer, text.context_length, text.sot,
                          text.eot, text.pad)
    prompts = PromptEncoder(bundle, tokenizer, network.encode_text)(bundle.vocabulary)
    texts = {name: getattr(prompts, name) for name in TEXT_INPUTS}
    images = np.stack([
        Letterbox(p.shape[:2], size, bundle.vision.stride).to_network(p, bundle.padding_rgb)
        for p in (pictures if len(pictures) else _own_pictures(bundle))])
    answer = _in_numpy(network.graph())
    return Reference(images, texts, tuple(answer(image, *texts.values()) for image in images))


def _in_numpy(graph: nn.Module) -> Callable[..., Maps]:
    """Return the network as a function of arrays, like `inference.backend.Backend.run`."""
    def answer(*inputs: np.ndarray) -> Maps:
        # Prompts are read-only arrays; PyTorch would warn about them.
        tensors = [torch.from_numpy(x.copy()) for x in inputs]
        with torch.inference_mode():
            return Maps(*(x.numpy() for x in graph(*tensors)[:len(OUTPUTS)]))

    return answer


def _own_pictures(bundle: Bundle) -> np.ndarray:
    """Return the bundle's reference frames, uint8 [n, h, w, 3], or else the shipped bundle's."""
    return load_reference(bundle if bundle.reference else Bundle.open('tiny')).images


VERB = Verb(add_arguments, run)
