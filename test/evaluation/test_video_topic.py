# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Topics of video packets become images from each key frame on (needs PyAV)."""

import json

from bags import make_image, scene, START_NS
import numpy as np
import pytest

av = pytest.importorskip('av', reason='needs PyAV')
from rosbags.rosbag2 import Writer  # noqa: E402
from vl4ad_ros import cli  # noqa: E402
from vl4ad_ros.evaluation.bag_reader import (  # noqa: E402
    BagError, CameraBag, VIDEO_TYPES, VideoTopicError)
from vl4ad_ros.evaluation.message_types import typestore  # noqa: E402
from vl4ad_ros.evaluation.video_topic import write_video_topic_bag  # noqa: E402

FOXGLOVE, FFMPEG = VIDEO_TYPES
COMPRESSED, RAW = 'sensor_msgs/msg/CompressedImage', 'sensor_msgs/msg/Image'
FRAMES, PERIOD, KEY_EVERY = 24, 10**8, 8
SIZE = (96, 160)


def packets(codec='libx264'):
    """Return the packets of a video with a key frame every eighth frame."""
    context = av.CodecContext.create(codec, 'w')
    context.width, context.height, context.pix_fmt = SIZE[1], SIZE[0], 'yuv420p'
    context.framerate, context.gop_size, context.max_b_frames = 10, KEY_EVERY, 0
    context.options = {'tune': 'zerolatency', 'crf': '12',
                       f'{codec.removeprefix("lib")}-params': 'scenecut=0'}
    found = []
    for i in range(FRAMES):
        frame = av.VideoFrame.from_ndarray(scene(4 * i, SIZE)[0], format='rgb24')
        frame.pts = i
        found += [bytes(packet) for packet in context.encode(frame)]
    found += [bytes(packet) for packet in context.encode(None)]
    assert len(found) == FRAMES
    return found


def message(kind, data, stamp, said):
    """Return a message with a packet."""
    types, content = typestore().types, np.frombuffer(data, np.uint8)
    header = make_image(np.zeros((1, 1), np.uint8), 'mono8', stamp).header
    if kind == FOXGLOVE:
        return types[kind](header.stamp, 'camera', content, said)
    if kind == COMPRESSED:
        return types[kind](header, said, content)
    return types[kind](header, SIZE[1], SIZE[0], said, 0, 0, False, content)


def recording(path, kind=FFMPEG, said='libx264', data=None, lost=(), truth=False):
    """Write a bag with a topic of packets; return its path."""
    store = typestore()
    with Writer(path, version=9) as writer:
        camera = writer.add_connection('/cam/video', kind, typestore=store)
        labels = writer.add_connection('/ground_truth/anomaly', RAW, typestore=store)
        for i, packet in enumerate(data or packets()):
            stamp = START_NS + i * PERIOD
            if i not in lost:
                writer.write(camera, stamp, store.serialize_cdr(
                    message(kind, packet, stamp, said), kind))
            if truth:
                writer.write(labels, stamp, store.serialize_cdr(
                    make_image(scene(4 * i, SIZE)[1], 'mono8', stamp), RAW))
    return path


def converted(tmp_path, path):
    """Convert the recording; return its bag and the warnings."""
    with pytest.raises(VideoTopicError, match='/cam/video has packets of a video') as found:
        CameraBag(path)
    said = []
    write_video_topic_bag(path, found.value.topic, tmp_path / 'images', on_warning=said.append)
    return CameraBag(tmp_path / 'images'), said


@pytest.mark.parametrize('kind, said, codec', [
    (FFMPEG, 'libx264', 'libx264'), (FFMPEG, 'h264;yuv420p;bgr8;bgr8', 'libx264'),
    (FFMPEG, 'hevc_nvenc', 'libx265'), (FOXGLOVE, 'h264', 'libx264'),
    (FOXGLOVE, 'h265', 'libx265'), (COMPRESSED, 'h264', 'libx264')])
def test_packets_become_the_pictures_of_their_stamps(tmp_path, kind, said, codec):
    if codec not in av.codecs_available:
        pytest.skip(f'this PyAV has no {codec}')
    bag, warnings = converted(tmp_path, recording(tmp_path / 'bag', kind, said, packets(codec)))
    assert bag.topic == '/cam/video' and bag.compressed and bag.lost == 0 and not warnings
    assert bag.times_ns == [START_NS + i * PERIOD for i in range(FRAMES)]
    for i, image in enumerate(bag.images()):
        assert np.abs(image.astype(int) - scene(4 * i, SIZE)[0]).mean() < 4, i


@pytest.mark.parametrize('lost, kept', [
    ([0], range(8, 24)),                            # begins in the middle of a group
    ([11], [*range(11), *range(16, 24)]),           # a gap, up to the next key frame
    ([8, 17], [*range(8), 16]),                     # a key frame, and one more
])
def test_after_a_gap_pictures_begin_at_the_next_key_frame(tmp_path, lost, kept):
    bag, warnings = converted(tmp_path, recording(tmp_path / 'bag', lost=lost))
    assert [(t - START_NS) // PERIOD for t in bag.times_ns] == list(kept)
    assert len(bag.times_ns) + bag.lost == FRAMES - len(lost)
    assert f'{bag.lost} of {FRAMES - len(lost)} packets' in warnings[0]
    for i, image in zip(kept, bag.images()):
        assert np.abs(image.astype(int) - scene(4 * i, SIZE)[0]).mean() < 4, i


def test_packets_without_any_picture_are_an_error(tmp_path):
    path = recording(tmp_path / 'bag', data=[bytes(50)] * 6)
    with pytest.raises(VideoTopicError) as found:
        CameraBag(path)
    with pytest.raises(BagError, match='none of the 6 packets of /cam/video gives a picture'):
        write_video_topic_bag(path, found.value.topic, tmp_path / 'images')
    path = recording(tmp_path / 'odd', said='theora')
    with pytest.raises(BagError, match="codec 'theora', which is unknown; expected one of 264"):
        write_video_topic_bag(path, found.value.topic, tmp_path / 'more')


def test_evaluate_takes_video_topics_with_their_ground_truth(tmp_path, mock_bundle, capsys):
    path = recording(tmp_path / 'bag', truth=True, lost=[11])
    assert cli.main(['evaluate', str(path), '--bundle', str(mock_bundle), '--skip-bad', '4']) == 0
    said = capsys.readouterr()
    metrics = json.loads(said.out)
    assert metrics['frames_processed'] == 19 and metrics['frames_lost'] == 4
    assert metrics['pixel_ap'] > 0.5
    assert '19 of 23 frames of /cam/video used; labels matched: 19 of 24' in said.err
    assert cli.main(['evaluate', str(path), '--bundle', str(mock_bundle), '--skip-bad', '3']) == 1
    assert 'fewer than the 20' in capsys.readouterr().err
