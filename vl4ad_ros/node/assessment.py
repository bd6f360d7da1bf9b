# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The diagnosis of one camera: how bad it is, and the most important problem in one sentence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from diagnostic_msgs.msg import DiagnosticStatus

from vl4ad_ros.images.quality import Quality
from vl4ad_ros.node.dds import why_images_get_lost, why_no_image_comes
from vl4ad_ros.node.publishers import SourceProblem
from vl4ad_ros.settings import Settings

STAMP_PROBLEMS = ('zero', 'constant', 'future', 'late', 'back', 'gap')
_CLOCK_FAULT_S = 2.0
"""No camera or network delays images this long: an older stamp comes from another clock."""
_FROZEN_S, _FROZEN_PICTURES = 2.0, 5
"""A camera counts as frozen after this long, and after as many repetitions of a picture."""
_LEAST_SPREAD = 1e-3
"""The uncertainty goes from -1 to 0; a picture without this much of it shows a fault."""


@dataclass(frozen=True)
class Observations:
    """
    What was seen of the images of one camera.

    :ivar topic: of the images.
    :ivar remap: the name by which this topic is remapped.
    :ivar source: what keeps images away, or None.
    :ivar publishers: how many publishers the topic has.
    :ivar replaced: images that a newer one replaced before they were processed.
    :ivar received: images since activation.
    :ivar new: counts since the last report, by the names in `/diagnostics`.
    :ivar since_received_s: seconds since the last image came.
    :ivar since_good_s: seconds since the last result was published.
    :ivar hung_s: seconds that an inference has hung; 0 if none hangs.
    :ivar lost_since_received: images lost since the last one came.
    :ivar image_bytes: size of the last image; 0 if none came.
    :ivar age_p50_s: median age of the results when they were published, in s; 0 without any.
    :ivar age_p95_s: 95th percentile of that age, in s.
    :ivar arrival_s: median age of the images when they arrived, in s; 0 without any.
    :ivar last_reason: why the last dropped image was dropped, a sentence, or ''.
    :ivar last_reset: why tracking was last reset, a sentence, or ''.
    :ivar unknown: why the last frame has no alerts, a sentence; '' if it has.
    :ivar no_ground: why the last frame has no positions in metres though parameters ask for them,
        a sentence, or ''.
    :ivar quality: of the pictures since the last report, on average; None without any picture.
    :ivar repeats: how many pictures in a row before the last one were exactly the same.
    :ivar unchanged_s: seconds since the first of them.
    :ivar spread: largest difference between two uncertainties in one of these pictures.
    :ivar anomalous_share: share of a picture whose score is above the threshold, 0 to 1: the
        median of the last results.
    """

    topic: str
    remap: str
    source: SourceProblem | None
    publishers: int
    replaced: int
    received: int
    new: Mapping[str, int]
    since_received_s: float
    since_good_s: float
    hung_s: float
    lost_since_received: int
    image_bytes: int
    age_p50_s: float
    age_p95_s: float
    arrival_s: float
    last_reason: str
    last_reset: str
    unknown: str
    no_ground: str
    quality: Quality | None
    repeats: int
    unchanged_s: float
    spread: float
    anomalous_share: float


def assess(seen: Observations, settings: Settings) -> tuple[bytes, str]:
    """
    Return a level of `DiagnosticStatus` and the sentence about the most important problem.

    :param seen: the observations; `new` gives 0 for names that it lacks.
    :param settings: hold the limits `health.*`.
    """
    sentence = _error(seen, settings)
    if sentence:
        return DiagnosticStatus.ERROR, sentence
    sentence = _warning(seen, settings)
    if sentence:
        return DiagnosticStatus.WARN, sentence
    return DiagnosticStatus.OK, f"{seen.new['processed']} results in the last second"


def _error(seen: Observations, settings: Settings) -> str:
    stalled = seen.since_received_s > settings.health_stall_timeout_s
    if seen.source and (seen.source.total or stalled):
        return seen.source.sentence
    if stalled and not seen.publishers:
        # Before the first image, the camera may only be late.
        return _nothing_published(seen) if seen.received else ''
    if stalled:
        if seen.lost_since_received:
            cause = (f'{seen.lost_since_received} got lost on the way: '
                     f'{why_images_get_lost(seen.image_bytes)}')
        else:
            cause = why_no_image_comes(seen.topic)
        return (f'no image for {seen.since_received_s:.1f} s on {seen.topic} though it has a '
                f'publisher: {cause}')
    if seen.hung_s:
        return (f'images come, but no result for {seen.hung_s:.1f} s: an inference hangs; end '
                'the node and start it again')
    dropped = seen.new['bad'] or seen.new['faults']
    if dropped and seen.since_good_s > settings.health_stall_timeout_s:
        return f'no image can be used: {seen.last_reason}'
    return ''


def _warning(seen: Observations, settings: Settings) -> str:
    new = seen.new
    if seen.since_received_s > settings.health_stall_timeout_s:
        return _nothing_published(seen)
    if seen.arrival_s > _CLOCK_FAULT_S:
        return (f'image stamps are {seen.arrival_s:.1f} s behind the clock of this node; set the '
                'clocks of both machines (NTP, PTP), or use_sim_time if a recording is played')
    picture = _about_picture(seen)
    if picture:
        return picture
    if seen.age_p95_s > settings.health_warn_age_s:
        share = seen.replaced / max(1, seen.received)
        return (f'results are {1e3 * seen.age_p50_s:.0f} ms old (p95 {1e3 * seen.age_p95_s:.0f} '
                f'ms), {share:.0%} of the images were replaced by newer ones; use a smaller image '
                'or a faster backend')
    if new['bad'] or new['faults']:
        return f"{new['bad'] + new['faults']} images dropped: {seen.last_reason}"
    if new['lost']:
        return (f"{new['lost']} images got lost on the way from the driver: "
                f'{why_images_get_lost(seen.image_bytes)}')
    if seen.anomalous_share > settings.health_max_anomalous_share:
        return (f'{seen.anomalous_share:.0%} of the picture is above the threshold, more than '
                f'health.max_anomalous_share {settings.health_max_anomalous_share:g}: the model, '
                'the prompts or the threshold do not fit this camera or this light')
    if new['processed'] and not new['alerts published']:
        return f'no alerts are published: {seen.unknown}'
    if seen.source:
        return seen.source.sentence
    if seen.no_ground:
        return f'no positions in metres: {seen.no_ground}'
    kinds = [kind for kind in STAMP_PROBLEMS if new[f'stamps {kind}']]
    if kinds:
        return _about_stamps(kinds, seen.last_reset)
    if new['regions left over']:
        return (f"{new['regions left over']} regions beyond the largest "
                f'{settings.region_max_count} of each frame were left out; raise region.min_area '
                'or threshold')
    return ''


def _about_picture(seen: Observations) -> str:
    """Return why the last pictures, or what the network makes of them, mean little, or ''."""
    if seen.quality is None:
        return ''
    if seen.quality.problem:
        return seen.quality.problem
    if seen.unchanged_s > _FROZEN_S and seen.repeats >= _FROZEN_PICTURES:
        return (f'the picture has not changed for {seen.unchanged_s:.1f} s, though '
                f'{seen.repeats} more came: the camera is frozen; start its driver again')
    if seen.spread < _LEAST_SPREAD:
        return (f'the uncertainty is the same everywhere in the picture (spread '
                f'{seen.spread:.1g}): the network does not react to it; check the bundle')
    return ''


def _nothing_published(seen: Observations) -> str:
    return (f'nothing publishes {seen.topic} (no image for {seen.since_received_s:.1f} s); remap '
            f'{seen.remap}:=<topic of the camera>')


def _about_stamps(kinds: list[str], last_reset: str) -> str:
    """Return what is wrong with the stamps, and what follows from it."""
    problem = f'image stamps: {", ".join(kinds)}'
    if 'zero' in kinds or 'constant' in kinds:
        return f'{problem}; the time of receipt is used instead; check the camera driver'
    if 'back' in kinds or 'gap' in kinds:
        return f'{problem}; tracking was reset: {last_reset}'
    if 'late' in kinds:
        return (f'{problem}; these frames are left out of tracking; check the order in which the '
                'driver publishes')
    return f'{problem}; check the clock of the camera driver and use_sim_time'
