# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""COCO panoptic and Cityscapes layouts, from made-up files. Needs torch."""

import json

import cv2
import numpy as np
import pytest

pytest.importorskip('torch')

from vl4ad_ros.prompts.reader import open_list  # noqa: E402
from vl4ad_ros.prompts.vocabulary import PromptClass, Vocabulary  # noqa: E402
from vl4ad_workshop.training.real.cityscapes import Cityscapes  # noqa: E402
from vl4ad_workshop.training.real.coco import CocoPanoptic  # noqa: E402
from vl4ad_workshop.training.real.labelled import DatasetError  # noqa: E402

WORDS = Vocabulary(tuple(PromptClass(n, (n,)) for n in ('person', 'car', 'sky')))
IMAGE = np.arange(2 * 4 * 3, dtype=np.uint8).reshape(2, 4, 3)
IDS = np.array([[70000, 70000, 258, 0], [1, 1, 258, 99]])
SEGMENTS = [{'id': 258, 'category_id': 40, 'iscrowd': 0},
            {'id': 70000, 'category_id': 3, 'iscrowd': 0},
            {'id': 1, 'category_id': 7, 'iscrowd': 1}]
CATEGORIES = [{'id': 40, 'name': 'sky-other'}, {'id': 3, 'name': 'person'},
              {'id': 7, 'name': 'car'}]


@pytest.fixture
def coco(tmp_path):
    for folder in ('annotations', 'val2017', 'panoptic_val2017'):
        (tmp_path / folder).mkdir()
    # PNG content under COCO's file name: the reader looks at the content.
    _, encoded = cv2.imencode('.png', IMAGE[..., ::-1])
    (tmp_path / 'val2017' / '000000000007.jpg').write_bytes(encoded.tobytes())
    red, green, blue = IDS % 256, IDS // 256 % 256, IDS // 65536
    cv2.imwrite(str(tmp_path / 'panoptic_val2017' / '000000000007.png'),
                np.stack([blue, green, red], -1).astype(np.uint8))
    write_annotations(tmp_path)
    return tmp_path


def write_annotations(root, segments=SEGMENTS, categories=CATEGORIES):
    (root / 'annotations' / 'panoptic_val2017.json').write_text(json.dumps({
        'categories': categories, 'annotations': [
            {'image_id': 7, 'file_name': '000000000007.png', 'segments_info': segments}]}))


def test_coco_segments_and_classes(coco):
    data = CocoPanoptic(coco, 'val2017', WORDS)
    assert len(data) == 1 and data.name(0).endswith('val2017/000000000007.jpg')
    picture = data[0]
    assert np.array_equal(picture.image, IMAGE)
    assert picture.kinds == (2, 0, 1) and picture.crowd == (False, False, True)
    assert picture.segments.tolist() == [[1, 1, 0, -1], [2, 2, 0, -1]]  # 0 and 99 have no label
    assert picture.class_map().tolist() == [[0, 0, 2, -1], [1, 1, 2, -1]]


def test_a_picture_without_segments(coco):
    write_annotations(coco, [])
    picture = CocoPanoptic(coco, 'val2017', WORDS)[0]
    assert picture.kinds == () and (picture.segments == -1).all()
    assert (picture.class_map() == -1).all()


@pytest.mark.parametrize('missing', ['annotations/panoptic_val2017.json', 'val2017',
                                     'panoptic_val2017'])
def test_what_coco_lacks_is_named_with_the_layout(coco, missing):
    (coco / missing).rename(coco / 'elsewhere')
    with pytest.raises(DatasetError) as refusal:
        CocoPanoptic(coco, 'val2017', WORDS)
    assert str(coco / missing) in str(refusal.value)
    assert 'panoptic_SPLIT/*.png' in str(refusal.value)
    assert 'docs/training.md' in str(refusal.value)


def test_a_vocabulary_of_other_classes_is_refused(coco):
    with pytest.raises(DatasetError, match='3 categories and the vocabulary 133 classes'):
        CocoPanoptic(coco, 'val2017', Vocabulary(open_list('coco_panoptic').known))
    with pytest.raises(DatasetError, match="'person' is number 0 .* class 0 is 'car'"):
        CocoPanoptic(coco, 'val2017', Vocabulary(WORDS.known[::-1][1:] + WORDS.known[2:]))


def test_damaged_files_are_named(coco):
    data = CocoPanoptic(coco, 'val2017', WORDS)
    label = coco / 'panoptic_val2017' / '000000000007.png'
    cv2.imwrite(str(label), np.zeros((3, 4, 3), np.uint8))
    with pytest.raises(DatasetError, match='4x2 pixels but its label .* is 4x3'):
        data[0]
    label.write_bytes(b'')
    with pytest.raises(DatasetError, match='cannot be decoded'):
        data[0]
    label.unlink()
    with pytest.raises(DatasetError, match='is missing; extract'):
        data[0]
    write_annotations(coco, [{'id': 1, 'category_id': 5, 'iscrowd': 0}])
    with pytest.raises(DatasetError, match=r'categories \[5\]'):
        CocoPanoptic(coco, 'val2017', WORDS)
    (coco / 'annotations' / 'panoptic_val2017.json').write_text('[]')
    with pytest.raises(DatasetError, match='not an annotation file'):
        CocoPanoptic(coco, 'val2017', WORDS)


@pytest.fixture
def cityscapes(tmp_path):
    for folder, kind, pixels in (
            ('leftImg8bit', 'leftImg8bit', IMAGE[..., ::-1]),
            ('gtFine', 'gtFine_instanceIds', np.array(
                [[7, 26000, 26001, 26], [23, 1, 33002, 24]], np.uint16))):
        (tmp_path / folder / 'train' / 'ulm').mkdir(parents=True)
        cv2.imwrite(str(tmp_path / folder / 'train' / 'ulm' / f'ulm_000001_000019_{kind}.png'),
                    pixels)
    return tmp_path


def test_cityscapes_instances_groups_and_void(cityscapes):
    vocabulary = Vocabulary(open_list('cityscapes').known)
    data = Cityscapes(cityscapes, 'train', vocabulary)
    assert len(data) == 1
    picture = data[0]
    names = [c.name for c in vocabulary.classes]
    assert [(names[k], crowd) for k, crowd in zip(picture.kinds, picture.crowd)] == [
        ('road', False), ('sky', False), ('person', True), ('car', True), ('car', False),
        ('car', False), ('bicycle', False)]
    classes = picture.class_map()
    assert [names[k] if k >= 0 else '' for k in classes.ravel()] == [
        'road', 'car', 'car', 'car', 'sky', '', 'bicycle', 'person']
    assert picture.segments[0, 1] != picture.segments[0, 2]  # two cars


def test_cityscapes_trains_any_vocabulary_that_has_its_labels(cityscapes):
    merged = Vocabulary(open_list('cityscapes_merged').known)
    picture = Cityscapes(cityscapes, 'train', merged)[0]
    names = [c.name for c in merged.classes]
    assert all('car' in merged.classes[k].concepts for k in picture.class_map()[0, 1:])
    assert len(names) < 19
    with pytest.raises(DatasetError, match="no class with the concept 'road'"):
        Cityscapes(cityscapes, 'train', WORDS)


def test_what_cityscapes_lacks_is_named(cityscapes):
    vocabulary = Vocabulary(open_list('cityscapes').known)
    with pytest.raises(DatasetError, match='leftImg8bit/val.* is missing'):
        Cityscapes(cityscapes, 'val', vocabulary)
    (cityscapes / 'leftImg8bit' / 'val').mkdir()
    (cityscapes / 'gtFine' / 'val').mkdir()
    with pytest.raises(DatasetError, match='holds no picture'):
        Cityscapes(cityscapes, 'val', vocabulary)
