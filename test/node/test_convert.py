# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Every encoding to RGB, and what is refused with which words."""

from __future__ import annotations

from array import array
import sys
import time

import cv2
import numpy as np
import pytest
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header
from vl4ad_ros.node.convert import (
    compressed_to_rgb, ConvertError, ENCODINGS, image_to_rgb, to_message)

COLOUR = (200, 60, 30)
BAYER = {'bayer_rggb8': ((0, 1), (1, 2)), 'bayer_bggr8': ((2, 1), (1, 0)),
         'bayer_gbrg8': ((1, 2), (0, 1)), 'bayer_grbg8': ((1, 0), (2, 1))}


def picture(height: int = 6, width: int = 10) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 255, (height, width, 3), np.uint8)


def plain(height: int = 6, width: int = 10) -> np.ndarray:
    return np.full((height, width, 3), COLOUR, np.uint8)


def message(encoding: str, rows: np.ndarray, width: int, height: int | None = None,
            padding: int = 0, **fields) -> Image:
    """Return rows of any dtype as an Image whose rows are `padding` bytes longer."""
    rows = np.ascontiguousarray(rows).reshape(rows.shape[0], -1).view(np.uint8)
    padded = np.pad(rows, ((0, 0), (0, padding)), constant_values=99)
    fields = {'step': padded.shape[1], 'data': array('B', padded.tobytes()), **fields}
    return Image(encoding=encoding, height=height or rows.shape[0], width=width, **fields)


def planes(rgb: np.ndarray, swapped: bool) -> np.ndarray:
    """Return rgb as the rows of nv12 (or nv21): luminance, then interleaved chrominance."""
    i420 = cv2.cvtColor(rgb, cv2.COLOR_RGB2YUV_I420)
    height, width = rgb.shape[:2]
    u, v = i420[height:].reshape(2, height // 2, width // 2)
    chroma = np.dstack((v, u) if swapped else (u, v)).reshape(height // 2, width)
    return np.vstack((i420[:height], chroma))


def packed(rgb: np.ndarray, luminance_first: bool) -> np.ndarray:
    """Return rgb as the rows of yuyv (or uyvy)."""
    two_planes = planes(rgb, swapped=False)
    y = two_planes[:len(rgb)]
    chroma = two_planes[len(rgb):].repeat(2, axis=0)
    return np.dstack((y, chroma) if luminance_first else (chroma, y))


@pytest.mark.parametrize('padding', [0, 6])
@pytest.mark.parametrize('size', [(6, 10), (1, 1), (480, 640)])
@pytest.mark.parametrize('encoding, encode', [
    ('rgb8', lambda p: p), ('bgr8', lambda p: p[..., ::-1]), ('8UC3', lambda p: p[..., ::-1]),
    ('rgba8', lambda p: np.dstack((p, p[..., 0]))),
    ('bgra8', lambda p: np.dstack((p[..., ::-1], p[..., 0]))),
])
def test_colour_is_exact(encoding, encode, size, padding):
    rgb = picture(*size)
    assert np.array_equal(image_to_rgb(message(encoding, encode(rgb), size[1], padding=padding)),
                          rgb)


@pytest.mark.parametrize('padding', [0, 6])
def test_grey_is_exact(padding):
    grey = picture()[..., 0]
    deep = grey.astype(np.uint16) * 256 + 7
    for sent, fields in ((grey, {'encoding': 'mono8'}),
                         (deep.astype('<u2'), {'encoding': 'mono16'}),
                         (deep.astype('>u2'), {'encoding': 'mono16', 'is_bigendian': 1})):
        got = image_to_rgb(message(rows=sent, width=10, padding=padding, **fields))
        assert np.array_equal(got, np.dstack((grey,) * 3))


@pytest.mark.parametrize('encoding', sorted(set(ENCODINGS) - {
    'rgb8', 'bgr8', '8UC3', 'rgba8', 'bgra8', 'mono8', 'mono16'}))
@pytest.mark.parametrize('padding', [0, 6])
def test_mosaics_and_yuv_give_the_colour_back(encoding, padding):
    rgb = plain()
    if encoding in BAYER:
        rows = np.tile(np.array(COLOUR, np.uint8)[np.array(BAYER[encoding])], (3, 5))
    elif encoding.startswith('nv'):
        rows = planes(rgb, encoding == 'nv21')
    else:
        rows = packed(rgb, encoding in ('yuyv', 'yuv422_yuy2'))
    heights = (6, 9) if encoding.startswith('nv') else (6,)
    for height in heights:
        got = image_to_rgb(message(encoding, rows, 10, height, padding))
        assert got.shape == rgb.shape and got.dtype == np.uint8
        assert np.abs(got.astype(int) - rgb).max() <= 8


@pytest.mark.parametrize('bad, reason', [
    (message('jpg', picture(), 10), "encoding 'jpg' is not supported; publish one of rgb8"),
    (message('32FC1', picture()[..., :1].astype(np.float32), 10), 'not supported'),
    (message('rgb8', picture()[..., 0], 10), 'has step 10, but its rows need 30 bytes'),
    (message('mono8', picture(120, 300), 300), 'has step 900, 3.0 rows of 300 bytes'),
    (message('rgb8', picture(), 10, data=array('B', bytes(179))), '179 bytes .* expected 180'),
    (message('rgb8', picture(), 10, data=array('B')), '0 bytes of data, expected 180'),
    (message('mono8', picture()[..., 0], 10, 7), '60 bytes of data, expected 70'),
    (message('rgb8', picture(), 0, step=30), 'has no pixels'),
    (Image(encoding='rgb8'), 'has no pixels'),
    (message('yuyv', packed(plain(6, 4), True)[:, :3], 3), 'multiple of 2'),
    (message('nv12', planes(plain(), False)[:8], 10), 'multiple of 2'),
    (message('nv12', planes(plain(), False)[:, :9], 9, 6), 'multiple of 2'),
], ids=lambda v: v if isinstance(v, str) else '')
def test_what_does_not_fit_is_refused_with_both_sides(bad, reason):
    with pytest.raises(ConvertError, match=reason):
        image_to_rgb(bad)


def compressed(data: bytes, said: str = 'jpeg') -> CompressedImage:
    return CompressedImage(format=said, data=array('B', data))


def encoded(extension: str, rgb: np.ndarray) -> bytes:
    return cv2.imencode(extension, rgb[..., ::-1])[1].tobytes()


@pytest.mark.parametrize('said', ['jpeg', 'bgr8; jpeg compressed bgr8', 'rgb8; jpeg', ''])
def test_compressed_is_rgb_whatever_its_format_says(said):
    rgb = plain(16, 24)
    assert np.abs(compressed_to_rgb(compressed(encoded('.jpg', rgb), said)).astype(int)
                  - rgb).max() <= 4
    assert np.array_equal(compressed_to_rgb(compressed(encoded('.png', rgb), said)), rgb)


@pytest.mark.parametrize('extension', ['.jpg', '.png'])
def test_zeros_behind_a_compressed_picture_are_no_part_of_it(extension):
    data = encoded(extension, picture(16, 24))
    assert np.array_equal(compressed_to_rgb(compressed(data + bytes(4096))),
                          compressed_to_rgb(compressed(data)))


@pytest.mark.parametrize('data, said, reason', [
    (b'', 'jpeg', 'of 0 bytes cannot be decoded'),
    (b'not a picture', 'jpeg', 'expected an undamaged JPEG or PNG'),
    (encoded('.jpg', picture(64, 64))[:900], 'jpeg', 'is cut off'),
    (encoded('.jpg', picture(64, 64))[:900] + bytes(4096), 'jpeg', 'is cut off'),
    (encoded('.jpg', picture(64, 64))[:100] + b'\xff\xd9', 'jpeg', 'cannot be decoded'),
    (encoded('.png', picture(64, 64))[:900], 'png', 'is cut off'),
    (encoded('.png', picture()), '16UC1; compressedDepth', 'depth map'),
])
def test_damaged_compressed_images_are_refused(data, said, reason):
    with pytest.raises(ConvertError, match=reason):
        compressed_to_rgb(compressed(data, said))


@pytest.mark.parametrize('array_, encoding', [
    (picture(5, 7), 'rgb8'), (picture(5, 7)[..., 0], 'mono8'),
    (picture(5, 7)[..., 0].astype(np.float32) / 255, '32FC1'), (picture(6, 9)[::2, ::3], 'rgb8')])
def test_output_keeps_header_and_every_value(array_, encoding):
    header = Header(frame_id='camera_optical')
    out = to_message(header, array_, encoding)
    assert (out.header, out.height, out.width) == (header, *array_.shape[:2])
    assert len(out.data) == out.step * out.height
    assert out.is_bigendian == (sys.byteorder == 'big')
    assert np.array_equal(np.frombuffer(out.data, array_.dtype).reshape(array_.shape), array_)


def test_data_is_not_checked_element_by_element():
    """Assigning an ndarray or bytes takes up to 0.5 s for 1080p; the way that is used, 1 ms."""
    large = np.zeros((1080, 1920, 3), np.uint8)
    began = time.perf_counter()
    to_message(Header(), large, 'rgb8')
    assert time.perf_counter() - began < 0.1


@pytest.mark.parametrize('encoding', ['rgb8', 'bgr8', 'rgba8', 'bgra8', 'mono8'])
def test_agrees_with_cv_bridge(encoding):
    cv_bridge = pytest.importorskip(
        'cv_bridge', reason='cv_bridge comes only with a ROS installation')
    channels = {'mono8': 1, 'rgba8': 4, 'bgra8': 4}.get(encoding, 3)
    rows = np.random.default_rng(1).integers(0, 255, (6, 10, channels), np.uint8)
    image = message(encoding, rows, width=10, padding=2)
    theirs = cv_bridge.CvBridge().imgmsg_to_cv2(image, 'rgb8')
    assert np.array_equal(image_to_rgb(image), theirs)
