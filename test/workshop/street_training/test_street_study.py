# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The study of street bundles on miniature data, with a bundle that sees colours. Needs torch."""

from contextlib import closing
import json
from types import SimpleNamespace

import numpy as np
import pytest

torch = pytest.importorskip('torch')
pytest.importorskip('open_clip')
pytest.importorskip('onnx')

from benchmarks.street import (  # noqa: E402, I100
    animal_photos, changed_words, clean_motorway, pasted_objects, report, street_segmentation,
    subject)
from benchmarks.street.__main__ import main  # noqa: E402
from benchmarks.street.study_data import Skipped, SPLITS, StudyData  # noqa: E402
from miniature import (  # noqa: E402
    write_camvid, write_indian, write_instances, write_panoptic, write_roads)
from mock_bundle import write_mock_bundle  # noqa: E402
from vl4ad_ros.inference.letterbox import Letterbox  # noqa: E402
from vl4ad_workshop.street.street_words import WORDS  # noqa: E402
from vl4ad_workshop.training.street.camvid import CLASSES  # noqa: E402
from vl4ad_workshop.training.street.data_folders import DataFolders  # noqa: E402
from vl4ad_workshop.training.street.indian_roads import BoxedPicture  # noqa: E402
from vl4ad_workshop.training.street.recipe import CompositeRecipe, StreetRecipe  # noqa: E402

RECIPE = StreetRecipe(height=96, width=160, composites=CompositeRecipe(lowest=10))


class RedIsAnObject(torch.nn.Module):
    """Takes the place of a street network: p(object) is the share of red."""

    def __init__(self):
        super().__init__()
        self.classifier = SimpleNamespace(features=lambda image: image)

    def head(self, image):
        small = torch.nn.functional.avg_pool2d(image, 4)
        logits = torch.zeros(len(small), len(WORDS), *small.shape[2:])
        logits[:, -1] = (small[:, 0] - small[:, 1]) / 20
        return logits


@pytest.fixture(scope='module')
def root(tmp_path_factory):
    return tmp_path_factory.mktemp('street-study')


@pytest.fixture(scope='module')
def folders(root):
    return [write_camvid(root / 'camvid'), write_instances(root / 'mini'),
            write_indian(root / 'indian', '0044'), write_roads(root / 'roads')]


@pytest.fixture(scope='module')
def bundle(root):
    return write_mock_bundle(
        root / 'bundle', concepts=256, classes=96,
        vocabulary={'known': ['road: road, asphalt', 'vegetation: grass, tree, trees', 'sky',
                              'car', 'truck'], 'anomaly': ['dog']})


@pytest.fixture(scope='module')
def data(folders):
    return StudyData(DataFolders.recognise(folders), SPLITS['test'], RECIPE)


@pytest.fixture
def seen(bundle, monkeypatch):
    monkeypatch.setattr(subject, 'open_network',
                        lambda bundle: SimpleNamespace(module=RedIsAnObject()))
    with closing(subject.Subject(str(bundle))) as opened:
        yield opened


def test_animals_in_boxes(seen, data):
    figures = animal_photos.measure(seen, data)
    assert figures['data']['pictures'] == 2
    for words in ('right words', 'wrong words', 'random vectors', 'no words', 'p(object) alone'):
        assert figures[words]['ap'] > 0.9, words  # a red square on grey is easy
    assert figures['right words']['fpr95'] < 0.05


def test_only_the_inside_of_an_animal_counts():
    picture = BoxedPicture('a', '0' * 64, np.zeros((96, 160, 3), np.uint8), (
        ('animal', 0.5, 0.5, 0.5, 0.5), ('pothole', 0.1, 0.9, 0.1, 0.1)))
    truth = animal_photos.box_truth(picture, Letterbox((96, 160), (96, 160), 4))
    assert truth.shape == (24, 40) and truth[12, 20] == 1
    assert truth[12, 11] == 255 == truth[7, 20] == truth[21, 4] and truth[0, 0] == 0
    assert (truth == 1).mean() == pytest.approx(0.25 * 0.36, abs=0.02)


def test_objects_by_height(seen, data):
    figures = pasted_objects.observe(seen, data.street_composites, 'objects')
    result = figures.result()
    assert sum(result[f'objects, {h}'] for h in report._HEIGHTS) == sum(
        not p.known for c in data.street_composites for p in c.placed) > 0
    assert all(v is None or 0 <= v <= 1 for k, v in result.items() if k.startswith('AP'))
    known = figures.known_result()
    assert known['person: number'] >= 1 and 0 <= known['person'] <= 1
    motorway = pasted_objects.observe(seen, data.motorway_composites, 'motorway').result()
    assert motorway['AP, 24-48 px'] > 0.5 or motorway['objects, 24-48 px'] == 0
    assert all((c.picture.labels >= 0).all() for c in data.motorway_composites)


def test_other_objects_are_ignored_not_normal():
    truth = np.array([1, 1, 0, 255], np.uint8)
    assert pasted_objects.only(truth, np.array([True, False, False, True])).tolist() == [
        1, 255, 0, 255]


def test_intersection_over_union(seen, data):
    counts = np.zeros((len(CLASSES), len(CLASSES)), int)
    counts[3, 3], counts[3, 4], counts[0, 3] = 6, 2, 2
    ious = street_segmentation.intersections(counts)
    assert ious == {'sky': 0.0, 'road': 0.6, 'mean': 0.3}
    measured = street_segmentation.measure(seen, data)
    assert measured['road'] > 0.85 and measured['sky'] > 0.85 and measured['tree'] > 0.6
    assert 0 < measured['mean'] <= 1


def test_words_taken_away_and_added(seen, data):
    figures = changed_words.taken(seen, data)
    # The cars of the miniature streets are orange, which this bundle calls trucks.
    assert {'car, CamVid: known', 'car, CamVid: taken away', 'car, CamVid: named an anomaly',
            'person, pasted: known'} <= set(figures)
    assert not any(k.startswith('truck, CamVid') for k in figures)
    added = changed_words.added(seen, data)
    assert added['cow: before, below'] < 0.2 and added['cow: after, below'] > 0.8
    assert added['mean: after, below'] == added['cow: after, below']  # the only animal
    assert 'cow: after, others above' not in added


def test_alerts_on_a_clean_road(seen, data):
    figures = clean_motorway.measure(seen, data)
    assert figures['minutes'] == pytest.approx(12 / 10 / 60)
    assert figures['alerts a minute, shipped threshold'] >= 0
    assert 0 <= figures['score of the threshold that keeps 80%'] <= 1


def test_missing_data_are_said(seen, tmp_path):
    nothing = StudyData(DataFolders(), SPLITS['test'], RECIPE)
    for measure in (animal_photos.measure, street_segmentation.measure, changed_words.added,
                    changed_words.taken, clean_motorway.measure):
        with pytest.raises(Skipped, match='missing'):
            measure(seen, nothing)


def test_what_was_trained_on_is_refused(data, folders):
    data.refuse_trained({})
    data.refuse_trained({'coco_panoptic': ['000000000001'], 'clean_roads': {'a.mp4': '00'}})
    with pytest.raises(SystemExit, match='000000900100'):
        data.refuse_trained({'coco_panoptic': ['000000900100']})
    from vl4ad_workshop.training.street.road_frames import file_sum
    with pytest.raises(SystemExit, match='road.avi'):
        data.refuse_trained({'clean_roads': {'x': file_sum(folders[3] / 'road.avi')}})


def test_several_bundles_become_one_table(seen, bundle, folders, tmp_path, capsys):
    file = tmp_path / 'study.json'
    main([str(bundle), str(bundle), '--data', *map(str, folders[:1]), '--only', 'segmentation',
          'animals', '--most', '2', '--json', str(file)])
    printed = capsys.readouterr().out
    assert '| CamVid by text prompts, IoU |' in printed and '± 0.0' in printed
    assert 'Skipped, animals: the photographs of Indian roads are missing.' in printed
    record = json.loads(file.read_text())
    assert len(record['studies']) == 2 and record['studies'][0]['bundle']['name'] == 'mock'
    main([str(file), '--only', 'latency'])
    assert '| CamVid by text prompts, IoU |' in capsys.readouterr().out
    with pytest.raises(SystemExit, match="split 'test', not 'validation'"):
        main([str(file), '--split', 'validation'])


def test_the_table_has_a_cell_for_every_figure():
    figures = {'animals': {'right words': {'ap': 0.7, 'auroc': 0.9, 'fpr95': 0.3}},
               'latency': {'openvino, median': 36.0, 'onnxruntime, median': None}}
    printed = report.table([figures, figures], {'motorway': 'a video is missing'})
    assert 'AP 70.0 ± 0.0; AUROC 90.0 ± 0.0; FPR95 30.0 ± 0.0' in printed
    assert 'OpenVINO 36.0 ± 0.0; ONNX Runtime -' in printed
    assert 'Skipped, motorway: a video is missing.' in printed
    assert 'CamVid' not in printed


def test_panoptic_pictures_are_not_needed(root):
    with_scenes = DataFolders.recognise([write_panoptic(root / 'panoptic')])
    with pytest.raises(Skipped, match='COCO instances'):
        StudyData(with_scenes, SPLITS['validation'], RECIPE).objects
