# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The training loop: resuming, stopping, failing, starting points. Needs torch and open_clip."""

from dataclasses import replace
import os
from pathlib import Path
import signal
import subprocess
import sys
import time

import pytest

torch = pytest.importorskip('torch')
pytest.importorskip('open_clip')
pytest.importorskip('tensorboard')

import small  # noqa: E402
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator  # noqa: E402
from vl4ad_workshop.training.real import start  # noqa: E402
from vl4ad_workshop.training.real.checkpoints import ResumeError  # noqa: E402
from vl4ad_workshop.training.real.config import ConfigError, TrainingConfig  # noqa: E402
from vl4ad_workshop.training.real.distribution import Processes  # noqa: E402
from vl4ad_workshop.training.real.trainer import Diverged, Trainer  # noqa: E402

ALONE = Processes(0, 1, torch.device('cpu'))
SCRIPT = [sys.executable, str(Path(small.__file__))]


@pytest.fixture(autouse=True)
def small_network(monkeypatch):
    monkeypatch.setitem(start.NETWORKS, small.NAME, small.SMALL)


@pytest.fixture(scope='module', autouse=True)
def one_thread():
    # The scripts compute with one thread: bitwise equality needs the same order of sums.
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope='module')
def file(tmp_path_factory):
    return small.write_all(tmp_path_factory.mktemp('data'))


def train(file, work, *overrides):
    trainer = Trainer(TrainingConfig.load(file, overrides), work, ALONE)
    trainer.train()
    return trainer


def weights(work):
    return torch.load(work / 'model.pth', weights_only=True)['model']


def assert_equal(a, b):
    assert list(a) == list(b)
    different = [k for k in a if not torch.equal(a[k], b[k])]
    assert not different


def curves(work):
    events = EventAccumulator(str(work / 'tensorboard'))
    events.Reload()
    return {tag: [(e.step, e.value) for e in events.Scalars(tag)]
            for tag in events.Tags()['scalars']}, events.Tags()['images']


class Interrupted(Exception):
    """Stands for a crash."""


@pytest.mark.parametrize('ema', [0.0, 0.9])
def test_a_crash_changes_nothing(file, tmp_path, monkeypatch, ema):
    overrides = [f'optimiser.ema={ema}', 'run.workers=0']
    whole = train(file, tmp_path / 'whole', *overrides)
    iterate = Trainer._iterate

    def crash(self, batch):
        if self.iteration == 3:
            raise Interrupted
        return iterate(self, batch)

    with monkeypatch.context() as patched, pytest.raises(Interrupted):
        patched.setattr(Trainer, '_iterate', crash)
        train(file, tmp_path / 'cut', *overrides)
    resumed = Trainer(TrainingConfig.load(file, overrides), tmp_path / 'cut', ALONE)
    assert resumed.iteration == 2
    resumed.train()
    assert_equal(weights(tmp_path / 'whole'), weights(tmp_path / 'cut'))
    assert_equal(whole.network.state_dict(), resumed.network.state_dict())
    last = [torch.load(tmp_path / name / 'checkpoints' / '00000006.pt', weights_only=True)
            for name in ('whole', 'cut')]
    for a, b in zip(*(list(s['optimiser']['state'].values()) for s in last)):
        assert all(torch.equal(a[k], b[k]) for k in a)
    assert last[0]['schedule'] == last[1]['schedule']
    if ema:
        assert any(not torch.equal(v, whole.network.state_dict()[k])
                   for k, v in weights(tmp_path / 'whole').items())
    # What the crashed run wrote of iteration 3 is replaced, not repeated.
    scalars, images = curves(tmp_path / 'cut')
    assert [step for step, _ in scalars['loss']] == [1, 2, 3, 4, 5, 6]
    assert scalars['loss'] == curves(tmp_path / 'whole')[0]['loss']
    assert images == ['validation/0', 'validation/1']
    rates = [round(v, 7) for _, v in scalars['learning_rate']]
    assert rates == [1e-3] * 4 + [1e-4] * 2
    assert {'loss/class', 'loss/mask', 'loss/dice', 'gradient_norm', 'pictures_per_second',
            'mean_iou'} < set(scalars)


@pytest.mark.slow
def test_killed_and_stopped_processes_resume_to_the_same_weights(file, tmp_path):
    overrides = ['optimiser.iterations=24']
    train(file, tmp_path / 'whole', *overrides)
    work = tmp_path / 'cut'
    command = [*SCRIPT, 'train', '--config', str(file), '--work', str(work), '--device', 'cpu',
               '--set', overrides[0], '--set', 'run.workers=1']

    def run_until_saved(number):
        """Start the training and send a signal at the first checkpoint that it writes."""
        before = set(work.glob('checkpoints/*.pt'))
        process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True,
                                   start_new_session=True,
                                   env={**os.environ, 'PYTHONPATH': os.pathsep.join(sys.path)})
        deadline = time.monotonic() + 60
        while not set(work.glob('checkpoints/*.pt')) - before:
            assert process.poll() is None and time.monotonic() < deadline, process.stderr.read()
            time.sleep(0.01)
        os.killpg(process.pid, number)  # the process that reads pictures gets it too
        _, said = process.communicate(timeout=60)
        return process.returncode, said

    assert run_until_saved(signal.SIGKILL)[0] == -signal.SIGKILL
    code, said = run_until_saved(signal.SIGTERM)
    assert code == 130, said
    trainer = Trainer(TrainingConfig.load(file, overrides), work, ALONE)
    assert 2 < trainer.iteration < 24
    trainer.train()
    assert_equal(weights(tmp_path / 'whole'), weights(work))


@pytest.mark.slow
def test_two_processes_equal_one_with_their_batches(file, tmp_path):
    overrides = ['optimiser.batch=4', 'optimiser.iterations=3', 'optimiser.learning_rate=1e-4']
    options = [x for o in overrides for x in ('--set', o)]
    together = ['-m', 'torch.distributed.run', '--standalone', '--nproc-per-node', '2']
    for name, launcher in (('one', []), ('two', together)):
        done = subprocess.run(
            [sys.executable, *launcher, SCRIPT[1], '--same-points', 'train', '--config',
             str(file), '--work', str(tmp_path / name), '--device', 'cpu', *options],
            env={**os.environ, 'PYTHONPATH': os.pathsep.join(sys.path)}, capture_output=True,
            text=True, timeout=120)
        assert done.returncode == 0, done.stderr
    one, two = (curves(tmp_path / name)[0] for name in ('one', 'two'))
    for name in ('loss', 'loss/class', 'loss/mask', 'loss/dice', 'gradient_norm', 'mean_iou'):
        assert [v for _, v in two[name]] == pytest.approx([v for _, v in one[name]], rel=1e-5)
    a, b = weights(tmp_path / 'one'), weights(tmp_path / 'two')
    difference = torch.cat([(a[k] - b[k]).abs().flatten() for k in a])
    # One step of AdamW moves a weight by the learning rate, 1e-4, whatever its gradient.
    assert difference.max() < 1e-4 and difference.mean() < 1e-7


def test_a_loss_that_is_not_finite_stops_with_the_batch_named(file, tmp_path, monkeypatch):
    trainer = Trainer(TrainingConfig.load(file), tmp_path, ALONE)
    step = trainer._step

    def spoil(images, targets):
        if trainer.iteration == 3:
            trainer.network.void_embedding.weight.data.fill_(float('nan'))
        return step(images, targets)

    monkeypatch.setattr(trainer, '_step', spoil)
    with pytest.raises(Diverged) as error:
        trainer.train()
    assert 'iteration 3:' in str(error.value) and '.jpg' in str(error.value)
    assert 'last checkpoint is of iteration 2' in str(error.value)
    # What is saved is from before.
    assert Trainer(TrainingConfig.load(file), tmp_path, ALONE).iteration == 2


def test_a_gradient_that_is_not_finite_stops_too(file, tmp_path, monkeypatch):
    trainer = Trainer(TrainingConfig.load(file), tmp_path, ALONE)
    monkeypatch.setattr(torch.nn.utils, 'clip_grad_norm_', lambda *_: torch.tensor(float('inf')))
    with pytest.raises(Diverged, match='iteration 0: the norm of the gradient is inf'):
        trainer.train()


def test_half_precision_trains_close_to_full(file, tmp_path):
    options = ['optimiser.iterations=2']
    losses = {}
    for precision in ('fp32', 'bf16', 'fp16'):
        train(file, tmp_path / precision, *options, f'optimiser.precision={precision}')
        losses[precision] = [v for _, v in curves(tmp_path / precision)[0]['loss']]
    assert losses['bf16'] == pytest.approx(losses['fp32'], rel=0.05)
    assert losses['bf16'] != losses['fp32']
    assert losses['fp16'] == losses['fp32']  # a CPU does not compute in fp16


def test_clip_stays_as_it_was_and_the_decoder_goes_on(file, tmp_path):
    first = train(file, tmp_path / 'first', 'optimiser.iterations=2')
    made = tmp_path / 'first' / 'model.pth'
    given = torch.load(file.parent / 'clip.bin', weights_only=True)
    for key, value in given.items():
        assert torch.equal(weights(made.parent)[f'backbone.clip_model.{key}'], value)
    assert not any('pixel_mean' in k for k in weights(made.parent))
    # The training's output is a checkpoint to fine-tune from.
    second = Trainer(TrainingConfig.load(file, [f'weights={made}']), tmp_path / 'second', ALONE)
    assert_equal(first.network.state_dict(), second.network.state_dict())


def test_resuming_another_training_is_refused(file, tmp_path):
    train(file, tmp_path / 'w', 'optimiser.iterations=2')
    with pytest.raises(ResumeError, match='loss.void was 0.1 and is now 0.2'):
        Trainer(TrainingConfig.load(file, ['optimiser.iterations=2', 'loss.void=0.2']),
                tmp_path / 'w', ALONE)


def test_weights_that_do_not_fit_are_refused(file, tmp_path, monkeypatch):
    config = TrainingConfig.load(file)
    for changes, said in (
            ({'network': 'convnext_huge'}, 'expected one of convnext_large_d_320'),
            ({'network': 'tiny'}, 'expected one of'), ({'weights': ''}, 'weights is empty')):
        with pytest.raises(ConfigError, match=said):
            start.build_network(replace(config, **changes))
    state = torch.load(config.weights, weights_only=True)
    del state['logit_scale']
    state['text_projection'] = torch.zeros(2, 2)
    torch.save({**state, 'extra': torch.zeros(1)}, tmp_path / 'clip.bin')
    with pytest.raises(ConfigError) as refusal:
        start.build_network(replace(config, weights=str(tmp_path / 'clip.bin')))
    for said in ("1 keys missing, first 'logit_scale'", "1 keys unexpected, first 'extra'",
                 "1 keys of another shape, first 'text_projection'"):
        assert said in str(refusal.value)


@pytest.mark.slow
def test_the_recipe_overfits_eight_pictures(tmp_path):
    # FC-CLIP's recipe but for: 8 pictures of 192x288 instead of COCO, a small network on a CLIP
    # with random weights (the out-of-vocabulary classifier, which is that CLIP, is left out), no
    # change of scale, 60 iterations of 4 pictures, 20 times the learning rate, 10 times the
    # clipping norm, 512 points, fp32.
    file = small.write_all(
        tmp_path, enlarge=3, augmentation={'scale': [1, 1]}, loss={'points': 512},
        optimiser={'batch': 4, 'iterations': 60, 'learning_rate': 2e-3, 'clip_norm': 0.1,
                   'steps': [48, 57]},
        validation={'pictures': 8, 'ensemble_weight': 0.0}, run={'save_every': 60})
    trainer = Trainer(TrainingConfig.load(file), tmp_path / 'work', ALONE)
    assert trainer.train() > 0.95
