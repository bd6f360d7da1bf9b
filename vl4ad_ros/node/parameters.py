# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The node's parameters: one table, read into one frozen value that is replaced whole."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor
from rclpy.exceptions import InvalidParameterTypeException, InvalidParameterValueException
from rclpy.node import Node
from rclpy.parameter import Parameter

from vl4ad_ros.obstacles.regions import RegionLimits
from vl4ad_ros.obstacles.tracks import TrackLimits
from vl4ad_ros.runtime.backends import BackendOptions
from vl4ad_ros.runtime.bundle import DTYPES
from vl4ad_ros.vocabularies import BUNDLE, expand, read
from vl4ad_ros.vocabulary import Vocabulary

BUNDLE_LIST = (BUNDLE,)
"""Value of a prompt list that stands for the list inside the bundle."""


class ParameterError(ValueError):
    """A parameter value that cannot be used; the message names it and the cure."""


def _row(name: str, default: Any, meaning: str, between: tuple = (), choices: tuple = (),
         live: bool = True) -> Any:
    """Return a field of `Settings` that carries its row of the table."""
    return field(default=default, metadata={'name': name, 'meaning': meaning, 'between': between,
                                            'choices': choices, 'live': live})


@dataclass(frozen=True)
class Settings:
    """
    All parameter values at one moment, and the table they are declared from.

    `region_roi` is a flat x, y, x, y... polygon in fractions of the image; the prompt lists
    are entries as `vocabularies.read` takes them.

    :raises ParameterError: if values contradict each other or lie outside their range.
    """

    model_bundle: str = _row(
        'model.bundle', 'tiny', 'exported model: a directory with manifest.json, or `tiny`, the '
        'shipped one, which is not for driving', live=False)
    model_backend: str = _row(
        'model.backend', 'auto', 'inference library; `auto` takes the best one installed',
        live=False)
    model_threads: int = _row(
        'model.threads', 2, 'CPU threads of one inference', (1, 64), live=False)
    model_device: int = _row('model.device', 0, 'index of the GPU', (0, 15), live=False)
    model_precision: str = _row(
        'model.precision', 'auto', 'of a GPU; `auto` takes the first of these that the bundle '
        'has; a CPU always computes in fp32', choices=('auto', *DTYPES), live=False)
    model_cache_dir: str = _row(
        'model.cache_dir', '', 'folder of built engines; empty is '
        '`$XDG_CACHE_HOME/vl4ad_ros/engines`', live=False)
    model_build_if_missing: bool = _row(
        'model.build_if_missing', False, 'build a missing engine in configure, which then takes '
        'minutes; otherwise configure fails at once and names the command', live=False)
    image_transport: str = _row(
        'image_transport', 'raw', '`compressed` subscribes `<image>/compressed` instead',
        choices=('raw', 'compressed'), live=False)
    prompts_known: tuple[str, ...] = _row(
        'prompts.known', BUNDLE_LIST, 'what belongs in the scene, one entry per class: '
        "`'vegetation: tree, trees'` or a bare `'road'`; `'<NAME>'` is a whole list: "
        "`'<bundle>'` the bundle's own, `'<cityscapes>'` a shipped one, `'<file.yaml>'` yours")
    prompts_anomaly: tuple[str, ...] = _row(
        'prompts.anomaly', BUNDLE_LIST, 'what does not belong, same syntax: takes probability '
        "away from the known classes; `['<everything>', 'hay bale']` is a list and one more, "
        "`['']` is none")
    threshold: float = _row(
        'threshold', 0.5, 'score above which a pixel is anomalous', (0.0, 1.0))
    region_min_area: float = _row(
        'region.min_area', 0.0005, 'smallest region that counts, share of the image', (0.0, 1.0))
    region_roi: tuple[float, ...] = _row(
        'region.roi', (0.0, 0.0, 1.0, 0.0, 1.0, 1.0, 0.0, 1.0),
        'polygon x, y, x, y, ... in image fractions; a region whose foot is outside is not '
        'reported')
    alert_confirm_hits: int = _row(
        'alert.confirm_hits', 3, 'frames of the window that must show a region before it is an '
        'alert', (1, 60))
    alert_confirm_window: int = _row(
        'alert.confirm_window', 5, 'frames looked back on to confirm', (1, 60))
    alert_release_after: int = _row(
        'alert.release_after', 5, 'frames in a row without the region that end its alert',
        (1, 120))
    output_overlay_alpha: float = _row(
        'output.overlay_alpha', 0.5, 'opacity of the mask in the overlay', (0.0, 1.0))
    health_stall_timeout_s: float = _row(
        'health.stall_timeout_s', 1.0, 'seconds without an image that are a stalled camera',
        (0.1, 60.0))
    health_warn_age_s: float = _row(
        'health.warn_age_s', 0.3, 'age of a result, image stamp to publishing, that is worth a '
        'warning', (0.01, 10.0))
    health_fault_limit: int = _row(
        'health.fault_limit', 5, 'inference failures in a row that deactivate the node',
        (1, 1000))

    def __post_init__(self) -> None:
        """Refuse what no single range can."""
        for row in PARAMETERS:
            row.check(getattr(self, row.attribute))
        if self.alert_confirm_hits > self.alert_confirm_window:
            raise ParameterError(
                f'alert.confirm_hits {self.alert_confirm_hits} is more than alert.confirm_window '
                f'{self.alert_confirm_window}; widen the window first')
        if len(self.region_roi) % 2:
            raise ParameterError(
                f'region.roi has {len(self.region_roi)} numbers; give x, y, x, y, ..., such as '
                '[0.0, 0.4, 1.0, 0.4, 1.0, 1.0, 0.0, 1.0]')
        try:
            self.region_limits
        except ValueError as error:
            raise ParameterError(f'region.{error}') from error
        known, anomaly = (expand(self.prompts_known, 'known'),
                          expand(self.prompts_anomaly, 'anomaly'))
        if BUNDLE not in map(str.strip, self.prompts_known + self.prompts_anomaly):
            Vocabulary(known, anomaly)

    @property
    def backend_options(self) -> BackendOptions:
        """What the backend may use."""
        return BackendOptions(
            self.model_threads, self.model_device, self.model_precision,
            Path(self.model_cache_dir).expanduser() if self.model_cache_dir else None,
            self.model_build_if_missing)

    @property
    def region_limits(self) -> RegionLimits:
        """Which regions count."""
        return RegionLimits(self.threshold, self.region_min_area,
                            tuple(zip(self.region_roi[::2], self.region_roi[1::2])))

    @property
    def track_limits(self) -> TrackLimits:
        """When a region becomes an alert, and when the alert ends."""
        return TrackLimits(self.alert_confirm_hits, self.alert_confirm_window,
                           self.alert_release_after)

    def vocabulary(self, bundled: Vocabulary) -> Vocabulary:
        """
        Return the prompts, with the lists that they refer to in place; `bundled` is one of them.

        :raises VocabularyError: naming the entry that cannot be used.
        """
        return read(self.prompts_known, self.prompts_anomaly, bundled)

    def changed(self, parameters: Iterable[Parameter]) -> Settings:
        """
        Return these settings with the given ROS parameters replaced; others are ignored.

        :raises ParameterError: if a value has no type (an empty list in YAML) or is refused.
        :raises VocabularyError: naming the prompt that cannot be used.
        """
        return replace(self, **{ROWS[p.name].attribute: ROWS[p.name].value_of(p)
                                for p in parameters if p.name in ROWS})

    def fixed_changes(self, other: Settings) -> list[str]:
        """Return the names that differ and may only change while the node is unconfigured."""
        return [row.name for row in PARAMETERS if not row.live
                and getattr(self, row.attribute) != getattr(other, row.attribute)]


@dataclass(frozen=True)
class Row:
    """One parameter: what is declared, documented and checked."""

    attribute: str
    default: Any
    name: str
    meaning: str
    between: tuple
    choices: tuple
    live: bool

    @property
    def type(self) -> Parameter.Type:
        """The ROS type, from the default."""
        return Parameter.Type.from_parameter_value(self.ros_default)

    @property
    def ros_default(self) -> Any:
        """The default as rclpy takes it: lists, not tuples."""
        return list(self.default) if isinstance(self.default, tuple) else self.default

    @property
    def range_text(self) -> str:
        """The allowed values in words; empty if all are."""
        return ' to '.join(map(str, self.between)) or ', '.join(self.choices)

    def descriptor(self) -> ParameterDescriptor:
        """Return the descriptor that `ros2 param describe` shows and rclpy enforces."""
        described = ParameterDescriptor(
            description=self.meaning, additional_constraints=self.range_text)
        if self.between:
            kind, key = ((IntegerRange, 'integer_range') if isinstance(self.default, int)
                         else (FloatingPointRange, 'floating_point_range'))
            low, high = self.between
            setattr(described, key, [kind(from_value=low, to_value=high)])
        return described

    def value_of(self, parameter: Parameter) -> Any:
        """Return the Python value, lists as tuples; refuse one without a type."""
        if parameter.value is None:
            raise self.refusal('an empty list', f'at least one entry, such as {self.ros_default}')
        if isinstance(self.default, tuple):
            return tuple(parameter.value)
        return parameter.value

    def check(self, value: Any) -> None:
        """Refuse a value outside the row's range or choices."""
        if self.choices and value not in self.choices:
            raise self.refusal(f"'{value}'", ' or '.join(self.choices))
        if self.between and not self.between[0] <= value <= self.between[1]:
            raise self.refusal(str(value), self.range_text)
        if isinstance(self.default, tuple) and not value:
            raise self.refusal('an empty list', f'at least one entry, such as {self.ros_default}')

    def refusal(self, got: str, wanted: str) -> ParameterError:
        """Return the error that names this parameter, what came and what is wanted."""
        hint = "; write [''] for none" if self.name == 'prompts.anomaly' else ''
        return ParameterError(f'{self.name} is {got}; expected {wanted}{hint}')


PARAMETERS = tuple(Row(f.name, f.default, **f.metadata) for f in fields(Settings))
ROWS: Mapping[str, Row] = {row.name: row for row in PARAMETERS}


def declare(node: Node) -> Settings:
    """
    Declare the whole table on `node` and return the values it starts with.

    :raises ParameterError: naming the key of the parameter file whose value has a wrong type,
        range or an empty list.
    """
    declared = []
    for row in PARAMETERS:
        try:
            declared.append(node.declare_parameter(row.name, row.ros_default, row.descriptor()))
        except (InvalidParameterTypeException, InvalidParameterValueException) as error:
            raise ParameterError(
                f'{row.name}: expected {row.type.name.lower()}'
                f'{f" in {row.range_text}" if row.range_text else ""}, such as '
                f'{row.ros_default}; {error}') from error
    return Settings().changed(declared)


def markdown_table() -> str:
    """Return the README's table of parameters."""
    lines = ['| parameter | type | default | range | while configured | meaning |',
             '|---|---|---|---|---|---|']
    for row in PARAMETERS:
        kind = row.type.name.lower().replace('_array', '[]')
        default = row.ros_default
        if default == '' or isinstance(default, bool):
            default = "''" if default == '' else str(default).lower()
        lines.append(f'| `{row.name}` | {kind} | `{default}` | {row.range_text} | '
                     f'{"changes" if row.live else "fixed"} | {row.meaning} |')
    return '\n'.join(lines)
