# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""From predictions to alerts: when they are known, when tracking begins anew, what names them."""

from __future__ import annotations

from dataclasses import replace
import math
import time

import numpy as np
from predictions import predict
import pytest
from vl4ad_ros.obstacles.camera_model import CameraModel
from vl4ad_ros.obstacles.ground_view import CameraPose, GroundView
from vl4ad_ros.obstacles.motion import Motion
from vl4ad_ros.obstacles.pipeline import Limits, Pipeline, Result
from vl4ad_ros.obstacles.regions import RegionLimits
from vl4ad_ros.obstacles.scene_time import TimeLimits
from vl4ad_ros.obstacles.sizes import SizeLimits
from vl4ad_ros.obstacles.tracks import TrackLimits

BOX, OTHER = (60, 40, 20, 12), (100, 60, 12, 12)


VIEW = GroundView(CameraModel((96, 160), (150.0, 150.0), (79.5, 30.0)), CameraPose.of_angles(1.4))


def play(*frames, period_s=0.1, stamps_s=None, limits=Limits(), pipeline=None, view=None,
         speed_mps=None) -> list[Result]:
    """Return the results of frames, each a tuple of boxes or a prediction."""
    pipeline = pipeline or Pipeline()
    stamps_s = stamps_s or [10 + period_s * i for i in range(len(frames))]
    return [pipeline.process(predict(*f) if isinstance(f, tuple) else f, round(1e9 * stamp),
                             round(1e9 * (1000 + i)), limits, view,
                             speed_mps and Motion(round(1e9 * stamp), speed_mps))
            for i, (f, stamp) in enumerate(zip(frames, stamps_s))]


def ids(results: list[Result]) -> list:
    """Return the alert ids of each frame as text; None where nothing is known."""
    return [r.alerts if r.alerts is None else ' '.join(a.id for a in r.alerts) for r in results]


@pytest.mark.parametrize('period_s', [0.01, 0.1, 1.0, 1.2, 2.9])
def test_slow_cameras_and_slow_machines_alert_as_fast_ones_do(period_s):
    """Inference of 1.2 s a frame must not keep an obstacle from being an alert."""
    assert ids(play(*[(BOX,)] * 10, period_s=period_s)) == [None] * 4 + ['1'] * 6


def test_nothing_is_known_until_the_window_is_full():
    results = play(*[()] * 6)
    assert ids(results) == [None] * 4 + [''] * 2
    assert results[1].unknown == 'warming up: 2 of 5 frames since the start'
    assert results[4].unknown == '' and results[4].alerts == ()
    wide = Limits(tracks=TrackLimits(3, 10, 5))
    assert ids(play(*[()] * 11, limits=wide)) == [None] * 9 + [''] * 2


def test_a_window_that_is_widened_is_not_full_any_more():
    pipeline = Pipeline()
    assert ids(play(*[()] * 6, pipeline=pipeline))[-1] == ''
    wide = Limits(tracks=TrackLimits(3, 9, 5))
    assert ids(play(*[()] * 4, stamps_s=[11, 11.1, 11.2, 11.3], limits=wide,
                    pipeline=pipeline)) == [None, None, '', '']


def test_reordered_frames_are_left_out_and_do_not_keep_alerts_away():
    """Two reordered frames a second used to mean that there was no alert ever."""
    stamps = [10 + 0.1 * i for i in range(30)]
    for i in range(5, 30, 5):
        stamps[i], stamps[i - 1] = stamps[i - 1], stamps[i]
    results = play(*[(BOX,)] * 30, stamps_s=stamps)
    late = [i for i, r in enumerate(results) if r.moment.step == 'late']
    assert late == [5, 10, 15, 20, 25]
    assert all(results[i].alerts is None and results[i].detections for i in late)
    assert 'came 0.10 s late and is left out' in results[5].unknown
    assert {text for text in ids(results)[6:] if text is not None} == {'1'}
    assert not any(r.reset for r in results)


def test_a_late_frame_neither_counts_as_hit_nor_as_miss():
    frames, stamps = [(BOX,)] * 5 + [()] * 8, [10 + 0.1 * i for i in range(13)]
    stamps[5:12] = [10.35] * 7  # seven late frames without the obstacle
    assert ids(play(*frames, stamps_s=stamps)) == [None] * 4 + ['1'] + [None] * 7 + ['1']


@pytest.mark.parametrize('stamp, reason', [
    (9.0, 'the stamps went back by 1.50 s, which is 0.5 s or more'),
    (13.6, 'there was no frame for 3.10 s by the stamps, which is more than 3.0 s'),
    (3610.5, 'no frame for 3600.00 s by the stamps')])
def test_jumps_begin_anew_and_say_why(stamp, reason):
    stamps = [10 + 0.1 * i for i in range(6)] + [stamp + 0.1 * i for i in range(6)]
    results = play(*[(BOX,)] * 12, stamps_s=stamps)
    assert ids(results) == [None] * 4 + ['1', '1'] + [None] * 4 + ['2', '2']
    assert [bool(r.reset) for r in results] == [i == 6 for i in range(12)]
    assert reason in results[6].reset
    assert results[6].unknown == f'warming up: 1 of 5 frames since a reset ({results[6].reset})'


def test_another_image_size_begins_anew():
    frames = [predict(BOX)] * 5 + [predict(BOX, size=(100, 200))] * 5
    results = play(*frames)
    assert ids(results) == [None] * 4 + ['1'] + [None] * 4 + ['2']
    assert results[5].reset == 'the image size changed from 160x96 to 200x100'


@pytest.mark.parametrize('stamps', [[0.0] * 8, [5.0] * 8, [-3.0] * 8])
def test_receipt_stands_in_for_stamps_that_cannot_be_used(stamps):
    pipeline, limits = Pipeline(), Limits()
    results = [pipeline.process(predict(BOX), round(1e9 * stamp), 10 ** 8 * i, limits)
               for i, stamp in enumerate(stamps)]
    assert ids(results) == [None] * 4 + ['1'] * 4
    gap = pipeline.process(predict(BOX), round(1e9 * stamps[0]), 5 * 10 ** 9, limits)
    assert gap.moment.step == 'gap' and gap.alerts is None


def test_missed_obstacle_keeps_its_region_and_name_until_it_is_released():
    cow = predict(BOX, mass={'cow': (1.0, 0.6)})
    dog_there = predict(OTHER, mass={'dog': (1.0, 0.9)})
    results = play(*[cow] * 5, *[dog_there] * 5)
    assert [a.caption for a in results[4].alerts] == ['cow 0.60']
    assert all(results[i].alerts[0] == results[4].alerts[0] for i in range(5, 9))
    assert [a.name for a in results[9].alerts] == ['dog']


@pytest.mark.parametrize('mass, named', [
    ({'cow': (1.0, 0.94)}, ('cow', 0.94)),
    ({'cow': (1.0, 0.29)}, ('', 0.0)),                        # below the floor
    ({'cow': (0.8, 0.05), 'box': (0.2, 0.9)}, ('', 0.0)),     # 0.04 and 0.18
    ({'cow': (0.6, 0.5), 'box': (0.4, 0.9)}, ('box', 0.36)),  # 0.30 and 0.36
    ({'cow': (1.0, 1.7)}, ('cow', 1.0)),                      # of several queries
    (None, ('', 0.0)),                                        # a bundle of format 2.0
])
def test_a_name_comes_with_its_own_mass(mass, named):
    detection, = play(predict(BOX, mass=mass, score=0.8))[0].detections
    assert (detection.name, pytest.approx(detection.mass, abs=1e-6)) == named
    assert detection.region.score == pytest.approx(0.8, abs=0.15)
    assert detection.caption.startswith(named[0] or 'anomaly')
    floor = play(predict(BOX, mass=mass), limits=Limits(name_floor=0.0))[0].detections[0]
    assert bool(floor.name) == (mass is not None)


def test_only_the_largest_regions_count_and_the_rest_is_counted():
    boxes = [(8 * i, 8 * j, 4, 4) for i in range(1, 19) for j in range(1, 11)]
    limits = Limits(RegionLimits(threshold=0.6, min_area=0.0, max_count=7))
    results = play(*[(*boxes, (0, 0, 8, 8))] * 6, limits=limits)
    assert len(results[5].detections) == len(results[5].alerts) == 7
    assert results[5].detections[0].region.box[:2] == (0, 0)
    assert results[5].left_over == len(boxes) + 1 - 7


def test_noise_in_every_pixel_does_not_hold_the_node_up():
    """2,600 regions took 3.4 s a frame, nearly all of it in tracking."""
    size = (384, 640)
    score = np.random.default_rng(0).random((96, 160)).astype(np.float32)
    noise = predict(size=size)
    noise.uncertainty[:] = score - 1
    limits = Limits(RegionLimits(threshold=0.75, min_area=0.0))
    pipeline, took = Pipeline(), []
    for i in range(8):
        noise.uncertainty[:] = np.roll(noise.uncertainty, 1, 1)
        frame = predict(size=size)
        frame.uncertainty[:] = noise.uncertainty
        frame.score
        began = time.perf_counter()
        result = pipeline.process(frame, 10 ** 9 + 10 ** 8 * i, 0, limits)
        took.append(time.perf_counter() - began)
    assert len(result.detections) == 100 and result.left_over > 1000
    assert sorted(took)[len(took) // 2] < 0.2


@pytest.mark.parametrize('view', [None, VIEW], ids=['image', 'ground'])
def test_same_frames_and_stamps_give_the_same_results(view):
    rng = np.random.default_rng(5)
    frames = [tuple((int(x), int(y), 12, 12) for x, y in zip(
        rng.integers(0, 36, 4) * 4, rng.integers(0, 20, 4) * 4)) for _ in range(40)]
    stamps = [10 + 0.1 * i + float(rng.normal(0, 0.1)) for i in range(40)]
    stamps[20:] = [s + 9 for s in stamps[20:]]
    first, second = (play(*frames, stamps_s=stamps, view=view, speed_mps=3.0) for _ in range(2))
    assert first == second and any(r.alerts for r in first)
    assert {r.moment.step for r in first} >= {'next', 'late', 'gap'}


def test_an_obstacle_may_move_by_a_tenth_of_the_diagonal():
    limits = Limits(tracks=TrackLimits(1, 1, 1))
    results = play(*[((x, 20, 40, 40),) for x in (0, 60, 72)], limits=limits)
    assert ids(results) == ['1', '2', '2']


@pytest.mark.parametrize('rate_hz', [10.0, 5.0])
@pytest.mark.parametrize('seen_share', [1.0, 0.7])
def test_obstacle_on_the_road_keeps_one_id_while_the_car_approaches(rate_hz, seen_share):
    # A 0.4 x 0.3 m box, a camera 1.5 m above the road with f = 500 px, 12 m/s.
    rng = np.random.default_rng(3)
    frames, size = [], (360, 640)
    for distance in np.arange(40.0, 4.0, -12.0 / rate_hz):
        frame = predict(size=size)
        if rng.random() < seen_share:
            foot, side = 120 + 500 * 1.5 / distance, 500 / distance
            x, top = 320 + 0.8 * side, foot - 0.3 * side
            score = frame.score.copy()
            score[round(top):round(foot), round(x):round(x + 0.4 * side)] = 0.9
            frame.__dict__['score'] = score
        frames.append(frame)
    results = play(*frames, period_s=1 / rate_hz, limits=Limits(RegionLimits(min_area=0.00005)))
    assert {a.id for r in results for a in r.alerts or ()} == {'1'}


@pytest.mark.parametrize('make, reason', [
    (lambda: Limits(name_floor=1.1), 'name_floor must be from 0 to 1, not 1.1'),
    (lambda: RegionLimits(max_count=0), 'max_count must be from 1 to 10000, not 0')])
def test_limits_out_of_range_are_refused(make, reason):
    with pytest.raises(ValueError, match=reason):
        make()


def test_limits_may_change_from_frame_to_frame():
    pipeline = Pipeline()
    strict = Limits(time=TimeLimits(late_s=0.0, max_gap_s=0.2))
    assert ids(play(*[(BOX,)] * 5, pipeline=pipeline))[-1] == '1'
    assert play((BOX,), stamps_s=[10.7], limits=strict, pipeline=pipeline)[0].reset


def placed(*frames, limits=Limits(), view=VIEW) -> list[Result]:
    """Return the results of frames with a view of the ground."""
    pipeline = Pipeline()
    return [pipeline.process(predict(*frame), 10 ** 9 + 10 ** 8 * i, 0, limits, view)
            for i, frame in enumerate(frames)]


def test_a_view_adds_places_and_changes_nothing_else():
    frames = [(BOX, OTHER), (BOX,), (BOX, OTHER), (), (BOX,), (BOX, OTHER)]
    with_view = placed(*frames)
    assert [replace(r, view=None, detections=(), alerts=()) for r in with_view] == [
        replace(r, detections=(), alerts=()) for r in placed(*frames, view=None)]
    for kind in ('detections', 'alerts'):
        for with_place, without in zip(with_view, placed(*frames, view=None)):
            found = getattr(with_place, kind)
            assert found is None or tuple(
                replace(one, place=None, severity=None) for one in found) == getattr(without, kind)
    alert, = with_view[-1].alerts[:1]
    assert alert.place == VIEW.place(alert.region) and alert.place.x_m > 5


def test_a_missed_obstacle_stands_where_it_is_expected():
    """The vehicle stands while it sees the obstacle, and then drives towards it."""
    pipeline, alerts = Pipeline(), []
    for i in range(8):
        boxes, speed = ((BOX,), 0.0) if i < 5 else ((), 4.0)
        motion = Motion(10 ** 9 + 10 ** 8 * i, speed, x_m=0.4 * max(i - 4.5, 0))
        results = pipeline.process(predict(*boxes), motion.stamp_ns, 0, Limits(), VIEW, motion)
        alerts.append((results.alerts or (None,))[0])
    seen, *missed = alerts[4:]
    assert all(replace(a, place=None, severity=None) == replace(
        seen, place=None, severity=None) for a in missed)
    distances = [seen.place.x_m - alert.place.x_m for alert in missed]
    assert distances == pytest.approx([0.2, 0.6, 1.0], abs=0.02)
    spreads = [alert.place.covariance[0] for alert in alerts[4:]]
    assert spreads == sorted(set(spreads))
    assert missed[0].place.width_m == seen.place.width_m
    assert seen.severity.collision_s == math.inf
    assert missed[2].severity.collision_s == pytest.approx(
        (missed[2].place.distance_m - 2) / 4, rel=0.01)
    unknown, = pipeline.process(predict(), 10 ** 9 + 8 * 10 ** 8, 0, Limits()).alerts
    assert (unknown.place, unknown.severity, unknown.region) == (None, None, seen.region)


def test_obstacles_are_unknown_when_no_alert_has_a_place():
    high, low = (60, 4, 20, 12), (60, 44, 20, 12)
    assert [r.obstacles for r in placed(*[()] * 5)] == [None] * 4 + [()]
    assert placed(*[()] * 5, view=None)[-1].obstacles is None
    in_the_air = placed(*[(high,)] * 5)[-1]
    assert len(in_the_air.alerts) == 1 and in_the_air.obstacles is None
    both = placed(*[(high, low)] * 5)[-1]
    assert len(both.alerts) == 2 and [o.region.box[1] for o in both.obstacles] == [
        pytest.approx(44, abs=4)]


def test_sizes_are_limited_where_they_are_known():
    """The first box is 1.3 m wide, the second 0.6 m; the third is cut off, so may be larger."""
    boxes = ((60, 40, 20, 12), (100, 40, 8, 8), (60, 84, 8, 12))
    every = placed(boxes)[0].detections
    assert len(every) == 3
    least = Limits(sizes=SizeLimits(min_size_m=1.0))
    kept = placed(boxes, limits=least)[0].detections
    assert [one.place.cut_off for one in kept] == [(), ('bottom',)]
    assert len(placed(boxes, limits=least, view=None)[0].detections) == 3
    most = placed(boxes, limits=Limits(sizes=SizeLimits(max_size_m=1.0)))[0].detections
    assert max(one.place.width_m for one in most) < 1.0 and len(most) == 2
    with pytest.raises(ValueError, match='must not exceed max_size_m'):
        SizeLimits(2.0, 1.0)
    with pytest.raises(ValueError, match='min_area_bottom must be from 0 to 1, not 2'):
        SizeLimits(min_area_bottom=2)


def test_areas_are_limited_by_row_where_sizes_are_not_known():
    """Boxes of the same size from the middle row down; the last one touches the border."""
    boxes = ((40, 32, 8, 12), (80, 60, 8, 12), (20, 76, 8, 12), (100, 84, 8, 12))
    limits = Limits(sizes=SizeLimits(min_area_bottom=0.02))
    assert len(play(boxes)[0].detections) == 4
    kept = play(boxes, limits=limits)[0].detections
    assert sorted(one.region.box[0] // 20 for one in kept) == [2, 4, 5]  # all but the third
    assert len(play(boxes, limits=limits, view=VIEW)[0].detections) == 4
