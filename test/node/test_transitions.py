# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Every transition from every state, allowed or not, and what a failed one leaves behind."""

from __future__ import annotations

import gc
from pathlib import Path
import shutil
import threading

from harness import Bench, scene, TRANSITIONS
from mock_bundle import write_mock_bundle
import pytest
from vl4ad_ros.inference.detector import Detector

PATHS = {'unconfigured': (), 'inactive': ('configure',), 'active': ('configure', 'activate')}
ALLOWED = {
    'unconfigured': {'configure': 'inactive', 'shutdown (unconfigured)': 'finalized'},
    'inactive': {'cleanup': 'unconfigured', 'activate': 'active',
                 'shutdown (inactive)': 'finalized'},
    'active': {'deactivate': 'inactive', 'shutdown (active)': 'finalized'}}


@pytest.mark.parametrize('state', PATHS)
def test_every_transition_from(state, ros, mock_bundle):
    for transition in sorted(TRANSITIONS, key=lambda t: t in ALLOWED[state]):
        with Bench(ros, {'model.bundle': str(mock_bundle)}) as bench:
            assert all(bench.change(step) for step in PATHS[state])
            assert bench.change(transition) == (transition in ALLOWED[state])
            assert bench.state == ALLOWED[state].get(transition, state)
            if transition not in ALLOWED[state] and state == 'active':
                bench.wait_for_match()
                bench.ask(scene())


def test_ten_rounds_leave_nothing_behind(ros, mock_bundle):
    with Bench(ros, {'model.bundle': str(mock_bundle)}) as bench:
        def live() -> tuple:
            gc.collect()
            node = bench.detector_node
            return (len(list(node.publishers)), len(list(node.subscriptions)),
                    len(list(node.timers)), len(list(node.guards)), len(node._managed_entities),
                    threading.active_count(),
                    sum(isinstance(o, Detector) for o in gc.get_objects()))
        before = None
        for _ in range(10):
            for step in ('configure', 'activate', 'deactivate', 'cleanup'):
                assert bench.change(step)
            assert before in (None, live())
            before = live()
        assert before[4] == 0 and before[6] == 0


def test_deactivated_node_is_silent_and_comes_back(ros, mock_bundle):
    with Bench(ros, {'model.bundle': str(mock_bundle)}) as bench:
        assert bench.change('configure') and bench.change('activate')
        bench.wait_for_match()
        bench.ask(scene())
        assert bench.change('deactivate')
        assert not bench.detector_node.count_subscribers(bench.camera.topic_name)
        unseen = bench.send(scene())
        assert bench.change('activate')
        bench.wait_for_match()
        bench.ask(scene())
        assert unseen not in [m.header for m in bench.received['mask']]


@pytest.fixture
def own_bundle(mock_bundle, tmp_path) -> Path:
    return Path(shutil.copytree(mock_bundle, tmp_path / 'bundle'))


def damage_altered(bundle: Path) -> None:
    data = bytearray((bundle / 'vision.onnx').read_bytes())
    data[-1] ^= 1
    (bundle / 'vision.onnx').write_bytes(data)


@pytest.mark.parametrize('damage, reason', [
    (shutil.rmtree, 'no bundle at'),
    (lambda b: (b / 'text.onnx').unlink(), 'text.onnx'),
    (lambda b: (b / 'vision.onnx').write_bytes(b'cut'), 'vision.onnx'),
    (damage_altered, 'is altered'),
    (lambda b: (b / 'manifest.json').write_text('{'), 'manifest.json'),
], ids=['missing', 'incomplete', 'truncated', 'altered', 'unreadable'])
def test_bad_bundle_fails_configure_with_its_reason_and_a_repaired_one_works(
        damage, reason, ros, mock_bundle, own_bundle, capfd):
    damage(own_bundle)
    with Bench(ros, {'model.bundle': str(own_bundle)}) as bench:
        assert not bench.change('configure')
        assert bench.state == 'unconfigured'
        said = capfd.readouterr().err
        assert 'configure failed: ' in said and reason in said and 'Traceback' not in said
        shutil.rmtree(own_bundle, ignore_errors=True)
        shutil.copytree(mock_bundle, own_bundle)
        assert bench.change('configure') and bench.change('activate')
        assert 'not for driving' in capfd.readouterr().err
        bench.wait_for_match()
        bench.ask(scene())


@pytest.mark.parametrize('parameter, value, reason', [
    ('model.cache_dir', '~nouser/engines', "model.cache_dir '~nouser/engines'"),
    ('prompts.known', ['road', 'cow'], "prompts.anomaly[0] '<bundle>' 'cow: cow, cows'"),
    ('prompts.known', ['x' * 99], 'prompts.known[0]')])
def test_bad_value_of_a_parameter_file_fails_configure(parameter, value, reason, ros, mock_bundle,
                                                       capfd):
    with Bench(ros, {'model.bundle': str(mock_bundle), parameter: value}) as bench:
        assert not bench.change('configure')
        assert reason in capfd.readouterr().err
        good = '' if parameter == 'model.cache_dir' else ['road']
        assert bench.set(**{parameter.replace('.', '__'): good}).successful
        assert bench.change('configure')


def test_failed_activation_is_undone(ros, mock_bundle, monkeypatch):
    with Bench(ros, {'model.bundle': str(mock_bundle)}) as bench:
        assert bench.change('configure')
        with monkeypatch.context() as patch:
            patch.setattr(bench.detector_node, 'create_subscription', None)
            assert not bench.change('activate')
        assert bench.state == 'inactive'
        assert bench.change('activate')
        bench.wait_for_match()
        bench.ask(scene())


def test_error_while_deactivating_leaves_a_node_that_can_be_configured(ros, mock_bundle, capfd):
    with Bench(ros, {'model.bundle': str(mock_bundle)}) as bench:
        assert bench.change('configure') and bench.change('activate')
        camera = bench.detector_node._loaded.cameras
        stop, camera.stop = camera.stop, None
        release = bench.detector_node.release
        bench.detector_node.release = lambda: (setattr(camera, 'stop', stop), release())
        assert not bench.change('deactivate')
        assert "deactivate failed: TypeError: 'NoneType'" in capfd.readouterr().err
        assert bench.state == 'unconfigured'
        assert bench.change('configure') and bench.change('activate')
        bench.wait_for_match()
        bench.ask(scene())


def test_cleaned_up_node_takes_the_words_of_the_next_bundle(ros, mock_bundle, tmp_path):
    other = write_mock_bundle(tmp_path / 'other', vocabulary={
        'known': ['street'], 'anomaly': ['box']})
    with Bench(ros, {'model.bundle': str(mock_bundle)}) as bench:
        def words(count: int) -> list[str]:
            infos = bench.received['label_info']
            info = bench.until(lambda: infos[count:], 'label_info')[-1]
            return [c.class_name for c in info.class_map[1:]]
        assert bench.change('configure')
        assert words(0)[-2:] == ['cow', 'dog']
        assert bench.change('cleanup')
        assert bench.set(model__bundle=str(other)).successful
        assert bench.change('configure')
        assert words(1) == ['street', 'box']
        assert bench.set(prompts__anomaly=['hay bale', '<bundle>']).successful
        assert words(2) == ['street', 'hay bale', 'box']
        assert bench.change('cleanup')
        assert bench.set(model__bundle=str(mock_bundle)).successful
        assert bench.change('configure')
        assert words(3)[-3:] == ['hay bale', 'cow', 'dog']
        assert bench.get('prompts.anomaly') == ['hay bale', '<bundle>']


def test_the_hardware_id_of_diagnostics_stays_the_same(ros, mock_bundle):
    with Bench(ros, {'model.bundle': str(mock_bundle)}) as bench:
        seen = []
        for steps, parts in (((), 1), (('configure', 'activate'), 2)):
            assert all(bench.change(step) for step in steps)
            bench.received['diagnostics'].clear()
            seen += bench.until(lambda: next(  # noqa: B023
                (m.status for m in bench.received['diagnostics'] if len(m.status) == parts),
                None), f'a message of {parts} parts')
        assert {status.hardware_id for status in seen} == {'/vl4ad_detector'} and len(seen) == 3
