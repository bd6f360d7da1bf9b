# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Drives are deterministic; anomalies come one after another, grow, and are labelled."""

import numpy as np
import pytest

from vl4ad_workshop.scenes.drive import Drive, GAP_S, SMALLEST_ANOMALY
from vl4ad_workshop.scenes.kinds import KINDS

GROUPS = ('masks', 'words', 'unseen')
RATE = 4.0


@pytest.fixture(scope='module')
def drive():
    return Drive(4, (180, 320), 18.0, RATE, groups=GROUPS, anomalies=3)


@pytest.fixture(scope='module')
def frames(drive):
    return list(drive)


def small(seed, **options):
    return Drive(seed, (48, 80), seconds=12.0, anomalies=2, **options)


def test_same_seed_same_bytes_in_any_order():
    one, two, other = small(1), small(1), small(2)
    for index in (70, 20):
        a, b = one.draw(index), two.draw(index)
        assert a.frame.image.tobytes() == b.frame.image.tobytes()
        assert a.anomaly.tobytes() == b.anomaly.tobytes()
        assert a.frame.image.tobytes() != other.draw(index).frame.image.tobytes()
    assert one.anomalies == two.anomalies != other.anomalies


def test_length_stamps_and_shapes(drive, frames):
    assert len(frames) == len(drive) == 72
    assert [frame.stamp_ns for frame in frames[:3]] == [0, 250_000_000, 500_000_000]
    for frame in frames[::10]:
        assert frame.frame.image.shape == (180, 320, 3)
        assert frame.anomaly.shape == frame.anomaly_ids.shape == (180, 320)
        assert (frame.anomaly.dtype, frame.anomaly_ids.dtype) == (np.uint8, np.uint16)
        assert set(np.unique(frame.anomaly)) <= {0, 1, 255}
        assert ((frame.anomaly == 1) == (frame.anomaly_ids > 0)).all()


def test_camera_matrix_fits_the_size(drive, frames):
    k = frames[0].camera_matrix
    assert k[0, 0] == k[1, 1] > 160 and k[0, 2] == 159.5 and 40 < k[1, 2] < 110
    assert all((frame.camera_matrix == drive.camera_matrix).all() for frame in frames)


def test_every_anomaly_shows_once_for_seconds_and_grows(drive, frames):
    for thing in drive.anomalies:
        areas = np.array([(frame.anomaly_ids == thing.number).sum() for frame in frames])
        shown = np.flatnonzero(areas)
        assert len(shown) >= 2 * RATE, thing
        assert areas[shown].min() >= SMALLEST_ANOMALY
        assert areas.max() > 5 * areas[shown[0]]
        assert thing.first_s - 1e-9 <= shown[0] / RATE
        assert shown[-1] / RATE <= thing.last_s + 0.2


def test_one_anomaly_at_a_time_with_gaps_between(drive, frames):
    times = [set(np.unique(frame.anomaly_ids)) - {0} for frame in frames]
    assert all(len(numbers) <= 1 for numbers in times)
    touched = np.array([frame.anomaly.any() for frame in frames])
    assert not touched[0]
    gaps = np.diff(np.flatnonzero(np.diff(touched.astype(int))))[1::2] / RATE
    long = gaps[gaps > 0.5]  # shorter ones: hidden behind something for a moment
    assert len(long) == len(drive.anomalies) - 1 and (long >= GAP_S).all()


def test_things_that_do_not_belong_are_the_anomalies_and_of_the_groups(drive, frames):
    kinds = {kind for frame in frames for kind in frame.frame.kinds}
    objects = {kind for kind in kinds if KINDS[kind].role == 'object'}
    assert objects == {thing.kind for thing in drive.anomalies}
    assert [thing.group for thing in drive.anomalies] == list(GROUPS)
    assert all(KINDS[thing.kind].group == thing.group for thing in drive.anomalies)


def test_rims_are_uncertain(frames):
    frame = max(frames, key=lambda frame: (frame.anomaly == 1).sum())
    ones, zeros = frame.anomaly == 1, frame.anomaly == 0
    assert ones.any() and not (ones[:, 1:] & zeros[:, :-1]).any()
    assert not (ones[1:] & zeros[:-1]).any()


def test_road_moves_towards_the_camera(drive, frames):
    road = frames[0].frame.kinds.index('road')
    same = (frames[0].frame.segments == road) & (
        frames[1].frame.segments == frames[1].frame.kinds.index('road'))
    change = np.abs(frames[0].frame.image.astype(int) - frames[1].frame.image)[same]
    assert change.mean() > 1


@pytest.mark.parametrize('seed', range(20))
def test_any_seed_can_be_driven(seed):
    drive = Drive(seed, (48, 80), groups=('unseen',))
    assert len({thing.kind for thing in drive.anomalies}) == 4
    assert drive.draw(0).frame.image.std() > 5 and drive.draw(len(drive) - 1).stamp_ns


@pytest.mark.parametrize('options, word', [
    ({'groups': ('known',)}, 'known'), ({'groups': ()}, 'groups'),
    ({'anomalies': 4}, 'anomalies'), ({'anomalies': -1}, 'anomalies'),
    ({'size': (0, 80)}, 'size'), ({'rate_hz': -1.0}, 'Hz')])
def test_wrong_wishes_are_refused(options, word):
    with pytest.raises(ValueError, match=word):
        Drive(0, **{'size': (48, 80), 'seconds': 8.0, 'anomalies': 1, **options})


def test_drive_without_anomalies():
    drive = Drive(3, (48, 80), seconds=2.0, anomalies=0)
    assert not any(frame.anomaly.any() for frame in drive)


@pytest.mark.parametrize('options', [
    {'rate_hz': float('nan')}, {'rate_hz': float('inf')}, {'rate_hz': -1.0}, {'rate_hz': 1e9},
    {'seconds': float('nan')}, {'seconds': float('inf')}, {'seconds': -5.0}, {'seconds': 1e12},
    {'seconds': 0.01}, {'size': (16, 10 ** 9)}, {'size': (10 ** 5, 10 ** 5)}, {'size': (-5, 60)},
    {'size': (15, 60)}, {'seed': -1}])
def test_impossible_drives_are_refused(options):
    with pytest.raises(ValueError, match='expected'):
        Drive(**{'seed': 0, 'size': (48, 80), 'anomalies': 0, **options})


@pytest.mark.parametrize('seconds', [0.1, 1.0])
@pytest.mark.parametrize('seed', [0, 3, 10 ** 30])
def test_short_drives_are_drawn(seconds, seed):
    drive = Drive(seed, (48, 80), seconds, 10.0, anomalies=0)
    assert len(list(drive)) == len(drive) == 10 * seconds
