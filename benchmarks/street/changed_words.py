# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A word taken away from the known ones, and a word added to them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress

from benchmarks.street.animal_photos import box_truth
from benchmarks.street.animal_species import COWS, OTHERS
from benchmarks.street.pasted_objects import THRESHOLD
from benchmarks.street.study_data import Skipped, StudyData
from benchmarks.street.subject import Subject
import numpy as np
from tqdm import tqdm

from vl4ad_ros.bundle.prompt_encoder import Prompts
from vl4ad_ros.evaluation.pixel_metrics import ANOMALY
from vl4ad_ros.prompts.reader import open_list
from vl4ad_ros.prompts.vocabulary import PromptClass
from vl4ad_workshop.training.street.camvid import CLASSES
from vl4ad_workshop.training.street.cells import at_cells

TAKEN = {'car': 'car', 'person': 'pedestrian', 'truck': None}
"""Words that are taken away, with CamVid's class that shows them; trucks are pasted only."""
STATES = ('known', 'taken away', 'named an anomaly')
_ADDED_ENTRY = PromptClass('cow', ('cow', 'cows'))
_STREET_STEP = 2  # every how many labelled streets one is used
_WITH = {'person': ('rider',)}  # further classes that go with a word, because they mean the same


def taken(subject: Subject, data: StudyData) -> dict[str, float | None]:
    """
    Return the share above the threshold and the median u of each word, in each of `STATES`.

    The known words are those of the list `cityscapes`, whose classes are one word each. The
    pixels are those of CamVid's class, and those of pasted things of that name.

    :raises Skipped: without CamVid.
    """
    known = open_list('cityscapes').known or ()
    anomaly = subject.detector.default_vocabulary.anomaly
    figures: dict[str, float | None] = {}
    for word, street_class in TAKEN.items():
        rest = [c for c in known if c.name not in (word, *_WITH.get(word, ()))]
        removed = tuple(c for c in known if c not in rest)
        states = dict(zip(STATES, (
            subject.prompts(known, anomaly), subject.prompts(rest, anomaly),
            subject.prompts(rest, (*removed, *anomaly)))))
        if street_class is not None:
            figures |= _shares(subject, states, _on_streets(data, street_class), f'{word}, CamVid')
        with suppress(Skipped):
            figures |= _shares(subject, states, _pasted(data, word), f'{word}, pasted')
    return figures


def added(subject: Subject, data: StudyData) -> dict[str, float | None]:
    """
    Return the share of an animal below the threshold once it is known, and of the others above.

    The anomaly words are the list `animals`. Every class of it that was pasted becomes a known
    class in turn; 'mean' is over these classes.

    :raises Skipped: without CamVid or animals of COCO instances.
    """
    animals = open_list('animals').anomaly or ()
    composites = data.animal_composites
    pasted = {p.name for c in composites for p in c.placed}
    moved = [c for c in animals if pasted & set(c.concepts)]
    before = subject.prompts(subject.known, animals)
    after = {c.name: subject.prompts(
        (*subject.known, _ADDED_ENTRY if c.name == _ADDED_ENTRY.name else c),
        [other for other in animals if other is not c]) for c in moved}
    members = {c.name: pasted & set(c.concepts) for c in moved}
    cells: dict[str, list[np.ndarray]] = defaultdict(list)
    for composite in tqdm(composites, 'animals that become known'):
        names = np.array(['', *(p.name for p in composite.placed)])
        usual = subject(composite.picture.rgb, before)
        shown = names[at_cells(composite.instances, usual.letterbox)]
        for name, prompts in after.items():
            changed = subject(composite.picture.rgb, prompts)
            it = np.isin(shown, list(members[name]))
            others = ~it & (shown != '')
            for state, prediction in (('before', usual), ('after', changed)):
                flagged = prediction.cell_score > THRESHOLD
                cells[f'{name}: {state}, below'].append(~flagged[it])
                cells[f'{name}: {state}, others above'].append(flagged[others])
    figures: dict[str, float | None] = {}
    by_part: dict[str, list[float]] = defaultdict(list)
    for name, values in cells.items():
        if len(joined := np.concatenate(values)):
            figures[name] = float(joined.mean())
            by_part[name.split(': ')[1]].append(figures[name])
    return {**figures, **{f'mean: {part}': float(np.mean(v)) for part, v in by_part.items()}}


def added_on_photographs(subject: Subject, data: StudyData) -> dict[str, float | None]:
    """
    Return the share of cows below the threshold once they are known, and of others above it.

    The anomaly words are the bundle's own without the class of the cow. The cells are those of
    the inner parts of the boxes.

    :raises Skipped: without the photographs of Indian roads.
    """
    vocabulary = subject.detector.default_vocabulary
    usual = subject.prompts(vocabulary.known, vocabulary.anomaly)
    changed = subject.prompts(
        (*vocabulary.known, _ADDED_ENTRY),
        [c for c in vocabulary.anomaly if not set(c.concepts) & set(_ADDED_ENTRY.concepts)])
    cells: dict[str, list[np.ndarray]] = defaultdict(list)
    for picture in tqdm(data.animals, 'cows that become known'):
        is_cow, is_other = (picture.sha256[:8] in group for group in (COWS, OTHERS))
        for state, prompts in (('before', usual), ('after', changed)):
            if not is_cow and not is_other:
                continue
            prediction = subject(picture.rgb, prompts)
            animal = box_truth(picture, prediction.letterbox) == ANOMALY
            flagged = prediction.cell_score[animal] > THRESHOLD
            if is_cow:
                cells[f'cow: {state}, below'].append(~flagged)
            else:
                cells[f'cow: {state}, others above'].append(flagged)
    return {name: float(np.concatenate(values).mean()) for name, values in cells.items()}


def _on_streets(data: StudyData, name: str) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield labelled streets with the pixels of a class of CamVid."""
    for number in tqdm(data.street_numbers(_STREET_STEP), f'{name} on streets'):
        yield data.streets[number].rgb, data.streets.class_map(number) == CLASSES.index(name)


def _pasted(data: StudyData, name: str) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield composites with the pixels of pasted things of a name."""
    for composite in tqdm(data.street_composites, f'pasted {name}'):
        is_it = np.array([False, *(p.name == name for p in composite.placed)])
        yield composite.picture.rgb, is_it[composite.instances]


def _shares(subject: Subject, states: Mapping[str, Prompts],
            pictures: Iterable[tuple[np.ndarray, np.ndarray]],
            title: str) -> dict[str, float | None]:
    """Return the share of masked cells above the threshold, and their median u, in each state."""
    scores: dict[str, list[np.ndarray]] = defaultdict(list)
    uncertainty: dict[str, list[np.ndarray]] = defaultdict(list)
    for rgb, mask in pictures:
        if not mask.any():
            continue
        for state, prompts in states.items():
            prediction = subject(rgb, prompts)
            cells = at_cells(mask, prediction.letterbox)
            scores[state].append(prediction.cell_score[cells] > THRESHOLD)
            uncertainty[state].append(prediction.uncertainty[cells])
    figures: dict[str, float | None] = {}
    for state in states:
        values = np.concatenate(scores[state]) if scores[state] else np.zeros(0)
        if values.size:
            figures[f'{title}: {state}'] = float(values.mean())
            figures[f'{title}: {state}, median u'] = float(
                np.median(np.concatenate(uncertainty[state])))
    return figures
