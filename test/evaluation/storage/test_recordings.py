# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Every layout in which recordings come is read, or the tool that repairs it is named."""

import shutil
import sqlite3
import struct
import zlib

from bags import make_image, make_jpeg, scene, START_NS
import lz4.frame
import numpy as np
import pytest
from rosbags import rosbag1
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer
from rosbags.typesys import get_typestore, Stores

from vl4ad_ros.evaluation.bag_reader import BagError, CameraBag
from vl4ad_ros.evaluation.message_types import typestore
from vl4ad_ros.evaluation.storage.stored import zstd

RAW, COMPRESSED = 'sensor_msgs/msg/Image', 'sensor_msgs/msg/CompressedImage'
SUFFIX = {'mcap': '.mcap', 'sqlite3': '.db3'}
PERIOD = 10**8


def write(path, first, count, storage='mcap', compression=None, topic='/cam/image/compressed'):
    """Write a bag of JPEG images; return its storage file."""
    plugin = StoragePlugin.MCAP if storage == 'mcap' else StoragePlugin.SQLITE3
    writer = Writer(path, version=9, storage_plugin=plugin)
    if compression:
        writer.set_compression(*compression)
    store = typestore()
    with writer:
        connection = writer.add_connection(topic, COMPRESSED, typestore=store)
        for i in range(first, first + count):
            stamp = START_NS + i * PERIOD
            writer.write(connection, stamp, store.serialize_cdr(
                make_jpeg(scene(i)[0], stamp), COMPRESSED))
    return next(p for p in path.iterdir() if p.name != 'metadata.yaml')


def write_noise(path, count, compression=None, storage=StoragePlugin.MCAP):
    """Write a bag of raw images that cannot be compressed, 43 kB each; return its file."""
    writer = Writer(path, version=9, storage_plugin=storage)
    if compression:
        writer.set_compression(compression, CompressionFormat.ZSTD)
    store, random = typestore(), np.random.default_rng(0)
    with writer:
        connection = writer.add_connection('/cam', RAW, typestore=store)
        for i in range(count):
            stamp = START_NS + i * PERIOD
            image = make_image(random.integers(0, 256, (90, 160, 3), np.uint8), 'rgb8', stamp)
            writer.write(connection, stamp, store.serialize_cdr(image, RAW))
    return next(p for p in path.iterdir() if p.suffix != '.yaml')


def stamps(path, topic=None):
    """Return the number of each frame by its stamp, after decoding it."""
    bag = CameraBag(path, topic)
    found = []
    for frame in bag.frames():
        assert bag.decode(frame).shape == (90, 160, 3)
        found.append((frame.stamp_ns - START_NS) // PERIOD)
    return found


@pytest.mark.parametrize('storage', SUFFIX)
def test_a_folder_without_metadata_is_read_in_the_order_of_time(tmp_path, storage):
    """The names sort as text into 10, 2, 0; the files start in another order."""
    (tmp_path / 'bag').mkdir()
    for number, first in ((10, 6), (2, 3), (7, 0)):
        file = write(tmp_path / f'part{number}', first, 3, storage)
        shutil.copy(file, tmp_path / 'bag' / f'rec_{number}{SUFFIX[storage]}')
    assert stamps(tmp_path / 'bag') == list(range(9))


@pytest.mark.parametrize('storage, mode', [
    ('sqlite3', CompressionMode.FILE), ('sqlite3', CompressionMode.MESSAGE),
    ('mcap', CompressionMode.FILE), ('mcap', CompressionMode.MESSAGE),
    ('mcap', CompressionMode.STORAGE)])
@pytest.mark.parametrize('metadata', [True, False])
def test_zstd_by_file_by_message_and_by_chunk(tmp_path, storage, mode, metadata):
    file = write(tmp_path / 'bag', 0, 4, storage, (mode, CompressionFormat.ZSTD))
    if not metadata:
        (tmp_path / 'bag' / 'metadata.yaml').unlink()
    assert stamps(tmp_path / 'bag') == stamps(file) == list(range(4))


def test_a_packed_file_that_is_cut_off_is_read_as_far_as_it_goes(tmp_path):
    packed = zstd.compress(write_noise(tmp_path / 'bag', 12).read_bytes())
    (tmp_path / 'cut.mcap.zstd').write_bytes(packed[:-20_000])
    bag = CameraBag(tmp_path / 'cut.mcap.zstd')
    assert 0 < len(bag.times_ns) < 12
    assert any('cut off' in note and 'Copy it again' in note for note in bag.notes)
    assert str(tmp_path / 'cut.mcap.zstd') in ' '.join(bag.notes)
    (tmp_path / 'cut.mcap.zstd').write_bytes(packed[:1000])
    with pytest.raises(BagError, match='no messages that can be read.*is cut off or damaged'):
        CameraBag(tmp_path / 'cut.mcap.zstd')


@pytest.mark.parametrize('edit, said', [
    (lambda text: text.replace('storage_identifier: mcap', 'storage_identifier: ""'), ''),
    (lambda text: text.replace('version: 9', 'version: 99'), ''),
    (lambda text: text.replace('message_count: 5', 'message_count: 0'), ''),
    (lambda text: text.replace('\n', '\r\n'), ''),
    (lambda text: '\ufeff' + text, ''),
    (lambda text: text.replace('offered_qos_profiles:', 'offered_qos_profiles: broken #'), ''),
    (lambda text: text[:80], 'ros2 bag reindex'),
    (lambda text: '{', 'ros2 bag reindex'),
    (lambda text: text.replace('bag.mcap', 'absent.mcap'), 'ros2 bag reindex'),
])
def test_metadata_that_is_wrong_hides_no_frame(tmp_path, edit, said):
    write(tmp_path / 'bag', 0, 5)
    metadata = tmp_path / 'bag' / 'metadata.yaml'
    changed = edit(metadata.read_text())
    assert changed != metadata.read_text()
    metadata.write_text(changed, newline='')
    assert stamps(tmp_path / 'bag') == list(range(5))
    notes = ' '.join(CameraBag(tmp_path / 'bag').notes)
    assert said in notes and bool(notes) == bool(said)


def test_quality_of_service_does_not_tell_connections_apart(tmp_path):
    """A second publisher joins between two files, so the second file has two profiles."""
    from rosbags.interfaces import (
        Qos, QosDurability, QosHistory, QosLiveliness, QosReliability, QosTime)
    qos = Qos(QosHistory.KEEP_LAST, 5, QosReliability.RELIABLE, QosDurability.VOLATILE,
              QosTime(0, 0), QosTime(0, 0), QosLiveliness.AUTOMATIC, QosTime(0, 0), False)
    store = typestore()
    (tmp_path / 'bag').mkdir()
    for number, profiles in enumerate(([qos], [qos, qos])):
        with Writer(tmp_path / f'part{number}', version=9) as writer:
            connection = writer.add_connection('/cam', RAW, typestore=store,
                                               offered_qos_profiles=profiles)
            for i in range(3 * number, 3 * number + 3):
                stamp = START_NS + i * PERIOD
                writer.write(connection, stamp, store.serialize_cdr(
                    make_image(scene(i)[0], 'rgb8', stamp), RAW))
        file = next(p for p in (tmp_path / f'part{number}').iterdir() if p.suffix != '.yaml')
        shutil.copy(file, tmp_path / 'bag' / f'rec_{number}{file.suffix}')
    assert stamps(tmp_path / 'bag') == list(range(6))


def test_what_a_killed_recorder_left_in_the_log_is_read_and_not_changed(tmp_path):
    file = write(tmp_path / 'part', 0, 3, 'sqlite3')
    (tmp_path / 'bag').mkdir()
    target = tmp_path / 'bag' / 'rec 50%_0.db3'
    shutil.copy(file, target)
    database = sqlite3.connect(target)
    database.execute('PRAGMA journal_mode = WAL')
    database.execute('PRAGMA wal_autocheckpoint = 0')
    database.execute('INSERT INTO messages(topic_id, timestamp, data) SELECT topic_id, '
                     'timestamp + 300000000, data FROM messages')
    database.commit()
    shutil.copytree(tmp_path / 'bag', tmp_path / 'killed')
    database.close()
    before = {p.name: p.read_bytes() for p in (tmp_path / 'killed').iterdir()}
    assert before['rec 50%_0.db3-wal']
    for recording in (tmp_path / 'killed', tmp_path / 'killed' / target.name):
        bag = CameraBag(recording)
        assert [(t - START_NS) // PERIOD for t in bag.times_ns] == list(range(6))
        assert len(list(bag.images())) == 6
    assert {p.name: p.read_bytes() for p in (tmp_path / 'killed').iterdir()} == before


def test_a_damaged_database_is_read_around_the_damage(tmp_path):
    file = write_noise(tmp_path / 'part', 8, storage=StoragePlugin.SQLITE3)
    content = bytearray(file.read_bytes())
    middle = len(content) // 2
    content[middle:middle + 8192] = bytes(np.random.default_rng(0).integers(
        0, 256, 8192, np.uint8))
    (tmp_path / 'damaged.db3').write_bytes(content)
    bag = CameraBag(tmp_path / 'damaged.db3')
    read = sum(1 for frame in bag.frames() if frame.cdr)
    assert 0 < read < 8
    assert len(bag.times_ns) + bag.lost == 8
    assert any('damaged' in note and '.recover' in note for note in bag.notes)
    (tmp_path / 'cut.db3').write_bytes(file.read_bytes()[:6000])
    with pytest.raises(BagError, match='malformed.*sqlite3 cut.db3 .recover'):
        CameraBag(tmp_path / 'cut.db3')


@pytest.mark.parametrize('compression', [None, CompressionMode.STORAGE])
def test_an_unfinished_file_is_read_as_far_as_it_is_whole(tmp_path, compression):
    """Wherever it ends: no exception, never fewer frames from more bytes, and the rest said."""
    content, found = write_noise(tmp_path / 'bag', 30, compression).read_bytes(), []
    for size in [*range(60, len(content), 60_077), len(content) - 40, len(content) - 1]:
        (tmp_path / 'cut.mcap').write_bytes(content[:size])
        try:
            bag = CameraBag(tmp_path / 'cut.mcap')
        except BagError as error:
            assert 'no messages' in str(error) or 'no topic' in str(error)
            found.append(0)
            continue
        found.append(len(list(bag.images())))
        if found[-1] < 30:
            assert 'mcap recover cut.mcap -o NEW.mcap' in bag.notes[0]
    assert found == sorted(found) and found[-1] == 30 and len(set(found)) > 9


def mcap(records, profile=b''):
    """Return an MCAP file of records, pairs of a code and content."""
    def record(code, content):
        return struct.pack('<BQ', code, len(content)) + content
    body = b''.join(record(*r) for r in [(1, text(profile) + text(b'test')), *records])
    return b'\x89MCAP0\r\n' + body


def text(value):
    """Return a string of an MCAP record."""
    return struct.pack('<I', len(value)) + value


def channel(number, schema, topic, encoding=b'cdr'):
    """Return a channel record."""
    return 4, struct.pack('<HH', number, schema) + text(topic) + text(encoding) + text(b'')


def schema(number, name, encoding=b'ros2msg'):
    """Return a schema record."""
    return 3, struct.pack('<H', number) + text(name) + text(encoding) + text(b'x')


def message(number, i, data=None):
    """Return a message record with frame i."""
    stamp = START_NS + i * PERIOD
    if data is None:
        data = bytes(typestore().serialize_cdr(make_image(scene(i)[0], 'rgb8', stamp), RAW))
    return 5, struct.pack('<HIQQ', number, 0, stamp, stamp) + data


def chunk(records, compression=b'', checksum=None):
    """Return a chunk record."""
    content = b''.join(struct.pack('<BQ', code, len(data)) + data for code, data in records)
    packed = {b'': bytes, b'lz4': lz4.frame.compress, b'zstd': zstd.compress}[compression](content)
    crc = zlib.crc32(content) if checksum is None else checksum
    return 6, (struct.pack('<QQQI', 0, 0, len(content), crc) + text(compression)
               + struct.pack('<Q', len(packed)) + packed)


IMAGE = [schema(1, b'sensor_msgs/msg/Image'), channel(1, 1, b'/cam')]
DATA_END = (0x0f, bytes(4))


@pytest.mark.parametrize('records', [
    [*IMAGE, *(message(1, i) for i in range(4)), DATA_END],
    [chunk([*IMAGE, message(1, 0), message(1, 1)], b'lz4'),
     chunk([message(1, 2), message(1, 3)], b'zstd'), DATA_END],
    [*IMAGE, message(1, 0), chunk([message(1, 1), message(1, 2)]), message(1, 3), DATA_END],
    # Two publishers of one topic.
    [*IMAGE, channel(2, 1, b'/cam'), message(1, 0), message(2, 1), message(1, 2), message(2, 3),
     DATA_END],
    # Topics of other tools beside the camera, and a private record.
    [*IMAGE, schema(2, b'foxglove.Grid', b'protobuf'), channel(2, 2, b'/grid', b'protobuf'),
     schema(3, b'Status', b'jsonschema'), channel(3, 3, b'/status', b'json'),
     message(2, 0, b'x'), (0x80, b'private'), *(message(1, i) for i in range(4)), DATA_END],
    # The type as Foxglove and ROS 1 write it.
    [schema(1, b'sensor_msgs/Image'), channel(1, 1, b'/cam'),
     *(message(1, i) for i in range(4)), DATA_END],
], ids=['plain', 'lz4 and zstd', 'mixed', 'two channels', 'other tools', 'short type'])
@pytest.mark.parametrize('profile', [b'', b'ros2', b'ros1'])
def test_an_mcap_file_of_any_writer_is_read(tmp_path, records, profile):
    (tmp_path / 'any.mcap').write_bytes(mcap(records, profile))
    assert stamps(tmp_path / 'any.mcap') == [0, 1, 2, 3]
    assert not CameraBag(tmp_path / 'any.mcap').notes


def test_messages_of_ros_1_in_an_mcap_file_are_converted(tmp_path):
    store = get_typestore(Stores.ROS1_NOETIC)
    data = bytes(store.serialize_ros1(ros1_image(store, 2), RAW))
    (tmp_path / 'old.mcap').write_bytes(mcap([
        schema(1, b'sensor_msgs/Image', b'ros1msg'), channel(1, 1, b'/cam', b'ros1'),
        message(1, 2, data), DATA_END], b'ros1'))
    assert stamps(tmp_path / 'old.mcap') == [2]


def test_a_damaged_chunk_is_left_out_and_counted(tmp_path):
    index = struct.pack('<HI', 1, 32) + bytes(32)
    (tmp_path / 'bad.mcap').write_bytes(mcap([
        *IMAGE, chunk([message(1, 0)]), chunk([message(1, 1), message(1, 2)], checksum=1),
        (7, index), chunk([message(1, 3)]), DATA_END]))
    bag = CameraBag(tmp_path / 'bad.mcap')
    assert stamps(tmp_path / 'bad.mcap') == [0, 3] and bag.lost == 2
    assert 'damaged chunk' in bag.notes[0] and 'mcap recover' in bag.notes[0]


def ros1_image(store, i):
    """Return a sensor_msgs/Image of ROS 1 with frame i."""
    types, rgb = store.types, scene(i)[0]
    stamp = types['builtin_interfaces/msg/Time'](*divmod(START_NS + i * PERIOD, 10**9))
    header = types['std_msgs/msg/Header'](i, stamp, 'camera')
    return types[RAW](header, 90, 160, 'rgb8', 0, 480, rgb.ravel())


def test_a_ros_1_bag_is_read(tmp_path):
    store = get_typestore(Stores.ROS1_NOETIC)
    with rosbag1.Writer(tmp_path / 'old.bag') as writer:
        topics = {name: writer.add_connection(name, kind, typestore=store) for name, kind in (
            ('/cam/image_raw', RAW), ('/odometry', 'std_msgs/msg/Header'))}
        for i in range(5):
            image = ros1_image(store, i)
            writer.write(topics['/cam/image_raw'], START_NS + i * PERIOD,
                         store.serialize_ros1(image, RAW))
            writer.write(topics['/odometry'], START_NS + i * PERIOD,
                         store.serialize_ros1(image.header, 'std_msgs/msg/Header'))
    bag = CameraBag(tmp_path / 'old.bag')
    assert bag.topic == '/cam/image_raw' and len(bag.times_ns) == 5
    for i, image in enumerate(bag.images()):
        np.testing.assert_array_equal(image, scene(i)[0])
    headers = list(bag.messages_of('std_msgs/msg/Header'))
    assert [(topic, time_ns) for topic, time_ns, _ in headers] == [
        ('/odometry', START_NS + i * PERIOD) for i in range(5)]
    assert headers[0][2].frame_id == 'camera'


@pytest.mark.parametrize('name, content, says', [
    ('old.bag', b'#ROSBAG V2.0\n' + bytes(4096), 'rosbag reindex old.bag.*rosbags-convert --src'),
    ('x.mcap', b'version https://git-lfs.github.com/spec/v1\noid sha256:7\nsize 9\n',
     'git lfs pull'),
    ('x.db3', b'<!DOCTYPE html><html>sign in', 'HTML'),
    ('x.mcap', bytes(5000), 'only zeros'),
    ('x.db3', b'SQLite format 3\0' + bytes(4000), '.recover'),
    ('x.mcap', b'\x89MCAP0\r\n', 'no topic of type'),
])
def test_what_is_no_whole_recording_is_said_with_a_cure(tmp_path, name, content, says):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(BagError, match=says) as refused:
        CameraBag(tmp_path / name)
    assert 'record again' not in str(refused.value)


def test_one_unreadable_file_does_not_hide_the_others(tmp_path):
    (tmp_path / 'bag').mkdir()
    shutil.copy(write(tmp_path / 'part', 0, 3), tmp_path / 'bag' / 'rec_0.mcap')
    (tmp_path / 'bag' / 'rec_1.mcap').write_text('version https://git-lfs.github.com/spec/v1\n')
    assert stamps(tmp_path / 'bag') == [0, 1, 2]
    assert 'git lfs pull' in CameraBag(tmp_path / 'bag').notes[0]


def test_files_that_metadata_does_not_list_are_not_read_but_named(tmp_path):
    write(tmp_path / 'bag', 0, 3)
    shutil.copy(write(tmp_path / 'part', 3, 3), tmp_path / 'bag' / 'copy.mcap')
    assert stamps(tmp_path / 'bag') == [0, 1, 2]
    assert 'copy.mcap' in CameraBag(tmp_path / 'bag').notes[0]


def test_a_folder_of_recordings_names_them(tmp_path):
    write(tmp_path / 'all' / 'monday', 0, 2)
    with pytest.raises(BagError, match=r'folders that are recordings \(monday\): give these'):
        CameraBag(tmp_path / 'all')


def test_topics_are_told_apart_by_name_and_type(tmp_path):
    """A name was used for another type first, and one camera topic has no message."""
    store, kind = typestore(), 'std_msgs/msg/Header'
    with Writer(tmp_path / 'bag', version=9) as writer:
        writer.add_connection('/front', COMPRESSED, typestore=store)
        other = writer.add_connection('/cam', kind, typestore=store)
        camera = writer.add_connection('/cam', RAW, typestore=store)
        for i in range(3):
            stamp = START_NS + i * PERIOD
            image = make_image(scene(i)[0], 'rgb8', stamp)
            writer.write(other, stamp, store.serialize_cdr(image.header, kind))
            writer.write(camera, stamp, store.serialize_cdr(image, RAW))
    assert stamps(tmp_path / 'bag') == stamps(tmp_path / 'bag', '/cam') == [0, 1, 2]
    with pytest.raises(BagError, match='/front has no messages'):
        CameraBag(tmp_path / 'bag', '/front')


def test_the_camera_is_chosen_among_its_copies_and_depth(tmp_path):
    store = typestore()
    kinds = {'/cam/color': RAW, '/cam/color/compressed': COMPRESSED, '/cam/depth': RAW,
             '/cam/depth/compressedDepth': COMPRESSED}
    with Writer(tmp_path / 'bag', version=9) as writer:
        topics = {n: writer.add_connection(n, k, typestore=store) for n, k in kinds.items()}
        for i in range(2):
            stamp = START_NS + i * PERIOD
            jpeg, deep = make_jpeg(scene(i)[0], stamp), make_jpeg(scene(i)[0], stamp)
            deep.format = '16UC1; compressedDepth png'
            images = {'/cam/color': make_image(scene(i)[0], 'rgb8', stamp),
                      '/cam/color/compressed': jpeg, '/cam/depth/compressedDepth': deep,
                      '/cam/depth': make_image(np.full((9, 9), 1200, np.uint16), '16UC1', stamp)}
            for name, image in images.items():
                writer.write(topics[name], stamp, store.serialize_cdr(image, kinds[name]))
    assert CameraBag(tmp_path / 'bag').topic == '/cam/color'


def test_no_file_is_left_in_the_temporary_folder(tmp_path, monkeypatch):
    monkeypatch.setattr('tempfile.tempdir', str(tmp_path / 'scratch'))
    (tmp_path / 'scratch').mkdir()
    file = write(tmp_path / 'bag', 0, 2)
    (tmp_path / 'packed.mcap.zstd').write_bytes(zstd.compress(file.read_bytes()))
    bag = CameraBag(tmp_path / 'packed.mcap.zstd')
    assert len(list(bag.images())) == 2 and list((tmp_path / 'scratch').iterdir())
    del bag
    assert not list((tmp_path / 'scratch').iterdir())


def test_a_message_that_is_too_short_is_one_bad_frame(tmp_path):
    (tmp_path / 'short.mcap').write_bytes(mcap([
        *IMAGE, message(1, 0), message(1, 1, b'\0\1\0\0'), message(1, 2), DATA_END]))
    bag = CameraBag(tmp_path / 'short.mcap')
    frames = list(bag.frames())
    assert [f.stamp_ns for f in frames] == bag.times_ns
    with pytest.raises(BagError, match='frame 1 of /cam cannot be decoded'):
        bag.decode(frames[1])
    assert bag.decode(frames[2]).shape == (90, 160, 3)
