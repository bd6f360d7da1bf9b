# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Bags of both storage formats, raw and compressed, with and without ground truth; errors."""

import subprocess
import sys

from bags import make_header, make_image, scene, START_NS, write_bag
import numpy as np
import pytest
from rosbags.rosbag2 import Writer

from vl4ad_ros.evaluation.bag_reader import BagError, CameraBag, stamp_of
from vl4ad_ros.evaluation.message_types import typestore


@pytest.mark.parametrize('storage', ['mcap', 'sqlite3'])
@pytest.mark.parametrize('single_file', [False, True])
def test_frames_images_and_truth(tmp_path, storage, single_file):
    path = write_bag(tmp_path / 'bag', 6, storage=storage)
    if single_file:
        path = next(p for p in path.iterdir() if p.suffix in ('.mcap', '.db3'))
    bag = CameraBag(path)
    assert (bag.topic, bag.compressed, bag.has_truth) == ('/camera/image', False, True)
    assert bag.times_ns == [START_NS + i * 10**8 for i in range(6)]
    assert bag.duration_s == pytest.approx(0.6)
    for i, image in enumerate(bag.images()):
        np.testing.assert_array_equal(image, scene(i)[0])
    maps = list(bag.truth_maps())
    assert [i for i, _, _ in maps] == list(range(6))
    np.testing.assert_array_equal(maps[5][1], scene(5)[1])
    np.testing.assert_array_equal(maps[5][2], scene(5)[2])
    truth = bag.truth()
    assert truth.appearances() == {300: 3}
    assert truth.frames[5].objects == {300: (225, (60, 40, 15, 15))}


def write_stamped(path, stamps, label_stamps):
    """Write a bag of frames and labels with given stamps; label i has the value i % 2."""
    store, kind = typestore(), 'sensor_msgs/msg/Image'
    with Writer(path, version=9) as writer:
        topics = {t: writer.add_connection(t, kind, typestore=store) for t in (
            '/camera/image', '/ground_truth/anomaly', '/ground_truth/object_id')}

        def write(topic, array, encoding, stamp, i):
            message = make_image(array, encoding, START_NS + stamp)
            writer.write(topics[topic], START_NS + i, store.serialize_cdr(message, kind))
        for i, stamp in enumerate(stamps):
            write('/camera/image', np.zeros((2, 2, 3), np.uint8), 'rgb8', stamp, i)
        for i, stamp in enumerate(label_stamps):
            write('/ground_truth/anomaly', np.full((2, 2), i % 2, np.uint8), 'mono8', stamp, i)
            write('/ground_truth/object_id', np.full((2, 2), i, np.uint16), 'mono16', stamp, i)
    return CameraBag(path)


@pytest.mark.parametrize('stamps, label_stamps, frames', [
    ([1, 2, 3, 4], [1, 2, 3, 4], [0, 1, 2, 3]),
    ([1, 2, 3, 4], [2, 4], [1, 3]),
    ([0, 0, 0], [0, 0, 0], [0, 1, 2]),       # constant stamps: one label for each frame
    ([1, 2, 2, 3], [1, 2, 2, 3], [0, 1, 2, 3]),
    ([1, 2, 1, 2], [2, 1], [1, 2]),
    ([1, 2, 3], [1, 7, 3], [0, 2]),          # one label of no frame
])
def test_labels_belong_to_the_frames_with_their_stamps(tmp_path, stamps, label_stamps, frames):
    bag = write_stamped(tmp_path / 'bag', stamps, label_stamps)
    assert [i for i, _, _ in bag.truth_maps()] == frames
    assert bag.label_count == len(label_stamps) and sorted(bag.truth().frames) == frames
    labelled = {frame.index: label for frame, label, _ in bag.labelled_frames()}
    assert sorted(labelled) == list(range(len(stamps)))
    for i, label, _ in bag.truth_maps():
        np.testing.assert_array_equal(labelled.pop(i), label)
    assert all(label is None for label in labelled.values())


def test_labels_that_belong_to_no_frame_are_an_error(tmp_path):
    bag = write_stamped(tmp_path / 'bag', [1, 2], [1001, 1002])
    with pytest.raises(BagError, match='labels matched: 0 of 2.*[.]000001001, .*[.]000000001,.*'
                       'with the stamps of the images'):
        bag.truth()


def test_a_frame_with_too_many_pixels_is_refused_by_name(tmp_path):
    bag = CameraBag(write_bag(tmp_path / 'bag', 1, size=(90, 160)))
    frame = next(bag.frames())
    assert bag.decode(frame, max_pixels=90 * 160).shape == (90, 160, 3)
    with pytest.raises(BagError, match='frame 0 of /camera/image cannot be decoded.*160x90'):
        bag.decode(frame, max_pixels=90 * 160 - 1)


def test_the_depth_of_sixteen_bit_values_is_that_of_the_frames_before(tmp_path):
    store, kind = typestore(), 'sensor_msgs/msg/Image'
    with Writer(tmp_path / 'bag', version=9) as writer:
        topic = writer.add_connection('/camera/image', kind, typestore=store)
        for i, value in enumerate((900, 4000, 100)):
            message = make_image(np.full((2, 2), value, np.uint16), 'mono16', START_NS + i)
            writer.write(topic, START_NS + i, store.serialize_cdr(message, kind))
    for _ in range(2):
        images = CameraBag(tmp_path / 'bag').images()
        assert [int(image[0, 0, 0]) for image in images] == [225, 250, 6]


def test_the_reader_is_exported_and_imported_late():
    code = ('import sys, vl4ad_ros.evaluation.pixel_metrics, vl4ad_ros.evaluation as e\n'
            'assert "rosbags" not in sys.modules\n'
            'from vl4ad_ros.evaluation.bag_reader import CameraBag\n'
            'assert e.CameraBag is CameraBag')
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_compressed(tmp_path):
    bag = CameraBag(write_bag(tmp_path / 'bag', 2, compressed=True, truth=False))
    assert bag.compressed and not bag.has_truth and bag.truth() is None
    for index, image in enumerate(bag.images()):  # JPEG loses a little
        assert np.abs(image.astype(int) - scene(index)[0]).mean() < 3


def test_the_stamp_is_read_in_either_byte_order():
    image = make_image(scene(4)[0], 'rgb8', START_NS + 56)
    for little in (True, False):
        cdr = typestore().serialize_cdr(image, 'sensor_msgs/msg/Image', little_endian=little)
        assert stamp_of(bytes(cdr)) == START_NS + 56


def test_topic_choice(tmp_path):
    path = write_bag(tmp_path / 'bag', 2, topics=('/left', '/right'))
    with pytest.raises(BagError, match='2 image topics; choose one with --topic: /left, /right'):
        CameraBag(path)
    assert CameraBag(path, '/right').topic == '/right'
    with pytest.raises(BagError, match="no image topic '/up'; its image topics: .*/left"):
        CameraBag(path, '/up')


def test_bag_without_images_lists_what_it_holds(tmp_path):
    with Writer(tmp_path / 'bag', version=9) as writer:
        kind = 'std_msgs/msg/Header'
        connection = writer.add_connection('/clock_like', kind, typestore=typestore())
        writer.write(connection, 1, typestore().serialize_cdr(make_header(1), kind))
    with pytest.raises(BagError, match=r'it holds /clock_like \(std_msgs/msg/Header\)'):
        CameraBag(tmp_path / 'bag')


@pytest.mark.parametrize('name, content, message', [
    ('absent', None, 'there is no such file'),
    ('folder', 'folder', 'has no .mcap, .db3 or .bag file; expected'),
    ('video.mp4', b'x', 'not a readable recording'),
    ('empty.mcap', b'', 'empty'),
    ('noise.mcap', b'noise' * 100, 'not a readable recording'),
    ('noise.db3', b'noise' * 100, 'not a readable recording'),
])
def test_not_a_bag(tmp_path, name, content, message):
    path = tmp_path / name
    if content == 'folder':
        path.mkdir()
    elif content is not None:
        path.write_bytes(content)
    with pytest.raises(BagError, match=message):
        CameraBag(path)


def test_undecodable_frame_is_named(tmp_path):
    with Writer(tmp_path / 'bag', version=9) as writer:
        kind = 'sensor_msgs/msg/Image'
        connection = writer.add_connection('/camera/image', kind, typestore=typestore())
        message = make_image(scene(0)[0], 'strange', START_NS)
        writer.write(connection, START_NS, typestore().serialize_cdr(message, kind))
    with pytest.raises(
            BagError, match="frame 0 of /camera/image cannot be decoded: encoding 'strange'"):
        list(CameraBag(tmp_path / 'bag').images())


def test_empty_camera_topic(tmp_path):
    with pytest.raises(BagError, match='has no messages'):
        CameraBag(write_bag(tmp_path / 'bag', 0))
