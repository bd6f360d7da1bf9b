# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Photos and videos are found in files and folders, in order, with names of their own."""

from pathlib import Path

from bags import scene, write_video
import cv2
import pytest

from vl4ad_ros.evaluation.picture_source import find_sources


def test_a_folder_is_in_natural_order(tmp_path):
    names = ['a2.jpg', 'a10.JPG', 'A3.png', 'clip.MOV', '7.png', '08.png']
    for name in (*names, 'notes.txt', '.a1.jpg'):
        (tmp_path / name).touch()
    (tmp_path / 'sub.png').mkdir()
    sources, errors = find_sources([tmp_path])
    assert [s.path.name for s in sources] == [
        '7.png', '08.png', 'a2.jpg', 'A3.png', 'a10.JPG', 'clip.MOV']
    assert [s.video for s in sources] == [False] * 5 + [True] and not errors


def test_files_are_taken_in_the_order_given(tmp_path):
    given = [tmp_path / 'b.png', tmp_path / 'a.png']
    assert [s.path for s in find_sources(given)[0]] == given


def test_a_folder_without_pictures_is_an_error(tmp_path):
    (tmp_path / 'metadata.yaml').touch()
    sources, errors = find_sources([tmp_path])
    assert not sources and 'vl4ad replay' in str(errors[0])


def test_stems_differ():
    paths = [Path(name) for name in (
        'a/x.png', 'b/x.png', 'b/X.jpg', 'x-2.png', 'x.mp4', 'y' * 240 + '1.png',
        'y' * 240 + '2.png')]
    stems = [s.stem for s in find_sources(paths)[0]]
    assert len({stem.lower() for stem in stems}) == len(paths)
    assert stems[0] == 'x' and max(map(len, stems)) < 200


@pytest.mark.parametrize('name, video', [('clip', True), ('clip.bin', True), ('text.txt', False),
                                         ('picture.bin', False)])
def test_other_endings_are_told_by_content(tmp_path, name, video):
    path = tmp_path / name
    if video:
        write_video(tmp_path / 'clip.mp4', 4).rename(path)
    elif name == 'text.txt':
        path.write_text('FFmpeg would draw this text as a film.\n' * 50)
    else:
        path.write_bytes(cv2.imencode('.png', scene(0)[0])[1].tobytes())
    source, = find_sources([path])[0]
    assert source.video == video
