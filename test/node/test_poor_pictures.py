# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Diagnostics warn when pictures or scores are such that results mean little."""

from __future__ import annotations

from collections.abc import Callable
import itertools
from typing import Any

from harness import Bench, scene
import numpy as np
import pytest

OK, WARN = b'\x00', b'\x01'


@pytest.fixture(scope='module')
def poor_bench(ros, mock_bundle):
    """Yield a configured node for which no result is too old."""
    with Bench(ros, {'model.bundle': str(mock_bundle), 'health.warn_age_s': 10.0},
               name='poor') as bench:
        assert bench.change('configure')
        yield bench


@pytest.fixture
def send(poor_bench):
    """Activate the node; yield a function that sends pictures until a status is as wanted."""
    assert poor_bench.change('activate')
    poor_bench.wait_for_match()

    def send(picture: Callable[[], np.ndarray], wanted: Callable[[Any], bool]) -> Any:
        poor_bench.received['diagnostics'].clear()

        def found() -> Any:
            poor_bench.ask(picture())
            return next((s for m in poor_bench.received['diagnostics'] for s in m.status
                         if s.name == 'poor: image' and wanted(s)), None)
        return poor_bench.until(found, 'such a status')
    yield send
    assert poor_bench.change('deactivate')


def moving(side: int = 30) -> Callable[[], np.ndarray]:
    """Return a function that returns a scene with another noise each time."""
    rng = np.random.default_rng(0)
    return lambda: scene(side=side) + rng.integers(
        0, 3, (120, 200, 3)).astype(np.uint8)


def values(status) -> dict[str, str]:
    return {v.key: v.value for v in status.values}


def test_a_covered_camera_is_too_dark_until_it_is_uncovered(send):
    status = send(lambda: np.full((120, 200, 3), 4, np.uint8), lambda s: s.level == WARN)
    assert 'too dark: its mean brightness is 4 of 255' in status.message
    assert values(status)['picture brightness'] == '4'
    assert values(status)['picture nearly black (%)'] == '100'
    send(moving(), lambda s: s.level == OK and int(values(s)['picture brightness']) > 100)


def test_a_camera_that_repeats_a_picture_is_frozen(send):
    status = send(moving(), lambda s: s.level == OK)
    assert values(status)['picture unchanged (s)'] == '0.0'
    status = send(scene, lambda s: s.level == WARN)
    seconds = values(status)['picture unchanged (s)']
    assert float(seconds) > 2
    assert f'the picture has not changed for {seconds} s, though' in status.message
    assert 'the camera is frozen' in status.message
    send(moving(), lambda s: s.level == OK)


def test_too_much_of_the_picture_is_anomalous(send):
    status = send(moving(side=100), lambda s: s.level == WARN)
    share = float(values(status)['anomalous share p50 (%)'])
    # Of the 100 x 100 pixels, 80 x 100 lie in the image of 120 x 200.
    assert share == pytest.approx(33, abs=2)
    assert f'{share:.0f}% of the picture is above the threshold, more than ' in status.message


def test_scores_that_are_the_same_everywhere(send):
    """To the mock network, two greys are one colour."""
    places = itertools.cycle(range(0, 160, 4))
    status = send(lambda: scene(thing=(145, 145, 145), at=(next(places), 60)),
                  lambda s: s.level == WARN)
    assert 'the uncertainty is the same everywhere in the picture' in status.message
    assert values(status)['uncertainty spread'] == '0.000'
