# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Readers of the street training on miniature folders of the real layouts. Needs torch."""

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip('torch')
pytest.importorskip('open_clip')

from miniature import (  # noqa: E402, I100
    COLOURS, draw_street, draw_things, write_camvid, write_cityscapes, write_davis, write_indian,
    write_instances, write_panoptic, write_penn_fudan, write_roads)
from vl4ad_workshop.street.street_words import WORDS  # noqa: E402
from vl4ad_workshop.training.real.labelled import DatasetError  # noqa: E402
from vl4ad_workshop.training.street.camvid import CamVid, CLASSES  # noqa: E402
from vl4ad_workshop.training.street.cityscapes import CityscapesRoads  # noqa: E402
from vl4ad_workshop.training.street.coco_instances import CocoInstances  # noqa: E402
from vl4ad_workshop.training.street.coco_panoptic import CocoPanopticRoads  # noqa: E402
from vl4ad_workshop.training.street.composites import KNOWN_METRES, METRES  # noqa: E402
from vl4ad_workshop.training.street.cutting import cut_out  # noqa: E402
from vl4ad_workshop.training.street.data_folders import DataFolders  # noqa: E402
from vl4ad_workshop.training.street.davis import Davis, NAMES  # noqa: E402
from vl4ad_workshop.training.street.indian_roads import IndianRoads  # noqa: E402
from vl4ad_workshop.training.street.label_words import (  # noqa: E402
    coco_word_index, word_index)
from vl4ad_workshop.training.street.penn_fudan import PennFudan  # noqa: E402
from vl4ad_workshop.training.street.recipe import StreetRecipe  # noqa: E402
from vl4ad_workshop.training.street.road_frames import RoadFrames  # noqa: E402
from vl4ad_workshop.training.street.training_data import evenly, TrainingData  # noqa: E402


def word(labels, y, x):
    return WORDS[labels[y, x]] if labels[y, x] >= 0 else None


@pytest.mark.parametrize('below', ['', 'CamVid'])
def test_camvid(tmp_path, below):
    write_camvid(tmp_path / below)
    data = CamVid(tmp_path, 'val')
    assert len(data) == 3
    picture = next(iter(data))
    rgb, classes = draw_street(10)
    assert picture.name == 'val_0' and np.array_equal(picture.rgb, rgb)
    assert picture.labels.dtype == np.int8 and not picture.clean
    assert [word(picture.labels, *p) for p in ((0, 0), (10, 80), (90, 80), (50, 2))] == [
        None, 'sky', 'road', 'vegetation']
    assert np.array_equal(data.class_map(0), np.where(classes == 11, -1, classes.astype(int)))
    assert set(map(word_index, CLASSES)) <= set(range(len(WORDS) - 1))


def test_camvid_says_what_is_wrong(tmp_path):
    with pytest.raises(DatasetError, match='trainannot'):
        CamVid(tmp_path, 'train')
    write_camvid(tmp_path)
    (tmp_path / 'valannot' / 'val_1.png').write_bytes(
        (tmp_path / 'valannot' / 'val_0.png').read_bytes()[:40])
    with pytest.raises(DatasetError, match='val_1.png cannot be decoded'):
        list(CamVid(tmp_path, 'val'))


def test_cityscapes(tmp_path):
    data = CityscapesRoads(write_cityscapes(tmp_path), 'val')
    picture, = data
    assert len(data) == 1 and picture.name == 'ulm_1_leftImg8bit'
    _, classes = draw_street(30)
    for name, ours in (('car', 'car'), ('road', 'road'), ('tree', 'vegetation')):
        assert {WORDS[i] for i in picture.labels[classes == CLASSES.index(name)]} == {ours}
    assert (picture.labels[classes == 11] == -1).all()


@pytest.mark.parametrize('layout', [{}, {
    'folder': 'panoptic_segmentation/annotations', 'images': 'images'}])
def test_coco_panoptic_in_both_layouts(tmp_path, layout):
    write_panoptic(tmp_path, **layout)
    data = CocoPanopticRoads(tmp_path, 'val2017', excluded={'000000000102'})
    assert [data.name(i) for i in range(len(data))] == [
        '000000000100', '000000000101', '000000000103', '000000000104']
    picture = data[0]
    rgb, ids, _ = draw_things(10)
    assert np.array_equal(picture.rgb, rgb)
    assert {WORDS[i] for i in picture.labels[ids == 1000]} == {'object'}
    assert {WORDS[i] for i in picture.labels[ids == 1001]} == {'person'}
    assert (picture.labels[ids == 5] == -1).all()
    cow, = data.cut_outs(0, {'cow'}, 40)
    assert cow.name == 'cow' and cow.rgb.shape == (60, 50, 3) and (cow.alpha == 1).all()
    assert not list(data.cut_outs(0, {'cow'}, 61))
    without = CocoPanopticRoads(tmp_path, 'val2017', without={'cow'})
    assert (without[0].labels[ids == 1000] == -1).all()
    assert not list(without.cut_outs(0, {'cow'}, 40))


def test_coco_panoptic_says_what_is_wrong(tmp_path):
    with pytest.raises(DatasetError, match='panoptic_train2017.json'):
        CocoPanopticRoads(tmp_path, 'train2017')
    file = write_panoptic(tmp_path) / 'annotations' / 'panoptic_train2017.json'
    file.write_text('[]')
    with pytest.raises(DatasetError, match='not an annotation file of COCO panoptic'):
        CocoPanopticRoads(tmp_path, 'train2017')


def test_words_of_coco_categories():
    assert WORDS[coco_word_index('cow')] == 'object'
    assert WORDS[coco_word_index('bus')] in ('bus', 'truck')
    assert WORDS[coco_word_index('wall-brick')] == 'building'
    assert coco_word_index('wall-tile') == coco_word_index('river') == -1


def test_coco_instances(tmp_path):
    data = CocoInstances(write_instances(tmp_path), 'val2017', most=1)
    assert data.names == {'000000900100'}
    cuts = list(data.cut_outs({'cow', 'person'}, 40))
    assert [c.name for c in cuts] == ['cow', 'person'] and cuts[0].rgb.shape[:2] == (60, 50)
    assert np.array_equal(cuts[0].rgb[30, 20], COLOURS['cow'])
    with pytest.raises(DatasetError, match='is missing'):
        CocoInstances(tmp_path / 'nowhere', 'val2017', 1)


def test_davis(tmp_path):
    data = Davis(write_davis(tmp_path), frames=2)
    assert data.videos == ['cows']  # a horse with its rider is not used
    cuts = list(data.cut_outs({'cow', 'dog'}, 40))
    assert [c.name for c in cuts] == ['cow', 'cow'] and cuts[0].rgb.shape[:2] == (60, 50)
    assert np.array_equal(cuts[0].rgb[30, 20], COLOURS['cow'])
    assert not list(data.cut_outs({'dog'}, 40)) and not list(data.cut_outs({'cow'}, 61))
    assert set(NAMES.values()) <= {*METRES, *KNOWN_METRES}
    (tmp_path / 'Annotations' / '480p' / 'cows' / '00000.png').write_bytes(b'')
    with pytest.raises(DatasetError, match='00000.png'):
        list(data.cut_outs({'cow'}, 40))
    with pytest.raises(DatasetError, match='no video of DAVIS'):
        Davis(tmp_path / 'nowhere', frames=2)


def test_penn_fudan(tmp_path):
    data = PennFudan(write_penn_fudan(tmp_path))
    cuts = list(data.cut_outs(40))
    assert len(data) == 2 and [c.name for c in cuts] == ['person'] * 4
    assert np.array_equal(cuts[0].rgb[10, 10], COLOURS['person'])
    (tmp_path / 'PNGImages' / 'Ped1.png').write_bytes(
        (tmp_path / 'PedMasks' / 'Ped1_mask.png').read_bytes()[:50])
    with pytest.raises(DatasetError, match='Ped1.png'):
        list(data.cut_outs(40))
    with pytest.raises(DatasetError, match='no masks'):
        PennFudan(tmp_path / 'nowhere')


def test_objects_that_are_cut_off_are_not_cut_out():
    rgb, mask = np.zeros((80, 80, 3), np.uint8), np.zeros((80, 80), bool)
    mask[10:70, 10:50] = True
    assert cut_out(rgb, mask, 'cow', 40).rgb.shape == (60, 40, 3)
    thin = mask.copy()
    thin[12:68, 12:48] = False
    assert cut_out(rgb, thin, 'cow', 40) is None  # fills too little of its box
    mask[79, 20] = True
    assert cut_out(rgb, mask, 'cow', 40) is None  # touches the edge
    assert cut_out(rgb, np.zeros((80, 80), bool), 'cow', 40) is None


def test_indian_roads_open_only_their_part(tmp_path, monkeypatch):
    write_indian(tmp_path)
    decoded = []
    from vl4ad_workshop.training.street import indian_roads
    decode = indian_roads.photo_to_rgb
    monkeypatch.setattr(indian_roads, 'photo_to_rgb', lambda d: decoded.append(d) or decode(d))
    parts = {part: [p.name for p in IndianRoads(tmp_path, part)] for part in ('choose', 'report')}
    assert parts == {'choose': ['train/picture (0).jpeg'], 'report': ['train/picture (1).jpeg']}
    assert len(decoded) == 2  # the third one is a hold-out
    picture, = IndianRoads(tmp_path, 'choose')
    assert [b[0] for b in picture.boxes] == ['animal', 'pothole']
    assert picture.rgb.shape == (300, 420, 3)
    assert not list(IndianRoads(tmp_path, 'choose', 'cart'))


def test_indian_roads_are_wide_landscapes(tmp_path):
    write_indian(tmp_path / 'portrait', '0', (440, 420))
    write_indian(tmp_path / 'small', '0', (300, 390))
    for folder in ('portrait', 'small'):
        assert not list(IndianRoads(tmp_path / folder, 'choose'))
    (tmp_path / 'small' / 'annotations' / 'train' / 'picture (0).txt').write_text('9 0 0 1 1')
    with pytest.raises(DatasetError, match='picture'):
        IndianRoads(tmp_path / 'small', 'choose')


def test_frames_of_clean_roads(tmp_path):
    lane = StreetRecipe().ego_lane
    frames = list(RoadFrames(write_roads(tmp_path), lane, video_step=4))
    assert [f.name for f in frames] == ['road.avi 0', 'road.avi 4', 'road.avi 8', 'road.png 0']
    for frame in frames:
        assert frame.clean and word(frame.labels, 80, 80) == 'road'
        assert word(frame.labels, 10, 80) is None
    assert set(RoadFrames(tmp_path, lane, 4).sums) == {'road.avi', 'road.png'}
    video, = {f.name.split()[0] for f in RoadFrames(tmp_path / 'road.avi', lane, 4)}
    assert video == 'road.avi'
    with pytest.raises(DatasetError, match='no picture and no video'):
        RoadFrames(Path(__file__).parent, lane, 4)


@pytest.fixture(scope='module')
def folders(tmp_path_factory):
    root = tmp_path_factory.mktemp('street-data')
    return [write_camvid(root / 'camvid'), write_panoptic(root / 'coco'),
            write_instances(root / 'mini'), write_indian(root / 'indian'),
            write_roads(root / 'roads'), write_davis(root / 'davis'),
            write_penn_fudan(root / 'penn_fudan')]


def test_folders_are_recognised_by_their_layout(folders, tmp_path):
    camvid, coco, mini, indian, roads, davis, penn_fudan = folders
    found = DataFolders.recognise(folders)
    assert found == DataFolders(camvid, None, coco, mini, davis, penn_fudan, indian, (roads,))
    assert len(found.found()) == 7 and not found.missing()
    both = DataFolders.recognise([write_instances(write_panoptic(tmp_path / 'both'))])
    assert both.coco_panoptic == both.coco_instances == tmp_path / 'both'
    missing = ' '.join(both.missing())
    assert 'CamVid or Cityscapes is missing' in missing and 'clean roads are missing' in missing
    with pytest.raises(DatasetError, match='are both CamVid'):
        DataFolders.recognise([camvid, write_camvid(tmp_path / 'again')])
    for path in (tmp_path / 'nowhere', Path(__file__).parent):
        with pytest.raises(DatasetError, match='COCO panoptic'):
            DataFolders.recognise([path])


def test_evaluation_pictures_are_never_trained_on(folders, tmp_path):
    recipe = StreetRecipe()
    data = TrainingData(DataFolders.recognise(folders), recipe)
    assert [len(p) for p in data.streets] == [3] and [len(p) for p in data.scenes] == [5, 5]
    assert set(data.validation_objects().names) == {'cow', 'person'}
    # One folder with both: the pictures of the evaluation are left out of the training.
    both = write_instances(write_panoptic(tmp_path), pictures=2)
    for number in (900000, 900001):  # make the listed pictures those of COCO panoptic
        file = both / 'annotations' / 'instances_train2017.json'
        file.write_text(file.read_text().replace(
            f'{number:012d}.jpg', f'{number - 900000:012d}.jpg'))
    record = TrainingData(DataFolders.recognise([both]), recipe).record()
    assert record['coco_panoptic'][:2] == ['000000000002', '000000000003']
    # Without COCO instances, every fifth picture is kept for validation.
    alone = TrainingData(DataFolders.recognise(folders[1:2]), recipe)
    assert len(alone.record()['coco_panoptic']) == 8 and len(alone.validation_objects()) == 4
    with pytest.raises(DatasetError, match='no labelled picture'):
        TrainingData(DataFolders.recognise(folders[4:]), recipe)


def test_without_animals(folders):
    data = TrainingData(DataFolders.recognise(folders), StreetRecipe(), without_animals=True)
    assert data.objects().names == ('person',)
    assert 'cow' in data.record()['without']


def test_what_is_cut_out_of_which_data(folders):
    data = TrainingData(DataFolders.recognise(folders), StreetRecipe())
    alone = TrainingData(DataFolders.recognise(folders[:5]), StreetRecipe())
    assert {name: len(data.objects().among([name])) - len(alone.objects().among([name]))
            for name in data.objects().names} == {'cow': 3, 'person': 4}
    assert data.record()['davis'] == ['cows'] and data.record()['penn_fudan'] == 2
    assert [s.name for s in data.terms()][-3:-1] == ['DAVIS 2016', 'Penn-Fudan pedestrians']
    assert not alone.record()['davis'] and len(alone.terms()) == len(data.terms()) - 2


def test_evenly():
    assert evenly(range(10), 4) == [0, 2, 5, 7] and evenly([1, 2], 5) == [1, 2]
    assert evenly([], 3) == evenly([1], 0) == []
