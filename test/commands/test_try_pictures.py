# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""`vl4ad try` on pictures whose answer is known; needs onnxruntime or openvino, no ROS 2."""

from __future__ import annotations

import csv
import os
import signal
import subprocess
import sys

from bags import write_video
import cv2
import numpy as np
import pytest
from vl4ad_ros import cli
from vl4ad_ros.evaluation.picture_source import read_photo
from vl4ad_ros.inference.backend import BackendOptions
from vl4ad_ros.inference.detector import Detector

GREY, RED = (128, 128, 128), (200, 30, 30)
BOX = (60, 40, 24, 20)
"""x, y, width and height of the red square, in pixels."""


def road(size=(96, 160), box=BOX):
    """Return a grey picture, RGB, with a red square, which the mock bundle takes for a cow."""
    rgb = np.full((*size, 3), GREY, np.uint8)
    x, y, width, height = box
    rgb[y:y + height, x:x + width] = RED
    return rgb


def save(path, rgb):
    """Write a picture and return its path."""
    path.parent.mkdir(exist_ok=True)
    assert cv2.imwrite(str(path), cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR))
    return path


def table_of(out):
    """Return the rows of the table as dictionaries."""
    with (out / 'table.csv').open(newline='', encoding='utf-8') as file:
        return list(csv.DictReader(file))


def is_yellow(picture):
    """Return where a BGR picture has the colour of the boxes, with room for the compression."""
    return np.abs(picture.astype(int) - (0, 196, 255)).sum(axis=2) < 90


@pytest.fixture
def attempt(tmp_path, mock_bundle, monkeypatch):
    """Return a function that runs the verb in an empty folder and returns its exit code."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        return cli.main(['try', *map(str, arguments), '--bundle', str(mock_bundle)])
    return run


def test_the_square_is_found_named_and_drawn(attempt, tmp_path, capsys):
    save(tmp_path / 'in' / 'cow.png', road())
    save(tmp_path / 'in' / 'empty.png', road(box=(0, 0, 0, 0)))
    assert attempt('in', '--out', 'out') == 0
    said = capsys.readouterr()
    assert 'Sees colours only: not for driving.' in said.out and said.err == ''
    cow, empty = table_of(tmp_path / 'out')
    assert (cow['picture'], cow['width'], cow['height']) == ('in/cow.png', '160', '96')
    assert (cow['regions'], cow['name'], cow['time_s']) == ('1', 'cow', '')
    assert float(cow['highest_score']) > 0.9 and float(cow['ms']) > 0
    assert (empty['regions'], empty['name']) == ('0', '')
    assert float(empty['highest_score']) < 0.5
    assert [line.split()[0] for line in said.out.splitlines()[:3]] == [
        'picture', 'in/cow.png', 'in/empty.png']
    # The picture is 160 pixels wide and is drawn three times as large, the score beside it.
    drawn = cv2.imread(str(tmp_path / 'out' / cow['overlay']))
    assert drawn.shape[:2] == (3 * 96 + 40, 2 * 3 * 160)
    rows, columns = np.nonzero(is_yellow(drawn[:, :480]))
    x, y, width, height = (3 * value for value in BOX)
    assert abs(rows.max() - (y + height)) <= 16
    assert abs(columns.min() - x) <= 16
    assert not is_yellow(cv2.imread(str(tmp_path / 'out' / empty['overlay']))[:, :480]).any()
    score = drawn[:, 480:].astype(int).sum(axis=2)
    inside = score[y + 15:y + height - 15, x + 15:x + width - 15].mean()
    assert inside > 3 * score[200:280, 300:460].mean()
    assert cv2.imread(str(tmp_path / 'out' / 'contact_sheet.png')).shape[1] == 4 * 474 + 14


def test_scores_are_those_of_the_detector(attempt, tmp_path, mock_bundle):
    save(tmp_path / 'cow.png', road((75, 133)))
    assert attempt('cow.png', '--out', 'out', '--scores') == 0
    stored = cv2.imread(str(tmp_path / 'out' / 'cow.score.png'), cv2.IMREAD_UNCHANGED)
    assert stored.dtype == np.uint16 and stored.shape == (75, 133)
    detector = Detector.open(mock_bundle, options=BackendOptions(threads=2))
    prompts = detector.encode(detector.default_vocabulary)
    score = detector.detect(road((75, 133)), prompts).score
    detector.close()
    assert np.abs(stored / 65535 - score).max() <= 1 / 65535
    assert score.max() - score.min() > 0.4


@pytest.mark.parametrize('entries, regions, name', [
    ([], 1, 'cow'),
    (['--anomaly', ''], 1, 'anomaly'),
    (['--anomaly', 'dog', 'beast: red'], 1, 'beast'),
    (['--known', 'road', 'cow: cow, cows', '--anomaly', ''], 0, ''),
    (['--known', 'cow', '--known', 'road', '--anomaly', ''], 0, ''),
    (['--anomaly', '<animals>'], 1, 'cow'),
])
def test_prompts(attempt, tmp_path, entries, regions, name):
    save(tmp_path / 'cow.png', road())
    assert attempt('cow.png', *entries) == 0
    row, = table_of(tmp_path / 'out' / 'try')
    assert (int(row['regions']), row['name']) == (regions, name)


@pytest.mark.parametrize('entries, message', [
    (['--known', ''], "prompts.known[0] ''"),
    (['--anomaly', '<unheard>'], "no vocabulary 'unheard'"),
    (['--anomaly', 'road'], "'road'"),
])
def test_refused_prompts_make_nothing(attempt, tmp_path, entries, message, capsys):
    save(tmp_path / 'cow.png', road())
    assert attempt('cow.png', *entries) == 1
    said = capsys.readouterr().err
    assert said.startswith('vl4ad: error: ') and message in said and said.count('\n') == 1
    assert not (tmp_path / 'out').exists()


def test_parameters_of_the_node_apply(attempt, tmp_path):
    save(tmp_path / 'cow.png', road())
    file = tmp_path / 'detector.yaml'
    for line, regions in (('region.min_area: 0.5', '0'), ('threshold: 1.0', '0'),
                          ('region.roi: [0.0, 0.9, 1.0, 0.9, 1.0, 1.0]', '0'),
                          ('region.min_area: 0.001', '1')):
        file.write_text(f"/**:\n  ros__parameters:\n    {line}\n    prompts.anomaly: ['']\n")
        assert attempt('cow.png', '--params', file) == 0
        row, = table_of(tmp_path / 'out' / 'try')
        assert row['regions'] == regions, line
        assert row['name'] == ('anomaly' if regions == '1' else '')
    file.write_text('/**:\n  ros__parameters:\n    image.max_pixels: 1000\n')
    assert attempt('cow.png', '--params', file) == 1
    # What the command line says counts more than the file.
    file.write_text("/**:\n  ros__parameters:\n    prompts.anomaly: ['']\n")
    assert attempt('cow.png', '--anomaly', 'cow', '--params', file) == 0
    assert table_of(tmp_path / 'out' / 'try')[0]['name'] == 'cow'


def test_unreadable_files_are_named_and_the_others_are_done(attempt, tmp_path, capsys):
    folder = tmp_path / 'in'
    data = save(folder / 'good.jpg', road((200, 300))).read_bytes()
    (folder / 'cut.jpg').write_bytes(data[:len(data) // 2])
    (folder / 'empty.png').touch()
    (folder / 'text.jpg').write_text('no picture')
    (folder / 'text.mp4').write_text('no video')
    (folder / 'ignored.txt').write_text('not taken from a folder')
    (folder / '._good.jpg').write_text('hidden')
    (tmp_path / 'nothing').mkdir()
    os.mkfifo(tmp_path / 'pipe.png')
    (tmp_path / 'words.txt').write_text('no video either')
    assert attempt('in', 'nothing', 'pipe.png', 'words.txt', 'missing.jpg', '--out', 'out') == 1
    said = capsys.readouterr()
    lines = said.err.splitlines()
    assert lines[0] == 'vl4ad: error: 8 of the inputs could not be read:'
    expected = {'in/cut.jpg': 'is cut off', 'in/empty.png': 'is empty',
                'in/text.jpg': 'is not an image', 'in/text.mp4': 'is not a video',
                'nothing': 'has no photos or videos', 'pipe.png': 'is a named pipe',
                'words.txt': 'is not an image', 'missing.jpg': 'does not exist'}
    for name, reason in expected.items():
        line, = (line for line in lines[1:] if f"'{name}'" in line)
        assert reason in line
    assert len(lines) == 9
    assert [row['picture'] for row in table_of(tmp_path / 'out')] == ['in/good.jpg']
    assert sorted(path.name for path in (tmp_path / 'out').iterdir()) == [
        'contact_sheet.png', 'good.overlay.jpg', 'table.csv']


def test_nothing_readable_leaves_the_older_results(attempt, tmp_path, capsys):
    (tmp_path / 'text.jpg').write_text('no picture')
    assert attempt('text.jpg', '--out', 'new') == 1 and not (tmp_path / 'new').exists()
    assert 'there are no results: 1 of the inputs' in capsys.readouterr().err
    save(tmp_path / 'cow.png', road())
    assert attempt('cow.png', '--out', 'old') == 0
    before = (tmp_path / 'old' / 'table.csv').read_bytes()
    assert attempt('text.jpg', '--out', 'old') == 1
    assert (tmp_path / 'old' / 'table.csv').read_bytes() == before


def test_equal_stems_do_not_overwrite_each_other(attempt, tmp_path):
    for name in ('a/x.png', 'b/x.png', 'b/X.jpg', 'b/x-2.png'):
        save(tmp_path / name, road())
    assert attempt('a', 'b', 'a/x.png', '--out', 'out', '--scores') == 0
    rows = table_of(tmp_path / 'out')
    names = {row['overlay'].lower() for row in rows}
    assert len(rows) == len(names) == 5
    assert all((tmp_path / 'out' / row['overlay']).is_file() for row in rows)
    assert len(list((tmp_path / 'out').glob('*.score.png'))) == 5


def test_names_of_any_kind(attempt, tmp_path):
    name = os.fsdecode(b'\xff' + 'Straße '.encode() + b'x' * 200 + b'.png')
    save(tmp_path / 'cow.png', road()).rename(tmp_path / name)
    save(tmp_path / '%d {0}.png', road())
    assert attempt(name, '%d {0}.png', '--out', 'out', '--scores') == 0
    rows = table_of(tmp_path / 'out')
    assert len(rows) == 2 and '\\udcff' in rows[0]['picture']
    assert all((tmp_path / 'out' / row['overlay']).is_file() for row in rows)


def test_older_results_are_replaced_and_other_files_stay(attempt, tmp_path):
    save(tmp_path / 'one.png', road())
    save(tmp_path / 'two.png', road())
    assert attempt('one.png', '--out', 'out', '--scores') == 0
    (tmp_path / 'out' / 'mine.txt').write_text('stays')
    assert attempt('two.png', '--out', 'out') == 0
    assert sorted(path.name for path in (tmp_path / 'out').iterdir()) == [
        'contact_sheet.png', 'mine.txt', 'table.csv', 'two.overlay.jpg']


@pytest.mark.parametrize('out', ['in', 'in/out', '.'])
def test_an_input_is_never_overwritten(attempt, tmp_path, out, capsys):
    data = save(tmp_path / 'in' / 'contact_sheet.png', road()).read_bytes()
    assert attempt('in', '--out', out) == 1
    assert '--out' in capsys.readouterr().err
    assert (tmp_path / 'in' / 'contact_sheet.png').read_bytes() == data
    assert [path.name for path in (tmp_path / 'in').iterdir()] == ['contact_sheet.png']


def test_the_contact_sheet_shows_at_most_24_pictures(attempt, tmp_path):
    for i in range(25):
        save(tmp_path / 'in' / f'{i}.png', road())
    assert attempt('in', '--out', 'out') == 0
    assert len(table_of(tmp_path / 'out')) == 25
    # Every second one is shown: 13 pictures in rows of two.
    sheet = cv2.imread(str(tmp_path / 'out' / 'contact_sheet.png'))
    assert sheet.shape[:2] == (96 + 7 * (276 + 40), 4 * 474 + 14)


def test_an_output_that_cannot_be_made_is_one_line(attempt, tmp_path, capsys):
    save(tmp_path / 'cow.png', road())
    (tmp_path / 'file').write_text('stays')
    assert attempt('cow.png', '--out', 'file') == 1
    said = capsys.readouterr().err
    assert said.count('\n') == 1 and "'file' cannot be written" in said
    assert (tmp_path / 'file').read_text() == 'stays'


def test_videos(attempt, tmp_path, capsys):
    write_video(tmp_path / 'clip.mp4', 12)
    save(tmp_path / 'clip.png', road())
    assert attempt('clip.mp4', 'clip.png', '--out', 'out', '--scores') == 0
    *frames, photo = table_of(tmp_path / 'out')
    assert [float(row['time_s']) for row in frames] == [i / 10 for i in range(12)]
    assert [row['regions'] for row in frames] == ['0'] * 3 + ['1'] * 9
    assert photo['overlay'] != frames[0]['overlay'] == 'clip.overlay.mp4'
    lines = capsys.readouterr().out.splitlines()
    assert 'clip.mp4 (12 frames)' in lines[1] and '0 to 1' in lines[1] and 'cow' in lines[1]
    video = cv2.VideoCapture(str(tmp_path / 'out' / 'clip.overlay.mp4'))
    assert video.get(cv2.CAP_PROP_FPS) == pytest.approx(10)
    pictures = []
    while (read := video.read())[0]:
        pictures.append(read[1])
    assert len(pictures) == 12 and pictures[0].shape[1] == 1280
    yellow = [is_yellow(picture[:, :640]).sum() for picture in pictures]
    assert max(yellow[:3]) == 0 and min(yellow[3:]) > 100
    scores = sorted((tmp_path / 'out' / 'clip.scores').iterdir())
    assert len(scores) == 12
    highest = [cv2.imread(str(path), cv2.IMREAD_UNCHANGED).max() / 65535 for path in scores]
    assert highest == pytest.approx([float(row['highest_score']) for row in frames], abs=1e-4)
    # Three frames of the video and the photo, two side by side: 460 pixels wide, with captions.
    sheet = cv2.imread(str(tmp_path / 'out' / 'contact_sheet.png'))
    assert sheet.shape[0] == 96 + (460 * 90 // 160 + 1 + 40) + (460 * 96 // 160 + 40)


def test_damaged_frames_of_a_video_are_left_out_and_named(attempt, tmp_path, capsys):
    path = tmp_path / 'clip.avi'
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*'MJPG'), 10, (160, 96))
    for _ in range(9):
        writer.write(cv2.cvtColor(road(), cv2.COLOR_RGB2BGR))
    writer.release()
    data = bytearray(path.read_bytes())
    start = data.find(b'\xff\xd8', len(data) // 2)
    data[start:start + 300] = bytes(300)
    path.write_bytes(data)
    assert attempt('clip.avi', '--out', 'out') == 0
    assert len(table_of(tmp_path / 'out')) == 8
    assert capsys.readouterr().err == (
        "vl4ad: warning: 1 frame of 'clip.avi' could not be decoded and are left out; copy the "
        'video again\n')
    assert cli.main(['bag-from-video', 'clip.avi', '--out', 'bag']) == 0
    said = capsys.readouterr()
    assert 'bag: 8 frames' in said.out and "warning: 1 frame of 'clip.avi'" in said.err


def test_rotated_photos_are_upright(attempt, tmp_path):
    """The Exif data say that the camera was turned by a quarter."""
    upright = road((160, 96), (30, 20, 24, 20))
    data = cv2.imencode('.jpg', cv2.cvtColor(cv2.rotate(
        upright, cv2.ROTATE_90_COUNTERCLOCKWISE), cv2.COLOR_RGB2BGR))[1].tobytes()
    turned = tmp_path / 'turned.jpg'
    turned.write_bytes(with_orientation(data, 6))
    assert np.abs(read_photo(turned).astype(int) - upright).mean() < 3
    assert attempt('turned.jpg', '--scores', '--out', 'out') == 0
    row, = table_of(tmp_path / 'out')
    assert (row['width'], row['height'], row['regions']) == ('96', '160', '1')
    score = cv2.imread(str(tmp_path / 'out' / 'turned.score.png'), cv2.IMREAD_UNCHANGED)
    assert score.shape == (160, 96) and score[30, 42] > 60000 and score[130, 42] < 30000


def with_orientation(jpeg: bytes, orientation: int) -> bytes:
    """Return a JPEG with an Exif segment that has this orientation only."""
    tiff = (b'MM\0*\0\0\0\x08\0\x01' + b'\x01\x12\0\x03\0\0\0\x01'
            + orientation.to_bytes(2, 'big') + b'\0\0' + bytes(4))
    segment = b'Exif\0\0' + tiff
    return jpeg[:2] + b'\xff\xe1' + (len(segment) + 2).to_bytes(2, 'big') + segment + jpeg[2:]


def test_ctrl_c_leaves_nothing(tmp_path, mock_bundle):
    write_video(tmp_path / 'clip.mp4', 2000)
    out = tmp_path / 'out'
    process = subprocess.Popen(
        [sys.executable, '-m', 'vl4ad_ros.cli', 'try', str(tmp_path / 'clip.mp4'), '--bundle',
         str(mock_bundle), '--out', str(out)], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True, preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler))
    overlay = out / '.partial' / 'new' / 'clip.overlay.mp4'
    while process.poll() is None and not overlay.exists():
        pass
    process.send_signal(signal.SIGINT)
    said = process.communicate(timeout=60)
    assert process.returncode == 130, said
    assert said[1] == 'vl4ad: stopped\n' and not out.exists()


def test_neither_ros_nor_rosbags_is_imported(tmp_path, mock_bundle):
    save(tmp_path / 'cow.png', road())
    code = ('import sys; from vl4ad_ros import cli\n'
            'class Refuse:\n'
            '    def find_spec(self, name, path=None, target=None):\n'
            '        if name in ("rclpy", "rosbags"): raise ImportError(name)\n'
            'sys.meta_path.insert(0, Refuse())\n'
            'sys.exit(cli.main(sys.argv[1:]))')
    done = subprocess.run(
        [sys.executable, '-c', code, 'try', str(tmp_path / 'cow.png'), '--bundle',
         str(mock_bundle), '--out', str(tmp_path / 'out')], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / 'out' / 'contact_sheet.png').is_file()
