# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Miniature data sets in the layouts that the street training reads, with drawn pictures.

A street is a grey road below a blue sky with a green verge. Cows are red, people are black.
"""

import hashlib
import json

import cv2
import numpy as np
from vl4ad_workshop.training.street.camvid import CLASSES

SIZE = (96, 160)  # rows and columns
HORIZON = 36
COLOURS = {'sky': (90, 150, 235), 'road': (128, 128, 128), 'tree': (50, 140, 50),
           'car': (240, 140, 20), 'cow': (200, 30, 30), 'person': (15, 15, 15)}
CATEGORIES = {3: 'road', 7: 'sky-other-merged', 9: 'cow', 21: 'person', 22: 'wall-brick',
              30: 'wall-tile'}
TINY_FILES = ('train', 'val', 'test')


def write_picture(path, rgb):
    path.parent.mkdir(parents=True, exist_ok=True)
    # Lossless whatever the name says: OpenCV looks at the content.
    path.write_bytes(cv2.imencode('.png', rgb[..., ::-1])[1].tobytes())


def draw_street(number=0, size=SIZE):
    """Return a street, and the CamVid class of each pixel; 11 is void."""
    rng = np.random.default_rng(number)
    height, width = size
    classes = np.full(size, CLASSES.index('sky'), np.uint8)
    horizon = HORIZON * height // SIZE[0]
    classes[horizon:] = CLASSES.index('road')
    classes[horizon - 10:, :width // 8] = CLASSES.index('tree')
    left = int(rng.integers(width // 2, width - 30))
    classes[horizon - 4:horizon + 8, left:left + 20] = CLASSES.index('car')
    classes[:2] = 11
    table = np.array([COLOURS.get(name, (0, 0, 0)) for name in (*CLASSES, 'void')], int)
    rgb = table[classes] + rng.integers(-8, 9, (*size, 3))
    return rgb.clip(0, 255).astype(np.uint8), classes


def write_camvid(root, pictures=3):
    for offset, split in enumerate(TINY_FILES):
        for i in range(pictures):
            rgb, classes = draw_street(10 * offset + i)
            write_picture(root / split / f'{split}_{i}.png', rgb)
            (root / f'{split}annot').mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(root / f'{split}annot' / f'{split}_{i}.png'), classes)
    return root


def write_cityscapes(root):
    for split in ('train', 'val'):
        rgb, classes = draw_street(30)
        ids = np.array([23, 11, 17, 7, 8, 21, 20, 13, 26000, 24000, 33000, 0], np.uint16)[classes]
        write_picture(root / 'leftImg8bit' / split / 'ulm' / 'ulm_1_leftImg8bit.png', rgb)
        label = root / 'gtFine' / split / 'ulm' / 'ulm_1_gtFine_instanceIds.png'
        label.parent.mkdir(parents=True)
        cv2.imwrite(str(label), ids)
    return root


def draw_things(number):
    """Return a scene with a cow and a person, and its segments by id: category."""
    rng = np.random.default_rng(100 + number)
    ids = np.full((120, 160), 70000)
    ids[:40] = 258
    ids[110:] = 5
    left = int(rng.integers(10, 30))
    ids[30:90, left:left + 50] = 1000
    ids[20:100, 100:125] = 1001
    segments = {70000: 'road', 258: 'sky-other-merged', 1000: 'cow', 1001: 'person',
                5: 'wall-tile'}
    rgb = np.zeros((*ids.shape, 3), np.uint8)
    for key, name in segments.items():
        rgb[ids == key] = COLOURS.get(name.split('-')[0], (180, 180, 60))
    return rgb, ids, segments


def write_panoptic(root, folder='annotations', images='', splits=('train2017', 'val2017'),
                   pictures=5):
    numbers = {name: key for key, name in CATEGORIES.items()}
    for offset, split in enumerate(splits):
        annotations = []
        for i in range(pictures):
            rgb, ids, segments = draw_things(10 * offset + i)
            stem = f'{100 * offset + i:012d}'
            write_picture(root / images / split / f'{stem}.jpg', rgb)
            labels = (root / folder if folder != 'annotations' else root) / f'panoptic_{split}'
            labels.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(labels / f'{stem}.png'), np.stack(
                [ids >> 16, ids >> 8 & 255, ids & 255], -1).astype(np.uint8))
            annotations.append({'image_id': i, 'file_name': f'{stem}.png', 'segments_info': [
                {'id': key, 'category_id': numbers[name], 'iscrowd': int(name == 'wall-tile')}
                for key, name in segments.items()]})
        (root / folder).mkdir(parents=True, exist_ok=True)
        (root / folder / f'panoptic_{split}.json').write_text(json.dumps({
            'categories': [{'id': k, 'name': n} for k, n in CATEGORIES.items()],
            'annotations': annotations}))
    return root


def write_instances(root, pictures=2):
    for offset, split in enumerate(('train2017', 'val2017')):
        images, annotations = [], []
        for i in range(pictures):
            rgb, ids, segments = draw_things(50 + 10 * offset + i)
            number = 900000 + 100 * offset + i
            write_picture(root / split / f'{number:012d}.jpg', rgb)
            images.append({'id': number, 'file_name': f'{number:012d}.jpg'})
            for key, name in segments.items():
                rows, columns = np.nonzero(ids == key)
                x, y, right, low = columns.min(), rows.min(), columns.max(), rows.max()
                annotations.append({
                    'image_id': number, 'category_id': {'cow': 21, 'person': 1}.get(name, 5),
                    'iscrowd': int(name == 'road'), 'segmentation': [
                        [int(v) for v in (x, y, right, y, right, low, x, low)]]})
        (root / 'annotations').mkdir(parents=True, exist_ok=True)
        (root / 'annotations' / f'instances_{split}.json').write_text(json.dumps({
            'images': images, 'annotations': annotations, 'categories': [
                {'id': 1, 'name': 'person'}, {'id': 21, 'name': 'cow'},
                {'id': 5, 'name': 'book'}]}))
    return root


def write_davis(root, frames=3):
    """Write two videos, of which one shows nothing that may be pasted."""
    for number, video in enumerate(('cows', 'horsejump-high')):
        for frame in range(frames):
            rgb, ids, segments = draw_things(80 + 10 * number + frame)
            cow, = (key for key, name in segments.items() if name == 'cow')
            write_picture(root / 'JPEGImages' / '480p' / video / f'{frame:05d}.jpg', rgb)
            label = root / 'Annotations' / '480p' / video / f'{frame:05d}.png'
            label.parent.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(label), (ids == cow).astype(np.uint8) * 255)
    return root


def write_penn_fudan(root, pictures=2):
    """Write pictures with a person each; the cow is the second 'person'."""
    for number in range(pictures):
        rgb, ids, segments = draw_things(110 + number)
        write_picture(root / 'PNGImages' / f'Ped{number}.png', rgb)
        keys = {name: key for key, name in segments.items()}
        label = root / 'PedMasks' / f'Ped{number}_mask.png'
        label.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(label), ((ids == keys['person']) + 2 * (ids == keys['cow'])
                                 ).astype(np.uint8))
    return root


def write_indian(root, digits='07c', size=(300, 420), kind=2):
    """Write a photograph for each first digit of the sha256, and return the folder."""
    for number, digit in enumerate(digits):
        for attempt in range(500):
            rng = np.random.default_rng((number, attempt))
            rgb = np.full((*size, 3), 128, np.uint8)
            rgb[100:200, 100:200] = (200, 30, 30)
            rgb[0, :8] = rng.integers(0, 255, (8, 3))
            data = cv2.imencode('.png', rgb[..., ::-1])[1].tobytes()
            if hashlib.sha256(data).hexdigest()[0] == digit:
                break
        stem = f'picture ({number})'
        for folder in ('images', 'annotations'):
            (root / folder / 'train').mkdir(parents=True, exist_ok=True)
        (root / 'images' / 'train' / f'{stem}.jpeg').write_bytes(data)
        (root / 'annotations' / 'train' / f'{stem}.txt').write_text(
            f'{kind} {150 / 420:.4f} 0.5 {100 / 420:.4f} {100 / 300:.4f}\n\n'
            '0 0.9 0.9 0.1 0.1\n')
    return root


def write_roads(root, frames=12):
    """Write one picture and one video of a clean road."""
    root.mkdir(parents=True, exist_ok=True)
    write_picture(root / 'road.png', draw_street(60)[0])
    video = cv2.VideoWriter(str(root / 'road.avi'), cv2.VideoWriter_fourcc(*'MJPG'), 10,
                            SIZE[::-1])
    for _ in range(frames):
        video.write(draw_street(61)[0][..., ::-1].copy())
    video.release()
    return root
