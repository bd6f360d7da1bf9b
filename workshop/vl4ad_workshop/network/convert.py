# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""`vl4ad convert` turns an official FC-CLIP checkpoint into a bundle, whole or not at all."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import asdict, dataclass
import hashlib
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from vl4ad_ros import __version__
from vl4ad_ros.bundle import Bundle
from vl4ad_ros.bundle.reference import Deviation
from vl4ad_ros.bundle.tokenizer import Tokenizer
from vl4ad_ros.commands import Verb
from vl4ad_ros.prompts import reader as vocabularies
from vl4ad_ros.prompts.vocabulary import Vocabulary
from vl4ad_workshop.network.checkpoint import CheckpointError, load_checkpoint
from vl4ad_workshop.network.classification import Classification, CLASSIFIERS
from vl4ad_workshop.network.clip import concept_embeddings
from vl4ad_workshop.network.clip_tokenizer import write_clip_tokenizer
from vl4ad_workshop.network.config import NetworkConfig
from vl4ad_workshop.network.export import export_bundle, new_folder
from vl4ad_workshop.network.options import (
    add_precision_arguments, ENGINE_FORMS, forms_of, parse_size, read_pictures)
from vl4ad_workshop.network.vl4ad import Vl4ad
from vl4ad_workshop.network.weight_file import not_finite, Progress

# Exponents of FC-CLIP's geometric ensemble, for concepts seen in training and for others.
ALPHA, BETA = 0.4, 0.8
SEEN = 'coco_panoptic'
_NAMED = 5  # weights in a message
EMBEDDINGS = 'concepts.npz'
NOTICE = ('Converted weights: the score is 1 + u, which no recording has calibrated; choose '
          '`threshold` on recordings of your own camera.')


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `vl4ad convert`."""
    default = Classification()
    parser.add_argument('checkpoint', type=Path, metavar='CHECKPOINT',
                        help='FC-CLIP checkpoint: .pth or .safetensors')
    parser.add_argument('--out', type=Path, required=True, metavar='DIR',
                        help='folder of the bundle, which must not exist yet')
    parser.add_argument('--input-size', type=parse_size, default=(1024, 2048), metavar='HxW',
                        help="size of the network's input in pixels; camera images are scaled to "
                        'fit into it (default: 1024x2048, as FC-CLIP sees Cityscapes)')
    add_precision_arguments(parser, default=None)
    parser.add_argument('--vocabulary', default=vocabularies.DEFAULT_KNOWN, metavar='NAME',
                        help='default known classes: a name of `vl4ad vocabulary show` or a YAML '
                        'file (default: %(default)s)')
    parser.add_argument('--anomaly', metavar='NAME',
                        help='default anomaly classes, likewise (default: '
                        f'{vocabularies.DEFAULT_ANOMALY}, or the list in the vocabulary file)')
    parser.add_argument('--concepts', type=int, default=384, metavar='N',
                        help='largest number of concepts, known and anomaly together (default: '
                        '%(default)s)')
    parser.add_argument('--classes', type=int, default=160, metavar='N',
                        help='largest number of classes, known and anomaly together (default: '
                        '%(default)s)')
    parser.add_argument('--classifier', choices=CLASSIFIERS, default=default.classifier,
                        help="classifier of masks: the decoder's (in), CLIP's (out) or both "
                        '(default: %(default)s, as in FC-CLIP)')
    parser.add_argument('--drop-void', dest='keep_void', action='store_false',
                        help='do not scale the class probabilities of a query by 1 - p(void), '
                        'where void is the no-object class')
    parser.add_argument('--temperature', type=float, metavar='T',
                        help='softmax temperature of both classifiers, in place of the learned '
                        'ones (VL4AD eq. 1)')
    parser.add_argument('--empty-mask-guard', action=argparse.BooleanOptionalAction,
                        help="do not use CLIP's classifier for masks that are empty at stride 32 "
                        '(default: as in FC-CLIP, on for ResNets and off for ConvNeXts)')


def run(args: argparse.Namespace) -> int:
    """Convert with a progress bar, and print what to run next."""
    options = Classification(args.keep_void, args.classifier, args.temperature,
                             args.empty_mask_guard)
    vocabulary = vocabularies.load(args.vocabulary, args.anomaly)
    if args.dtype is None and (args.sampling or args.images):
        raise ValueError('--sampling and --images take effect with --dtype only; add --dtype fp16')
    graphs = None
    if args.dtype:
        graphs = GpuGraphs(args.dtype, forms_of(args.sampling),
                           read_pictures(args.images) if args.images else ())
    deviation = convert(args.checkpoint, args.out, args.input_size, vocabulary, args.concepts,
                        args.classes, options, graphs)
    if deviation is not None:
        print(f'{args.out}: deviation of {args.dtype} from fp32 on the reference frames: '
              f'{deviation}\nbuild its engine on the machine that will run it: vl4ad build '
              f'{args.out}')
    print(f'{args.out}: try it with `vl4ad evaluate BAG --bundle {args.out}`, start the node '
          f'with `ros2 launch vl4ad_ros detector.launch.py bundle:={args.out.resolve()}`')
    return 0


@dataclass(frozen=True)
class GpuGraphs:
    """
    The graphs that a bundle holds for GPUs, beside the fp32 graph for CPUs.

    :ivar dtype: one of `bundle.DTYPES`.
    :ivar forms: of `bundle.SAMPLING`, one graph each.
    :ivar pictures: uint8 (H, W, 3) RGB of any size for the reference frames; without any, those
        of the shipped bundle are taken.
    """

    dtype: str
    forms: Sequence[str] = ENGINE_FORMS
    pictures: Sequence[np.ndarray] = ()


def convert(checkpoint: Path, out: Path, size: tuple[int, int], vocabulary: Vocabulary,
            concepts: int, classes: int, options: Classification = Classification(),
            graphs: GpuGraphs | None = None) -> Deviation | None:
    """
    Write the bundle of an official checkpoint.

    :param checkpoint: a .pth or .safetensors file with FC-CLIP's state dict.
    :param out: folder of the bundle, which must not exist yet.
    :param size: (height, width) of the network's input in pixels, multiples of 32.
    :param vocabulary: the default prompts.
    :param concepts: largest number of concepts, known and anomaly together.
    :param classes: largest number of classes, known and anomaly together.
    :param options: choices that VL4AD leaves open; they become part of the graph.
    :param graphs: graphs for GPUs, written with reference frames; None writes neither.
    :return: the deviation of the GPU graphs' precision from fp32 on the reference frames; None
        without `graphs`.
    :raises CheckpointError: if the checkpoint cannot be used.
    :raises BundleError: if the precision of `graphs` is too coarse.
    :raises ValueError: if `out` exists or `vocabulary` does not fit the capacity.
    """
    _check(out, vocabulary, concepts, classes)
    network = load_checkpoint(checkpoint)
    if names := not_finite(network.state_dict()):
        raise CheckpointError(
            f'{checkpoint} has values that are not finite in {len(names)} of its weights '
            f'({", ".join(names[:_NAMED])}{", ..." if len(names) > _NAMED else ""}): it is '
            'damaged, or its training has failed; download it again or take an earlier one')
    weights = sum(v.numel() * v.element_size() for v in network.state_dict().values())
    with new_folder(out) as folder, tqdm(
            total=checkpoint.stat().st_size + weights, unit='B', unit_scale=True,
            dynamic_ncols=True) as bar:
        def progress(what: str, written: int) -> None:
            if what:
                bar.set_description(what)
            bar.update(written)

        progress('sha256', 0)
        digest = _sha256(checkpoint, progress)
        tokenizer = folder / 'tokenizer.json'
        sot, eot = write_clip_tokenizer(tokenizer)
        _embed(network, Tokenizer(tokenizer, network.config.context_length, sot, eot),
               vocabulary.concepts, folder / EMBEDDINGS, progress)
        known, anomaly = vocabulary.to_strings()
        export_bundle(network, folder, size, concepts, classes, tokenizer, {
            'name': network.config.name, 'notice': NOTICE,
            'text': {'sot': sot, 'eot': eot, 'pad': 0, 'embeddings': EMBEDDINGS},
            'ensemble': {'alpha': ALPHA, 'beta': BETA,
                         'seen': sorted(vocabularies.concepts_of(SEEN))},
            'calibration': {'u': [-1.0, 0.0], 'score': [0.0, 1.0]},
            'vocabulary': {'known': known, 'anomaly': anomaly},
            'provenance': provenance(checkpoint, digest, network.config, options),
        }, options, progress)
        if graphs is None:
            return None
        del network
        # Imported here, because it takes memory that a conversion for CPUs does not need.
        from vl4ad_workshop.network.reexport import write_graphs
        return write_graphs(Bundle.open(folder), folder, size, graphs.dtype, graphs.forms,
                            graphs.pictures, lambda step: progress(step, 0))


def provenance(checkpoint: Path, digest: str, config: NetworkConfig,
               options: Classification) -> dict[str, Any]:
    """
    Return the manifest's entry `provenance`.

    :param checkpoint: the file that was converted.
    :param digest: its sha256, hexadecimal.
    :param config: the architecture that was found.
    :param options: choices that became part of the graph.
    :return: JSON values by name.
    """
    return {
        'source': checkpoint.name, 'source_sha256': digest, 'architecture': config.name,
        'pixel_mean': list(config.mean), 'pixel_std': list(config.std),
        'classification': {**asdict(options), 'empty_mask_guard': (
            config.ensemble_on_valid_mask if options.empty_mask_guard is None
            else options.empty_mask_guard)},
        'vl4ad_ros': __version__,
        **{library: version(library) for library in ('torch', 'open_clip_torch', 'timm', 'onnx')},
    }


def _check(out: Path, vocabulary: Vocabulary, concepts: int, classes: int) -> None:
    if out.exists():
        raise ValueError(f"'{out}' exists already; remove it or choose another folder with --out")
    for noun, seen, most in (('concepts', len(vocabulary.concepts), concepts),
                             ('classes', len(vocabulary.classes), classes)):
        if seen > most:
            raise ValueError(f'the vocabulary has {seen} {noun} and the bundle can hold '
                             f'{most}; give --{noun} {seen} or more')


def _embed(network: Vl4ad, tokenizer: Tokenizer, concepts: Sequence[str], file: Path,
           progress: Progress) -> None:
    """Store the embeddings of the default prompts; computing them takes minutes on a CPU."""
    templates = network.config.templates
    rows = []
    for i, concept in enumerate(concepts):
        progress(f'default prompts {i}/{len(concepts)}', 0)
        tokens = tokenizer([t.replace('{}', concept) for t in templates])
        with torch.no_grad():
            rows.append(concept_embeddings(network.backbone, torch.from_numpy(tokens)[None])[0])
    np.savez(file, concepts=np.array(concepts), embeddings=torch.stack(rows).numpy())


def _sha256(file: Path, progress: Progress) -> str:
    digest = hashlib.sha256()
    with open(file, 'rb') as stream:
        while chunk := stream.read(1 << 22):
            digest.update(chunk)
            progress('', len(chunk))
    return digest.hexdigest()


VERB = Verb(add_arguments, run)
