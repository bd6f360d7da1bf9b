# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The cached drive: drawn once, never half, never stale."""

from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import replace
from threading import Event

import cv2
import numpy as np
import pytest
from vl4ad_ros.settings import Settings
from vl4ad_workshop.demo import sample_drive
from vl4ad_workshop.demo.second_act import SCRIPT
from vl4ad_workshop.scenes.bag import ONE, TWO


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """Return the cache's folder, empty."""
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path))
    return tmp_path / 'vl4ad_ros'


@pytest.fixture
def drawn(monkeypatch):
    """Return the list of drives written by a stand-in for the slow drawing."""
    drives = []

    def write(drive, path, on_frame, views):
        drives.append(drive)
        path.mkdir()
        (path / 'metadata.yaml').write_text(str(drive.seed))
        on_frame(0, None)
    monkeypatch.setattr(sample_drive, 'write_drive', write)
    return drives


def test_drawn_once_for_each_seed(cache, drawn):
    progress = []
    first = sample_drive.sample_drive(1, lambda *done: progress.append(done))
    assert first.parent == cache and progress == [(0, 240), (1, 240)]
    assert sample_drive.sample_drive(1) == first and len(drawn) == 1
    assert sample_drive.sample_drive(2) != first and len(drawn) == 2
    drive = drawn[0]
    assert (drive.split, drive.size, len(drive.anomalies)) == ('test', (360, 640), 4)


def test_other_drawing_code_replaces_the_drive(cache, drawn, monkeypatch):
    first, kept = sample_drive.sample_drive(7), sample_drive.sample_drive(17)
    monkeypatch.setattr(sample_drive, '_digest', lambda: 'other')
    second = sample_drive.sample_drive(7)
    assert second != first and len(drawn) == 3
    assert set(cache.iterdir()) == {second, kept}


def test_interrupted_drawing_leaves_nothing(cache, drawn):
    def interrupt(done, total):
        if done:
            raise KeyboardInterrupt
    with pytest.raises(KeyboardInterrupt):
        sample_drive.sample_drive(on_frame=interrupt)
    assert list(cache.iterdir()) == []
    assert sample_drive.sample_drive().is_dir()


def test_two_at_once_draw_once(cache, drawn):
    entered, go_on = Event(), Event()

    def hold(done, total):
        entered.set()
        assert go_on.wait(10)
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(sample_drive.sample_drive, 7, hold)
        assert entered.wait(10)
        second = pool.submit(sample_drive.sample_drive, 7)
        assert not wait([second], 0.3).done
        go_on.set()
        assert first.result(10) == second.result(10) and len(drawn) == 1
    assert list(cache.iterdir()) == [first.result()]


def test_the_second_scene_is_kept_by_its_script(cache, monkeypatch):
    written = []

    def write(scene, path, on_frame, views):
        written.append(scene)
        path.mkdir()
    monkeypatch.setattr(sample_drive, 'write_drive', write)
    first = sample_drive.second_scene()
    assert sample_drive.second_scene() == first and len(written[0]) == 100
    other = sample_drive.second_scene(replace(SCRIPT, phase_s=1.0))
    assert other != first and first.is_dir() and len(written[1]) == 50


def test_each_camera_has_its_part_of_the_road_ahead():
    values = sample_drive.parameters_of(TWO)
    settings = Settings().changed(values)
    assert settings.cameras == ('left', 'right')
    road = np.float32(sample_drive.ROAD_AHEAD)
    for view in TWO:
        own = settings.of_camera(view.name)
        assert own.alert_confirm_hits == sample_drive.TRACK_LIMITS.confirm_hits
        corners = np.float32(own.region_roi).reshape(-1, 2)
        for x, y in np.random.default_rng(0).random((200, 2)):
            whole = view.left + x * (view.right - view.left), y
            distance = cv2.pointPolygonTest(road, tuple(map(float, whole)), True)
            if abs(distance) > 1e-3:
                assert (cv2.pointPolygonTest(corners, (float(x), float(y)), False) > 0) == (
                    distance > 0)
    assert sample_drive.parameters_of(ONE) == sample_drive.PARAMETERS
