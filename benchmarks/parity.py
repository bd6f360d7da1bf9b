# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
How far the network is from outputs of the official FC-CLIP code, array by array.

An oracle is a pair of files NAME.npz and NAME.json. Its weights need no download: each is drawn
from its own state-dict key (`drawn_weight`). The architecture is recognised from the shapes in
the json. Prints one JSON line: for each array the largest absolute error, and the largest
relative one, which is the absolute one over the array's largest magnitude.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
import sys
import zlib

import numpy as np
import open_clip
import torch
import torch.nn.functional as F

from vl4ad_workshop.network.checkpoint import empty_network, recognise
from vl4ad_workshop.network.clip import concept_embeddings
from vl4ad_workshop.network.config import NetworkConfig
from vl4ad_workshop.network.uncertainty import semantic_map
from vl4ad_workshop.network.vl4ad import Texts, Vl4ad

# FC-CLIP's exponents of the geometric ensemble.
ALPHA, BETA = 0.4, 0.8
# Largest relative error that counts as equal; of the text classifier the absolute one.
TOLERANCE, TEXT_TOLERANCE = 1e-3, 1e-5


def drawn_weight(key: str, shape: tuple[int, ...]) -> np.ndarray:
    """Draw a floating-point weight from its state-dict key: float32, the same everywhere."""
    n = np.random.Generator(np.random.PCG64(zlib.crc32(key.encode()))).standard_normal(
        shape).astype(np.float32)
    last = key.rsplit('.', 1)[-1]
    if key.endswith('logit_scale'):
        return np.full(shape, np.log(100) if 'clip_model' in key else np.log(1 / 0.07), np.float32)
    if last == 'gamma':
        return 0.1 + np.float32(0.02) * n
    if last == 'running_mean':
        return np.float32(0.1) * n
    if last in ('bias', 'in_proj_bias'):
        return n if 'sampling_offsets' in key else np.float32(0.02) * n
    if len(shape) == 1:
        return 1 + np.float32(0.1) * n
    if 'positional_embedding' in key or 'token_embedding' in key:
        return np.float32(0.02) * n
    if any(k in key for k in ('query_feat', 'query_embed', 'level_embed', 'void_embedding')):
        return n
    return n / np.float32(np.sqrt(np.prod(shape[1:])))


def drawn_state(config: NetworkConfig) -> dict[str, torch.Tensor]:
    """Draw a whole state dict; integer buffers are zero."""
    return {key: torch.from_numpy(drawn_weight(key, tuple(value.shape)))
            if value.is_floating_point() else torch.zeros(value.shape, dtype=value.dtype)
            for key, value in empty_network(config).state_dict().items()}


def drawn_network(config: NetworkConfig) -> Vl4ad:
    """Return a network with drawn weights."""
    network = empty_network(config)
    network.load_state_dict(drawn_state(config), assign=True)
    return network.eval()


def texts_of(network: Vl4ad, classes: list[str], train_classes: list[str]) -> Texts:
    """Embed classes whose concepts are separated by commas, as FC-CLIP does."""
    def split(names: str) -> list[str]:
        return names.replace(', ', ',').split(',')

    concepts = [split(c) for c in classes]
    trained = {n for c in train_classes for n in split(c)}
    tokenizer = open_clip.get_tokenizer('RN50')
    tokens = torch.stack([tokenizer([t.format(n) for t in network.config.templates])
                          for names in concepts for n in names])
    weight = [BETA if trained.isdisjoint(names) else ALPHA for names in concepts]
    return Texts(
        concept_embeddings(network.backbone, tokens),
        torch.tensor([i for i, names in enumerate(concepts) for _ in names]), len(concepts),
        torch.tensor(weight))


@torch.no_grad()
def outputs(network: Vl4ad, texts: Texts, image: np.ndarray,
            masks_every: int) -> dict[str, np.ndarray]:
    """
    Return what an oracle holds.

    :param image: (H, W, 3) uint8 RGB, any size.
    :param masks_every: of so many queries, one's mask logits are kept.
    """
    height, width = image.shape[:2]
    pixels = torch.from_numpy(image)[None]
    features = network.backbone.features(network.normalise(pixels))
    queries = network(pixels, texts)
    masks = queries.mask_logits
    # The official order: logits to full size, then sigmoid and the sum over queries.
    full = F.interpolate(masks, scale_factor=4, mode='bilinear', align_corners=False)
    semantic = semantic_map(full[0, :, :height, :width].sigmoid(), queries.probability[0])
    result = {
        'text_classifier': texts.concepts,
        'num_templates': torch.bincount(texts.concept_class, minlength=texts.classes),
        'clip_vis_dense': features[-1][0],
        'res2_mean': features[0][0].mean((1, 2)),
        'pred_logits': torch.cat([queries.in_vocabulary, queries.void], -1)[0],
        'pred_masks': masks[0, ::masks_every],
        'pred_masks_mean': masks[0].mean((1, 2)),
        'pred_masks_std': masks[0].std((1, 2), correction=0),
        'sem_seg': semantic[:, ::4, ::4],
    }
    return {name: value.numpy() for name, value in result.items()}


def compare(oracle: Path) -> dict[str, dict[str, float]]:
    """
    Return ``max_abs`` and ``max_rel`` of every array in NAME.npz but the image.

    :raises ValueError: if the oracle has an array that is not known, or of another shape.
    """
    arrays = dict(np.load(oracle))
    description = json.loads(oracle.with_suffix('.json').read_text())
    config = recognise({k: tuple(s) for k, s in description['state_dict'].items()
                        if not k.startswith('criterion.')}, str(oracle.with_suffix('.json')))
    print(f'{oracle.name}: {config.name}, image {arrays["image"].shape}', file=sys.stderr)
    network = drawn_network(config)
    texts = texts_of(network, description['classes'], description['train_classes'])
    kept = len(arrays.get('pred_masks', range(config.queries)))
    ours = outputs(network, texts, arrays.pop('image'), -(-config.queries // kept))
    errors = {}
    for name, theirs in arrays.items():
        if name not in ours or ours[name].shape != theirs.shape:
            seen = list(ours[name].shape) if name in ours else 'no such array'
            raise ValueError(
                f'{oracle}: {name} has shape {list(theirs.shape)}, here it is {seen}')
        theirs = theirs.astype(np.float64)
        error = float(np.abs(ours[name] - theirs).max())
        errors[name] = {'max_abs': error,
                        'max_rel': error / max(float(np.abs(theirs).max()), 1e-12)}
    return errors


def failures(errors: dict[str, dict[str, float]]) -> list[str]:
    """Return the arrays that are out of tolerance."""
    return [name for name, e in errors.items()
            if not (e['max_abs'] <= TEXT_TOLERANCE if name == 'text_classifier'
                    else e['max_rel'] <= TOLERANCE)]


def main() -> int:
    """Compare one oracle; exit 1 if an array is out of tolerance."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n\n')[0])
    parser.add_argument('oracle', type=Path, metavar='ORACLE.npz')
    errors = compare(parser.parse_args().oracle)
    print(json.dumps(errors))
    failed = failures(errors)
    if failed:
        print(f'out of tolerance: {", ".join(failed)}', file=sys.stderr)
    return bool(failed)


if __name__ == '__main__':
    sys.exit(main())
