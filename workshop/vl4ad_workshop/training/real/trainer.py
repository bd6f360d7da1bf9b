# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The training loop; a resumed training gives the result of an uninterrupted one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
import signal
import time

import numpy as np
import open_clip
import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from tqdm import tqdm

from vl4ad_ros.prompts import reader as vocabularies
from vl4ad_ros.prompts.vocabulary import Vocabulary
from vl4ad_workshop.network.vl4ad import Vl4ad
from vl4ad_workshop.training.losses import Weights
from vl4ad_workshop.training.point_sampling import RandomPoints
from vl4ad_workshop.training.real.batches import Batch, batches
from vl4ad_workshop.training.real.checkpoints import Checkpoints, write_whole
from vl4ad_workshop.training.real.cityscapes import Cityscapes
from vl4ad_workshop.training.real.coco import CocoPanoptic
from vl4ad_workshop.training.real.config import ConfigError, TrainingConfig
from vl4ad_workshop.training.real.distribution import Processes
from vl4ad_workshop.training.real.labelled import Dataset
from vl4ad_workshop.training.real.log import Log
from vl4ad_workshop.training.real.optimisation import learning_rate_factor, parameter_groups
from vl4ad_workshop.training.real.start import build_network, frozen_sum
from vl4ad_workshop.training.real.supervision import Supervision
from vl4ad_workshop.training.real.validation import validate
from vl4ad_workshop.training.texts import class_texts

FORMATS = {'coco_panoptic': CocoPanoptic, 'cityscapes': Cityscapes}


class Diverged(RuntimeError):
    """A loss or gradient is not finite; the message names the iteration and the batch."""


class Trainer:
    """
    A training in a folder.

    Every random number depends on seed, iteration and process only, so no state of a random
    generator has to be saved to resume a training.
    """

    def __init__(self, config: TrainingConfig, work: Path, processes: Processes) -> None:
        """
        Read data sets and weights, and resume if `work` holds checkpoints.

        :param config: the whole configuration.
        :param work: folder of checkpoints, weights and logs.
        :param processes: this process and the number of all.
        :raises ValueError: if configuration, data, weights and checkpoints do not go together.
        """
        self._config, self._work, self._processes = config, work, processes
        known = vocabularies.open_list(config.data.vocabulary).known
        if known is None:
            raise ConfigError(f"data.vocabulary '{config.data.vocabulary}' has no list "
                              "'known'; choose one that has, such as coco_panoptic")
        vocabulary = Vocabulary(known)
        self._data, self._validation_data = (
            _open(config, split, vocabulary)
            for split in (config.data.train, config.data.validation))
        self.network = build_network(config)
        self._frozen = frozen_sum(self.network)
        self.network.to(processes.device).train()
        self._texts = class_texts(
            self.network, [c.concepts for c in known], _tokenizer(self.network),
            processes.device, config.validation.ensemble_weight)
        loss, optimiser = config.loss, config.optimiser
        half = {'bf16': torch.bfloat16, 'fp16': torch.float16}.get(optimiser.precision)
        if half is torch.float16 and processes.device.type == 'cpu':
            half = None
        step = Supervision(
            self.network, self._texts, Weights(loss.classes, loss.mask, loss.dice, loss.void),
            RandomPoints(loss.points, loss.oversample, loss.importance), half)
        self._step = step if processes.count == 1 else nn.parallel.DistributedDataParallel(
            step, broadcast_buffers=False)
        self._learner = nn.ModuleDict({'sem_seg_head': self.network.sem_seg_head,
                                       'void_embedding': self.network.void_embedding})
        self._optimiser = torch.optim.AdamW(
            parameter_groups(self._learner, optimiser.weight_decay), optimiser.learning_rate)
        self._schedule = torch.optim.lr_scheduler.LambdaLR(
            self._optimiser, lambda iteration: learning_rate_factor(optimiser, iteration))
        self._scaler = torch.amp.GradScaler(
            processes.device.type, enabled=half is torch.float16)
        self._average = AveragedModel(
            self._learner, multi_avg_fn=get_ema_multi_avg_fn(optimiser.ema)
        ) if optimiser.ema else None
        self._checkpoints = Checkpoints(work / 'checkpoints', config.run.keep)
        self._signalled = self._stopping = False
        self.iteration = self._resume()
        self._saved = self.iteration

    def train(self) -> float:
        """
        Train to the end, write ``model.pth``, and return the validation split's mIoU.

        :raises Diverged: if a loss or gradient is not finite.
        :raises KeyboardInterrupt: on SIGTERM or SIGINT, after saving.
        """
        config, first = self._config, self._processes.first
        log = Log(self._work / 'tensorboard', self.iteration + 1, first)
        total = config.optimiser.iterations
        source = batches(self._data, config, self._processes, self.iteration)
        progress = tqdm(total=total, initial=self.iteration, desc='training', disable=not first)
        score = None
        try:
            with self._signals():
                while self.iteration < total:
                    began = time.monotonic()
                    values = self._iterate(next(source))
                    score = None
                    seconds = time.monotonic() - began
                    progress.update()
                    progress.set_postfix({k: f'{v:.3f}' for k, v in values.items()
                                          if k.startswith('loss')}, refresh=False)
                    if self.iteration % config.run.log_every == 0:
                        log.scalars(self.iteration, {
                            **values, 'pictures_per_second': config.optimiser.batch / seconds})
                    if self._stopping or self.iteration % config.run.save_every == 0:
                        self._save()
                    if self._stopping:
                        if first:
                            tqdm.write(f'stopped after iteration {self.iteration}, which is '
                                       'saved; the same command continues from there')
                        raise KeyboardInterrupt
                    if config.validation.every and (
                            self.iteration % config.validation.every == 0):
                        score = self._validate(log)
            if self._saved != self.iteration:
                self._save()
            return self._validate(log) if score is None else score
        finally:
            progress.close()
            log.close()

    def _iterate(self, batch: Batch) -> dict[str, float]:
        """Train on one batch and return the values for the log."""
        optimiser, iteration = self._config.optimiser, self.iteration
        torch.manual_seed(int(np.random.SeedSequence(
            [self._config.seed, iteration, self._processes.rank]).generate_state(1)[0]))
        images, targets = batch.to(self._processes.device)
        try:
            terms = self._step(images, targets)
        except FloatingPointError as error:
            raise self._diverged(batch, str(error)) from None
        loss = sum(terms.values())
        stop = loss.new_tensor(float(self._signalled))
        *values, stopping = self._processes.mean(
            torch.stack([loss, *terms.values(), stop]).detach()).tolist()
        if not np.isfinite(values[0]):
            raise self._diverged(batch, f'the loss is {loss.item()}' if not loss.isfinite()
                                 else 'the loss of another process is not finite')
        self._optimiser.zero_grad()
        self._scaler.scale(loss).backward()
        self._scaler.unscale_(self._optimiser)
        norm = nn.utils.clip_grad_norm_(self._learner.parameters(), optimiser.clip_norm).item()
        # With scaling, gradients that overflow are skipped and the scale lowered.
        if not np.isfinite(norm) and not self._scaler.is_enabled():
            raise self._diverged(batch, f'the norm of the gradient is {norm}')
        rate = self._schedule.get_last_lr()[0]
        self._scaler.step(self._optimiser)
        self._scaler.update()
        self._schedule.step()
        if self._average:
            self._average.update_parameters(self._learner)
        self.iteration += 1
        # If one process was told to stop, all stop at the same iteration.
        self._stopping = stopping > 0
        return {**dict(zip(['loss', *(f'loss/{name}' for name in terms)], values)),
                'learning_rate': rate, 'gradient_norm': norm}

    def _diverged(self, batch: Batch, what: str) -> Diverged:
        return Diverged(
            f'iteration {self.iteration}: {what}. Batch: {", ".join(batch.names)}. The last '
            f'checkpoint is of iteration {self._saved}. Try a lower optimiser.learning_rate, or '
            'optimiser.precision=bf16 or fp32')

    def _save(self) -> None:
        if self._processes.first:
            # Written before the checkpoint, because the checkpoint marks the iteration as saved.
            with self._averaged():
                write_whole(self._work / 'model.pth', {'model': self.network.state_dict()})
            self._checkpoints.save(self.iteration, {
                'course': self._config.course(), 'frozen': self._frozen,
                'learner': self._learner.state_dict(),
                'average': self._average.state_dict() if self._average else None,
                'optimiser': self._optimiser.state_dict(),
                'schedule': self._schedule.state_dict(), 'scaler': self._scaler.state_dict()})
        self._saved = self.iteration
        self._processes.wait()

    def _resume(self) -> int:
        state = self._checkpoints.newest(self._config.course(), self._frozen)
        if state is None:
            return 0
        self._learner.load_state_dict(state['learner'])
        if self._average:
            self._average.load_state_dict(state['average'])
        self._optimiser.load_state_dict(state['optimiser'])
        self._schedule.load_state_dict(state['schedule'])
        self._scaler.load_state_dict(state['scaler'])
        return state['iteration']

    def _validate(self, log: Log) -> float:
        self.network.eval()
        with self._averaged():
            result = validate(
                self.network, self._texts, self._validation_data, self._config.validation,
                self._processes, lambda *shown: log.prediction(self.iteration, *shown))
        self.network.train()
        log.scalars(self.iteration, {'mean_iou': result.mean_iou})
        if self._processes.first:
            tqdm.write(f'iteration {self.iteration}: mIoU {result.mean_iou:.4f} on '
                       f'{self._config.data.validation}')
        return result.mean_iou

    @contextmanager
    def _averaged(self) -> Iterator[None]:
        """Use the moving average as the weights of the network, if there is one."""
        if not self._average:
            yield
            return
        learnt = {k: v.clone() for k, v in self._learner.state_dict().items()}
        self._learner.load_state_dict(self._average.module.state_dict())
        yield
        self._learner.load_state_dict(learnt)

    @contextmanager
    def _signals(self) -> Iterator[None]:
        """Stop after the current iteration on the first signal."""
        def stop(number: int, frame: object) -> None:
            self._signalled = True
            signal.signal(number, before[number])

        before = {n: signal.signal(n, stop) for n in (signal.SIGTERM, signal.SIGINT)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def _open(config: TrainingConfig, split: str, vocabulary: Vocabulary) -> Dataset:
    return FORMATS[config.data.format](Path(config.data.root), split, vocabulary)


def _tokenizer(network: Vl4ad) -> open_clip.SimpleTokenizer:
    text = network.config.clip['text_cfg']
    return open_clip.SimpleTokenizer(context_length=text['context_length'])
