# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""List every kind of thing that can be drawn, its words, and which training stage may see it."""

from __future__ import annotations

from dataclasses import dataclass

GROUPS = ('known', 'masks', 'words', 'unseen')


@dataclass(frozen=True)
class Kind:
    """
    Name one kind of surface or thing.

    `words` are its captions (synonyms and plurals; the first is the name). `role` is 'surface',
    'traffic' (things a road scene has) or 'object'. `group` says who may learn it: 'known' (the
    19 Cityscapes classes), 'masks' (both training stages), 'words' (only the CLIP stage),
    'unseen' (neither). `size_m` is the usual (width, height) in metres, (0, 0) for surfaces.
    """

    name: str
    words: tuple[str, ...]
    role: str
    group: str
    size_m: tuple[float, float]


def _rows(group: str, role: str, table: str) -> list[Kind]:
    kinds = []
    for line in table.strip().splitlines():
        words, size = line.rsplit('|', 1)
        words = tuple(word.strip() for word in words.split(','))
        width, height = (float(part) for part in size.split())
        kinds.append(Kind(words[0], words, role, group, (width, height)))
    return kinds


_SURFACES = """
road, street, roadway, asphalt | 0 0
sidewalk, pavement, footpath, walkway | 0 0
building, buildings, house, houses, apartment block | 0 0
wall, walls, stone wall, concrete wall | 0 0
fence, fences, railing, picket fence | 0 0
vegetation, tree, trees, bush, bushes, hedge, leaves | 0 0
terrain, grass, soil, lawn, verge, sand | 0 0
sky, clouds, blue sky, cloudy sky | 0 0
"""
_TRAFFIC = """
pole, poles, lamp post, street lamp | 0.15 5.5
traffic light, traffic lights, traffic signal, stoplight | 0.35 0.95
traffic sign, traffic signs, road sign, street sign | 0.75 0.75
person, people, pedestrian, man, woman | 0.6 1.75
rider, riders, cyclist, motorcyclist | 0.6 1.25
car, cars, automobile, hatchback, estate car | 4.4 1.5
truck, trucks, lorry, lorries | 8.0 3.4
bus, buses, coach, city bus | 11.0 3.1
train, trains, tram, trams | 14.0 3.5
motorcycle, motorcycles, motorbike, scooter | 2.0 1.15
bicycle, bicycles, bike, bikes | 1.75 1.05
"""
_MASKS = """
cow, cows, cattle, bull | 2.3 1.55
dog, dogs, hound, puppy | 1.0 0.75
horse, horses, pony, stallion | 2.4 2.0
cat, cats, kitten, tomcat | 0.7 0.45
goat, goats, billy goat | 1.3 1.05
bear, bears, brown bear | 1.9 1.25
goose, geese, gander | 0.8 0.8
rabbit, rabbits, hare, bunny | 0.55 0.45
box, boxes, cardboard box, carton | 0.8 0.65
tyre, tyres, tire, car tyre | 0.65 0.65
cone, cones, traffic cone, pylon | 0.45 0.75
sofa, sofas, couch, settee | 1.9 0.9
chair, chairs, wooden chair, kitchen chair | 0.5 0.95
table, tables, dining table, desk | 1.4 0.75
barrel, barrels, oil drum, keg | 0.6 0.9
suitcase, suitcases, trolley case | 0.55 0.8
rubbish bin, wheelie bin, garbage can, trash can, dustbin | 0.65 1.1
log, logs, tree trunk, timber | 2.0 0.45
ladder, ladders, stepladder | 0.6 1.9
ball, balls, football, beach ball | 0.45 0.45
tractor, tractors, farm tractor | 3.8 2.7
boat, boats, motorboat, dinghy | 4.2 1.7
bench, benches, park bench | 1.7 0.85
mattress, mattresses, bed mattress | 1.9 1.0
television, televisions, tv, tv set | 0.95 0.7
wheelbarrow, wheelbarrows, garden barrow | 1.4 0.7
bucket, buckets, pail | 0.4 0.42
refrigerator, refrigerators, fridge, freezer | 0.7 1.7
tent, tents, camping tent | 2.4 1.4
backpack, backpacks, rucksack | 0.42 0.6
potted plant, potted plants, flower pot, plant pot | 0.6 0.95
rubbish bag, rubbish bags, garbage bag, trash bag, bin bag | 0.6 0.6
crate, crates, wooden crate | 0.75 0.6
pipe, pipes, drainpipe, tube | 2.2 0.45
toilet, toilets, lavatory | 0.6 0.8
canister, canisters, jerrycan, petrol can | 0.4 0.5
teddy bear, teddy bears, plush bear, stuffed bear | 0.5 0.65
barrier, barriers, road barrier, barricade | 1.6 1.0
excavator, excavators, digger | 5.2 2.9
bookshelf, bookshelves, bookcase, shelf | 0.95 1.7
"""
_WORDS = """
caravan, caravans, travel trailer, towed caravan | 5.2 2.5
trailer, trailers, cargo trailer, car trailer | 2.9 1.25
sheep, lamb, lambs, ewe | 1.3 0.9
deer, stag, roe deer, doe | 1.7 1.6
washing machine, washing machines, washer, tumble dryer | 0.65 0.85
pallet, pallets, wooden pallet | 1.2 0.5
shopping cart, shopping carts, shopping trolley, grocery cart | 0.95 1.0
bathtub, bathtubs, tub | 1.7 0.65
stroller, strollers, pram, baby carriage | 0.9 1.05
fox, foxes, red fox | 1.1 0.6
wardrobe, wardrobes, cupboard, closet | 1.3 1.9
lawn mower, lawn mowers, lawnmower, grass mower | 1.3 0.95
"""
_UNSEEN = """
rock, rocks, boulder, large stone | 1.1 0.75
umbrella, umbrellas, parasol | 1.1 0.75
hydrant, hydrants, fire hydrant | 0.5 0.85
pig, pigs, hog, piglet | 1.5 0.85
forklift, forklifts, forklift truck | 2.6 2.2
camper van, camper vans, motorhome, campervan | 6.2 2.9
piano, pianos, upright piano | 1.5 1.2
kite, kites, paper kite | 1.1 1.3
zebra, zebras, striped zebra | 2.3 1.7
cable drum, cable drums, cable reel, wire spool | 1.2 1.2
"""

KINDS: dict[str, Kind] = {
    kind.name: kind
    for kind in (
        _rows('known', 'surface', _SURFACES) + _rows('known', 'traffic', _TRAFFIC)
        + _rows('masks', 'object', _MASKS) + _rows('words', 'object', _WORDS)
        + _rows('unseen', 'object', _UNSEEN))}
# Road vehicles and machines on wheels or tracks, drawn of the same bodies, wheels and windows as
# the known truck, bus and car. Telling these apart is another task than telling a cow from a
# road, so they are counted apart, whatever training saw of them.
NEAR = frozenset(('caravan', 'trailer', 'camper van', 'tractor', 'excavator', 'forklift'))


def kinds_in(*groups: str) -> tuple[Kind, ...]:
    """Return the kinds of these groups in listed order; raise ValueError on an unknown group."""
    unknown = sorted(set(groups) - set(GROUPS))
    if unknown:
        raise ValueError(f'groups: expected some of {GROUPS}, got {unknown}')
    return tuple(kind for kind in KINDS.values() if kind.group in groups)
