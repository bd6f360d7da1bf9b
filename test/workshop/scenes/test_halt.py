# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The halt before chosen things: what is asked for is in sight and labelled (needs nothing)."""

import numpy as np
from vl4ad_workshop.scenes.halt import Halt

THINGS = (('truck', 12.0, -2.0), ('sofa', 7.0, 2.0))


def test_every_thing_stands_where_it_was_put_with_its_number():
    for seed in range(3):
        frame = Halt(seed, THINGS, 1.0).draw(0)
        columns = [np.nonzero(frame.anomaly_ids == n)[1].mean() for n in (1, 2)]
        assert columns[0] < 320 < columns[1]
        assert set(np.unique(frame.anomaly)) == {0, 1, 255}
        assert np.array_equal(frame.anomaly == 1, frame.anomaly_ids > 0)
        for number, (kind, _, _) in enumerate(THINGS, 1):
            segments = frame.frame.segments[frame.anomaly_ids == number]
            assert {frame.frame.kinds[i] for i in np.unique(segments)} == {kind}


def test_the_same_for_the_same_and_never_still():
    scene, again = Halt(1, THINGS, 2.0, size=(90, 160)), Halt(1, THINGS, 2.0, size=(90, 160))
    assert len(scene) == 20
    assert np.array_equal(scene.draw(7).frame.image, again.draw(7).frame.image)
    assert not np.array_equal(scene.draw(7).frame.image, scene.draw(8).frame.image)
    assert scene.draw(7).stamp_ns == 700_000_000
    other = Halt(1, THINGS, 2.0, size=(90, 160), split='validation')
    assert not np.array_equal(scene.draw(7).frame.image, other.draw(7).frame.image)


def test_the_list_of_things_is_what_a_bag_tells():
    for thing, (kind, s, t) in zip(Halt(0, THINGS, 1.5).anomalies, THINGS):
        assert (thing.kind, thing.s, thing.t, thing.first_s, thing.last_s) == (kind, s, t, 0, 1.5)
    assert [a.group for a in Halt(0, THINGS, 1.5).anomalies] == ['known', 'masks']
