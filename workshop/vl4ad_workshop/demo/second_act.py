# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The demo's second act: prompts that change while frames flow, and whether the model listens."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from vl4ad_ros.evaluation.recorded_run import ParameterCall, RecordedRun
from vl4ad_ros.prompts.reader import BUNDLE
from vl4ad_ros.prompts.vocabulary import PromptClass, Vocabulary, VocabularyError
from vl4ad_workshop.scenes.halt import Halt
from vl4ad_workshop.scenes.kinds import KINDS

THRESHOLD = 0.5

Scorer = Callable[[np.ndarray, Vocabulary], np.ndarray]
"""Gives the score (H, W) of an image (H, W, 3) under a vocabulary, as the node does."""


@dataclass(frozen=True)
class Phase:
    """
    A stretch of the act under one set of prompts, made from the bundle's own.

    :ivar says: what the prompts mean.
    :ivar also_known: kinds (`scenes.kinds`) whose words move to the known prompts.
    :ivar not_known: kinds whose words leave the known prompts.
    :ivar anomalous: kinds whose words move from the known to the anomaly prompts.
    """

    says: str
    also_known: tuple[str, ...] = ()
    not_known: tuple[str, ...] = ()
    anomalous: tuple[str, ...] = ()

    @property
    def edits(self) -> str:
        """How the prompts differ from the bundle's own."""
        return ', '.join([f'known + {kind}' for kind in self.also_known]
                         + [f'known - {kind}' for kind in self.not_known + self.anomalous]
                         + [f'anomaly + {kind}' for kind in self.anomalous]) or 'as shipped'

    def prompts(self, bundled: Vocabulary) -> Vocabulary:
        """Return the bundle's vocabulary with the phase's changes."""
        known, anomaly = (tuple(PromptClass(kind, KINDS[kind].words) for kind in kinds)
                          for kinds in (self.also_known, self.anomalous))
        gone = self.not_known + self.anomalous + self.also_known
        return Vocabulary(_without(bundled.known, gone) + known,
                          _without(bundled.anomaly, self.also_known) + anomaly)


@dataclass(frozen=True)
class Script:
    """
    What stands before the camera, and which prompts come when.

    :ivar seed: of the scene.
    :ivar things: (kind, metres ahead, metres right of the road's middle); each kind once.
    :ivar phases: each lasts `phase_s` seconds; the first has the bundle's own prompts.
    """

    seed: int
    things: tuple[tuple[str, float, float], ...]
    phases: tuple[Phase, ...]
    phase_s: float = 2.0

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds of the things; a thing's number in the ground truth is its place from 1."""
        return tuple(kind for kind, _, _ in self.things)

    def scene(self) -> Halt:
        """Return the scene to draw."""
        return Halt(self.seed, self.things, self.phase_s * len(self.phases))

    def prompts(self, bundled: Vocabulary) -> tuple[Vocabulary, ...]:
        """Return the prompts of each phase."""
        return tuple(phase.prompts(bundled) for phase in self.phases)

    def calls(self, bundled: Vocabulary) -> tuple[ParameterCall, ...]:
        """Return the calls that lead from each phase to the next."""
        prompts = self.prompts(bundled)
        return tuple(ParameterCall(self.phase_s * i, settings(*pair, bundled))
                     for i, pair in enumerate(zip(prompts, prompts[1:]), 1))


SCRIPT = Script(
    seed=9, things=(('truck', 10.0, -2.0), ('cow', 7.0, 2.6)),
    phases=(Phase("the model's own prompts"),
            Phase('no word for trucks', not_known=('truck',)),
            Phase('trucks do not belong here', anomalous=('truck',)),
            Phase('trucks and cows are normal here', also_known=('cow',)),
            Phase("the model's own prompts again")))


def settings(before: Vocabulary, after: Vocabulary, bundled: Vocabulary) -> dict[str, list[str]]:
    """
    Return the parameters to set, in an order in which the node takes them one by one.

    A word may never be on both sides: it leaves the one before it joins the other.
    """
    values = {}
    for side, entries in zip(('known', 'anomaly'), after.to_strings()):
        if getattr(after, side) != getattr(before, side):
            own = getattr(after, side) == getattr(bundled, side)
            values[f'prompts.{side}'] = [BUNDLE] if own else entries
    try:
        Vocabulary(after.known, before.anomaly)
    except VocabularyError:
        return dict(reversed(values.items()))
    return values


@dataclass(frozen=True)
class FrameScore:
    """
    What the node said of the things in one frame.

    :ivar time_s: of the bag.
    :ivar phase: index of the phase whose prompts it was scored with.
    :ivar mean: of the score over the thing's true pixels, by kind.
    :ivar median: the same.
    """

    time_s: float
    phase: int
    mean: Mapping[str, float]
    median: Mapping[str, float]


@dataclass(frozen=True)
class Act:
    """
    What happened.

    :ivar prompts: those of each phase.
    :ivar frames: every answered frame, in order.
    :ivar call_s: bag time of each call.
    :ivar latency_ms: from each call to the arrival of the first frame scored with its prompts;
        None where no score told.
    :ivar published: frames sent to the node.
    """

    script: Script
    prompts: tuple[Vocabulary, ...]
    frames: tuple[FrameScore, ...]
    call_s: tuple[float, ...]
    latency_ms: tuple[float | None, ...]
    published: int

    @cached_property
    def medians(self) -> tuple[dict[str, float], ...]:
        """The median over each phase's frames, by kind; empty for a phase without frames."""
        found: list[dict[str, float]] = []
        for i in range(len(self.script.phases)):
            frames = [f.median for f in self.frames if f.phase == i]
            found.append({kind: float(np.median([f[kind] for f in frames]))
                          for kind in self.script.kinds} if frames else {})
        return tuple(found)

    def should_be_anomalous(self, phase: int, kind: str) -> bool:
        """Tell what the prompts ask for: anomalous if none of the kind's words is known."""
        known = {concept for c in self.prompts[phase].known for concept in c.concepts}
        return not known & set(KINDS[kind].words)

    @property
    def failures(self) -> list[str]:
        """Where the model did not do as it was told, in words."""
        said = []
        for i, phase in enumerate(self.script.phases):
            for kind in self.script.kinds:
                anomalous = self.should_be_anomalous(i, kind)
                score = self.medians[i].get(kind)
                if score is None:
                    said.append(f"no frame was answered under '{phase.says}'")
                elif (score > THRESHOLD) != anomalous:
                    was = self.medians[i - 1].get(kind) if i else None
                    before = '' if was is None else f'; it was {was:.2f} before'
                    side = 'above' if anomalous else 'below'
                    said.append(f"the {kind} scores {score:.2f} under '{phase.says}' and should "
                                f'be {side} {THRESHOLD}{before}')
        return list(dict.fromkeys(said))

    @property
    def verdict(self) -> str:
        """The whole in a few words."""
        return ('the model did NOT listen everywhere' if self.failures else
                'the model did as it was told')

    def figures(self) -> dict[str, Any]:
        """Return what `metrics.json` holds under `second_act`."""
        phases = []
        for i, phase in enumerate(self.script.phases):
            row = {'says': phase.says, 'prompts': phase.edits,
                   'frames': sum(f.phase == i for f in self.frames),
                   'median_score': {k: round(v, 4) for k, v in self.medians[i].items()},
                   'should_be': {kind: state(self.should_be_anomalous(i, kind))
                                 for kind in self.script.kinds}}
            if i:
                latency = self.latency_ms[i - 1]
                row |= {'call_s': round(self.call_s[i - 1], 3),
                        'latency_ms': latency and round(latency, 1)}
            phases.append(row)
        return {'threshold': THRESHOLD, 'phases': phases, 'frames_published': self.published,
                'frames_lost': self.published - len(self.frames),
                'listened': not self.failures, 'failures': self.failures}

    def lines(self) -> list[str]:
        """Return what happened, in words for a terminal."""
        lines = []
        for i, phase in enumerate(self.script.phases):
            scores = ', '.join(f'{kind} {score:.2f} {state(score > THRESHOLD)}'
                               for kind, score in self.medians[i].items())
            latency = self.latency_ms[i - 1] if i else None
            after = '' if latency is None else f' (from {latency:.0f} ms after the call)'
            seconds = self.call_s[i - 1] if i else 0.0
            lines.append(f'{seconds:6.1f} s  {phase.says}: {scores}{after}')
        lines.append(f'  {len(self.frames)} of {self.published} frames answered')
        return lines + [f'  {self.verdict}', *(f'    {f}' for f in self.failures)]

    def table(self) -> str:
        """Return every frame as CSV: time, phase and both scores of each kind."""
        columns = [f'{kind}_{what}' for kind in self.script.kinds for what in ('mean', 'median')]
        rows = [','.join(['time_s', 'phase', *columns])]
        rows += [f'{f.time_s:.3f},{f.phase}' + ''.join(
            f',{f.mean[kind]:.4f},{f.median[kind]:.4f}' for kind in self.script.kinds)
            for f in self.frames]
        return '\n'.join(rows) + '\n'


def state(anomalous: bool) -> str:
    """Return the word for it."""
    return 'anomalous' if anomalous else 'normal'


def observe(replay: RecordedRun, script: Script, prompts: Sequence[Vocabulary],
            score: Scorer) -> Act:
    """
    Return what a replay of the script's scene shows.

    :param replay: with one call made for each phase after the first.
    :param prompts: those of each phase.
    :param score: tells by scoring a frame again which prompts it was answered with.
    """
    starts = [_first_frame(replay, i, prompts, score) for i in range(len(replay.calls))]
    times = replay.bag.times_ns
    frames = []
    for index, _, ids in replay.bag.truth_maps():
        answer = replay.score(index)
        if answer is None:
            continue
        pixels = {kind: answer[ids == number] for number, kind in enumerate(script.kinds, 1)}
        frames.append(FrameScore(
            (times[index] - times[0]) / 1e9, sum(index >= start for start, _ in starts),
            {kind: float(p.mean()) for kind, p in pixels.items()},
            {kind: float(np.median(p)) for kind, p in pixels.items()}))
    began = min(replay.sent_ns.values())
    rate = replay.about['rate']
    return Act(script, tuple(prompts), tuple(frames),
               tuple((call.sent_ns - began) / 1e9 * rate for call in replay.calls),
               tuple(latency for _, latency in starts), len(replay.sent_ns))


def _first_frame(replay: RecordedRun, number: int, prompts: Sequence[Vocabulary],
                 score: Scorer) -> tuple[int, float | None]:
    """
    Return the first frame that was scored with the prompts of a call, and how long it took, ms.

    A result does not name its prompts, and the node changes them between two frames: each frame
    answered since the call is scored with the old ones and the new ones, and is of those that it
    is nearer to. Where no score differs it is the first that was published after the answer.
    """
    call = replay.calls[number]
    later = replay.calls[number + 1:number + 2]
    end_ns = later[0].sent_ns if later else float('inf')
    arrivals = {i: replay.sent_ns[i] + r.age_ns for i, r in replay.by_index.items()}
    for frame in replay.bag.frames():
        arrival = arrivals.get(frame.index, 0)
        answer = replay.score(frame.index)
        if answer is None or not call.sent_ns < arrival < end_ns:
            continue
        image = replay.bag.decode(frame)
        old, new = (np.abs(answer - score(image, p)).mean() for p in prompts[number:number + 2])
        if new < old:
            return frame.index, (arrival - call.sent_ns) / 1e6
    after = [i for i, sent_ns in replay.sent_ns.items() if sent_ns > call.answered_ns]
    return min(after, default=len(replay.sent_ns)), None


def _without(classes: Iterable[PromptClass], kinds: Iterable[str]) -> tuple[PromptClass, ...]:
    """Return the classes without all words of some kinds; one that has no other goes."""
    words = {word for kind in kinds for word in KINDS[kind].words}
    left = (PromptClass(c.name, tuple(w for w in c.concepts if w not in words)) for c in classes)
    return tuple(c for c in left if c.concepts)
