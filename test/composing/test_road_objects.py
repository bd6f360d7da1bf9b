# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Folders of objects are read, or refused with the place and the reason."""

import cv2
import numpy as np
import pytest
from vl4ad_ros.composing.objects import ObjectError, read_objects, SHIPPED
import yaml

COW = {'file': 'cow.png', 'name': 'cow', 'height_m': 1.5}


def write(folder, *entries, channels=4, opacity=(0, 255)):
    """Write a picture with a red rectangle, and the description."""
    folder.mkdir(exist_ok=True)
    picture = np.full((60, 80, 4), opacity[0], np.uint8)
    picture[..., :3] = (0, 0, 200)
    picture[10:50, 20:70, 3] = opacity[1]
    cv2.imwrite(str(folder / 'cow.png'), picture[..., :channels])
    (folder / 'objects.yaml').write_text(yaml.safe_dump({'objects': list(entries)}))
    return folder


def test_objects_have_what_the_description_says(tmp_path):
    first, second = read_objects(write(tmp_path, {**COW, 'licence': 'CC0-1.0'}, {
        **COW, 'name': 'person', 'height_m': 2, 'known': True}))
    assert (first.name, first.height_m, first.known) == ('cow', 1.5, False)
    assert first.width_m == pytest.approx(1.5 * 50 / 40)
    assert first.cut_out.rgb[5, 5].tolist() == [200, 0, 0], 'RGB, not BGR'
    assert first.notes == {'licence': 'CC0-1.0'}
    assert (second.name, second.known, second.notes) == ('person', True, {})


def test_the_shipped_objects_are_anomalies_and_known_things():
    objects = read_objects(SHIPPED)
    assert sorted(thing.name for thing in objects if thing.known) == ['bicycle', 'car', 'person']
    assert len([thing for thing in objects if not thing.known]) == 6
    for thing in objects:
        assert 140 <= thing.cut_out.alpha.shape[0] <= 260
        assert 0.3 < thing.height_m < 2 and set(thing.notes) == {'copyright', 'licence'}
    assert sum(path.stat().st_size for path in SHIPPED.iterdir()) < 250_000


@pytest.mark.parametrize('entry, message', [
    ('cow.png', "entry 1 is 'cow.png'; expected an entry such as"),
    ({'file': 'cow.png', 'name': 'cow'}, "entry 1 has no 'height_m'"),
    ({**COW, 'size': 3}, "unknown key 'size'; the keys are file, name"),
    ({**COW, 'height_m': 'tall'}, "height_m is 'tall'; expected a number"),
    ({**COW, 'height_m': True}, 'expected a number'),
    ({**COW, 'height_m': 150}, 'height_m is 150; expected 0.05 to 30 metres'),
    ({**COW, 'height_m': float('nan')}, 'expected 0.05 to 30 metres'),
    ({**COW, 'name': ' '}, 'name is empty'),
    ({**COW, 'known': 'yes please'}, "known is 'yes please'; expected true or false"),
    ({**COW, 'file': '../cow.png'}, 'expected the name of a file in the same folder'),
    ({**COW, 'file': 'dog.png'}, 'does not describe cow.png'),
])
def test_wrong_entries_are_named(tmp_path, entry, message):
    with pytest.raises(ObjectError, match=message):
        read_objects(write(tmp_path, entry))


def test_every_entry_has_its_number(tmp_path):
    with pytest.raises(ObjectError, match='entry 2'):
        read_objects(write(tmp_path, COW, {**COW, 'height_m': -1}))


@pytest.mark.parametrize('text, message', [
    (None, 'has no objects.yaml; it lists the objects, for example: objects: '),
    ('objects: [', 'cannot be read'),
    ('objects: []', "must have the key 'objects' and no other"),
    ('- cow', "must have the key 'objects' and no other"),
    ('objects: [{}]\nmore: 1', "must have the key 'objects' and no other"),
])
def test_wrong_descriptions_are_refused(tmp_path, text, message):
    write(tmp_path, COW)
    (tmp_path / 'objects.yaml').unlink()
    if text is not None:
        (tmp_path / 'objects.yaml').write_text(text)
    with pytest.raises(ObjectError, match=message):
        read_objects(tmp_path)


@pytest.mark.parametrize('how, message', [
    ({'channels': 3}, 'has no opacity; expected a PNG file with 8 bits each'),
    ({'opacity': (255, 255)}, 'is opaque everywhere'),
    ({'opacity': (0, 90)}, "the cut-out 'cow' has no opaque pixel"),
])
def test_pictures_without_a_cut_out_are_refused(tmp_path, how, message):
    with pytest.raises(ObjectError, match=message):
        read_objects(write(tmp_path, COW, **how))


def test_missing_and_damaged_pictures_are_named(tmp_path):
    write(tmp_path, COW)
    for content, message in ((b'no picture', 'not a picture that OpenCV can read'),
                             (b'', 'not a picture that OpenCV can read')):
        (tmp_path / 'cow.png').write_bytes(content)
        with pytest.raises(ObjectError, match=message):
            read_objects(tmp_path)
    (tmp_path / 'cow.png').unlink()
    with pytest.raises(ObjectError, match='there is no picture .*cow.png.*objects.yaml names'):
        read_objects(tmp_path)
