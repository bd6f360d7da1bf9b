# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Each loader on a miniature tree with the layout, the values and the traps of its data set."""

import json
import struct
import zlib

import cv2
import numpy as np
import pytest

from vl4ad_ros.evaluation.component_metrics import ANOMALY_TRACK, OBSTACLE_TRACK
from vl4ad_ros.evaluation.datasets import DatasetError, LOADERS, open_dataset
from vl4ad_ros.evaluation.datasets.lost_and_found import UNLABELLED

SIZE = (6, 8)


def put(file, values=None):
    """Write a small image: a grey picture, or a label that begins with the values."""
    file.parent.mkdir(parents=True, exist_ok=True)
    image = np.full((*SIZE, 3), 90, np.uint8)
    if values is not None:
        image = np.zeros(SIZE, np.uint8)
        image.flat[:len(values)] = values
    assert cv2.imwrite(str(file), image)


def found(dataset):
    """Return the names of the samples, after reading all of them."""
    for sample in dataset.samples:
        assert dataset.image(sample).shape == (*SIZE, 3)
        assert dataset.label(sample).shape == SIZE
    return [sample.name for sample in dataset.samples]


def meanings(dataset, number=0, count=3):
    """Return the first labels of a sample."""
    return dataset.label(dataset.samples[number]).ravel()[:count].tolist()


def test_road_anomaly(tmp_path):
    frames = tmp_path / 'RoadAnomaly_jpg' / 'frames'
    for name, ending in (('cow', 'jpg'), ('rock.v2', 'webp'), ('unlisted', 'jpg')):
        put(frames / f'{name}.{ending}')
        put(frames / f'{name}.labels' / 'labels_semantic.png', [0, 1, 2])
        put(frames / f'{name}.labels' / 'labels_semantic_color.png')
    (tmp_path / 'RoadAnomaly_jpg' / 'frame_list.json').write_text('["rock.v2", "cow.jpg"]')
    dataset = open_dataset('road-anomaly', tmp_path)
    assert found(dataset) == ['cow', 'rock.v2'] and dataset.limits == ANOMALY_TRACK
    # 1 is the road, not an anomaly.
    assert meanings(dataset) == [0, 0, 1]
    assert 'RoadAnomaly (2019) has 60' in dataset.notes[0]
    put(frames / 'cow.labels' / 'labels_semantic.png', [3])
    with pytest.raises(DatasetError, match='has the value 3; expected only 0-2'):
        dataset.label(dataset.samples[0])
    (tmp_path / 'RoadAnomaly_jpg' / 'frame_list.json').write_text('{"frames": 1}')
    with pytest.raises(DatasetError, match='expected a JSON list'):
        open_dataset('road-anomaly', tmp_path)


def test_road_anomaly_21(tmp_path):
    base = tmp_path / 'dataset_AnomalyTrack'
    for i in range(10):
        put(base / 'images' / f'validation000{i}.jpg')
        put(base / 'labels_masks' / f'validation000{i}_labels_semantic.png', [0, 1, 255])
        put(base / 'labels_masks' / f'validation000{i}_labels_semantic_color.png')
    put(base / 'images' / 'airplane0000.jpg')
    for root in (tmp_path, base):
        dataset = open_dataset('road-anomaly-21', root)
        assert found(dataset) == [f'validation000{i}' for i in range(10)]
    assert meanings(dataset) == [0, 1, 255] and dataset.notes == ()


def test_road_obstacle_21(tmp_path):
    base = tmp_path / 'dataset_ObstacleTrack'
    for name in ('validation_1', 'validation_2', 'validation_19', 'validation_20',
                 'validation_21', 'validation_29', 'validation_30'):
        put(base / 'images' / f'{name}.webp')
        put(base / 'labels_masks' / f'{name}_labels_semantic.png', [0, 1, 255])
    put(base / 'images' / 'darkasphalt2_dog_1.webp')
    dataset = open_dataset('road-obstacle-21', base)
    assert found(dataset) == ['validation_1', 'validation_2', 'validation_20', 'validation_30']
    assert dataset.limits == OBSTACLE_TRACK


def test_an_image_or_label_that_is_absent_is_a_sample_that_cannot_be_read(tmp_path):
    put(tmp_path / 'images' / 'validation0000.jpg')
    put(tmp_path / 'labels_masks' / 'validation0001_labels_semantic.png', [0])
    dataset = open_dataset('road-anomaly-21', tmp_path)
    with pytest.raises(DatasetError, match='validation0000_labels_semantic.png. does not exist'):
        dataset.label(dataset.samples[0])
    with pytest.raises(DatasetError, match='validation0001.jpg. does not exist'):
        dataset.image(dataset.samples[1])


def put_lost_and_found(root, split, names, values=(0, 1, 2, 200)):
    """Write frames of LostAndFound."""
    for name in names:
        scene = name.rsplit('_', 2)[0]
        put(root / 'leftImg8bit' / split / scene / f'{name}_leftImg8bit.png')
        stem = root / 'gtCoarse' / split / scene / f'{name}_gtCoarse'
        put(stem.with_name(f'{stem.name}_labelIds.png'), values)
        put(stem.with_name(f'{stem.name}_instanceIds.png'), values)


def test_lost_and_found(tmp_path):
    known = ['15_Rechbergstr_Deckenpfronn_000000_000010', '10_Schlossberg_9_000004_000020',
             '01_Hanns_Klemm_Str_45_000006_000030', '01_Hanns_Klemm_Str_45_000007_000030']
    unknown = ['10_Schlossberg_9_000003_000020', '01_Hanns_Klemm_Str_45_000005_000030']
    put_lost_and_found(tmp_path, 'test', known + unknown)
    put_lost_and_found(tmp_path, 'train', ['04_Maurener_Weg_8_000000_000030'])
    dataset = open_dataset('lost-and-found', tmp_path)
    assert found(dataset) == sorted(known + unknown) and meanings(dataset, 0, 4) == [255, 0, 1, 1]
    assert dataset.samples[0].drive == '01_Hanns_Klemm_Str_45_000005'
    dataset = open_dataset('lost-and-found-no-known', tmp_path)
    assert found(dataset) == sorted(unknown) and dataset.limits == OBSTACLE_TRACK
    assert any('by their place' in note for note in dataset.notes)


def test_frames_of_lost_and_found_without_labels_are_left_out_by_their_place(tmp_path):
    for i in range(1203):  # Empty files are enough to be found.
        file = tmp_path / 'leftImg8bit/test/02_Here' / f'02_Here_000000_{i:06}_leftImg8bit.png'
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    dataset = open_dataset('lost-and-found', tmp_path)
    assert dataset.notes == () and len(dataset.samples) == 1186
    numbers = {int(sample.name[-6:]) for sample in dataset.samples}
    assert set(range(1203)) - numbers == set(UNLABELLED)


def test_fishyscapes_lost_and_found(tmp_path):
    names = ['04_Maurener_Weg_8_000000_000030', '13_Elly_Beinhorn_Strasse_000001_000240']
    put_lost_and_found(tmp_path / 'laf', 'train', names[:1])
    put_lost_and_found(tmp_path / 'laf', 'test', names[1:])
    archive, renamed = tmp_path / 'archive', tmp_path / 'renamed'
    for i, name in enumerate(names):
        put(archive / f'{i:04}_{name}_labels.png', [0, 1, 255])
        put(renamed / 'labels' / 'val' / f'{name}_fishy-labels.png', [0, 1, 255])
    put(archive / '0000_frankfurt_000000_000294_labels.png', [1])  # of Fishyscapes Static
    for root in (archive, renamed):
        dataset = open_dataset('fishyscapes-lost-and-found', root, tmp_path / 'laf')
        assert found(dataset) == names and meanings(dataset, 1) == [0, 1, 255]
    with pytest.raises(DatasetError, match='leftImg8bit.png. does not exist'):
        found(open_dataset('fishyscapes-lost-and-found', archive))


def test_fishyscapes_static(tmp_path):
    name = 'frankfurt_000000_000294'
    image = np.full((*SIZE, 3), 100, np.uint8)
    image[0, 0] = (250, 5, 100)  # blue, green, red
    file = tmp_path / 'cityscapes/leftImg8bit/val/frankfurt' / f'{name}_leftImg8bit.png'
    file.parent.mkdir(parents=True)
    cv2.imwrite(str(file), image)
    for version in ('fs_val_v1', 'fs_val_v3'):
        put(tmp_path / version / f'0000_{name}_labels.png', [0, 1, 255])
        difference = np.zeros((*SIZE, 3), np.int16)
        difference[0, 0] = (20, -20, 10) if version.endswith('3') else 99
        np.savez(tmp_path / version / f'0000_{name}_rgb.npz', rgb=difference)
    dataset = open_dataset('fishyscapes-static', tmp_path, tmp_path / 'cityscapes')
    assert found(dataset) == [f'0000_{name}']
    # Clipped on both sides, and the label is not where the overlay is.
    assert dataset.image(dataset.samples[0])[0, :2].tolist() == [[120, 0, 255], [100] * 3]
    assert meanings(dataset) == [0, 1, 255]
    np.savez(tmp_path / 'fs_val_v3' / f'0000_{name}_rgb.npz', other=difference)
    with pytest.raises(DatasetError, match="expected a .npz file with the array 'rgb'"):
        dataset.image(dataset.samples[0])
    (tmp_path / 'fs_val_v3').rename(tmp_path / 'fs_val_v2')
    with pytest.raises(DatasetError, match='fs_val_v1, fs_val_v2; expected one version'):
        open_dataset('fishyscapes-static', tmp_path, tmp_path / 'cityscapes')


@pytest.mark.parametrize('name, folder, ending', [
    ('street-obstacle-sequences', 'street_obstacle_sequences', 'jpg'),
    ('wuppertal-obstacle-sequences', 'wuppertal_obstacle_sequences', 'png')])
def test_sequences(tmp_path, name, folder, ending):
    base = tmp_path / folder
    for sequence in ('sequence_001', 'sequence_002'):
        for i in range(9):
            put(base / 'raw_data' / sequence / f'{i:06}_raw_data.{ending}')
        for i in (0, 8):
            put(base / 'semantic_ood' / sequence / f'{i:06}_semantic_ood.png', [0, 254, 255])
            put(base / 'instance_ood' / sequence / f'{i:06}_instance_ood.png', [0, 1])
    dataset = open_dataset(name, tmp_path)
    assert found(dataset) == ['sequence_001/000000', 'sequence_001/000008',
                              'sequence_002/000000', 'sequence_002/000008']
    assert meanings(dataset) == [0, 1, 255] and dataset.samples[3].drive == 'sequence_002'


def test_cityscapes(tmp_path):
    name = 'frankfurt_000000_000294'
    put(tmp_path / 'leftImg8bit/val/frankfurt' / f'{name}_leftImg8bit.png')
    stem = tmp_path / 'gtFine/val/frankfurt'
    put(stem / f'{name}_gtFine_labelIds.png', [0, 7, 9, 33, 4])
    put(stem / f'{name}_gtFine_instanceIds.png', [0, 7])
    dataset = open_dataset('cityscapes', tmp_path)
    assert found(dataset) == [name] and meanings(dataset, 0, 5) == [255, 0, 255, 0, 255]
    put(stem / f'{name}_gtFine_labelTrainIds.png', [0, 18, 255])
    dataset = open_dataset('cityscapes', tmp_path)
    assert meanings(dataset) == [0, 0, 255] and dataset.limits is None
    assert dataset.samples[0].drive == 'frankfurt'


def test_a_gamma_chunk_does_not_change_the_pixels(tmp_path):
    """The PNG files of LostAndFound have one."""
    put(tmp_path / 'plain.png')
    data = (tmp_path / 'plain.png').read_bytes()
    chunk = b'gAMA' + struct.pack('>I', 20000)
    data = data[:33] + struct.pack('>I', 4) + chunk + struct.pack('>I', zlib.crc32(chunk)) + (
        data[33:])
    name = '02_Here_000000_000010'
    put_lost_and_found(tmp_path, 'test', [name])
    (tmp_path / 'leftImg8bit/test/02_Here' / f'{name}_leftImg8bit.png').write_bytes(data)
    dataset = open_dataset('lost-and-found', tmp_path)
    assert (dataset.image(dataset.samples[0]) == 90).all()


@pytest.mark.parametrize('name', LOADERS)
def test_an_empty_folder_says_what_was_expected(tmp_path, name):
    (tmp_path / 'frame_list.json').write_text(json.dumps([]))
    with pytest.raises(DatasetError, match='has no labelled image of .*; expected '):
        open_dataset(name, tmp_path)
    with pytest.raises(DatasetError, match='there is no folder'):
        open_dataset(name, tmp_path / 'absent')


def test_an_unknown_name_lists_those_that_there_are(tmp_path):
    with pytest.raises(DatasetError, match="no data set 'coda'; expected one of road-anomaly, "):
        open_dataset('coda', tmp_path)
