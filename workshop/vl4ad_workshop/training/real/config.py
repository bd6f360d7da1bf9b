# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The configuration of a training on real data: read from YAML, validated, immutable."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
import dataclasses
from dataclasses import dataclass, field
import difflib
from importlib import resources
from pathlib import Path
import typing
from typing import Any

import yaml

FORMATS = ('coco_panoptic', 'cityscapes')
PRECISIONS = ('fp16', 'bf16', 'fp32')


class ConfigError(ValueError):
    """A configuration that cannot be used; the message names the key and what to change."""


def _number(default: Any, low: float, high: float = float('inf')) -> Any:
    return field(default=default, metadata={'low': low, 'high': high})


def _choice(default: str, choices: Sequence[str]) -> Any:
    return field(default=default, metadata={'choices': choices})


@dataclass(frozen=True)
class DataConfig:
    """
    The data set.

    :ivar root: its folder, in the layout that docs/training.md shows for `format`.
    :ivar train: name of the split to train on.
    :ivar validation: name of the split to validate on.
    :ivar vocabulary: name or file of the classes and their concepts.
    """

    format: str = _choice('coco_panoptic', FORMATS)
    root: str = 'datasets/coco'
    train: str = 'train2017'
    validation: str = 'val2017'
    vocabulary: str = 'coco_panoptic'


@dataclass(frozen=True)
class AugmentationConfig:
    """
    Large-scale jitter.

    :ivar size: (height, width) of the network's input in pixels, multiples of 32.
    :ivar scale: range of the picture's size; 1 is the largest size that fits into `size`.
    :ivar flip: share of pictures that are mirrored, 0..1.
    """

    size: tuple[int, int] = (1024, 1024)
    scale: tuple[float, float] = (0.1, 2.0)
    flip: float = _number(0.5, 0, 1)

    def __post_init__(self) -> None:
        if any(s < 32 or s % 32 for s in self.size):
            raise ConfigError(f'augmentation.size is {list(self.size)}; expected height and width '
                              'as multiples of 32 px, such as [1024, 1024]')
        if not 0 < self.scale[0] <= self.scale[1]:
            raise ConfigError(f'augmentation.scale is {list(self.scale)}; expected a range above '
                              '0, smaller end first, such as [0.1, 2.0]')


@dataclass(frozen=True)
class LossConfig:
    """
    Weights of the terms in the loss and in matching, and the points at which masks are compared.

    :ivar void: weight of the no-object class.
    :ivar points: points of each mask; `oversample` and `importance` are those of
        `point_sampling.RandomPoints`.
    """

    classes: float = _number(2.0, 0)
    mask: float = _number(5.0, 0)
    dice: float = _number(5.0, 0)
    void: float = _number(0.1, 0)
    points: int = _number(12544, 1)
    oversample: float = _number(3.0, 1)
    importance: float = _number(0.75, 0, 1)


@dataclass(frozen=True)
class OptimiserConfig:
    """
    AdamW and its schedule.

    :ivar batch: pictures of one iteration in all processes together.
    :ivar clip_norm: largest norm of the gradient over all parameters.
    :ivar warmup_factor: share of the learning rate at iteration 0, from which it rises linearly.
    :ivar steps: iterations at which the learning rate is multiplied by `decay`.
    :ivar precision: ``fp16`` (GPUs only; a CPU then computes in fp32), ``bf16`` or ``fp32``.
    :ivar ema: decay of the moving average of the weights, such as 0.9999; 0 switches it off.
    """

    batch: int = _number(16, 1)
    iterations: int = _number(368750, 1)
    learning_rate: float = _number(1e-4, 0)
    weight_decay: float = _number(0.05, 0)
    clip_norm: float = _number(0.01, 0)
    warmup_iterations: int = _number(10, 0)
    warmup_factor: float = _number(1.0, 0, 1)
    steps: tuple[int, ...] = (327778, 355092)
    decay: float = _number(0.1, 0, 1)
    precision: str = _choice('fp16', PRECISIONS)
    ema: float = _number(0.0, 0, 0.999999)

    def __post_init__(self) -> None:
        if list(self.steps) != sorted(set(self.steps)):
            raise ConfigError(f'optimiser.steps is {list(self.steps)}; expected increasing '
                              'iterations, such as [327778, 355092]')


@dataclass(frozen=True)
class ValidationConfig:
    """
    How mIoU is measured.

    :ivar every: iterations between two measurements; 0 measures at the end only.
    :ivar short_side: pictures are resized to this short side in pixels ...
    :ivar long_side: ... unless their long side would become longer than this.
    :ivar ensemble_weight: weight of the out-of-vocabulary classifier (FC-CLIP's alpha for seen
        classes), 0..1.
    :ivar pictures: number of pictures, from the start of the split; 0 uses all.
    """

    every: int = _number(5000, 0)
    short_side: int = _number(800, 32)
    long_side: int = _number(1333, 32)
    ensemble_weight: float = _number(0.4, 0, 1)
    pictures: int = _number(0, 0)


@dataclass(frozen=True)
class RunConfig:
    """
    Settings that do not affect the result; a resumed training may change them.

    :ivar workers: processes that read pictures, for each training process.
    :ivar save_every: iterations between checkpoints.
    :ivar keep: number of checkpoints that are kept.
    :ivar log_every: iterations between entries for TensorBoard.
    """

    workers: int = _number(4, 0)
    save_every: int = _number(5000, 1)
    keep: int = _number(2, 1)
    log_every: int = _number(20, 1)


@dataclass(frozen=True)
class TrainingConfig:
    """
    The configuration of a training; the defaults are FC-CLIP's recipe (arXiv 2308.02487).

    :ivar network: architecture, one of `network.config.NETWORKS`.
    :ivar weights: file to start from: an FC-CLIP checkpoint to fine-tune its decoder, or CLIP
        weights of open_clip to train a decoder from random weights.
    :ivar seed: determines the order of the data, augmentation, points and random weights.
    """

    network: str = 'convnext_large_d_320'
    weights: str = ''
    seed: int = _number(0, 0)
    data: DataConfig = DataConfig()
    augmentation: AugmentationConfig = AugmentationConfig()
    loss: LossConfig = LossConfig()
    optimiser: OptimiserConfig = OptimiserConfig()
    validation: ValidationConfig = ValidationConfig()
    run: RunConfig = RunConfig()

    @staticmethod
    def load(name: str | Path, overrides: Sequence[str] = ()) -> TrainingConfig:
        """
        Read a configuration and change some of its values.

        :param name: a shipped configuration or a YAML file.
        :param overrides: ``key=value`` each.
        :raises ConfigError: if there is none, a key is unknown or a value is out of range.
        """
        text = config_text(name)
        try:
            values = yaml.safe_load(text) or {}
        except yaml.YAMLError as error:
            raise ConfigError(f'{name} is not a YAML file: {error}') from None
        for override in overrides:
            key, equals, value = override.partition('=')
            if not equals:
                raise ConfigError(f"--set '{override}': expected KEY=VALUE, such as "
                                  'optimiser.learning_rate=1e-5')
            *sections, last = key.strip().split('.')
            place = values
            for section in sections:
                place = place.setdefault(section, {}) if isinstance(place, dict) else None
            if not isinstance(place, dict):
                raise ConfigError(f"--set '{override}': '{key}' is not a key of a training "
                                  'configuration; --show prints all keys')
            place[last] = yaml.safe_load(value)
        return _read(TrainingConfig, values, '')

    def course(self) -> dict[str, Any]:
        """Return the settings that affect the result, flat; a resumed training must not differ."""
        values = dataclasses.asdict(self)
        del values['run'], values['validation'], values['data']['root'], values['weights']
        return {f'{section}.{key}' if section else key: list(v) if isinstance(v, tuple) else v
                for section, part in [('', values), *values.items()] if isinstance(part, dict)
                for key, v in part.items() if not isinstance(v, dict)}


def shipped() -> list[str]:
    """Return the names of the shipped configurations."""
    folder = resources.files('vl4ad_workshop.training') / 'configs'
    return sorted(f.name[:-5] for f in folder.iterdir() if f.name.endswith('.yaml'))


def config_text(name: str | Path) -> str:
    """
    Return the YAML text of a shipped configuration or a file.

    :raises ConfigError: if there is neither.
    """
    if str(name) in shipped():
        folder = resources.files('vl4ad_workshop.training') / 'configs'
        return (folder / f'{name}.yaml').read_text()
    try:
        return Path(name).read_text()
    except OSError:
        raise ConfigError(f"no training configuration '{name}': it is neither a file nor one of "
                          + ', '.join(['tiny', *shipped()])) from None


def _read(cls: type, values: Any, where: str) -> Any:
    if not isinstance(values, Mapping):
        raise ConfigError(f"{where or 'the configuration'} is {values!r}; expected keys and "
                          'values, as vl4ad train --config coco_panoptic --show prints them')
    fields = {f.name: f for f in dataclasses.fields(cls)}
    hints = typing.get_type_hints(cls)
    prefix = f'{where}.' if where else ''
    for key in values:
        if key not in fields:
            close = difflib.get_close_matches(str(key), fields, 1)
            hint = f"did you mean '{prefix}{close[0]}'?" if close else (
                'known here: ' + ', '.join(fields))
            raise ConfigError(f"'{prefix}{key}' is not a key of a training configuration; {hint}")
    return cls(**{
        key: _read(hints[key], value, prefix + key) if dataclasses.is_dataclass(hints[key])
        else _convert(hints[key], value, prefix + key, fields[key].metadata)
        for key, value in values.items()})


def _convert(hint: Any, value: Any, key: str, limits: Mapping[str, Any]) -> Any:
    def refuse(expected: str) -> typing.NoReturn:
        raise ConfigError(f'{key} is {value!r}; expected {expected}: correct it in the file, or '
                          f'give --set {key}=VALUE')

    if typing.get_origin(hint) is tuple:
        kinds = typing.get_args(hint)
        count = None if kinds[-1] is Ellipsis else len(kinds)
        if not isinstance(value, Sequence) or isinstance(value, str) or (
                count is not None and len(value) != count):
            refuse(f'a list of {count if count is not None else "any number of"} values')
        return tuple(_convert(kinds[0], v, key, limits) for v in value)
    if hint is str:
        if not isinstance(value, str):
            refuse('a text')
        if value not in limits.get('choices', [value]):
            refuse('one of ' + ', '.join(limits['choices']))
        return value
    what = 'a whole number' if hint is int else 'a number'
    low, high = limits.get('low', float('-inf')), limits.get('high', float('inf'))
    if low != float('-inf'):
        what += f' of at least {low:g}' if high == float('inf') else f' in {low:g}..{high:g}'
    try:
        # YAML reads 1e-4 as text.
        number = hint(value) if not isinstance(value, bool) else refuse(what)
    except (TypeError, ValueError):
        refuse(what)
    if number != (float(value) if isinstance(value, str) else value) or not low <= number <= high:
        refuse(what)
    return number
