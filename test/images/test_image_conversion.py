# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Every encoding to RGB, and what is refused with which words."""

from __future__ import annotations

from array import array
import struct
import subprocess
import sys
import time
import zlib

import cv2
import numpy as np
import pytest
from sensor_msgs.msg import CompressedImage, Image
from vl4ad_ros.images import compressed_to_rgb, ConvertError, image_to_rgb
from vl4ad_ros.images.raw import ENCODINGS

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


def chunk(kind: bytes, data: bytes, length: int | None = None) -> bytes:
    """Return a chunk of a PNG, which may lie about its length."""
    return (struct.pack('>I', len(data) if length is None else length) + kind + data
            + struct.pack('>I', zlib.crc32(kind + data)))


def png(width: int, height: int, rows: bytes, depth: int = 8, colour: int = 2,
        extra: bytes = b'') -> bytes:
    """Return a PNG of any size with any content."""
    header = struct.pack('>IIBBBBB', width, height, depth, colour, 0, 0, 0)
    return (b'\x89PNG\r\n\x1a\n' + chunk(b'IHDR', header) + extra
            + chunk(b'IDAT', zlib.compress(rows, 9)) + chunk(b'IEND', b''))


def resized(jpeg: bytes, height: int, width: int) -> bytes:
    """Return a JPEG whose header names another size, behind a thumbnail with the old one."""
    place = next(i for marker in (b'\xff\xc0', b'\xff\xc2')
                 if (i := jpeg.find(marker)) > 0) + 5
    thumbnail = b'\xff\xed' + struct.pack('>H', 2 + 200) + jpeg[:200]
    return (b'\xff\xd8\xff\xff' + thumbnail[1:] + jpeg[2:place]
            + struct.pack('>HH', height, width) + jpeg[place + 4:])


def progressive(rgb: np.ndarray) -> bytes:
    return cv2.imencode('.jpg', rgb[..., ::-1], [cv2.IMWRITE_JPEG_PROGRESSIVE, 1])[1].tobytes()


LIMITED = """
import sys
from types import SimpleNamespace
from vl4ad_ros.images import compressed_to_rgb, ConvertError
import resource
data = sys.stdin.buffer.read()
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    compressed_to_rgb(SimpleNamespace(format='png', data=data))
except ConvertError as error:
    print(error)
sys.exit(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before > 1_000_000)
"""
BOMB = png(32000, 32000, bytes(32000 * 4001), depth=1, colour=0)


@pytest.mark.parametrize('data, size', [
    (BOMB, '32000x32000'), (png(2 ** 32 - 1, 2 ** 32 - 1, b''), '4294967295x4294967295'),
    (resized(encoded('.jpg', picture(64, 64)), 65000, 64000), '64000x65000'),
    (resized(progressive(picture(64, 64)), 8001, 8000), '8000x8001')])
def test_a_picture_that_is_too_large_is_refused_before_it_is_decoded(data, size):
    assert len(data) < 130_000
    with pytest.raises(ConvertError, match=f'has {size} pixels, more than the 64000000 .*'
                       'image.max_pixels'):
        compressed_to_rgb(compressed(data))


def test_the_bomb_takes_no_memory():
    """In a process of its own, which may grow by 1 GB; a decoder would take 6.5 GB."""
    done = subprocess.run([sys.executable, '-c', LIMITED], input=BOMB,
                          capture_output=True, timeout=60)
    assert done.returncode == 0 and b'more than the 64000000' in done.stdout, done.stderr


@pytest.mark.parametrize('limit, taken', [(384, True), (383, False)])
@pytest.mark.parametrize('make', [
    lambda p: compressed(encoded('.jpg', p)), lambda p: compressed(encoded('.png', p)),
    lambda p: compressed(progressive(p)), lambda p: message('rgb8', p, 24),
    lambda p: message('mono8', p[..., 0], 24)])
def test_the_limit_is_what_it_says(make, limit, taken):
    sent = make(picture(16, 24))
    convert = compressed_to_rgb if isinstance(sent, CompressedImage) else image_to_rgb
    if taken:
        assert convert(sent, max_pixels=limit).shape == (16, 24, 3)
    else:
        with pytest.raises(ConvertError, match='24x16 pixels, more than the 383'):
            convert(sent, max_pixels=limit)


@pytest.mark.parametrize('extension', ['.webp', '.tiff', '.bmp', '.gif', '.avif'])
def test_other_formats_are_refused(extension):
    """Their sizes are not known before they are decoded."""
    try:
        data = encoded(extension, picture(16, 16))
    except cv2.error:
        pytest.skip(f'this OpenCV writes no {extension}')
    with pytest.raises(ConvertError, match='expected an undamaged JPEG or PNG'):
        compressed_to_rgb(compressed(data))


@pytest.mark.parametrize('data', [
    png(10, 4, b''), png(0, 4, b'\0' * 4), png(2 ** 31, 0, b''),
    png(10, 4, (b'\0' + bytes(30)) * 4, extra=chunk(b'acTL', struct.pack('>II', 2, 0)) + chunk(
        b'fcTL', struct.pack('>IIIIIHHBB', 0, 30000, 30000, 0, 0, 1, 1, 0, 0))),
    # OpenCV takes as much memory as a chunk says that it needs.
    png(10, 4, (b'\0' + bytes(30)) * 4, extra=chunk(b'tEXt', b'a', 2 ** 32 - 1)),
    png(10, 4, (b'\0' + bytes(30)) * 4, extra=chunk(b'tEXt', b'a', 2 ** 31 - 1)),
    b'\x89PNG\r\n\x1a\n' + chunk(b'IEND', b''), b'\x89PNG' + b'IEND',
    b'\xff\xd8\xff\xd9', b'\xff\xd8' + b'\xff' * 50 + b'\xd9', b'\xff\xd8\xff\xe0\0\0\xff\xd9',
    resized(encoded('.jpg', picture(64, 64)), 0, 64),
    resized(encoded('.jpg', picture(64, 64)), 64, 0)])
def test_headers_that_lie_are_refused(data):
    began = time.monotonic()
    with pytest.raises(ConvertError, match='cannot be decoded'):
        compressed_to_rgb(compressed(data))
    assert time.monotonic() - began < 2


@pytest.mark.parametrize('rows', [4, 100_000])
def test_rows_beyond_the_size_are_left_out(rows):
    rgb = compressed_to_rgb(compressed(png(10, 4, (b'\0' + bytes(30)) * rows)))
    assert rgb.shape == (4, 10, 3) and not rgb.any()


def test_damaged_pictures_raise_nothing_else():
    rng = np.random.default_rng(0)
    sound = [encode(picture(24, 32)) for encode in (
        lambda p: encoded('.jpg', p), lambda p: encoded('.png', p), progressive)]
    refused = 0
    for _ in range(600):
        data = bytearray(sound[rng.integers(3)])
        reach = int(rng.choice([40, 300, len(data)]))
        for place in rng.integers(0, min(reach, len(data)), rng.integers(1, 5)):
            data[place] = rng.integers(256)
        if rng.random() < 0.3:
            start = rng.integers(len(data))
            del data[start:start + rng.integers(1, 40)]
        try:
            rgb = compressed_to_rgb(compressed(bytes(data)), max_pixels=1_000_000)
            assert rgb.dtype == np.uint8 and rgb.size <= 3_000_000
        except ConvertError:
            refused += 1
    assert 100 < refused < 600


def test_odd_raw_images_raise_nothing_else():
    rng = np.random.default_rng(0)
    odd = [0, 1, 2, 3, 255, 2 ** 16, 2 ** 31 - 1, 2 ** 31, 2 ** 32 - 1]
    for encoding in [*ENCODINGS, '', 'rgb8 ', 'x' * 10_000]:
        for _ in range(200):
            height, width, step, size = rng.choice(odd, 4)
            try:
                image_to_rgb(Image(encoding=encoding, height=int(height), width=int(width),
                                   step=int(step), data=array('B', bytes(min(int(size), 300)))))
            except ConvertError as error:
                assert len(str(error)) < 500


@pytest.mark.parametrize('height', range(1, 6))
@pytest.mark.parametrize('encoding', ENCODINGS)
def test_small_raw_images_are_read_or_refused(encoding, height):
    layout = ENCODINGS[encoding]
    for width in range(1, 6):
        row = width * layout.channels * np.dtype(layout.dtype).itemsize
        for padding, lines, swapped in ((0, 1, 0), (1, 1, 1), (3, 1.5, 0)):
            data = array('B', bytes(int((row + padding) * height * lines)))
            try:
                rgb = image_to_rgb(Image(encoding=encoding, height=height, width=width,
                                         step=row + padding, is_bigendian=swapped, data=data))
                assert rgb.dtype == np.uint8 and rgb.shape[1:] == (width, 3)
            except ConvertError:
                pass


@pytest.mark.parametrize('convert, sent', [
    (image_to_rgb, message('bgr8', picture(), 10)),
    (compressed_to_rgb, compressed(encoded('.png', picture())))])
@pytest.mark.parametrize('error', [MemoryError, SystemError, ValueError, cv2.error])
def test_whatever_a_decoder_raises_is_a_bad_image(convert, sent, error, monkeypatch):
    def fail(*arguments: object) -> None:
        raise error('no more')
    monkeypatch.setattr(cv2, 'cvtColor', fail)
    with pytest.raises(ConvertError):
        convert(sent)
