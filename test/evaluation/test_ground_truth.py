# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Ground truth of every kind is used as it is, or said not to fit with its topic and frame."""

from bags import make_image, make_jpeg, scene, START_NS, write_jpegs
import cv2
import numpy as np
import pytest
from rosbags.rosbag2 import Writer

from vl4ad_ros.evaluation.bag_reader import BagError, CameraBag, LabelOptions, Span
from vl4ad_ros.evaluation.ground_truth import read_windows, stamp_in_name
from vl4ad_ros.evaluation.label_map import LabelMap, LabelMapError
from vl4ad_ros.evaluation.label_matching import match_by_stamp
from vl4ad_ros.evaluation.message_types import typestore
from vl4ad_ros.evaluation.picture_bag import is_picture_folder, write_picture_bag

RAW, COMPRESSED = 'sensor_msgs/msg/Image', 'sensor_msgs/msg/CompressedImage'
LABEL, OBJECT = '/ground_truth/anomaly', '/ground_truth/object_id'
FRAMES, PERIOD = 8, 10**8


def file_of(values, suffix='.png'):
    """Return the content of an image file."""
    return cv2.imencode(suffix, values)[1]


def packed(values, stamp, form='mono8; png compressed', suffix='.png'):
    """Return a CompressedImage of values."""
    return typestore().types[COMPRESSED](
        make_image(values[:1, :1], 'mono8', stamp).header, form, file_of(values, suffix).ravel())


def big_endian(values, encoding, stamp):
    """Return an Image with 16-bit values in the other byte order."""
    image = make_image(values.astype('>u2'), encoding, stamp)
    image.is_bigendian = 1
    return image


def recording(path, label=lambda v, s: make_image(v, 'mono8', s), label_kind=RAW,
              ids=lambda v, s: make_image(v, 'mono16', s), ids_kind=RAW, stamp=lambda i, s: s,
              order=lambda i: i, frame_stamp=lambda i, s: s, topic=LABEL):
    """Write a bag with ground truth whose messages the functions make; return its path."""
    store = typestore()
    messages = []
    for i in range(FRAMES):
        ns = START_NS + i * PERIOD
        rgb, values, numbers = scene(i)
        messages.append((ns, '/cam', RAW, make_image(rgb, 'rgb8', frame_stamp(i, ns))))
        at = START_NS + order(i) * PERIOD + 5
        messages.append((at, topic, label_kind, label(values, stamp(i, ns))))
        if ids:
            messages.append((at, OBJECT, ids_kind, ids(numbers, stamp(i, ns))))
    with Writer(path, version=9) as writer:
        topics = {}
        for ns, name, kind, message in sorted(messages, key=lambda m: m[0]):
            if name not in topics:
                topics[name] = writer.add_connection(name, kind, typestore=store)
            writer.write(topics[name], ns, store.serialize_cdr(message, kind))
    return path


def check(bag, has_objects=True, frames=range(FRAMES)):
    """Compare the ground truth of a bag with what was drawn."""
    found = list(bag.truth_maps())
    assert [index for index, _, _ in found] == list(frames)
    for index, label, ids in found:
        np.testing.assert_array_equal(label, scene(index)[1])
        if has_objects:
            np.testing.assert_array_equal(ids, scene(index)[2])
        else:
            assert ids is None
    truth = bag.truth()
    assert truth.has_objects == has_objects and len(truth.frames) == len(found)
    assert truth.appearances() == ({300: 3} if has_objects else {})
    assert bag.label_count == FRAMES and not bag.notes


@pytest.mark.parametrize('changed', [
    {},
    {'label': lambda v, s: make_image(v, '8UC1', s)},
    {'label': lambda v, s: make_image(v, '8uc1', s)},
    {'label': lambda v, s: make_image(v.astype(np.uint16), 'mono16', s)},
    {'label': lambda v, s: make_image(v.astype(np.uint16), '16UC1', s)},
    {'label': lambda v, s: big_endian(v, '16UC1', s)},
    {'label': packed, 'label_kind': COMPRESSED},
    {'label': packed, 'label_kind': COMPRESSED, 'topic': LABEL + '/compressed'},
    {'label': lambda v, s: packed(v, s, 'mono8; tiff compressed', '.tiff'),
     'label_kind': COMPRESSED},
    {'label': lambda v, s: packed(np.dstack([v] * 3), s), 'label_kind': COMPRESSED},
    {'ids': lambda v, s: make_image(v, '16UC1', s)},
    {'ids': lambda v, s: big_endian(v, 'mono16', s)},
    {'ids': lambda v, s: packed(v, s, 'mono16; png compressed'), 'ids_kind': COMPRESSED},
    {'stamp': lambda i, s: s + 1000},                    # it went through a float64
    {'stamp': lambda i, s: s - PERIOD // 2 + 1},
    {'order': lambda i: FRAMES - i},                     # recorded in the other order
    {'order': lambda i: 3600 * 20 if i == 2 else i},     # one label recorded at the very end
    {'stamp': lambda i, s: 0, 'frame_stamp': lambda i, s: 0},
], ids=range(18))
def test_every_kind_of_label_topic_gives_the_same_maps(tmp_path, changed):
    check(CameraBag(recording(tmp_path / 'bag', **changed)))


def test_labels_without_object_ids_leave_the_objects_undefined(tmp_path):
    bag = CameraBag(recording(tmp_path / 'bag', ids=None))
    check(bag, has_objects=False)
    frame = bag.truth().frames[5]
    assert list(frame.objects.values()) == [(225, (60, 40, 15, 15))]


@pytest.mark.parametrize('changed, says', [
    ({'stamp': lambda i, s: s + 10**12},
     'labels matched: 0 of 8.*first stamps of /ground_truth/anomaly are 1700001000.000000000, '
     '1700001000.1.*those of /cam are 1700000000.000000000'),
    ({'stamp': lambda i, s: 0}, 'labels matched: 0 of 8'),
    ({'label': lambda v, s: make_image(v[::2, ::2], 'mono8', s)},
     '/ground_truth/anomaly has 80x45 pixels for frame 0, but the image has 160x90'),
    ({'ids': lambda v, s: make_image(v[::2, ::2], 'mono16', s)},
     '/ground_truth/object_id has 80x45 pixels for frame 0'),
    ({'label': lambda v, s: make_image(np.where(v == 1, 2, v).astype(np.uint8), 'mono8', s)},
     '/ground_truth/anomaly has the value 2 in frame 3; expected 0, 1, 255.*--label-map 0:0,2:1'),
    ({'label': lambda v, s: make_image(np.dstack([v] * 3), 'rgb8', s)},
     "anomaly for frame 0 cannot be read: the encoding 'rgb8' is not one of labels"),
    ({'label': lambda v, s: make_jpeg(np.dstack([v] * 3), s), 'label_kind': COMPRESSED},
     'frame 0 cannot be read: labels must be PNG or TIFF'),
    ({'label': lambda v, s: packed(np.dstack([v, v * 0, v]), s), 'label_kind': COMPRESSED},
     'has colours'),
])
def test_what_does_not_fit_is_said_with_topic_and_frame(tmp_path, changed, says):
    with pytest.raises(BagError, match=says):
        CameraBag(recording(tmp_path / 'bag', **changed)).truth()


def test_some_labels_without_a_frame_are_counted(tmp_path):
    bag = CameraBag(recording(tmp_path / 'bag', stamp=lambda i, s: s + (i > 4) * 10**12))
    assert sorted(bag.truth().frames) == [0, 1, 2, 3, 4] and bag.label_count == FRAMES


def test_a_mask_of_0_and_255_is_noticed_and_can_be_mapped(tmp_path):
    path = recording(tmp_path / 'bag', lambda v, s: make_image(
        np.where(v == 1, 255, 0).astype(np.uint8), 'mono8', s))
    bag = CameraBag(path)
    bag.truth()
    assert 'no pixel with the value 1 (anomaly) in its 8 labels' in bag.notes[0]
    assert '--label-map 0:0,255:1' in bag.notes[0]
    bag = CameraBag(path, labels=LabelOptions(label_map=LabelMap.parse('0:0,255:1')))
    assert bag.truth().appearances() == {300: 3} and not bag.notes
    assert sum(int((label == 1).sum()) for _, label, _ in bag.truth_maps()) == 1096


def test_other_topics_can_be_named(tmp_path):
    path = recording(tmp_path / 'bag', topic='/mine')
    assert CameraBag(path, '/cam').truth() is None
    check(CameraBag(path, '/cam', labels=LabelOptions(label_topic='/mine')))
    with pytest.raises(BagError, match="no labels on '/other'; it holds /cam"):
        CameraBag(path, '/cam', labels=LabelOptions(label_topic='/other')).truth()


def test_a_part_of_a_recording_has_the_labels_of_its_frames(tmp_path):
    bag = CameraBag(recording(tmp_path / 'bag'), span=Span(0.2, 0.35))
    assert [(t - START_NS) // PERIOD for t in bag.times_ns] == [2, 3, 4, 5]
    assert [frame.index for frame in bag.frames()] == [0, 1, 2, 3]
    found = list(bag.truth_maps())
    assert [i for i, _, _ in found] == [0, 1, 2, 3] and bag.label_count == 4
    for index, label, _ in found:
        np.testing.assert_array_equal(label, scene(index + 2)[1])
    with pytest.raises(BagError, match='no frame of /cam lies from 9 s on; the recording has 0.8'):
        CameraBag(tmp_path / 'bag', span=Span(9))


def test_the_size_of_each_image_counts_where_sizes_change(tmp_path):
    """The camera changes its size, and the labels change with it."""
    store, kind = typestore(), 'sensor_msgs/msg/CompressedImage'
    with Writer(tmp_path / 'bag', version=9) as writer:
        camera = writer.add_connection('/cam', kind, typestore=store)
        labels = writer.add_connection(LABEL, kind, typestore=store)
        for i, size in enumerate([(90, 160), (90, 160), (180, 320)]):
            stamp = START_NS + i * PERIOD
            rgb, values, _ = scene(5, size)
            writer.write(camera, stamp, store.serialize_cdr(make_jpeg(rgb, stamp), kind))
            writer.write(labels, stamp, store.serialize_cdr(packed(values, stamp), kind))
    assert [label.shape for _, label, _ in CameraBag(tmp_path / 'bag').truth_maps()] == [
        (90, 160), (90, 160), (180, 320)]


@pytest.mark.parametrize('name', [
    lambda i: f'{START_NS + i * PERIOD}.png', lambda i: f'{(START_NS + i * PERIOD) / 1e9:.3f}.png',
    lambda i: f'label_{START_NS + i * PERIOD + 900}.tif'])
def test_a_folder_of_label_images_is_matched_by_stamp(tmp_path, name):
    folder = tmp_path / 'labels'
    folder.mkdir()
    for i in range(FRAMES):
        file = folder / name(i)
        file.write_bytes(file_of(scene(i)[1], file.suffix))
    path = write_jpegs(tmp_path / 'bag', [(90, 160)] * FRAMES)
    check(CameraBag(path, labels=LabelOptions(folder)), has_objects=False)


@pytest.mark.parametrize('image, label', [
    ('drive_{}.jpg', 'drive_{}.png'), ('drive_{}.jpg', 'drive_{}_labels_semantic.png'),
    ('x_{}_leftImg8bit.png', 'x_{}_gtCoarse_labelIds.png'), ('{}.webp', '{}.labels.png')])
def test_a_folder_of_label_images_is_matched_by_name(tmp_path, image, label):
    for folder in ('images', 'labels'):
        (tmp_path / folder).mkdir()
    for i in range(FRAMES):
        name = image.format(i + 7)
        (tmp_path / 'images' / name).write_bytes(
            file_of(cv2.cvtColor(scene(i)[0], cv2.COLOR_RGB2BGR), name[name.rindex('.'):]))
        file = tmp_path / 'labels' / label.format(i + 7)
        file.write_bytes(file_of(scene(i)[1]))
        if '_semantic' in file.name:
            file.with_name(file.stem + '_color.png').write_bytes(b'for people')
    said = []
    assert is_picture_folder(tmp_path / 'images')
    assert write_picture_bag(tmp_path / 'images', tmp_path / 'bag', on_warning=said.append) == 8
    assert '10 Hz' in said[0]
    bag = CameraBag(tmp_path / 'bag', labels=LabelOptions(tmp_path / 'labels'))
    check(bag, has_objects=False)
    assert bag.duration_s == pytest.approx(0.8)


def test_label_images_of_no_frame_are_an_error_that_shows_both(tmp_path):
    (tmp_path / 'labels').mkdir()
    (tmp_path / 'labels' / '12.5.png').write_bytes(file_of(scene(0)[1]))
    path = write_jpegs(tmp_path / 'bag', [(90, 160)] * 2)
    with pytest.raises(BagError, match='labels matched: 0 of 1.*12.5.png.*1700000000.0'):
        CameraBag(path, labels=LabelOptions(tmp_path / 'labels')).truth()
    (tmp_path / 'labels' / '12.5.png').unlink()
    with pytest.raises(BagError, match='has no label image; expected PNG or TIFF'):
        CameraBag(path, labels=LabelOptions(tmp_path / 'labels')).truth()


WINDOWS = """
windows:
  - {start: 0.1, end: 0.3, boxes: [[60, 40, 20, 10], [0, 0, 5, 5]], name: cow}
  - {start: 0.3, end: 0.3, boxes: [[100, 40, 20, 10]]}
  - {start: 0.0, end: 9.0, boxes: [[0, 80, 160, 10]], ignored: true}
"""


def test_boxes_in_windows_of_time_are_ground_truth(tmp_path):
    file = tmp_path / 'truth.yaml'
    file.write_text(WINDOWS)
    bag = CameraBag(write_jpegs(tmp_path / 'bag', [(90, 160)] * 5), labels=LabelOptions(file))
    truth = bag.truth()
    assert truth.appearances() == {1: 1, 2: 3} and truth.name(1) == 'cow'
    assert {i: set(f.objects) for i, f in truth.frames.items()} == {
        0: set(), 1: {1}, 2: {1}, 3: {1, 2}, 4: set()}
    assert truth.frames[1].objects[1] == (225, (0, 0, 80, 50))
    label = {i: label for i, label, _ in bag.truth_maps()}[1]
    assert set(np.unique(label[80:])) == {255} and (label == 1).sum() == 225


@pytest.mark.parametrize('text, says', [
    ('[]', "no list 'windows'"), ('windows: []', "no list 'windows'"), ('{', 'cannot be read'),
    ('windows: [{start: 1, end: 2}]', "window 1 is wrong .KeyError: 'boxes'"),
    ('windows: [{start: 2, end: 1, boxes: [[0, 0, 1, 1]]}]', '0 <= start <= end'),
    ('windows: [{start: 1, end: 2, boxes: [[0, 0, 1]]}]', 'window 1 is wrong'),
    ('windows: [{start: 1, end: 2, boxes: [[0, 0, 1, 1]], stop: 3}]', "has .'stop'.; expected"),
])
def test_windows_that_cannot_be_used_are_named(tmp_path, text, says):
    (tmp_path / 'truth.yaml').write_text(text)
    with pytest.raises(BagError, match=says):
        read_windows(tmp_path / 'truth.yaml')


@pytest.mark.parametrize('text, says', [
    ('windows: [{start: 20, end: 30, boxes: [[0, 0, 1, 1]]}]',
     'none of its 1 windows has a frame; the frames of .* are at 0.000 to 0.100 s'),
    ('windows: [{start: 0, end: 1, boxes: [[150, 0, 11, 1]]}]',
     r'the box \[150, 0, 11, 1\] of window 1 lies outside of frame 0, which has 160x90 pixels'),
])
def test_windows_that_do_not_fit_the_recording_are_named(tmp_path, text, says):
    (tmp_path / 'truth.yaml').write_text(text)
    path = write_jpegs(tmp_path / 'bag', [(90, 160)] * 2)
    with pytest.raises(BagError, match=says):
        CameraBag(path, labels=LabelOptions(tmp_path / 'truth.yaml')).truth()


@pytest.mark.parametrize('frames, labels, expected', [
    ([0, 100, 200], [40, 240], [0, 2]),
    ([0, 100, 200], [151, 149], [2, 1]),
    ([0, 100, 200], [90, 110], [1, None]),       # one label a frame
    ([0, 100, 200], [260], [None]),
    ([5, 5, 5], [5, 5], [0, 1]),
    ([100, 200, 100, 200], [200, 100], [1, 2]),
    ([7], [7 + 40_000_000], [0]), ([7], [7 + 60_000_000], [None]), ([], [1], [None]),
])
def test_labels_are_matched_within_half_a_period(frames, labels, expected):
    assert match_by_stamp(frames, labels) == expected


@pytest.mark.parametrize('stem, stamp', [
    ('1403636579763555584', 1403636579763555584), ('1305031102.175304', 1305031102175304000),
    ('frame_1700000000.5_left', 1700000000500000000), ('1700000000', 1700000000 * 10**9),
    ('000123', None), ('drive_07_000012', None)])
def test_stamps_are_read_from_names(stem, stamp):
    assert stamp_in_name(stem) == stamp


def test_label_maps_are_read_and_refused():
    labels = LabelMap.parse('0:255, 1:0 2-200:1')
    values = np.array([[0, 1, 2, 200]], np.uint16)
    np.testing.assert_array_equal(labels.translated(values), [[255, 0, 1, 1]])
    assert labels.unknown(np.array([201, 7, 300], np.uint16)) == [201, 300]
    for text in ('', '1', '1:2', '5-3:1', '1:0,1:1', 'a:1', '70000:1'):
        with pytest.raises(LabelMapError, match='label map'):
            LabelMap.parse(text)
