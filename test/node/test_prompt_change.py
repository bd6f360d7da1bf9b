# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Parameters that change while frames flow: accepted or refused, and from which frame on."""

from __future__ import annotations

from threading import Event

from harness import GREY, PURPLE, RED, scene
import numpy as np
import pytest
from rcl_interfaces.srv import SetParameters
from rclpy.parameter import Parameter
from rclpy.serialization import serialize_message
from vl4ad_ros.node.parameters import BUNDLE_LIST
from vl4ad_ros.runtime.detector import Detector
from vl4ad_ros.vocabularies import open_list
from vl4ad_ros.vocabulary import Vocabulary

KNOWN = ['road: road, asphalt', 'vegetation: grass, tree, trees', 'sky', 'car', 'truck',
         'marking']
ANOMALY = ['cow: cow, cows', 'dog']


@pytest.fixture(autouse=True)
def defaults(bench):
    """Leave the module's node as it was."""
    yield
    assert bench.set(prompts__known=list(BUNDLE_LIST)).successful
    assert bench.set(prompts__anomaly=list(BUNDLE_LIST)).successful
    assert bench.set(threshold=0.5, region__min_area=0.0005).successful


def marked(message) -> np.ndarray:
    return np.frombuffer(message.data, np.uint8).reshape(message.height, message.width)


def names(info) -> dict[int, str]:
    return {c.class_id: c.class_name for c in info.class_map}


def test_prompts_in_force_are_readable_and_labelled(bench):
    assert bench.get('prompts.known') == KNOWN and bench.get('prompts.anomaly') == ANOMALY
    info = bench.until(lambda: bench.received['label_info'], 'label_info')[-1]
    expected = dict(enumerate(KNOWN + ANOMALY, 256))
    assert names(info) == {0: 'normal', 255: 'anomaly', **expected}
    assert info.threshold == 0.5


def test_an_anomaly_word_finds_what_passed_as_a_known_class(bench):
    picture = scene(thing=PURPLE)
    assert not marked(bench.ask(picture)).any()
    count = len(bench.received['label_info'])
    assert bench.set(prompts__anomaly=['caravan', 'cow']).successful
    assert marked(bench.ask(picture))[60, 80] == 255
    info = bench.until(lambda: bench.received['label_info'][count:], 'a new label_info')[-1]
    assert names(info)[256 + len(KNOWN)] == 'caravan'
    assert bench.ask(picture, 'detections').detections[0].results[0].hypothesis.class_id \
        == 'caravan'


def test_images_are_answered_while_new_prompts_are_embedded(bench, monkeypatch):
    """A large text tower takes seconds for new words."""
    started, release, encode = Event(), Event(), Detector.encode

    def slow(self, vocabulary):
        started.set()
        assert release.wait(20)
        return encode(self, vocabulary)
    monkeypatch.setattr(Detector, 'encode', slow)
    request = SetParameters.Request(parameters=[
        Parameter('prompts.anomaly', value=['caravan']).to_parameter_msg()])
    future = bench.call_soon(SetParameters, request)
    bench.until(started.is_set, 'the change to begin')
    for _ in range(3):
        assert not marked(bench.ask(scene(thing=PURPLE))).any()  # as before the change
    assert not future.done()
    release.set()
    bench.until(future.done, 'the change to end')
    assert marked(bench.ask(scene(thing=PURPLE)))[60, 80] == 255


def test_a_known_word_makes_a_thing_normal_and_none_takes_the_words_away(bench):
    picture = scene(thing=RED)
    assert bench.set(prompts__anomaly=['']).successful
    assert bench.get('prompts.anomaly') == ['']
    assert bench.ask(picture, 'detections').detections[0].results[0].hypothesis.class_id \
        == 'anomaly'
    assert bench.set(prompts__known=['road', 'animal: cow, dog']).successful
    assert not marked(bench.ask(picture)).any()


def test_bundle_list_brings_the_bundle_s_own_words_back(bench):
    assert bench.set(prompts__known=['road']).successful
    assert bench.get('prompts.known') == ['road']
    assert bench.set(prompts__known=['<bundle>']).successful
    bench.until(lambda: bench.get('prompts.known') == KNOWN, 'the words to be spelt out')


def test_a_list_by_name_or_file_stands_among_other_words_and_is_spelt_out(bench, tmp_path):
    picture = scene(thing=PURPLE)
    assert not marked(bench.ask(picture)).any()
    (tmp_path / 'mine.yaml').write_text("anomaly: ['camper: caravan', tent]")
    for value, words in (
            (['<bundle>', 'caravan'], [*ANOMALY, 'caravan']),
            ([f'<{tmp_path}/mine.yaml>', 'dog'], ['camper: caravan', 'tent', 'dog']),
            (['hay bale', '<unusual_vehicles>'], [
                'hay bale', *map(str, open_list('unusual_vehicles').anomaly)])):
        assert bench.set(prompts__anomaly=['']).successful
        assert not marked(bench.ask(picture)).any()
        assert bench.set(prompts__anomaly=value).successful
        assert marked(bench.ask(picture))[60, 80] == 255
        bench.until(lambda: bench.get('prompts.anomaly') == words, 'the words to be spelt out')
        info = bench.received['label_info'][-1]
        assert list(names(info).values())[2 + len(KNOWN):] == words


@pytest.mark.parametrize('name, value, reason', [
    ('prompts.known', [''], "prompts.known[0] '': empty name"),
    ('prompts.known', ['road', 'road'], "prompts.known[1] 'road': class 'road' is also"),
    ('prompts.known', ['road', 'sky', 'sky: '], "prompts.known[2] 'sky: ': empty name"),
    ('prompts.known', ['cow'], "prompts.anomaly[0] 'cow: cow, cows'"),
    ('prompts.known', ['road', 'x' * 60], "prompts.known[1] '" + 'x' * 60),
    ('prompts.known', [f'thing {i}' for i in range(70)], 'at most 32 classes'),
    ('prompts.anomaly', ['cow', 'cow'], "prompts.anomaly[1] 'cow'"),
    ('prompts.anomaly', ['thing: ' + ', '.join(f'{i}' for i in range(90))], 'at most 64 concepts'),
    ('prompts.anomaly', ['dog', '<everythin>'], "prompts.anomaly[1] '<everythin>': no vocabulary "
     "'everythin'; expected one of animals, cityscapes, "),
    ('prompts.known', ['<animals>'], "'animals' has no known: list; of the shipped vocabularies "),
    ('prompts.anomaly', ['<no/such.yaml>'], "file 'no/such.yaml' cannot be read"),
    ('prompts.anomaly', ['<bundle>', 'dog'], "prompts.anomaly[1] 'dog': class 'dog' is also "
     "prompts.anomaly[0] '<bundle>' 'dog'"),
    ('prompts.anomaly', ['<animals>', 'lorry'], "prompts.anomaly[1] 'lorry': 'lorry' means the "
     "same as 'truck' in prompts.known[4] 'truck'; remove one of them"),
    ('threshold', 1.01, 'out of range'),
    ('threshold', 1, 'Wrong parameter type'),
    ('region.roi', [0.0, 0.0, 1.0], 'region.roi has 3 numbers'),
    ('alert.confirm_hits', 9, 'alert.confirm_window'),
    ('model.threads', 1, 'model.threads can only change while the node is unconfigured'),
    ('model.bundle', 'tiny', 'can only change while the node is unconfigured'),
    ('image_transport', 'compressed', 'can only change while the node is unconfigured'),
    ('output.overlay', 1.0, 'declared'),
])
def test_refusal_says_why_and_changes_nothing(bench, name, value, reason):
    before = bench.ask(scene(thing=RED))
    count = len(bench.received['label_info'])
    answer = bench.set(**{name.replace('.', '__'): value})
    assert not answer.successful and reason in answer.reason
    after = bench.ask(scene(thing=RED))
    assert np.array_equal(marked(before), marked(after))
    assert bench.get('prompts.known') == KNOWN and bench.get('prompts.anomaly') == ANOMALY
    assert len(bench.received['label_info']) == count


def test_empty_list_is_refused_with_what_to_write_instead(bench):
    answer = bench.set(prompts__anomaly=[])
    assert not answer.successful


def test_a_fixed_parameter_may_be_set_to_what_it_is(bench):
    assert bench.set(model__threads=2, image_transport='raw').successful


def test_threshold_and_region_limits_apply_from_the_next_frame(bench):
    picture = scene(thing=RED)
    assert bench.set(threshold=1.0).successful
    assert not marked(bench.ask(picture)).any()
    assert bench.set(threshold=0.5, region__min_area=0.9).successful
    header = bench.send(picture)
    assert marked(bench.answer(header)).any()
    assert not bench.answer(header, 'detections').detections
    infos = bench.received['label_info']
    bench.until(lambda: infos[-1].threshold == 0.5 and 1.0 in [i.threshold for i in infos],
                'label_info with both thresholds')


def test_no_frame_is_answered_with_another_s_picture_or_a_mixture_of_prompts(bench, mock_bundle):
    """Frames that all differ flow while prompts change: each answer is exactly one of two."""
    offline = Detector.open(mock_bundle)
    lists = [ANOMALY, ['caravan']]
    prompts = [offline.encode(Vocabulary.from_strings(KNOWN, words)) for words in lists]
    sent, before, changes = [], len(bench.received['mask']), 0
    for i in range(60):
        picture = scene(thing=PURPLE, at=(2 * i, i))
        sent.append((serialize_message(bench.send(picture)), picture, changes))
        if i % 10 == 5:
            changes += 1
            assert bench.set(prompts__anomaly=lists[changes % 2]).successful
        bench.spin_for(0.01)
    bench.answer(bench.send(scene()))
    answers = {serialize_message(m.header): marked(m) for m in bench.received['mask'][before:-1]}
    assert len(answers) > 30 and set(answers) <= {header for header, *_ in sent}
    for header, picture, change in sent:
        if header in answers:
            # Frames sent before the answer to a change may still have the old words or not.
            fits = {i % 2 for i in (change, change + 1) if np.array_equal(
                answers[header], offline.detect(picture, prompts[i % 2]).mask(0.5))}
            assert fits
    offline.close()


def test_accepted_words_hold_for_every_frame_sent_after_the_answer(bench):
    for i in range(10):
        words = (ANOMALY, ['caravan'])[i % 2]
        for _ in range(3):
            bench.send(scene(thing=GREY))
        assert bench.set(prompts__anomaly=words).successful
        assert marked(bench.ask(scene(thing=PURPLE))).any() == (words == ['caravan'])
