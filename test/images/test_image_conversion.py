# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Every encoding to RGB, and what is refused with which words."""

from __future__ import annotations

from array import array
import struct
import subprocess
import sys
import time
from types import SimpleNamespace
import zlib

import cv2
import numpy as np
import pytest
from sensor_msgs.msg import CompressedImage, Image
from vl4ad_ros.images import compressed_to_rgb, ConvertError, image_to_rgb, jpeg, SampleDepth
from vl4ad_ros.images.raw import ENCODINGS

COLOUR = (200, 60, 30)
BAYER = {'bayer_rggb': ((0, 1), (1, 2)), 'bayer_bggr': ((2, 1), (1, 0)),
         'bayer_gbrg': ((1, 2), (0, 1)), 'bayer_grbg': ((1, 0), (2, 1))}
PLANAR = ('nv12', 'nv21', 'nv24', 'i420')
YUV = ('yuv422', 'uyvy', 'yuv422_yuy2', 'yuyv', *PLANAR)


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


def mosaic(rgb: np.ndarray, encoding: str) -> np.ndarray:
    """Return what a sensor with this Bayer pattern sees of a picture, (H, W) of the same dtype."""
    channels = np.array(BAYER[encoding.rstrip('168')])
    seen = np.empty(rgb.shape[:2], rgb.dtype)
    for row, column in np.ndindex(2, 2):
        seen[row::2, column::2] = rgb[row::2, column::2, channels[row, column]]
    return seen


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


def planar(rgb: np.ndarray, encoding: str, padding: int) -> np.ndarray:
    """Return a picture of one colour as the rows of a planar encoding, padded."""
    height, width = rgb.shape[:2]
    i420 = cv2.cvtColor(rgb, cv2.COLOR_RGB2YUV_I420)
    if encoding == 'nv24':
        chroma = np.empty((height, width, 2), np.uint8)
        chroma[:] = np.unique(i420[height:height + 2])[0], i420[-1, -1]
        rows = np.vstack((i420[:height], chroma.reshape(2 * height, width)))
    elif encoding == 'i420':
        chroma = np.pad(i420[height:].reshape(height, width // 2), ((0, 0), (0, padding // 2)),
                        constant_values=99)
        return np.vstack((np.pad(i420[:height], ((0, 0), (0, padding)), constant_values=99),
                          chroma.reshape(height // 2, width + padding)))
    else:
        rows = planes(rgb, encoding == 'nv21')
    return np.pad(rows, ((0, 0), (0, padding)), constant_values=99)


@pytest.mark.parametrize('padding', [0, 6, 1000])
@pytest.mark.parametrize('size', [(6, 10), (1, 1), (480, 640)])
@pytest.mark.parametrize('encoding, encode', [
    ('rgb8', lambda p: p), ('bgr8', lambda p: p[..., ::-1]), ('8UC3', lambda p: p[..., ::-1]),
    ('rgba8', lambda p: np.dstack((p, p[..., 0]))),
    ('bgra8', lambda p: np.dstack((p[..., ::-1], p[..., 0]))),
    ('8UC4', lambda p: np.dstack((p[..., ::-1], p[..., 0]))),
])
def test_colour_is_exact(encoding, encode, size, padding):
    rgb = picture(*size)
    for name in (encoding, encoding.upper(), encoding.lower()):
        sent = message(name, encode(rgb), size[1], padding=padding)
        assert np.array_equal(image_to_rgb(sent), rgb)


@pytest.mark.parametrize('padding', [0, 6, 1000])
@pytest.mark.parametrize('big_endian', [0, 1])
@pytest.mark.parametrize('encoding, encode', [
    ('rgb16', lambda p: p), ('bgr16', lambda p: p[..., ::-1]), ('16UC3', lambda p: p[..., ::-1]),
    ('rgba16', lambda p: np.dstack((p, p[..., 0]))),
    ('bgra16', lambda p: np.dstack((p[..., ::-1], p[..., 0]))),
    ('16UC4', lambda p: np.dstack((p[..., ::-1], p[..., 0]))),
])
def test_deep_colour_is_exact_in_its_upper_bits(encoding, encode, big_endian, padding):
    rgb = picture()
    deep = encode(rgb.astype(np.uint16) * 256 + 7).astype('>u2' if big_endian else '<u2')
    sent = message(encoding, deep, 10, padding=padding, is_bigendian=big_endian)
    assert np.array_equal(image_to_rgb(sent), rgb)


@pytest.mark.parametrize('padding', [0, 6, 1000])
def test_grey_is_exact(padding):
    grey = picture()[..., 0]
    deep = grey.astype(np.uint16) * 256 + 7
    for sent, fields in ((grey, {'encoding': 'mono8'}), (grey, {'encoding': '8UC1'}),
                         (deep.astype('<u2'), {'encoding': 'mono16'}),
                         (deep.astype('<u2'), {'encoding': '16UC1'}),
                         (deep.astype('>u2'), {'encoding': 'mono16', 'is_bigendian': 1})):
        got = image_to_rgb(message(rows=sent, width=10, padding=padding, **fields))
        assert np.array_equal(got, np.dstack((grey,) * 3))


@pytest.mark.parametrize('encoding', [f'{name}{bits}' for name in BAYER for bits in (8, 16)])
@pytest.mark.parametrize('padding', [0, 6, 1000])
def test_mosaics_give_the_colour_back(encoding, padding):
    rows = mosaic(plain(), encoding)
    if encoding.endswith('16'):
        rows = rows.astype('<u2') * 257
    assert np.array_equal(image_to_rgb(message(encoding, rows, 10, padding=padding)), plain())


@pytest.mark.parametrize('encoding', YUV)
@pytest.mark.parametrize('padding', [0, 6])
def test_yuv_gives_the_colour_back(encoding, padding):
    rgb = plain()
    if encoding in PLANAR:
        rows = planar(rgb, encoding, padding)
    else:
        rows = packed(rgb, encoding in ('yuyv', 'yuv422_yuy2'))
    for height in {6, len(rows)}:
        got = image_to_rgb(message(encoding, rows, 10, height,
                                   0 if encoding in PLANAR else padding))
        assert got.shape == rgb.shape and got.dtype == np.uint8
        assert np.abs(got.astype(int) - rgb).max() <= 8


def test_every_encoding_is_in_a_test_above():
    assert set(ENCODINGS) == {
        'rgb8', 'bgr8', '8UC3', 'rgba8', 'bgra8', '8UC4', 'rgb16', 'bgr16', '16UC3', 'rgba16',
        'bgra16', '16UC4', 'mono8', '8UC1', 'mono16', '16UC1', *YUV,
        *(f'{name}{bits}' for name in BAYER for bits in (8, 16))}


@pytest.mark.parametrize('bits', [8, 10, 12, 14, 16])
@pytest.mark.parametrize('send', [
    lambda p: message('mono16', p, 64),
    lambda p: compressed(cv2.imencode('.png', p)[1].tobytes(), 'mono16; png compressed '),
    lambda p: compressed(cv2.imencode('.tiff', p)[1].tobytes(), 'mono16; tiff compressed ')])
def test_sixteen_bit_values_are_scaled_by_the_bits_that_the_camera_uses(bits, send):
    ramp = np.tile(np.linspace(0, 2 ** bits - 1, 64).astype(np.uint16), (48, 1))
    convert = compressed_to_rgb if isinstance(send(ramp), CompressedImage) else image_to_rgb
    assert np.array_equal(convert(send(ramp))[..., 1], ramp >> (bits - 8))
    # A darker frame of the same camera stays darker; before the bright one, it is not known.
    depth = SampleDepth()
    convert(send(ramp), depth=depth)
    dark = ramp // 20
    assert np.array_equal(convert(send(dark), depth=depth)[..., 1], dark >> (bits - 8))
    assert depth.bits == bits


def test_the_depth_only_grows_and_starts_anew_with_a_new_object():
    frames = [np.full((4, 4), value, np.uint16) for value in (900, 4000, 100, 65535, 4000)]
    runs = []
    for _ in range(2):
        depth = SampleDepth()
        runs.append([(int(image_to_rgb(message('mono16', frame, 4), depth=depth)[0, 0, 0]),
                      depth.bits) for frame in frames])
    assert runs[0] == runs[1] == [(225, 10), (250, 12), (6, 12), (255, 16), (15, 16)]


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
    (message('i420', planar(plain(), 'i420', 6)[:, :15], 10, 6), 'step 15; expected an even'),
    (message('16SC1', picture()[..., 0].astype(np.int16), 10), 'not supported'),
    (message('8UC2', picture()[..., :2], 10), 'not supported'),
], ids=lambda v: v if isinstance(v, str) else '')
def test_what_does_not_fit_is_refused_with_both_sides(bad, reason):
    with pytest.raises(ConvertError, match=reason):
        image_to_rgb(bad)


def compressed(data: bytes, said: str = 'jpeg') -> CompressedImage:
    return CompressedImage(format=said, data=array('B', data))


def encoded(extension: str, rgb: np.ndarray) -> bytes:
    """Return a picture, (H, W, 3) RGB or (H, W), as a file of this kind."""
    return cv2.imencode(extension, rgb[..., ::-1] if rgb.ndim == 3 else rgb)[1].tobytes()


def stored(extension: str, pixels: np.ndarray) -> bytes:
    """Return pixels as image_transport stores them: in their own order, given to OpenCV."""
    quality = [cv2.IMWRITE_JPEG_QUALITY, 98] if extension == '.jpg' else []
    return cv2.imencode(extension, pixels, quality)[1].tobytes()


EXTENSIONS = {'jpeg': '.jpg', 'png': '.png', 'tiff': '.tiff'}


def halves(height: int = 32, width: int = 48) -> np.ndarray:
    """Return a picture that is reddish on the left and bluish on the right."""
    rgb = plain(height, width)
    rgb[:, width // 2:] = COLOUR[::-1]
    return rgb


def assert_halves(got: np.ndarray, expected: np.ndarray | None = None, most: int = 12) -> None:
    expected = halves() if expected is None else expected
    assert got.shape == expected.shape and got.dtype == np.uint8
    for column in (10, 38):
        assert np.abs(got[16, column].astype(int) - expected[16, column]).max() <= most


@pytest.mark.parametrize('codec', EXTENSIONS)
@pytest.mark.parametrize('target', ['bgr8', 'rgb8', 'BGR8', ' rgb8 ', 'bgr16', 'rgb16'])
@pytest.mark.parametrize('source', ['rgb8', 'bgr8', 'rgba8', 'bgra16', 'yuv422', '8UC3', ''])
def test_colour_is_stored_in_the_order_of_the_target(source, target, codec):
    rgb = halves()
    pixels = rgb if 'rgb' in target else rgb[..., ::-1]
    if '16' in target and codec != 'jpeg':
        pixels = pixels.astype(np.uint16) * 257
    assert_halves(compressed_to_rgb(compressed(
        stored(EXTENSIONS[codec], pixels), f'{source}; {codec} compressed {target}')))


@pytest.mark.parametrize('codec', EXTENSIONS)
@pytest.mark.parametrize('source', ['rgb8', 'bgr8', 'RGB8', '8UC3', 'rgba8', 'bgra8', 'rgb16',
                                    'bgr16', 'rgba16', '16UC3'])
def test_colour_without_a_target_is_stored_in_the_order_of_the_source(source, codec):
    rgb = halves()
    pixels = rgb if source.lower().startswith('rgb') else rgb[..., ::-1]
    if codec != 'jpeg':
        if 'a' in source:
            pixels = np.dstack((pixels, np.full(rgb.shape[:2], 255, np.uint8)))
        if '16' in source:
            pixels = pixels.astype(np.uint16) * 257
    for said in (f'{source}; {codec} compressed ', f'{source};{codec.upper()} compressed'):
        assert_halves(compressed_to_rgb(compressed(stored(EXTENSIONS[codec], pixels), said)))


@pytest.mark.parametrize('codec', EXTENSIONS)
@pytest.mark.parametrize('encoding', [f'{name}{bits}' for name in BAYER for bits in (8, 16)])
def test_a_bayer_pattern_is_converted_to_colour(encoding, codec):
    pixels = mosaic(halves(), encoding)
    if encoding.endswith('16') and codec != 'jpeg':
        pixels = pixels.astype(np.uint16) * 257
    data = stored(EXTENSIONS[codec], pixels)
    for said in (f'{encoding}; {codec} compressed ', f'{encoding.upper()}; {codec} compressed',
                 f'{encoding}; {codec}', f'mono8; {codec} compressed {encoding}'):
        assert_halves(compressed_to_rgb(compressed(data, said)), most=25)
    # The publisher of ROS 2 converts Bayer patterns to grey for JPEG, and says so.
    grey = cv2.cvtColor(halves(), cv2.COLOR_RGB2GRAY)
    assert_halves(compressed_to_rgb(compressed(
        stored('.jpg', grey), f'{encoding}; jpeg compressed mono8')), np.dstack((grey,) * 3))
    assert_halves(compressed_to_rgb(compressed(
        stored('.jpg', halves()[..., ::-1]), f'{encoding}; jpeg compressed bgr8')))


@pytest.mark.parametrize('codec', EXTENSIONS)
@pytest.mark.parametrize('said', [
    'mono8; {} compressed ', 'mono8; {} compressed mono8', 'mono16; {} compressed mono8',
    'rgb8; {} compressed mono8', '8UC1; {} compressed ', 'mono16; {} compressed ', '{}', ''])
def test_one_channel_is_grey(said, codec):
    grey = cv2.cvtColor(halves(), cv2.COLOR_RGB2GRAY)
    assert_halves(compressed_to_rgb(compressed(
        stored(EXTENSIONS[codec], grey), said.format(codec))), np.dstack((grey,) * 3))


@pytest.mark.parametrize('codec', EXTENSIONS)
@pytest.mark.parametrize('said', ['jpeg', 'jpg', 'png', 'PNG', 'rgb8; jpeg', 'bgr8', '', ';', '; ',
                                  'compressed', '\n', 'rgb8 jpeg compressed bgr8'])
def test_a_format_of_another_form_means_bgr(said, codec):
    assert_halves(compressed_to_rgb(compressed(
        stored(EXTENSIONS[codec], halves()[..., ::-1]), said)))


def restarting(rgb: np.ndarray, interval: int = 3) -> bytes:
    options = [cv2.IMWRITE_JPEG_RST_INTERVAL, interval]
    return cv2.imencode('.jpg', rgb[..., ::-1], options)[1].tobytes()


def soft(height: int = 64, width: int = 96, seed: int = 0) -> np.ndarray:
    noise = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    return cv2.GaussianBlur(noise, (9, 9), 3)


def scan_start(jpeg: bytes) -> int:
    return jpeg.index(b'\xff\xda') + 14


JPEGS = {
    'baseline': lambda p: encoded('.jpg', p), 'grey': lambda p: encoded('.jpg', p[..., 0]),
    'progressive': lambda p: progressive(p), 'restarts': restarting,
    'low quality': lambda p: cv2.imencode('.jpg', p, [cv2.IMWRITE_JPEG_QUALITY, 5])[1].tobytes(),
    'own codes': lambda p: cv2.imencode('.jpg', p, [cv2.IMWRITE_JPEG_OPTIMIZE, 1])[1].tobytes(),
}


@pytest.mark.parametrize('size', [(64, 96), (1, 1), (17, 33), (8, 200)])
@pytest.mark.parametrize('make', JPEGS.values(), ids=JPEGS)
@pytest.mark.parametrize('paint', [
    soft, picture, plain, lambda h, w: np.full((h, w, 3), 128, np.uint8),
    lambda h, w: np.zeros((h, w, 3), np.uint8)], ids=['soft', 'noise', 'colour', 'grey', 'black'])
def test_a_whole_jpeg_is_taken_whatever_stands_around_it(paint, make, size):
    data = make(paint(*size))
    expected = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)[..., ::-1]
    trailers = [b'', bytes(500), b'\xff' * 512, b'TRLR' + bytes(range(200)), data, data[50:],
                b'\xff\xd9']
    for before in (b'', b'\r\n--frame\r\n', bytes(7), b'\xff\xff'):
        for after in trailers:
            got = compressed_to_rgb(compressed(before + data + after))
            assert np.array_equal(got, expected)
    # Fill bytes, or a few bytes too many, in front of the end marker.
    for filling in (b'\xff', b'\xff' * 40, bytes(4), b'\x12\x34'):
        got = compressed_to_rgb(compressed(data[:-2] + filling + b'\xff\xd9'))
        assert np.array_equal(got, expected)


@pytest.mark.parametrize('share', [0.02, 0.3, 0.5, 0.9])
@pytest.mark.parametrize('make', JPEGS.values(), ids=JPEGS)
def test_a_cut_jpeg_is_refused_whatever_stands_after_it(make, share):
    data = make(soft())
    cut = scan_start(data) + int((len(data) - scan_start(data)) * share)
    after = [b'', bytes(500), b'\xff\xd9', b'\xff\xff\xd9' + bytes(9), b'\xff' * 50 + b'\xd9',
             data]
    if share == 0.9 and make is JPEGS['progressive']:
        after = [b'', bytes(500), data]  # the end of the last scan is not missed
    for rest in after:
        with pytest.raises(ConvertError, match='is cut off or damaged'):
            compressed_to_rgb(compressed(data[:cut] + rest))


def test_a_mixture_of_two_images_whose_blocks_do_not_add_up_is_refused():
    if not jpeg._refuses_missing_data():
        pytest.skip('this OpenCV does not tell that blocks are left over')
    new, old = encoded('.jpg', soft()), encoded('.jpg', soft(seed=1))
    cut = scan_start(new) + 700
    for data, reason in (
            (new[:cut] + old[cut - 300:], 'more data than its size needs'),
            (new[:cut] + old[cut + 300:], 'rows are not all there')):
        with pytest.raises(ConvertError, match=reason):
            compressed_to_rgb(compressed(data))


def test_restart_intervals_are_counted_and_in_order():
    data = restarting(soft())
    second = data.index(b'\xff\xd1')
    third = data.index(b'\xff\xd2')
    last = max(data.rfind(bytes((0xff, marker))) for marker in range(0xd0, 0xd8))
    for bad in (data[:second] + data[third:], data[:last] + b'\xff\xd9',
                data[:third] + data[second:], data.replace(b'\xff\xd1', b'\xff\xd5')):
        with pytest.raises(ConvertError, match='restart'):
            compressed_to_rgb(compressed(bad))
    extra = bytes((0xff, 0xd0 + (data[last + 1] - 0xd0 + 1) % 8))
    expected = compressed_to_rgb(compressed(data))
    assert np.array_equal(compressed_to_rgb(compressed(data[:-2] + extra + b'\xff\xd9')), expected)


@pytest.mark.parametrize('extension', ['.png', '.tiff'])
def test_zeros_behind_a_compressed_picture_are_no_part_of_it(extension):
    data = encoded(extension, picture(16, 24))
    assert np.array_equal(compressed_to_rgb(compressed(data + bytes(4096))),
                          compressed_to_rgb(compressed(data)))


def test_a_png_or_tiff_with_the_rest_of_another_is_refused():
    new, old = encoded('.png', picture(64, 64)), encoded('.png', picture(64, 64)[::-1])
    half = len(new) // 2
    for data in (new[:half] + old[half:], encoded('.tiff', picture(64, 64))[:half]):
        with pytest.raises(ConvertError, match='cannot be decoded'):
            compressed_to_rgb(compressed(data))


def tiff(width: int, height: int, tags: dict[int, int] | None = None, order: str = '<') -> bytes:
    """Return a grey TIFF without compression; `tags` replace or add 32-bit fields."""
    fields = {256: width, 257: height, 258: 8, 259: 1, 262: 1, 273: 8, 277: 1, 278: height,
              279: width * height, **(tags or {})}
    pixels = bytes(range(200)) * 2
    directory = struct.pack(f'{order}H', len(fields)) + b''.join(
        struct.pack(f'{order}HHII', tag, 4, 1, value) for tag, value in sorted(fields.items()))
    return ((b'II*\0' if order == '<' else b'MM\0*') + struct.pack(f'{order}I', 408) + pixels
            + directory + bytes(4))


@pytest.mark.parametrize('order', ['<', '>'])
def test_the_size_of_a_tiff_is_read_before_it_is_decoded(order):
    rgb = compressed_to_rgb(compressed(tiff(20, 10, order=order), 'mono8; tiff compressed '))
    assert np.array_equal(rgb[..., 0].ravel(), np.arange(200))
    for size in ((64000, 65000), (2 ** 32 - 1, 2)):
        with pytest.raises(ConvertError, match=f'has {size[0]}x{size[1]} pixels, more than'):
            compressed_to_rgb(compressed(tiff(20, 10, {256: size[0], 257: size[1]}, order)))
    sound = tiff(20, 10, order=order)
    for bad in (tiff(20, 10, {279: 500_000}, order), tiff(20, 10, {273: 5000}, order),
                tiff(0, 10, order=order), sound[:420], sound[:6],
                sound[:4] + struct.pack(f'{order}I', 2 ** 32 - 1) + sound[8:]):
        with pytest.raises(ConvertError, match='cannot be decoded'):
            compressed_to_rgb(compressed(bad))


def test_a_tiff_of_other_values_is_refused():
    data = cv2.imencode('.tiff', np.ones((8, 8), np.float32))[1].tobytes()
    with pytest.raises(ConvertError, match='float32 values; expected 8 or 16 bits'):
        compressed_to_rgb(compressed(data, '32FC1; tiff compressed '))


def test_png_and_tiff_are_exact():
    rgb = picture(16, 24)
    for extension in ('.png', '.tiff'):
        assert np.array_equal(compressed_to_rgb(compressed(encoded(extension, rgb))), rgb)


@pytest.mark.parametrize('data, said, reason', [
    (b'', 'jpeg', 'of 0 bytes cannot be decoded'),
    (b'not a picture', 'jpeg', 'expected an undamaged JPEG, PNG or TIFF'),
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
    lambda p: compressed(progressive(p)), lambda p: compressed(encoded('.tiff', p)),
    lambda p: message('rgb8', p, 24),
    lambda p: message('mono8', p[..., 0], 24)])
def test_the_limit_is_what_it_says(make, limit, taken):
    sent = make(picture(16, 24))
    convert = compressed_to_rgb if isinstance(sent, CompressedImage) else image_to_rgb
    if taken:
        assert convert(sent, max_pixels=limit).shape == (16, 24, 3)
    else:
        with pytest.raises(ConvertError, match='24x16 pixels, more than the 383'):
            convert(sent, max_pixels=limit)


@pytest.mark.parametrize('extension', ['.webp', '.bmp', '.gif', '.avif'])
def test_other_formats_are_refused(extension):
    """Their sizes are not known before they are decoded."""
    try:
        data = encoded(extension, picture(16, 16))
    except cv2.error:
        pytest.skip(f'this OpenCV writes no {extension}')
    with pytest.raises(ConvertError, match='expected an undamaged JPEG, PNG or TIFF'):
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
    sound = [encode(soft(24, 32)) for encode in (
        lambda p: encoded('.jpg', p), lambda p: encoded('.png', p), progressive,
        lambda p: encoded('.tiff', p), restarting)]
    refused = 0
    for _ in range(1000):
        data = bytearray(sound[rng.integers(len(sound))])
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
    assert 200 < refused < 1000


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


def test_a_stated_largest_value_scales_every_image():
    depth = SampleDepth(4095)
    assert str(depth) == ''
    values = np.array([[0, 100, 4095, 65535]], np.uint16)
    np.testing.assert_array_equal(depth.to_bytes(values), [[0, 6, 255, 255]])
    np.testing.assert_array_equal(depth.to_bytes(values // 1000), [[0, 0, 0, 4]])
    assert str(depth) == '4095 (stated)'
    found = SampleDepth()
    found.to_bytes(np.array([900], np.uint16))
    assert str(found) == '10 bits'


def test_16uc1_of_a_camera_needs_a_stated_largest_value():
    values = np.full((4, 6), 4095, np.uint16)
    message = SimpleNamespace(encoding='16uc1', height=4, width=6, step=12, is_bigendian=0,
                              data=values.tobytes())
    with pytest.raises(ConvertError, match='probably a depth map.*image.max_value'):
        image_to_rgb(message, depth=SampleDepth())
    assert image_to_rgb(message, depth=SampleDepth(4095)).min() == 255
    assert image_to_rgb(message).shape == (4, 6, 3)
    png = SimpleNamespace(format='16UC1; png compressed ', data=cv2.imencode('.png', values)[1])
    with pytest.raises(ConvertError, match='probably a depth map.*image.max_value'):
        compressed_to_rgb(png, depth=SampleDepth())
    assert compressed_to_rgb(png, depth=SampleDepth(4095)).min() == 255
