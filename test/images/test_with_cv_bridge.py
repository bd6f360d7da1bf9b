# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""cv_bridge is used where it works, and its failures never reach this process."""

from __future__ import annotations

from pathlib import Path
import sys
import textwrap
from types import SimpleNamespace

import numpy as np
import pytest
from vl4ad_ros.images import ConvertError, image_to_rgb, with_cv_bridge
from vl4ad_ros.images.with_cv_bridge import BRIDGED, cv_bridge_problem, image_to_rgb_with_cv_bridge

GOOD = """
    codes = {'rgb8': None, 'bgr8': cv2.COLOR_BGR2RGB, 'rgba8': cv2.COLOR_RGBA2RGB,
             'bgra8': cv2.COLOR_BGRA2RGB, 'mono8': cv2.COLOR_GRAY2RGB}
    channels = {'mono8': 1, 'rgba8': 4, 'bgra8': 4}.get(message.encoding, 3)
    # Like cv_bridge, this shifts the pixels of rows whose padding is no whole pixel.
    array = np.ndarray((message.height, message.step // channels, channels), np.uint8,
                       buffer=message.data)
    array = np.ascontiguousarray(array[:, :message.width])
    code = codes[message.encoding]
    return array if code is None else cv2.cvtColor(array, code)
"""


@pytest.fixture(autouse=True)
def forget():
    """Let each test, and the tests of other files, ask anew."""
    def clear():
        cv_bridge_problem.cache_clear()
        sys.modules.pop('cv_bridge', None)
    clear()
    yield
    clear()


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Return a function that installs a cv_bridge whose conversion has the given body."""
    def write(body: str) -> Path:
        folder = tmp_path / 'cv_bridge'
        folder.mkdir()
        (folder / '__init__.py').write_text(
            'import os, signal, time\nimport cv2\nimport numpy as np\n'
            f'open({str(tmp_path / "imports")!r}, "a").write(f"{{os.getpid()}} ")\n'
            'def convert(message, desired):\n'
            "    assert desired == 'rgb8'\n"
            f'{textwrap.indent(textwrap.dedent(body), "    ")}\n'
            'class CvBridge:\n    imgmsg_to_cv2 = staticmethod(convert)\n')
        monkeypatch.syspath_prepend(tmp_path)
        return tmp_path / 'imports'
    return write


def message(encoding: str, padding: int = 0, **fields) -> SimpleNamespace:
    width, height = 10, 6
    step = {'mono8': 1, 'rgba8': 4, 'bgra8': 4}.get(encoding, 3) * width + padding
    data = np.random.default_rng(1).integers(0, 255, height * step, np.uint8)
    return SimpleNamespace(**{
        'encoding': encoding, 'width': width, 'height': height, 'step': step, 'is_bigendian': 0,
        'data': data.tobytes(), **fields})


def test_one_that_works_is_used(install):
    install(GOOD)
    assert cv_bridge_problem() == ''
    for encoding in BRIDGED:
        sent = message(encoding)
        assert np.array_equal(image_to_rgb_with_cv_bridge(sent), image_to_rgb(sent))
    assert 'cv_bridge' in sys.modules


@pytest.mark.parametrize('body, reason', [
    ('os.kill(os.getpid(), signal.SIGSEGV)', 'its test was ended by SIGSEGV'),
    ('return np.zeros((message.height, message.width, 3), np.uint8)', 'rgb8 has wrong pixels'),
    ('return np.zeros((message.height, message.width, 3))', 'rgb8 has wrong pixels'),
    (GOOD.replace('cv2.COLOR_BGRA2RGB', 'cv2.COLOR_RGBA2RGB'), 'bgra8 has wrong pixels'),
    ('raise RuntimeError("module compiled against NumPy 1")', 'compiled against NumPy 1'),
    ('os._exit(3)', 'its test failed'),
])
def test_one_that_does_not_work_is_named_and_not_loaded_here(body, reason, install):
    install(body)
    assert reason in cv_bridge_problem()
    assert 'cv_bridge' not in sys.modules


def test_one_that_hangs_is_ended(install, monkeypatch):
    monkeypatch.setattr(with_cv_bridge, '_TIMEOUT_S', 3.0)
    imports = install('time.sleep(60)')
    assert cv_bridge_problem() == 'its test did not end within 3 s'
    child, = imports.read_text().split()
    assert not Path(f'/proc/{child}').exists()


def test_it_is_tried_once_in_a_process(install):
    imports = install(GOOD)
    assert cv_bridge_problem() == cv_bridge_problem() == ''
    assert len(imports.read_text().split()) == 1


def test_without_one_no_process_is_started(monkeypatch):
    if with_cv_bridge.importlib.util.find_spec('cv_bridge') is not None:
        pytest.skip('cv_bridge is installed')
    monkeypatch.setattr(with_cv_bridge.subprocess, 'run', None)
    assert cv_bridge_problem() == 'it is not installed'


@pytest.mark.parametrize('padding', [0, 2, 12])
@pytest.mark.parametrize('big_endian', [0, 1])
@pytest.mark.parametrize('encoding', BRIDGED)
def test_padding_and_byte_order_make_no_difference(encoding, big_endian, padding, install):
    install(GOOD)
    sent = message(encoding, padding, is_bigendian=big_endian)
    assert np.array_equal(image_to_rgb_with_cv_bridge(sent), image_to_rgb(sent))


@pytest.mark.parametrize('sent, reason', [
    (message('rgb8', step=10), 'has step 10, but its rows need 30 bytes'),
    (message('bgr8', data=b'123'), '3 bytes of data, expected 180'),
    (message('mono8', width=0), 'has no pixels'),
    (message('jpg'), "encoding 'jpg' is not supported"),
])
def test_the_same_images_are_refused(sent, reason, install):
    install('raise AssertionError("cv_bridge was asked")')
    with pytest.raises(ConvertError, match=reason):
        image_to_rgb_with_cv_bridge(sent)


def test_the_same_size_is_refused_and_other_encodings_are_converted_here(install):
    install('raise RuntimeError("cv_bridge was asked")')
    with pytest.raises(ConvertError, match='10x6 pixels, more than the 59'):
        image_to_rgb_with_cv_bridge(message('rgb8'), max_pixels=59)
    assert image_to_rgb_with_cv_bridge(message('8UC3')).shape == (6, 10, 3)
    with pytest.raises(ConvertError, match='cv_bridge cannot convert it: cv_bridge was asked'):
        image_to_rgb_with_cv_bridge(message('rgb8'))


@pytest.mark.parametrize('padding', [0, 2, 12])
@pytest.mark.parametrize('encoding', BRIDGED)
def test_agrees_with_the_real_cv_bridge(encoding, padding):
    pytest.importorskip('cv_bridge', reason='cv_bridge comes only with a ROS installation')
    problem = cv_bridge_problem()
    if problem:
        pytest.skip(f'cv_bridge cannot be used here: {problem}')
    sent = message(encoding, padding)
    assert np.array_equal(image_to_rgb_with_cv_bridge(sent), image_to_rgb(sent))
