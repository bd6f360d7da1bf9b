# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""`vl4ad compose` on small recordings; its bags are evaluated with a bundle that sees colours."""

import json
import math

from bags import make_header, make_image, make_jpeg, START_NS
import cv2
import numpy as np
import pytest
from rosbags.rosbag2 import StoragePlugin, Writer
from vl4ad_ros import cli
from vl4ad_ros.commands import compose
from vl4ad_ros.evaluation.bag_reader import CameraBag, LabelOptions
from vl4ad_ros.evaluation.message_types import typestore
import yaml

SIZE = (180, 320)
ROAD = np.full((*SIZE, 3), 128, np.uint8)
FRAMES = 20
LEVEL = ['--horizon', '89.5', '--focal', '280', '--camera-height', '1.4']


@pytest.fixture(scope='module')
def objects(tmp_path_factory):
    """Return a folder with a red anomaly and a black known thing, as the mock bundle sees them."""
    folder = tmp_path_factory.mktemp('objects')
    entries = []
    for name, bgr, known in (('cow', (30, 30, 200), False), ('car', (15, 15, 15), True)):
        picture = np.zeros((120, 120, 4), np.uint8)
        picture[10:110, 10:110] = (*bgr, 255)
        cv2.imwrite(str(folder / f'{name}.png'), picture)
        entries.append({'file': f'{name}.png', 'name': name, 'height_m': 1.5, 'known': known})
    (folder / 'objects.yaml').write_text(yaml.safe_dump({'objects': entries}))
    return folder


def write_recording(path, frames=30, compressed=False, images=None, odometry=None, info=None):
    """Write a bag of grey images at 10 Hz, with what else is given; return its path."""
    store, types = typestore(), typestore().types
    kinds = {'/cam/image' + '/compressed' * compressed:
             f'sensor_msgs/msg/{"CompressedImage" if compressed else "Image"}'}
    kinds |= {'/odom': 'nav_msgs/msg/Odometry'} if odometry else {}
    kinds |= {'/cam/camera_info': 'sensor_msgs/msg/CameraInfo'} if info else {}
    with Writer(path, version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        connections = {topic: writer.add_connection(topic, kind, typestore=store)
                       for topic, kind in kinds.items()}

        def write(topic, message, time_ns):
            writer.write(connections[topic], time_ns, store.serialize_cdr(message, kinds[topic]))
        for i in range(frames):
            stamp = START_NS + i * 10**8
            image = images[i] if images else ROAD
            message = make_jpeg(image, stamp) if compressed else make_image(image, 'rgb8', stamp)
            write(next(iter(kinds)), message, stamp + 5_000_000)
            if odometry:
                x, y, heading = odometry(i / 10)
                pose = types['geometry_msgs/msg/Pose'](
                    types['geometry_msgs/msg/Point'](x, y, 0.0),
                    types['geometry_msgs/msg/Quaternion'](
                        0.0, 0.0, math.sin(heading / 2), math.cos(heading / 2)))
                zero = types['geometry_msgs/msg/Vector3'](0.0, 0.0, 0.0)
                write('/odom', types[kinds['/odom']](
                    make_header(stamp), 'base_link',
                    types['geometry_msgs/msg/PoseWithCovariance'](pose, np.zeros(36)),
                    types['geometry_msgs/msg/TwistWithCovariance'](
                        types['geometry_msgs/msg/Twist'](zero, zero), np.zeros(36))), stamp)
            if info:
                matrix = np.array([[info, 0, 159.5], [0, info, 89.5], [0, 0, 1.0]])
                write('/cam/camera_info', types[kinds['/cam/camera_info']](
                    make_header(stamp), *SIZE, 'plumb_bob', np.zeros(5), matrix.ravel(),
                    np.eye(3).ravel(), np.zeros(12), 0, 0,
                    types['sensor_msgs/msg/RegionOfInterest'](0, 0, 0, 0, False)), stamp)
    return path


@pytest.mark.parametrize('compressed', [False, True])
def test_evaluation_reads_all_labels(tmp_path, objects, mock_bundle, capsys, compressed):
    """The bundle flags what is red and not what is black, though both were pasted."""
    source = write_recording(tmp_path / 'source', FRAMES, compressed=compressed)
    out = tmp_path / 'out'
    assert cli.main(['compose', str(source), '--out', str(out), '--objects', str(objects),
                     '--speed', '14', '--spacing', '10', *LEVEL]) == 0
    said = capsys.readouterr().out
    assert 'straight ahead at 14.0 m/s (given)' in said and '#1 cow' in said
    assert '#2 car (known)' in said
    assert f'{FRAMES} frames; evaluate it with: vl4ad evaluate {out}' in said
    bag = CameraBag(out)
    assert bag.topic == '/camera/image' + '/compressed' * compressed
    assert bag.compressed == compressed and bag.label_count == FRAMES
    assert [f.stamp_ns for f in bag.frames()] == [START_NS + i * 10**8 for i in range(FRAMES)]
    assert bag.times_ns == [START_NS + i * 10**8 + 5_000_000 for i in range(FRAMES)]
    assert len(list(bag.messages_of('sensor_msgs/msg/CameraInfo'))) == FRAMES
    names = bag.truth().names
    assert set(names.values()) == {'cow', 'car'} and names[1] == 'cow' and names[2] == 'car'
    assert cli.main(['evaluate', str(out), '--bundle', str(mock_bundle)]) == 0
    metrics = json.loads(capsys.readouterr().out)
    for count in ('labels', 'frames_labelled', 'frames_processed'):
        assert metrics[count] == FRAMES
    assert metrics['anomalies'] >= 3 and metrics['pixel_ap'] > 0.8
    assert metrics['anomalous_flagged'] > 0.9
    # At 14 m/s, an object is seen from 50 m on, and is alerted in the third frame or later.
    assert metrics['way_km'] == pytest.approx(1.4 * (FRAMES - 1) / 1000, abs=1e-5)
    assert 2.5 < metrics['distance_at_alert_m'] < 50 - 2.8
    # The bundle sees colours, so places are wrong by the size of its cells only.
    near, middle, far = metrics['distance_error_by_range'].values()
    assert near['count'] and near['median'] < 0.1 and middle['median'] < 0.15
    assert far['count'] and far['median'] < 0.3
    # Cells of the bundle that show the rim of a black thing have another colour.
    assert metrics['known_flagged'] < 0.25 and set(metrics['known_flagged_by_kind']) == {'car'}
    assert 'known_flagged' in metrics['definitions']


def test_a_video_becomes_a_bag(tmp_path, capsys):
    video = cv2.VideoWriter(str(tmp_path / 'road.mp4'), cv2.VideoWriter.fourcc(*'mp4v'), 10.0,
                            SIZE[::-1])
    for _ in range(12):
        video.write(ROAD)
    video.release()
    out = tmp_path / 'out'
    assert cli.main(['compose', str(tmp_path / 'road.mp4'), '--out', str(out),
                     '--count', '3']) == 0
    said = capsys.readouterr().out
    assert said.count('a guess') == 4 and 'give --speed' in said
    bag = CameraBag(out)
    assert bag.compressed and bag.label_count == len(bag.times_ns) == 12
    assert any(frame.objects for frame in bag.truth().frames.values())
    assert sorted(p.name for p in tmp_path.iterdir()) == ['out', 'road.mp4']


def test_a_part_of_a_folder_of_images_with_labels_becomes_a_bag(tmp_path, capsys):
    """What a label file calls anomalous is not known to be normal, so it is ignored."""
    (tmp_path / 'road').mkdir()
    for i in range(12):
        cv2.imwrite(str(tmp_path / 'road' / f'{i:03}.png'), ROAD)
    windows = tmp_path / 'labels.yaml'
    windows.write_text('windows: [{start: 0.0, end: 9.0, boxes: [[3, 5, 7, 11]]}]')
    out = tmp_path / 'out'
    assert cli.main(['compose', str(tmp_path / 'road'), '--out', str(out), '--count', '2',
                     '--start', '0.35', '--duration', '0.4', '--labels', str(windows),
                     *LEVEL]) == 0
    captured = capsys.readouterr()
    assert ': 4 frames; evaluate it with' in captured.out
    assert '4 of 4 frames of' in captured.err and 'labels matched: 4 of 4' in captured.err
    maps = list(CameraBag(out).truth_maps())
    assert len(maps) == 4
    for _, label, ids in maps:
        assert (label[5:16, 3:10] == 255).all() and not ids[5:16, 3:10].any()


def test_a_recording_must_not_be_composed_into_its_labels(tmp_path, objects, capsys):
    labels = tmp_path / 'labels'
    labels.mkdir()
    source = write_recording(tmp_path / 'source', 3)
    assert cli.main(['compose', str(source), '--out', str(labels / 'out'), '--labels',
                     str(labels), '--objects', str(objects)]) == 1
    assert 'lies in the input' in capsys.readouterr().err and not list(labels.iterdir())


def test_without_object_ids_known_things_are_not_counted(tmp_path, objects, mock_bundle, capsys):
    source = write_recording(tmp_path / 'source', FRAMES)
    out = tmp_path / 'out'
    assert cli.main(['compose', str(source), '--out', str(out), '--objects', str(objects),
                     '--spacing', '10', *LEVEL]) == 0
    assert {ids is None for _, _, ids in CameraBag(
        out, labels=LabelOptions(object_topic='/none')).truth_maps()} == {True}
    capsys.readouterr()
    assert cli.main(['evaluate', str(out), '--bundle', str(mock_bundle), '--object-topic',
                     '/none']) == 0
    metrics = json.loads(capsys.readouterr().out)
    assert metrics['pixel_ap'] > 0.8 and metrics['frames_labelled'] == FRAMES
    assert not {'known_flagged', 'anomalous_flagged', 'anomalies'} & set(metrics)


def test_messages_that_are_damaged_are_left_out(tmp_path):
    path, kind = tmp_path / 'bag', 'nav_msgs/msg/Odometry'
    write_recording(path, 3, odometry=lambda s: (s, 0.0, 0.0))
    store = typestore()
    with Writer(tmp_path / 'other', version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        image = writer.add_connection('/cam/image', 'sensor_msgs/msg/Image', typestore=store)
        odom = writer.add_connection('/odom', kind, typestore=store)
        for i, (topic, time_ns, message) in enumerate(CameraBag(path).messages_of(kind)):
            cdr = bytes(store.serialize_cdr(message, kind))
            writer.write(odom, time_ns, cdr[:40] if i == 1 else cdr)
            writer.write(image, time_ns, store.serialize_cdr(
                make_image(ROAD, 'rgb8', time_ns), 'sensor_msgs/msg/Image'))
    found = list(CameraBag(tmp_path / 'other').messages_of(kind))
    assert [message.pose.pose.position.x for _, _, message in found] == [0.0, 0.2]


def test_the_recording_tells_camera_and_way(tmp_path, objects, capsys):
    """On a circle the objects are not straight ahead."""
    source = write_recording(
        tmp_path / 'source', info=250.0,
        odometry=lambda s: (40 * math.sin(s / 4), 40 * (1 - math.cos(s / 4)), s / 4))
    out = tmp_path / 'out'
    assert cli.main(['compose', str(source), '--out', str(out), '--objects', str(objects),
                     '--spacing', '6']) == 0
    said = capsys.readouterr().out
    assert 'focal length 250 pixels (from CameraInfo)' in said
    assert 'way of 29 m (odometry on /odom)' in said
    (_, _, info), *_ = CameraBag(out).messages_of('sensor_msgs/msg/CameraInfo')
    assert info.k.reshape(3, 3).tolist() == [[250, 0, 159.5], [0, 250, 89.5], [0, 0, 1]]
    assert (info.height, info.width) == SIZE
    assert info.header.frame_id == 'camera_optical'
    # The way turns to the left, so what is far away is seen to the left.
    columns = [(box[0] + box[2] / 2) for frame in CameraBag(out).truth().frames.values()
               for pixels, box in frame.objects.values() if pixels < 900]
    assert columns and np.median(columns) < 159.5 - 10


def test_odometry_that_does_not_cover_the_images_is_not_used(tmp_path, objects, capsys):
    source = write_recording(tmp_path / 'source', odometry=lambda s: (10 * s, 0.0, 0.0))
    bag = CameraBag(source)
    messages = bag.messages_of
    bag.messages_of = lambda kind, name=None: [
        m for m in messages(kind, name) if m[1] < START_NS + 5 * 10**8]
    from vl4ad_ros.composing.recording import choose_route
    route, note = choose_route(bag, [START_NS + i * 10**8 for i in range(30)])
    assert 'the odometry on /odom does not cover the images; give --speed' in note
    assert route.length_m == pytest.approx(14 * 2.9)


def test_the_same_seed_gives_the_same_bag(tmp_path, objects):
    source = write_recording(tmp_path / 'source', 6)
    pictures = []
    for name, seed in (('a', '1'), ('b', '1'), ('c', '2')):
        assert cli.main(['compose', str(source), '--out', str(tmp_path / name), '--objects',
                         str(objects), '--seed', seed, '--spacing', '8']) == 0
        pictures.append(np.stack(list(CameraBag(tmp_path / name).images())))
    assert (pictures[0] == pictures[1]).all() and (pictures[0] != pictures[2]).any()


def test_frames_that_cannot_be_decoded_are_left_out(tmp_path, objects, capsys):
    from bags import write_jpegs
    source = write_jpegs(tmp_path / 'source', [SIZE] * 8, damaged=(2, 5))
    assert cli.main(['compose', str(source), '--out', str(tmp_path / 'out'),
                     '--objects', str(objects)]) == 0
    captured = capsys.readouterr()
    assert '2 of 8 frames could not be decoded and are left out' in captured.err
    assert ': 6 frames;' in captured.out and CameraBag(tmp_path / 'out').label_count == 6
    assert cli.main(['compose', str(source), '--out', str(tmp_path / 'strict'), '--skip-bad', '1',
                     '--objects', str(objects)]) == 1
    assert '6 of 8 frames could be used' in capsys.readouterr().err


def test_refusals_leave_nothing(tmp_path, objects, capsys):
    source = write_recording(tmp_path / 'source', 3)
    (tmp_path / 'there').mkdir()
    mixed = write_recording(tmp_path / 'mixed', 3, images=[ROAD, ROAD, ROAD[:100]])
    for bag, out, folder, message in (
            (source, 'there', objects, 'exists already; remove it'),
            (source, 'source/out', objects, 'lies in the input'),
            (source, 'out', tmp_path, 'has no objects.yaml'),
            (mixed, 'out', objects, 'frame 2 has 320 x 100 pixels, but others have 320 x 180'),
            (tmp_path / 'none', 'out', objects, 'no recording at')):
        assert cli.main(['compose', str(bag), '--out', str(tmp_path / out), '--objects',
                         str(folder)]) == 1
        assert message in capsys.readouterr().err
    assert sorted(p.name for p in tmp_path.iterdir()) == ['mixed', 'source', 'there']


def test_interrupted_writing_leaves_nothing(tmp_path, objects, monkeypatch, capsys):
    source = write_recording(tmp_path / 'source', 3)

    def interrupt(bar):
        raise KeyboardInterrupt
    monkeypatch.setattr(compose, '_advance', interrupt)
    assert cli.main(['compose', str(source), '--out', str(tmp_path / 'out'), '--objects',
                     str(objects)]) == 130
    assert [p.name for p in tmp_path.iterdir()] == ['source']


@pytest.mark.parametrize('arguments', [
    ['--seed', '-1'], ['--count', '0'], ['--spacing', '0'], ['--speed', '-3'],
    ['--count', '3', '--spacing', '5'], ['--camera-height', 'nan']])
def test_values_out_of_range_are_wrong_usage(tmp_path, arguments, capsys):
    with pytest.raises(SystemExit) as ended:
        cli.main(['compose', 'bag', '--out', str(tmp_path / 'out'), *arguments])
    assert ended.value.code == 2
