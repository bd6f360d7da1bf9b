# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Image files of many kinds become RGB arrays as a viewer shows them, or are refused."""

import cv2
import numpy as np
import pytest

from vl4ad_ros.images import ConvertError, photo_to_rgb

RGB = np.zeros((30, 40, 3), np.uint8)
RGB[:, :20], RGB[:, 20:] = (200, 30, 90), (20, 60, 250)


def encoded(ending, picture):
    """Return a file with a picture, which is RGB, grey, or RGBA."""
    if picture.ndim == 3:
        code = cv2.COLOR_RGB2BGR if picture.shape[2] == 3 else cv2.COLOR_RGBA2BGRA
        picture = cv2.cvtColor(picture, code)
    return cv2.imencode(ending, picture)[1].tobytes()


def with_orientation(jpeg, orientation):
    """Return a JPEG with Exif data that have this orientation and a thumbnail's end marker."""
    tiff = (b'MM\0*\0\0\0\x08\0\x01' + b'\x01\x12\0\x03\0\0\0\x01'
            + orientation.to_bytes(2, 'big') + b'\0\0' + bytes(4))
    segment = b'Exif\0\0' + tiff + b'\xff\xd9'
    return jpeg[:2] + b'\xff\xe1' + (len(segment) + 2).to_bytes(2, 'big') + segment + jpeg[2:]


@pytest.mark.parametrize('ending, tolerance', [
    ('.png', 0), ('.bmp', 0), ('.tif', 0), ('.jpg', 3), ('.webp', 3)])
def test_formats(ending, tolerance):
    rgb = photo_to_rgb(encoded(ending, RGB))
    assert rgb.dtype == np.uint8 and rgb.shape == RGB.shape
    assert np.abs(rgb.astype(int) - RGB).mean() <= tolerance


@pytest.mark.parametrize('ending', ['.png', '.tif'])
def test_sixteen_bits_keep_their_upper_byte(ending):
    # The lower byte is not that of the upper one, so that an error of the scale would show.
    deep = RGB.astype(np.uint16) * 256 + 17
    assert np.abs(photo_to_rgb(encoded(ending, deep)).astype(int) - RGB).max() <= 1


def test_grey_and_transparent_pictures_become_rgb():
    grey = RGB[..., 0]
    assert (photo_to_rgb(encoded('.png', grey)) == grey[..., None]).all()
    assert photo_to_rgb(encoded('.png', grey.astype(np.uint16) * 257)).shape == RGB.shape
    clear = np.dstack([RGB, np.full(grey.shape, 100, np.uint8)])
    assert (photo_to_rgb(encoded('.png', clear)) == RGB).all()


@pytest.mark.parametrize('orientation, turn', [
    (1, lambda p: p), (2, np.fliplr), (3, lambda p: np.rot90(p, 2)), (4, np.flipud),
    (6, lambda p: np.rot90(p, -1)), (8, np.rot90)])
def test_exif_orientation(orientation, turn):
    data = encoded('.jpg', RGB)
    rgb = photo_to_rgb(with_orientation(data, orientation))
    assert (rgb == turn(photo_to_rgb(data))).all()


def test_data_after_the_picture_are_no_fault():
    """Phones append films and panoramas, in which any marker can occur."""
    data = encoded('.jpg', RGB)
    more = data + b'\xff\xda' + np.random.default_rng(0).bytes(1000)
    assert (photo_to_rgb(more) == photo_to_rgb(data)).all()


@pytest.mark.parametrize('data, message', [
    (b'', 'is empty'),
    (b'a text', 'is not an image'),
    (encoded('.jpg', RGB)[:-40], 'is cut off'),
    (with_orientation(encoded('.jpg', RGB), 1)[:-40], 'is cut off'),
    (encoded('.png', RGB)[:-40], 'is cut off'),
    (b'\xff\xd8\xff\xd9', 'is cut off'),
    (encoded('.bmp', RGB)[:60], 'is not an image'),
    (encoded('.png', RGB)[:33] + b'????' + encoded('.png', RGB)[37:], 'is damaged'),
])
def test_refusals(data, message):
    with pytest.raises(ConvertError, match=message):
        photo_to_rgb(data)


@pytest.mark.parametrize('ending', ['.jpg', '.png', '.bmp'])
def test_too_many_pixels(ending):
    photo_to_rgb(encoded(ending, RGB), max_pixels=1200)
    with pytest.raises(ConvertError, match='has 40x30 pixels, more than the 1199 of image.max_p'):
        photo_to_rgb(encoded(ending, RGB), max_pixels=1199)
