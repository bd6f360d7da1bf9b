# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Parameters that change while frames flow: accepted or refused, and from which frame on."""

from __future__ import annotations

import os
from threading import Event

from harness import Bench, GREY, PURPLE, RED, scene
import numpy as np
import pytest
from rclpy.serialization import serialize_message
from vl4ad_ros.inference.detector import Detector
from vl4ad_ros.prompts.reader import open_list
from vl4ad_ros.prompts.vocabulary import Vocabulary
from vl4ad_ros.settings import BUNDLE_LIST, Settings

KNOWN = ['road: road, asphalt', 'vegetation: grass, tree, trees', 'sky', 'car', 'truck',
         'marking']
ANOMALY = ['cow: cow, cows', 'dog']


@pytest.fixture(autouse=True)
def defaults(bench):
    """Leave the module's node as it was."""
    yield
    for name in ('known', 'anomaly'):
        if bench.get(f'prompts.{name}') != list(BUNDLE_LIST):
            assert bench.set(**{f'prompts__{name}': list(BUNDLE_LIST)}).successful
    assert bench.set(threshold=0.5, region__min_area=0.0005).successful
    bench.status('model', lambda s: any(
        (v.key, v.value) == ('prompts pending', 'no') for v in s.values))


def marked(message) -> np.ndarray:
    return np.frombuffer(message.data, np.uint8).reshape(message.height, message.width)


def values(status) -> dict[str, str]:
    return {v.key: v.value for v in status.values}


def names(info) -> dict[int, str]:
    return {c.class_id: c.class_name for c in info.class_map}


def in_force(bench, **values) -> list[str]:
    """Set prompts and wait until `label_info` says that they are in force; return the names."""
    count = len(bench.received['label_info'])
    answer = bench.set(**values)
    assert answer.successful, answer.reason
    info = bench.until(lambda: bench.received['label_info'][count:], 'a new label_info')[-1]
    return list(names(info).values())[1:]


def short(entries: list[str]) -> list[str]:
    """Return the names of classes."""
    return [entry.partition(':')[0] for entry in entries]


def test_label_info_tells_the_prompts_in_force_and_parameters_keep_what_was_set(bench):
    assert bench.get('prompts.known') == bench.get('prompts.anomaly') == ['<bundle>']
    info = bench.until(lambda: bench.received['label_info'], 'label_info')[-1]
    assert names(info) == dict(enumerate(['anomaly', *short(KNOWN + ANOMALY)]))
    assert info.threshold == 0.5


def test_an_anomaly_word_finds_what_passed_as_a_known_class(bench):
    picture = scene(thing=PURPLE)
    assert not marked(bench.ask(picture)).any()
    assert in_force(bench, prompts__anomaly=['caravan', 'cow'])[len(KNOWN)] == 'caravan'
    assert marked(bench.ask(picture))[60, 80] == 255
    results = bench.ask(picture, 'detections').detections[0].results
    assert [r.hypothesis.class_id for r in results] == ['anomaly', 'caravan']


@pytest.fixture
def slow(monkeypatch):
    """Return events: new prompts have begun to be embedded, and may end."""
    started, release, encode = Event(), Event(), Detector.encode

    def wait(self, vocabulary):
        started.set()
        assert release.wait(20)
        return encode(self, vocabulary)
    monkeypatch.setattr(Detector, 'encode', wait)
    yield started, release
    release.set()


def test_the_node_answers_while_new_prompts_are_embedded(bench, slow):
    """A large text tower takes seconds to minutes for new words."""
    started, release = slow
    assert bench.set(prompts__anomaly=['caravan']).successful  # at once
    bench.until(started.is_set, 'the change to begin')
    for _ in range(3):
        assert not marked(bench.ask(scene(thing=PURPLE))).any()  # as before the change
    assert bench.state == 'active'
    bench.status('model', lambda s: any(
        (v.key, v.value) == ('prompts pending', 'yes') for v in s.values))
    assert bench.set(output__overlay_alpha=0.4).successful
    assert bench.change('deactivate') and bench.change('activate')
    bench.wait_for_match()
    count = len(bench.received['label_info'])
    release.set()
    bench.until(lambda: len(bench.received['label_info']) > count, 'label_info')
    assert marked(bench.ask(scene(thing=PURPLE)))[60, 80] == 255


def test_of_several_pending_changes_the_newest_wins(bench, slow, monkeypatch):
    started, release = slow
    encoded, wait = [], Detector.encode
    monkeypatch.setattr(Detector, 'encode', lambda self, vocabulary: (
        encoded.append([str(c) for c in vocabulary.anomaly]), wait(self, vocabulary))[1])
    for words in (['caravan'], ['box'], ['tent'], ['sign']):
        assert bench.set(prompts__anomaly=words).successful
        bench.until(started.is_set, 'the first change to begin')
    count = len(bench.received['label_info'])
    release.set()
    bench.until(lambda: len(bench.received['label_info']) > count, 'label_info')
    bench.spin_for(0.3)
    assert len(bench.received['label_info']) == count + 1
    assert list(names(bench.received['label_info'][-1]).values())[-1] == 'sign'
    assert encoded == [['caravan'], ['sign']]


def test_a_failure_after_acceptance_is_an_error_and_the_old_prompts_stay(bench, monkeypatch):
    def broken(self, vocabulary):
        raise RuntimeError('the text network is broken')
    count = len(bench.received['label_info'])
    with monkeypatch.context() as patch:
        patch.setattr(Detector, 'encode', broken)
        assert bench.set(prompts__anomaly=['caravan']).successful
        status = bench.status('model', lambda s: s.level == b'\x02')
        assert 'the old ones stay in force: the text network is broken' in status.message
    assert not marked(bench.ask(scene(thing=PURPLE))).any()
    assert len(bench.received['label_info']) == count
    # The same words again are tried again.
    in_force(bench, prompts__anomaly=['caravan'])
    bench.status('model', lambda s: s.level == b'\x00')
    assert marked(bench.ask(scene(thing=PURPLE)))[60, 80] == 255


def test_what_is_set_together_comes_into_force_together(bench, slow):
    started, release = slow
    answer = bench.set_together(threshold=0.75, prompts__anomaly=['caravan'])
    assert answer.successful
    bench.until(started.is_set, 'the change to begin')
    bench.ask(scene())
    assert bench.received['label_info'][-1].threshold == 0.5
    release.set()
    info = bench.until(lambda: next((i for i in bench.received['label_info'][::-1]
                                     if i.threshold == 0.75), None), 'label_info')
    assert list(names(info).values())[-1] == 'caravan'


def test_prompts_are_encoded_once_and_only_when_they_change(ros, mock_bundle, monkeypatch):
    """Each qos_overrides.* declaration used to encode all prompts again, 17 times in configure."""
    count, encode = [], Detector.encode
    monkeypatch.setattr(Detector, 'encode', lambda self, vocabulary: (
        count.append(vocabulary), encode(self, vocabulary))[1])
    monkeypatch.setattr(Detector, 'warm_up', lambda self: None)
    with Bench(ros, {'model.bundle': str(mock_bundle)}, name='once') as bench:
        assert bench.change('configure') and bench.change('activate')
        assert len(count) == 1
        assert bench.set(threshold=0.4, region__min_area=0.01).successful
        assert bench.set(prompts__anomaly=['<bundle>']).successful  # as it is
        assert len(count) == 1
        bench.until(lambda: bench.received['label_info'], 'label_info')
        in_force(bench, prompts__anomaly=['caravan'])
        assert len(count) == 2


def test_words_in_another_script_are_warned_of(bench, capfd):
    in_force(bench, prompts__anomaly=['牛', 'caravan'])
    said = capfd.readouterr().err
    assert '牛' in said and 'Han' in said and 'caravan' not in said


def test_only_regular_files_are_read(bench, tmp_path):
    """A named pipe used to hang the node so that only SIGKILL ended it."""
    os.mkfifo(tmp_path / 'pipe.yaml')
    (tmp_path / 'zero.yaml').symlink_to('/dev/zero')
    for name, kind in (('pipe', 'a named pipe'), ('zero', 'a device')):
        answer = bench.set(prompts__anomaly=[f'<{tmp_path}/{name}.yaml>'])
        assert not answer.successful and f'is {kind}; expected a regular file' in answer.reason
    assert bench.state == 'active'
    bench.ask(scene())


def test_a_file_that_cannot_be_read_at_once_holds_nothing_up(bench, tmp_path, monkeypatch):
    release, entered = Event(), Event()
    vocabulary = Settings.vocabulary

    def slow_disk(self, bundled):
        entered.set()
        assert release.wait(20)
        return vocabulary(self, bundled)
    (tmp_path / 'mine.yaml').write_text('anomaly: [caravan]')
    with monkeypatch.context() as patch:
        patch.setattr(Settings, 'vocabulary', slow_disk)
        assert bench.set(prompts__anomaly=[f'<{tmp_path}/mine.yaml>']).successful
        assert entered.is_set() and bench.state == 'active'
        (tmp_path / 'mine.yaml').write_text('nonsense')
        release.set()
        status = bench.status('model', lambda s: s.level == b'\x02')
    assert 'expected the keys known: or anomaly:' in status.message


def test_a_known_word_makes_a_thing_normal_and_none_takes_the_words_away(bench):
    picture = scene(thing=RED)
    assert in_force(bench, prompts__anomaly=['']) == short(KNOWN)
    assert bench.get('prompts.anomaly') == ['']
    results = bench.ask(picture, 'detections').detections[0].results
    assert [r.hypothesis.class_id for r in results] == ['anomaly']
    in_force(bench, prompts__known=['road', 'animal: cow, dog'])
    assert not marked(bench.ask(picture)).any()


def test_bundle_list_brings_the_bundle_s_own_words_back(bench):
    assert in_force(bench, prompts__known=['road']) == ['road', *short(ANOMALY)]
    assert in_force(bench, prompts__known=['<bundle>']) == short(KNOWN + ANOMALY)
    assert bench.get('prompts.known') == ['<bundle>']


def test_a_list_by_name_or_file_stands_among_other_words(bench, tmp_path):
    picture = scene(thing=PURPLE)
    assert not marked(bench.ask(picture)).any()
    (tmp_path / 'mine.yaml').write_text("anomaly: ['camper: caravan', tent]")
    for value, words in (
            (['<bundle>', 'caravan'], [*ANOMALY, 'caravan']),
            ([f'<{tmp_path}/mine.yaml>', 'dog'], ['camper: caravan', 'tent', 'dog']),
            (['hay bale', '<unusual_vehicles>'], [
                'hay bale', *map(str, open_list('unusual_vehicles').anomaly)])):
        in_force(bench, prompts__anomaly=[''])
        assert not marked(bench.ask(picture)).any()
        assert in_force(bench, prompts__anomaly=value)[len(KNOWN):] == short(words)
        assert marked(bench.ask(picture))[60, 80] == 255
        assert bench.get('prompts.anomaly') == value


@pytest.mark.parametrize('name, value, reason', [
    ('prompts.known', [''], "prompts.known[0] '': empty name"),
    ('prompts.known', ['road', 'road'], "prompts.known[1] 'road': class 'road' is also"),
    ('prompts.known', ['road', 'sky', 'sky: '], "prompts.known[2] 'sky: ': empty name"),
    ('prompts.known', ['cow'], "prompts.anomaly[0] '<bundle>' 'cow: cow, cows'"),
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
     "same as 'truck' in prompts.known[0] '<bundle>' 'truck'; remove one of them"),
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
    assert bench.get('prompts.known') == bench.get('prompts.anomaly') == ['<bundle>']
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
            in_force(bench, prompts__anomaly=lists[changes % 2])
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


def test_words_hold_for_every_frame_sent_after_label_info(bench):
    for i in range(1, 11):
        words = (ANOMALY, ['caravan'])[i % 2]
        for _ in range(3):
            bench.send(scene(thing=GREY))
        in_force(bench, prompts__anomaly=words)
        assert marked(bench.ask(scene(thing=PURPLE))).any() == (words == ['caravan'])


def test_classes_that_the_calibration_knew_are_named_once_when_they_are_missing(bench, capfd):
    key = 'prompts and calibration'
    sentence = ('the threshold was calibrated with known classes that the prompts no longer '
                'have: car, truck; their pixels will count as anomalies')
    assert values(bench.status('model'))[key] == ''
    capfd.readouterr()
    in_force(bench, prompts__known=['asphalt', 'trees', 'sky', 'white'])
    status = bench.status('model', lambda s: values(s)[key] != '')
    assert values(status)[key] == sentence and status.level == b'\0'
    bench.ask(scene())
    assert capfd.readouterr().err.count(sentence) == 1
    in_force(bench, prompts__known=['<bundle>'])
    bench.status('model', lambda s: values(s)[key] == '')
    assert sentence not in capfd.readouterr().err
