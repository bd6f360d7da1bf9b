# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""`vl4ad benchmark` on miniature data sets, with a model that sees colours."""

import json

import cv2
import numpy as np
import pytest

from vl4ad_ros import cli

GREY, RED, PURPLE = (128, 128, 128), (30, 30, 200), (160, 40, 150)  # blue, green, red
SIZE = (96, 160)


def picture(file, *boxes):
    """Write a grey road with boxes (x, y, side, colour)."""
    image = np.full((*SIZE, 3), GREY, np.uint8)
    for x, y, side, colour in boxes:
        image[y:y + side, x:x + side] = colour
    file.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(file), image)


def label(file, *boxes, ground=0, size=SIZE):
    """Write a label with boxes (x, y, side, value)."""
    values = np.full(size, ground, np.uint8)
    for x, y, side, value in boxes:
        values[y:y + side, x:x + side] = value
    file.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(file), values)


@pytest.fixture
def benchmark(mock_bundle, capsys):
    """Return a function that runs the verb and returns its exit status, figures and stderr."""
    def run(*arguments):
        code = cli.main(['benchmark', *map(str, arguments), '--bundle', str(mock_bundle)])
        said = capsys.readouterr()
        return code, json.loads(said.out) if said.out else None, said.err
    return run


def obstacles(root, count=3):
    """Write a RoadObstacle21 with a red box in each image."""
    base = root / 'dataset_ObstacleTrack'
    for i in range(1, count + 1):
        picture(base / 'images' / f'validation_{i}.webp', (40, 40, 24, RED))
        label(base / 'labels_masks' / f'validation_{i}_labels_semantic.png', (40, 40, 24, 1))
    return base


def cityscapes(root, red=False):
    """Write a Cityscapes of one image."""
    name = 'frankfurt_000000_000294'
    picture(root / 'leftImg8bit/val/frankfurt' / f'{name}_leftImg8bit.png',
            *[(0, 0, 96, RED)] * red)
    label(root / 'gtFine/val/frankfurt' / f'{name}_gtFine_labelTrainIds.png')
    return root


def test_all_figures_of_a_data_set(tmp_path, benchmark):
    code, figures, said = benchmark('road-obstacle-21', '--root', obstacles(tmp_path))
    assert code == 0 and '3 of 3 samples used' in said
    assert (figures['samples'], figures['samples_used'], figures['samples_skipped']) == (3, 3, [])
    pixels = figures['pixels']
    assert pixels['pixel_ap'] > 0.9 and pixels['best_f1'] > 0.9
    assert pixels['score_precision'] == 'float16'
    assert pixels['anomalous_pixels'] == 3 * 24 * 24
    retention = figures['id_retention']
    assert retention['ood_recall'] == 0.9 and retention['id_kept'] > 0.9
    components = figures['components']
    assert components['siou'] > 0.7 and components['ppv'] > 0.7
    assert components['threshold'] == pixels['best_f1_threshold']
    assert components['by_size']['small'] == {
        'objects': 3, 'found': 3, 'siou': components['siou']}
    assert figures['components_at_threshold']['threshold'] == 0.5
    assert figures['undefined'] == {} and figures['model'] == 'mock'
    assert 'RoadObstacle21 validation (SegmentMeIfYouCan) has 30' in figures['notes'][0]
    assert figures['notes'][0] in said and 'by_drive' not in figures
    assert set(figures['definitions']) >= {'components', 'ppv', 'score_precision', 'by_size'}


def test_exact_scores_are_said_to_be_exact(tmp_path, benchmark):
    base = obstacles(tmp_path)
    rounded = benchmark('road-obstacle-21', '--root', base)[1]
    exact = benchmark('road-obstacle-21', '--root', base, '--exact')[1]
    assert exact['pixels']['score_precision'] == 'float32'
    assert exact['pixels']['pixel_ap'] == pytest.approx(rounded['pixels']['pixel_ap'], abs=1e-2)
    assert exact['components']['siou'] == pytest.approx(rounded['components']['siou'], abs=0.1)


def test_what_cannot_be_read_is_counted_and_named(tmp_path, benchmark):
    base = obstacles(tmp_path, 5)
    (base / 'images' / 'validation_2.webp').write_bytes(b'RIFF')
    label(base / 'labels_masks' / 'validation_4_labels_semantic.png', size=(48, 80))
    (base / 'labels_masks' / 'validation_5_labels_semantic.png').unlink()
    code, figures, said = benchmark('road-obstacle-21', '--root', base)
    assert code == 1 and '2 of 5 samples used' in said and '3 samples could not be used' in said
    skipped = {one['name']: one['reason'] for one in figures['samples_skipped']}
    assert list(skipped) == ['validation_2', 'validation_4', 'validation_5']
    assert 'expected the same size' in skipped['validation_4'] and all(
        f'{name}: {reason}' in said for name, reason in skipped.items())
    for file in (base / 'images').iterdir():
        file.unlink()
    code, figures, said = benchmark('road-obstacle-21', '--root', base)
    assert code == 1 and figures is None and '0 of 4 samples' in said


def test_id_retention_on_cityscapes(tmp_path, benchmark):
    """Of the second one, 96 of 160 columns are red and therefore not kept."""
    base = obstacles(tmp_path)
    for red, kept in ((False, 1.0), (True, 0.4)):
        folder = cityscapes(tmp_path / f'cityscapes_{red}', red)
        figures = benchmark('road-obstacle-21', '--root', base, '--cityscapes', folder)[1]
        carried = figures['id_retention_cityscapes']
        assert carried['threshold'] == figures['id_retention']['threshold']
        assert carried['id_kept'] == pytest.approx(kept, abs=0.02)
        assert carried['samples_used'] == 1
        code, alone, _ = benchmark('cityscapes', '--root', folder)
        assert code == 0 and alone['id_kept'] == pytest.approx(kept, abs=0.02)
        assert alone['threshold'] == 0.5 and 'pixels' not in alone


def test_undefined_figures_are_null_with_a_reason(tmp_path, benchmark):
    base = obstacles(tmp_path, 1)
    label(base / 'labels_masks' / 'validation_1_labels_semantic.png')
    figures = benchmark('road-obstacle-21', '--root', base, '--cityscapes',
                        cityscapes(tmp_path))[1]
    why = figures['undefined']
    for name in ('pixel_ap', 'pixel_auroc', 'fpr95', 'best_f1'):
        assert figures['pixels'][name] is None
        assert why[f'pixels.{name}'] == 'no labelled pixel is anomalous'
    for name in ('id_retention', 'components', 'id_retention_cityscapes'):
        assert figures[name] is None and why[name] == 'no labelled pixel is anomalous'
    assert figures['components_at_threshold']['siou'] is None
    assert 'limit of the track' in why['components_at_threshold.siou']


def test_each_sequence_by_itself(tmp_path, benchmark):
    for sequence, colour in (('sequence_001', RED), ('sequence_002', GREY)):
        for frame in ('000000', '000008'):
            picture(tmp_path / 'raw_data' / sequence / f'{frame}_raw_data.jpg',
                    (40, 40, 24, colour))
            label(tmp_path / 'semantic_ood' / sequence / f'{frame}_semantic_ood.png',
                  (40, 40, 24, 254), (0, 0, 20, 255))
    figures = benchmark('street-obstacle-sequences', '--root', tmp_path)[1]
    seen, missed = figures['by_drive'].values()
    assert list(figures['by_drive']) == ['sequence_001', 'sequence_002']
    assert seen['samples'] == missed['samples'] == 2
    assert seen['components']['siou'] > 0.7 and missed['components']['siou'] == 0
    assert seen['pixels']['pixel_ap'] > 0.9 > missed['pixels']['pixel_ap']
    assert figures['components']['by_threshold'][0] == {
        'threshold': 0.25, 'true': 2, 'missed': 2, 'false': 0,
        'f1': pytest.approx(2 / 3, abs=1e-4)}


def test_the_parameter_file_chooses_prompts_and_threshold(tmp_path, benchmark):
    base = obstacles(tmp_path, 1)
    (tmp_path / 'detector.yaml').write_text(
        '/**: {ros__parameters: {threshold: 0.25, prompts: {known: [road, cow], anomaly: [dog]}}}')
    figures = benchmark('road-obstacle-21', '--root', base, '--params',
                        tmp_path / 'detector.yaml')[1]
    assert figures['components_at_threshold']['threshold'] == 0.25
    assert figures['components_at_threshold']['siou'] == 0


def test_no_such_folder(tmp_path, benchmark):
    code, figures, said = benchmark('road-anomaly', '--root', tmp_path / 'absent')
    assert code == 1 and figures is None and 'there is no folder' in said and said.count('\n') == 1
