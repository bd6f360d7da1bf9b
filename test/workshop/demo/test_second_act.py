# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The second act's script, its prompts and its verdict, from made-up scores (needs nothing)."""

from dataclasses import replace
import json

import numpy as np
import pytest

from vl4ad_ros.bundle import Bundle
from vl4ad_ros.prompts.vocabulary import Vocabulary
from vl4ad_workshop.demo.second_act import Act, FrameScore, Phase, SCRIPT, Script, settings
from vl4ad_workshop.scenes.kinds import KINDS

BUNDLED = Vocabulary.from_strings(
    ['road', 'vehicle: car, truck, lorry', 'truck stop', 'sky'], ['cow: cow, cows', 'dog'])
# Scores of truck and cow in each phase of a model that listens.
GOOD = ((.1, .9), (.6, .9), (.8, .9), (.1, .2), (.1, .9))


def act(scores=GOOD, script=SCRIPT):
    """Return an act of five frames a phase; a phase whose scores are None has no frame."""
    frames = [FrameScore(2 * i + .4 * k, i, dict(zip(script.kinds, both)),
                         dict(zip(script.kinds, both)))
              for i, both in enumerate(scores) if both for k in range(5)]
    return Act(script, script.prompts(BUNDLED), tuple(frames), (2., 4., 6., 8.),
               (80., None, 90., 70.), 25)


def test_prompts_of_each_phase():
    own, no_word, named, normal, again = SCRIPT.prompts(BUNDLED)
    assert own == again == BUNDLED
    # Other words of a merged class stay, and so does a class that only mentions the word.
    assert no_word.to_strings() == (['road', 'vehicle: car', 'truck stop', 'sky'],
                                    ['cow: cow, cows', 'dog'])
    assert named.known == no_word.known and named.to_strings()[1] == [
        'cow: cow, cows', 'dog', 'truck: truck, trucks, lorry, lorries']
    assert normal.to_strings() == (
        ['road', 'vehicle: car, truck, lorry', 'truck stop', 'sky',
         'cow: cow, cows, cattle, bull'], ['dog'])
    assert [p.edits for p in SCRIPT.phases] == [
        'no change', 'known - truck', 'known - truck, anomaly + truck', 'known + cow',
        'no change']


def test_the_script_suits_the_shipped_bundle():
    bundled = Bundle.open('tiny').vocabulary
    own, no_word, named, normal, _ = SCRIPT.prompts(bundled)
    assert own == bundled
    assert len(no_word.known) == len(named.known) == len(own.known) - 1
    assert len(named.anomaly) == len(own.anomaly) + 1
    assert len(normal.known) == len(own.known) + 1 and len(normal.anomaly) == len(own.anomaly) - 1


def test_every_call_is_taken_one_parameter_after_the_other():
    """As the node takes them: no word may be on both sides even in between."""
    calls = SCRIPT.calls(BUNDLED)
    assert [call.at_s for call in calls] == [2.0, 4.0, 6.0, 8.0]
    assert [list(call.values) for call in calls] == [
        ['prompts.known'], ['prompts.anomaly'], ['prompts.anomaly', 'prompts.known'],
        ['prompts.known', 'prompts.anomaly']]
    assert list(calls[3].values.values()) == [['<bundle>'], ['<bundle>']]
    now = dict(zip(('prompts.known', 'prompts.anomaly'), BUNDLED.to_strings()))
    for call in calls[:3]:
        for name, value in call.values.items():
            now[name] = value
            Vocabulary.from_strings(now['prompts.known'], now['prompts.anomaly'])
    assert settings(BUNDLED, BUNDLED, BUNDLED) == {}


def test_a_model_that_listens():
    seen = act()
    assert not seen.failures
    figures = seen.figures()
    assert figures['prompts_followed'] and figures['frames_lost'] == 0
    assert [p['median_score'] for p in figures['phases']] == [
        dict(zip(SCRIPT.kinds, both)) for both in GOOD]
    assert [p['should_be'] for p in figures['phases']] == [
        {'truck': 'normal', 'cow': 'anomalous'}, {'truck': 'anomalous', 'cow': 'anomalous'},
        {'truck': 'anomalous', 'cow': 'anomalous'}, {'truck': 'normal', 'cow': 'normal'},
        {'truck': 'normal', 'cow': 'anomalous'}]
    assert [p.get('latency_ms') for p in figures['phases']] == [None, 80.0, None, 90.0, 70.0]
    json.dumps(figures)
    lines = seen.lines()
    assert lines[1] == ('   2.0 s  truck is not a known class: truck 0.60 anomalous, cow 0.90 '
                        'anomalous (first result after 80 ms)')
    assert lines[-2:] == ['  25 of 25 frames have a result',
                          '  all scores follow the prompts']


@pytest.mark.parametrize('phase, scores, said', [
    (3, (.1, .61), "the median score of the cow is 0.61 in the phase 'truck and cow are known "
                   "classes' and should be below 0.5; it was 0.90 in the phase before"),
    (1, (.3, .9), "the median score of the truck is 0.30 in the phase 'truck is not a known "
                  "class' and should be above 0.5; it was 0.10 in the phase before"),
    (0, (.1, .4), "the median score of the cow is 0.40 in the phase 'default prompts' and should "
                  'be above 0.5'),
    (4, None, "no result was published in the phase 'default prompts again'"),
])
def test_a_model_that_does_not_listen_is_called_so(phase, scores, said):
    changed = [*GOOD[:phase], scores, *GOOD[phase + 1:]]
    seen = act(changed)
    assert seen.failures == [said]
    assert not seen.figures()['prompts_followed'] and seen.figures()['failures'] == [said]
    assert any('do NOT follow' in line for line in seen.lines())


def test_lost_frames_are_counted():
    assert replace(act(), published=28).figures()['frames_lost'] == 3


def test_the_table_has_every_frame():
    rows = act().table().splitlines()
    assert rows[0] == 'time_s,phase,truck_mean,truck_median,cow_mean,cow_median'
    assert rows[6] == '2.000,1,0.6000,0.6000,0.9000,0.9000' and len(rows) == 26


def test_another_script_is_only_data():
    script = Script(1, (('sofa', 5., 1.),), (Phase('a'), Phase('b', also_known=('sofa',))), 1.0)
    seen = act(((.9,), (.1,)), script)
    assert not seen.failures and [c.at_s for c in script.calls(BUNDLED)] == [1.0]


def test_the_scene_shows_every_thing_large_and_whole():
    scene = SCRIPT.scene()
    assert len(scene) == 100 and {KINDS[a.kind].name for a in scene.anomalies} == set(SCRIPT.kinds)
    first, last = scene.draw(0), scene.draw(99)
    assert not np.array_equal(first.frame.image, last.frame.image)
    for frame in (first, last):
        for number in range(1, len(SCRIPT.kinds) + 1):
            mask = frame.anomaly_ids == number
            assert mask.mean() > .02
            assert not (mask[0].any() or mask[-1].any() or mask[:, 0].any() or mask[:, -1].any())
    again = SCRIPT.scene().draw(99)
    assert np.array_equal(again.frame.image, last.frame.image)
