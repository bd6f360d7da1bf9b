# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
A network and a data set that train in seconds; run as a script, `vl4ad train` with that network.

The data set has COCO panoptic's layout: coloured shapes on two surfaces, one file a picture.
"""

from dataclasses import replace
from functools import partial
import json
import sys

import cv2
import numpy as np
import torch
from vl4ad_workshop.network.clip import build_clip
from vl4ad_workshop.network.config import NETWORKS, TINY

NAME = 'small'
SMALL = replace(
    TINY, name=NAME, clip={**TINY.clip, 'text_cfg': {
        'context_length': 24, 'vocab_size': 49408, 'width': 32, 'heads': 2, 'layers': 1}},
    hidden_dim=64, queries=20)

SIZE = (64, 96)
# Category ids are not class indices, as in COCO.
CATEGORIES = {3: 'road', 5: 'sky', 8: 'car', 9: 'cow', 21: 'box', 40: 'ball'}
COLOURS = {3: (90, 90, 95), 5: (150, 190, 240), 8: (200, 30, 40), 9: (40, 30, 25),
           21: (220, 170, 60), 40: (40, 180, 70)}


def write_dataset(root, splits=('train2017', 'val2017'), pictures=8, enlarge=1):
    """Write the same `pictures` pictures to every split: 2 surfaces and 3 things in each."""
    for split in splits:
        for folder in ('annotations', split, f'panoptic_{split}'):
            (root / folder).mkdir(parents=True, exist_ok=True)
        annotations = []
        for i in range(pictures):
            image, ids, segments = _picture(np.random.default_rng(i), enlarge)
            # Lossless, but named as COCO names its pictures: OpenCV looks at the content.
            _, encoded = cv2.imencode('.png', image[..., ::-1])
            (root / split / f'{i:012d}.jpg').write_bytes(encoded.tobytes())
            png = np.stack([ids >> 16, ids >> 8 & 255, ids & 255], -1).astype(np.uint8)
            cv2.imwrite(str(root / f'panoptic_{split}' / f'{i:012d}.png'), png)
            annotations.append({'image_id': i, 'file_name': f'{i:012d}.png',
                                'segments_info': segments})
        (root / 'annotations' / f'panoptic_{split}.json').write_text(json.dumps({
            'categories': [{'id': k, 'name': n} for k, n in CATEGORIES.items()],
            'annotations': annotations}))
    (root / 'words.yaml').write_text('known: ' + json.dumps(list(CATEGORIES.values())))


def _picture(rng, enlarge):
    height, width = SIZE[0] * enlarge, SIZE[1] * enlarge
    image, ids = np.zeros((height, width, 3), np.uint8), np.zeros((height, width), np.int64)
    segments = []

    def paint(where, category):
        # Ids use all three channels of the file.
        number = int(rng.integers(1, 2 ** 24))
        image[where], ids[where] = COLOURS[category], number
        segments.append({'id': number, 'category_id': category, 'iscrowd': 0})

    y, x = np.mgrid[:height, :width] / enlarge
    horizon = int(rng.integers(20, 36))
    paint(y < horizon, 5)
    paint(y >= horizon, 3)
    for slot, category in enumerate(rng.permutation([8, 9, 21, 40])[:3].tolist()):
        cx, cy = 16 + 32 * slot + rng.integers(-4, 5), rng.integers(16, 48)
        half = rng.integers(8, 12)
        far = np.hypot(x - cx, y - cy) if category in (9, 40) else np.maximum(
            abs(x - cx), abs(y - cy))
        paint(far < half, category)
    return image, ids, segments


def write_clip(path):
    """Write random CLIP weights as open_clip's files hold them."""
    torch.manual_seed(1)
    torch.save(build_clip(SMALL).clip_model.state_dict(), path)


def write_all(root, enlarge=1, **changes):
    """Write data, weights and configuration; return the configuration's file."""
    write_dataset(root, enlarge=enlarge)
    write_clip(root / 'clip.bin')
    file = root / 'small.yaml'
    values = {
        'network': NAME, 'weights': str(root / 'clip.bin'),
        'data': {'root': str(root), 'vocabulary': str(root / 'words.yaml')},
        'augmentation': {'size': [s * enlarge for s in SIZE]},
        'loss': {'points': 128},
        'optimiser': {'batch': 2, 'iterations': 6, 'learning_rate': 1e-3, 'clip_norm': 1.0,
                      'steps': [4], 'precision': 'fp32'},
        'validation': {'every': 0, 'short_side': SIZE[0] * enlarge,
                       'long_side': SIZE[1] * enlarge, 'pictures': 2},
        'run': {'workers': 0, 'save_every': 2, 'log_every': 1}}
    for key, value in changes.items():
        values[key].update(value)
    file.write_text(json.dumps(values))
    return file


def same_points(*shape, device):
    """Draw like torch.rand, but the same points for every mask of every process."""
    generator = torch.Generator().manual_seed(0)
    return torch.rand(shape[1:], generator=generator).expand(shape)


if __name__ == '__main__':
    from vl4ad_ros.cli import main
    from vl4ad_workshop.training.real import trainer
    torch.set_num_threads(1)
    NETWORKS[NAME] = SMALL
    if sys.argv[1] == '--same-points':
        del sys.argv[1]
        trainer.RandomPoints = partial(trainer.RandomPoints, uniform=same_points)
    sys.exit(main(sys.argv[1:]))
