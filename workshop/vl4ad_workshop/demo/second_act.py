# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
The second part ("act") of the demo, in which prompts change while the node processes frames.

The camera stands still in front of a few objects. Each phase of the act has prompts of its own,
and the score of every object shows whether the model follows them.
"""

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
"""Returns the float32 score (H, W), 0..1, of a uint8 RGB image (H, W, 3) with a vocabulary."""


@dataclass(frozen=True)
class Phase:
    """
    A part of the act with one set of prompts, which differs from the bundle's default prompts.

    :ivar says: one line for people that says what the prompts mean.
    :ivar also_known: kinds (of `scenes.kinds`) whose words become a known class.
    :ivar not_known: kinds whose words are removed from the known classes.
    :ivar anomalous: kinds whose words are removed from the known classes and become an anomaly
        class.
    """

    says: str
    also_known: tuple[str, ...] = ()
    not_known: tuple[str, ...] = ()
    anomalous: tuple[str, ...] = ()

    @property
    def edits(self) -> str:
        """The differences from the bundle's default prompts, such as ``known - truck``."""
        return ', '.join([f'known + {kind}' for kind in self.also_known]
                         + [f'known - {kind}' for kind in self.not_known + self.anomalous]
                         + [f'anomaly + {kind}' for kind in self.anomalous]) or 'no change'

    def prompts(self, bundled: Vocabulary) -> Vocabulary:
        """Return the bundle's default vocabulary, `bundled`, with the changes of the phase."""
        known, anomaly = (tuple(PromptClass(kind, KINDS[kind].words) for kind in kinds)
                          for kinds in (self.also_known, self.anomalous))
        gone = self.not_known + self.anomalous + self.also_known
        return Vocabulary(_without(bundled.known, gone) + known,
                          _without(bundled.anomaly, self.also_known) + anomaly)


@dataclass(frozen=True)
class Script:
    """
    The objects in front of the camera, and the prompts of each phase.

    :ivar seed: the same seed gives the same scene.
    :ivar things: the objects: kind, distance ahead in metres, and offset to the right of the
        road's centre in metres; each kind occurs once.
    :ivar phases: in order; the first has the bundle's default prompts.
    :ivar phase_s: duration of each phase in seconds.
    """

    seed: int
    things: tuple[tuple[str, float, float], ...]
    phases: tuple[Phase, ...]
    phase_s: float = 2.0

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds of the objects; object i of the ground truth has the kind at index i - 1."""
        return tuple(kind for kind, _, _ in self.things)

    def scene(self) -> Halt:
        """Return the scene to draw."""
        return Halt(self.seed, self.things, self.phase_s * len(self.phases))

    def prompts(self, bundled: Vocabulary) -> tuple[Vocabulary, ...]:
        """Return the prompts of each phase."""
        return tuple(phase.prompts(bundled) for phase in self.phases)

    def calls(self, bundled: Vocabulary) -> tuple[ParameterCall, ...]:
        """Return the parameter calls at the boundaries between phases."""
        prompts = self.prompts(bundled)
        return tuple(ParameterCall(self.phase_s * i, settings(*pair, bundled))
                     for i, pair in enumerate(zip(prompts, prompts[1:]), 1))


SCRIPT = Script(
    seed=9, things=(('truck', 10.0, -2.0), ('cow', 7.0, 2.6)),
    phases=(Phase('default prompts'),
            Phase('truck is not a known class', not_known=('truck',)),
            Phase('truck is an anomaly class', anomalous=('truck',)),
            Phase('truck and cow are known classes', also_known=('cow',)),
            Phase('default prompts again')))


def settings(before: Vocabulary, after: Vocabulary, bundled: Vocabulary) -> dict[str, list[str]]:
    """
    Return the parameters to set, in an order in which the node accepts them one after another.

    No word may be known and anomalous at the same time, so it is removed from one list before it
    is added to the other.

    :param before: the vocabulary in use.
    :param after: the new vocabulary.
    :param bundled: the bundle's default vocabulary, which is set by the value ``<bundle>``.
    :return: values by parameter name; empty if nothing changes.
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
    The scores of the objects in one frame.

    :ivar time_s: time of the frame in the bag, in seconds from its start.
    :ivar phase: index of the phase whose prompts the frame was scored with.
    :ivar mean: mean score 0..1 over the ground truth pixels of an object, by kind.
    :ivar median: median score 0..1 over the same pixels, by kind.
    """

    time_s: float
    phase: int
    mean: Mapping[str, float]
    median: Mapping[str, float]


@dataclass(frozen=True)
class Act:
    """
    The result of the act.

    :ivar script: what was played.
    :ivar prompts: the vocabulary of each phase.
    :ivar frames: the scores of every frame for which the node published a result, in order.
    :ivar call_s: time of each call in the bag, in seconds from its start.
    :ivar latency_ms: time from each call to the arrival of the first result with its prompts, in
        milliseconds; None where the scores do not show which result is the first.
    :ivar published: number of frames sent to the node.
    """

    script: Script
    prompts: tuple[Vocabulary, ...]
    frames: tuple[FrameScore, ...]
    call_s: tuple[float, ...]
    latency_ms: tuple[float | None, ...]
    published: int

    @cached_property
    def medians(self) -> tuple[dict[str, float], ...]:
        """The median over the frames of each phase, by kind; empty for a phase without frames."""
        found: list[dict[str, float]] = []
        for i in range(len(self.script.phases)):
            frames = [f.median for f in self.frames if f.phase == i]
            found.append({kind: float(np.median([f[kind] for f in frames]))
                          for kind in self.script.kinds} if frames else {})
        return tuple(found)

    def should_be_anomalous(self, phase: int, kind: str) -> bool:
        """Return whether the prompts make a kind anomalous: none of its words is known."""
        known = {concept for c in self.prompts[phase].known for concept in c.concepts}
        return not known & set(KINDS[kind].words)

    @property
    def failures(self) -> list[str]:
        """One sentence for each phase and object whose score does not follow the prompts."""
        said = []
        for i, phase in enumerate(self.script.phases):
            for kind in self.script.kinds:
                anomalous = self.should_be_anomalous(i, kind)
                score = self.medians[i].get(kind)
                if score is None:
                    said.append(f"no result was published in the phase '{phase.says}'")
                elif (score > THRESHOLD) != anomalous:
                    was = self.medians[i - 1].get(kind) if i else None
                    before = '' if was is None else f'; it was {was:.2f} in the phase before'
                    side = 'above' if anomalous else 'below'
                    said.append(f'the median score of the {kind} is {score:.2f} in the phase '
                                f"'{phase.says}' and should be {side} {THRESHOLD}{before}")
        return list(dict.fromkeys(said))

    @property
    def verdict(self) -> str:
        """One line that says whether all scores follow the prompts."""
        return ('some scores do NOT follow the prompts' if self.failures else
                'all scores follow the prompts')

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
                'prompts_followed': not self.failures, 'failures': self.failures}

    def lines(self) -> list[str]:
        """Return the result as lines for a terminal."""
        lines = []
        for i, phase in enumerate(self.script.phases):
            scores = ', '.join(f'{kind} {score:.2f} {state(score > THRESHOLD)}'
                               for kind, score in self.medians[i].items())
            latency = self.latency_ms[i - 1] if i else None
            after = '' if latency is None else f' (first result after {latency:.0f} ms)'
            seconds = self.call_s[i - 1] if i else 0.0
            lines.append(f'{seconds:6.1f} s  {phase.says}: {scores}{after}')
        lines.append(f'  {len(self.frames)} of {self.published} frames have a result')
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
    """Return ``'anomalous'`` or ``'normal'``."""
    return 'anomalous' if anomalous else 'normal'


def observe(replay: RecordedRun, script: Script, prompts: Sequence[Vocabulary],
            score: Scorer) -> Act:
    """
    Evaluate a replay of the script's scene.

    :param replay: a replay in which one call was made for each phase after the first.
    :param script: what was played.
    :param prompts: the vocabulary of each phase.
    :param score: scores a frame offline; used to find the prompts of a result.
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
    Return the index of the first frame scored with the prompts of a call, and the latency in ms.

    A result does not say which prompts it was made with, and the node changes them between two
    frames. Each frame whose result arrived after the call is therefore scored offline with the
    old and the new prompts, and belongs to those whose score is closer to the published one. If
    no frame is closer to the new prompts, the first frame published after the call was answered
    is returned, with None as the latency.
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
    """Return the classes without the words of some kinds, and without classes left empty."""
    words = {word for kind in kinds for word in KINDS[kind].words}
    left = (PromptClass(c.name, tuple(w for w in c.concepts if w not in words)) for c in classes)
    return tuple(c for c in left if c.concepts)
