# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The filter of one obstacle on the ground, and which obstacles get which places."""

import math

import numpy as np
import pytest
from vl4ad_ros.obstacles.ground_tracks import (
    ACCELERATION_SIGMA, begin, GATE, GroundMatcher, predict, SPEED_SIGMA)
from vl4ad_ros.obstacles.ground_view import Placement
from vl4ad_ros.obstacles.motion import Shift

STILL = Shift()


def place(x, y, sigma_x=0.5, sigma_y=0.5):
    return Placement(x, y, (sigma_x ** 2, 0.0, sigma_y ** 2), math.atan2(y, x), 0.5, 0.5)


def settled(*places, frames=10):
    """Return the states of obstacles that were seen in the same places, before the next frame."""
    states = [begin(one, True) for one in places]
    for _ in range(frames):
        states = GroundMatcher().match(predict(states, 0.1, STILL), places, 0.1).states
    return predict(states, 0.1, STILL)


def test_errors_are_as_large_as_the_covariance_says():
    """80 obstacles that move as the filter expects, seen from a vehicle that drives a curve."""
    rng, matcher = np.random.default_rng(1), GroundMatcher()
    shift, errors = Shift(0.8, 0.02, 0.05), []
    cos, sin = math.cos(0.05), math.sin(0.05)
    turn = np.array([[cos, sin], [-sin, cos]])
    for _ in range(80):
        where, speed = rng.uniform((15, -5), (25, 5)), rng.normal(0, SPEED_SIGMA[True], 2)
        state = None
        for frame in range(15):
            if frame:
                pushed = rng.normal(0, ACCELERATION_SIGMA[True], 2)
                where = turn @ (where + 0.1 * speed + 0.005 * pushed - (0.8, 0.02))
                speed = turn @ (speed + 0.1 * pushed)
                state, = predict([state], 0.1, shift)
            if frame in (5, 6, 12):
                continue  # not seen
            seen = place(*(where + rng.normal(0, (0.6, 0.2))), 0.6, 0.2)
            state = begin(seen, True) if state is None else matcher.match(
                [state], [seen], 0.1).states[0]
        error = state.mean - (*where, *speed)
        errors.append(error @ np.linalg.solve(state.covariance, error))
    assert 3.0 < np.mean(errors) < 5.0  # chi-square with four degrees has the mean 4


def test_an_obstacle_that_is_not_seen_goes_on_and_becomes_less_sure():
    states, spreads = [begin(place(20, 0, 0.2, 0.2), True)], []
    for frame in range(1, 11):
        states = GroundMatcher().match(
            predict(states, 0.1, STILL), [place(20, 0.2 * frame, 0.2, 0.2)], 0.1).states
    for _ in range(5):
        states = predict(states, 0.1, Shift(1.0, 0.0, 0.0))
        expected = states[0].place((0.0, 0.0, 1.5))
        spreads.append(expected.covariance[2])
    assert (expected.x_m, expected.y_m) == pytest.approx((15, 3), abs=0.2)
    assert expected.bearing_rad == pytest.approx(math.atan2(3, 15), abs=0.02)
    assert spreads == sorted(spreads) and spreads[0] > 0.2 ** 2 and spreads[-1] > spreads[0] + 0.02


def test_what_was_seen_turns_with_the_vehicle():
    state, = predict([begin(place(10, 0, 2.0, 0.1), True)], 0.0, Shift(0, 0, math.pi / 2))
    expected = state.place((0.0, 0.0, 1.5))
    assert (expected.x_m, expected.y_m) == pytest.approx((0, -10))
    xx, xy, yy = expected.covariance
    assert yy > 50 * xx and abs(xy) < 1e-9


@pytest.mark.parametrize('sigmas, paired', [(2.9, True), (3.2, False)])
def test_the_gate_is_a_number_of_standard_deviations(sigmas, paired):
    state, = settled(place(20, 0, 1.2, 0.3))
    spread = np.diag(state.covariance)[:2] + (1.2 ** 2 + 0.01, 0.3 ** 2 + 0.01)
    for direction in np.eye(2):
        x, y = state.mean[:2] + sigmas * np.sqrt(spread) * direction
        assert bool(GroundMatcher().match([state], [place(x, y, 1.2, 0.3)], 0.0).matches) == paired
    assert 2.9 < math.sqrt(GATE) < 3.2


def test_no_obstacle_jumps_far_however_unsure_its_place_is():
    states = settled(place(35, 0, 9, 9))
    near, far = (GroundMatcher().match(states, [place(35 + x, 0, 9, 9)], 0.1) for x in (6, 7))
    assert near.matches == {0: 0} and near.metres[0, 0] == pytest.approx(6)
    assert far.matches == {} and math.isinf(far.metres[0, 0])


def test_all_pairs_are_chosen_together():
    """The first place is nearer to the first obstacle, but only the second one needs it."""
    states = settled(place(20, 0), place(20, 1.6))
    places = [place(20, 0.5), place(20, -0.9)]
    assert GroundMatcher().match(states, places, 0.1).matches == {0: 1, 1: 0}
    assert GroundMatcher().match(states, places[::-1], 0.1).matches == {0: 0, 1: 1}
    assert GroundMatcher().match(states, places[:1], 0.1).matches == {0: 0}


def test_an_obstacle_that_is_known_well_keeps_its_place():
    lost = settled(place(20, 1.0))
    for _ in range(6):
        lost = predict(lost, 0.1, STILL)
    known = settled(place(20, 0.0))
    for states in (lost + known, known + lost):
        matches = GroundMatcher().match(states, [place(20, 0.5)], 0.1).matches
        assert matches == {states.index(known[0]): 0}


def test_unknown_places_are_left_to_the_image():
    states = [None, *settled(place(20, 0))]
    found = GroundMatcher().match(states, [None, place(20, 0.1)], 0.1)
    assert found.matches == {1: 1} and found.states[0] is None
    assert np.isnan(found.metres).tolist() == [[True, True], [True, False]]
    for nothing in (([], [place(20, 0)]), (states, []), ([None], [place(20, 0)])):
        assert GroundMatcher().match(*nothing, 0.1).matches == {}


@pytest.mark.parametrize('period_s', [0.001, 0.033, 3.0])
def test_rounding_errors_do_not_grow_however_long_an_obstacle_is_followed(period_s):
    there = Placement(5.6, 0.56, (0.156, 0.0154, 0.0112), 0.1, 1.1, 1.1)
    states, matcher = [begin(there, False)], GroundMatcher()
    for _ in range(3000):
        pairs = matcher.match(predict(states, period_s, None), [there], period_s)
        states = pairs.states
        assert pairs.matches == {0: 0}
    covariance = states[0].covariance
    assert np.allclose(covariance, covariance.T, rtol=1e-9, atol=1e-12)
    assert (np.linalg.eigvalsh(covariance) > 0).all()
    assert np.allclose(states[0].mean, (5.6, 0.56, 0, 0), atol=1e-6)
