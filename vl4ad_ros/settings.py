# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""All parameters: one table, read into one frozen value, for the node and offline evaluation."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
import difflib
from fnmatch import fnmatchcase
import math
from pathlib import Path
from typing import Any

from vl4ad_ros.bundle.installed import DEFAULT
from vl4ad_ros.bundle.manifest import DTYPES
from vl4ad_ros.files import read_regular
from vl4ad_ros.inference.backend import BackendOptions
from vl4ad_ros.obstacles.pipeline import Limits
from vl4ad_ros.obstacles.regions import RegionLimits
from vl4ad_ros.obstacles.scene_time import TimeLimits
from vl4ad_ros.obstacles.tracks import TrackLimits
from vl4ad_ros.prompts.reader import BUNDLE, check_entries, names_file, read
from vl4ad_ros.prompts.vocabulary import Vocabulary
import yaml

BUNDLE_LIST = (BUNDLE,)
"""Value of a prompt list that stands for the list inside the bundle."""
NODE_NAME = 'vl4ad_detector'
_LARGEST_FILE = 1 << 20  # bytes of a parameter file
_OF_RCLPY = ('use_sim_time', 'start_type_description_service')
_KINDS = {bool: 'true or false', int: 'an integer', float: 'a number with a point, such as 1.0',
          str: 'text'}


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
    are entries as `vocabularies.read` takes them. Files that they name are not opened here, but
    by `vocabulary`.

    :raises ParameterError: if values contradict each other or lie outside their range.
    :raises VocabularyError: naming the prompt that cannot be used.
    """

    model_bundle: str = _row(
        'model.bundle', DEFAULT, 'exported model: a directory with manifest.json, or `tiny`, the '
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
    image_max_pixels: int = _row(
        'image.max_pixels', 64_000_000, 'a larger image is refused before it is decoded',
        (1, 1_000_000_000))
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
    region_max_count: int = _row(
        'region.max_count', 100, 'so many of the largest regions are reported and tracked; '
        'diagnostics count the rest', (1, 10000))
    region_roi: tuple[float, ...] = _row(
        'region.roi', (0.0, 0.0, 1.0, 0.0, 1.0, 1.0, 0.0, 1.0),
        'polygon x, y, x, y, ... in image fractions; a region whose foot is outside is not '
        'reported')
    alert_confirm_hits: int = _row(
        'alert.confirm_hits', 3, 'frames of the window that must show a region before it is an '
        'alert; 3 of 5 need 2 to 4 s of frames at 1 Hz, and 33 to 67 ms at 60 Hz', (1, 60))
    alert_confirm_window: int = _row(
        'alert.confirm_window', 5, 'processed frames looked back on to confirm; no `~/alerts` are '
        'published before so many frames have been seen, 4 s at 1 Hz and 67 ms at 60 Hz', (1, 60))
    alert_release_after: int = _row(
        'alert.release_after', 5, 'processed frames in a row without the region that end its '
        'alert: 5 s at 1 Hz, 83 ms at 60 Hz', (1, 120))
    alert_late_s: float = _row(
        'alert.late_s', 0.5, 'a frame whose stamp is older than the newest one by less than this '
        'is left out of tracking; one that is older by more starts tracking anew', (0.0, 60.0))
    alert_max_gap_s: float = _row(
        'alert.max_gap_s', 3.0, 'seconds between two stamps above which tracking starts anew',
        (0.01, 3600.0))
    alert_name_floor: float = _row(
        'alert.name_floor', 0.3, 'mean mass over a region from which its best anomaly class is '
        'reported beside `anomaly`', (0.0, 1.0))
    output_overlay_alpha: float = _row(
        'output.overlay_alpha', 0.5, 'opacity of the mask in the overlay', (0.0, 1.0))
    health_stall_timeout_s: float = _row(
        'health.stall_timeout_s', 1.0, 'seconds without an image that are a stalled camera',
        (0.1, 60.0))
    health_warn_age_s: float = _row(
        'health.warn_age_s', 0.3, 'age of a result, image stamp to publishing, that is worth a '
        'warning', (0.01, 10.0))
    health_fault_limit: int = _row(
        'health.fault_limit', 5, 'frames in a row that cannot be processed and deactivate the '
        'node', (1, 1000))

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
            self.limits
        except ValueError as error:
            raise ParameterError(f'region.{error}') from error
        check_entries(self.prompts_known, 'known')
        check_entries(self.prompts_anomaly, 'anomaly')
        if not self.names_file and BUNDLE not in map(
                str.strip, self.prompts_known + self.prompts_anomaly):
            read(*self.prompts)

    @property
    def backend_options(self) -> BackendOptions:
        """
        What the backend may use.

        :raises ParameterError: if the folder of engines is below the home folder of nobody.
        """
        try:
            cache_dir = Path(self.model_cache_dir).expanduser() if self.model_cache_dir else None
        except RuntimeError as error:
            raise ParameterError(f"model.cache_dir '{self.model_cache_dir}': {error}; write out "
                                 'the folder') from error
        return BackendOptions(self.model_threads, self.model_device, self.model_precision,
                              cache_dir, self.model_build_if_missing)

    @property
    def limits(self) -> Limits:
        """What makes a region a detection, and a detection an alert."""
        roi = tuple(zip(self.region_roi[::2], self.region_roi[1::2]))
        return Limits(
            RegionLimits(self.threshold, self.region_min_area, roi, self.region_max_count),
            TrackLimits(self.alert_confirm_hits, self.alert_confirm_window,
                        self.alert_release_after),
            TimeLimits(self.alert_late_s, self.alert_max_gap_s), self.alert_name_floor)

    @property
    def prompts(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """The entries of both prompt lists, known ones first."""
        return self.prompts_known, self.prompts_anomaly

    @property
    def names_file(self) -> bool:
        """Whether an entry of the prompts refers to a file of the user's."""
        return names_file(self.prompts_known + self.prompts_anomaly)

    def vocabulary(self, bundled: Vocabulary) -> Vocabulary:
        """
        Return the prompts, with the lists that they refer to in place; `bundled` is one of them.

        Opens the files that the prompts name, so never call it where nothing may wait.

        :raises VocabularyError: naming the entry that cannot be used.
        """
        return read(self.prompts_known, self.prompts_anomaly, bundled)

    def changed(self, values: Mapping[str, Any]) -> Settings:
        """
        Return these settings with the given parameters replaced.

        :param values: by parameter name, lists or tuples for lists; unknown names are ignored, see
            `unknown_names`.
        :raises ParameterError: if a value is of another type, empty or out of range.
        :raises VocabularyError: naming the prompt that cannot be used.
        """
        return replace(self, **{ROWS[name].attribute: ROWS[name].value_of(value)
                                for name, value in values.items() if name in ROWS})

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
    def ros_default(self) -> Any:
        """The default as rclpy takes it: lists, not tuples."""
        return list(self.default) if isinstance(self.default, tuple) else self.default

    @property
    def range_text(self) -> str:
        """The allowed values in words; empty if all are."""
        return ' to '.join(map(str, self.between)) or ', '.join(self.choices)

    @property
    def type_text(self) -> str:
        """The type as ROS calls it, such as ``string[]``."""
        kind = type(self.default[0] if isinstance(self.default, tuple) else self.default)
        name = {bool: 'bool', int: 'integer', float: 'double', str: 'string'}[kind]
        return name + ('[]' if isinstance(self.default, tuple) else '')

    def value_of(self, value: Any) -> Any:
        """Return a value as `Settings` holds it, lists as tuples; refuse one of another type."""
        if isinstance(self.default, tuple):
            if value is None or not isinstance(value, str) and not len(value):
                raise self.refusal(
                    'an empty list', f'at least one entry, such as {self.ros_default}')
            kind = type(self.default[0])
            if isinstance(value, str) or not all(type(item) is kind for item in value):
                raise self.refusal(f'{value!r:.60}', f'a list, each entry {_KINDS[kind]}')
            return tuple(value)
        kind = type(self.default)
        if type(value) is not kind:
            raise self.refusal(f'{value!r:.60}', _KINDS[kind])
        return value

    def check(self, value: Any) -> None:
        """Refuse a value outside the row's range or choices."""
        if self.choices and value not in self.choices:
            raise self.refusal(f"'{value}'", ' or '.join(self.choices))
        if self.between and not self.between[0] <= value <= self.between[1]:
            raise self.refusal(str(value), self.range_text)
        if isinstance(self.default, tuple) and any(
                isinstance(item, float) and not math.isfinite(item) for item in value):
            raise self.refusal(str(list(value)), 'finite numbers')

    def refusal(self, got: str, wanted: str) -> ParameterError:
        """Return the error that names this parameter, what came and what is wanted."""
        hint = "; write [''] for none" if self.name == 'prompts.anomaly' else ''
        return ParameterError(f'{self.name} is {got}; expected {wanted}{hint}')


PARAMETERS = tuple(Row(f.name, f.default, **f.metadata) for f in fields(Settings))
ROWS: Mapping[str, Row] = {row.name: row for row in PARAMETERS}


def unknown_names(names: Iterable[str]) -> list[str]:
    """
    Return a sentence for each name that is no parameter of the node, with the nearest that is.

    Names that rclpy itself knows (``use_sim_time``, ``qos_overrides.*``) are left out.
    """
    said = []
    for name in names:
        if name in ROWS or name in _OF_RCLPY or name.startswith('qos_overrides.'):
            continue
        near = difflib.get_close_matches(name, ROWS, 1)
        said.append(f"there is no parameter '{name}', so its value is ignored; "
                    + (f"did you mean '{near[0]}'?" if near else
                       'see: ros2 launch vl4ad_ros detector.launch.py --show-args, and the '
                       'table of parameters in the README'))
    return said


def read_parameter_file(file: Path, node_name: str = NODE_NAME) -> dict[str, Any]:
    """
    Return the values that a ROS parameter file gives to a node, by parameter name.

    Later sections of the file win, as in ROS.

    :param node_name: with its namespace, such as ``front/vl4ad_detector``. A section counts if its
        name, in which ``*`` stands for one part and ``**`` for any number, is this.
    :raises ParameterError: if the file cannot be read or no section of it is for the node.
    """
    try:
        tree = yaml.safe_load(read_regular(file, _LARGEST_FILE).decode())
    except (OSError, UnicodeDecodeError, yaml.YAMLError, RecursionError) as error:
        raise ParameterError(f"parameter file '{file}' cannot be read: "
                             f'{" ".join(str(error).split())}') from error
    sections = list(_sections(tree))
    chosen = [values for name, values in sections
              if _matches(name.strip('/').split('/'), node_name.strip('/').split('/'))]
    if not chosen:
        found = ', '.join(f"'{name}'" for name, _ in sections) or 'none'
        raise ParameterError(
            f"parameter file '{file}' has no section for the node '{node_name}'; its sections "
            f"with ros__parameters: {found}. Use '/**:' for any node")
    return {name: value for values in chosen for name, value in _flat(values)}


def _sections(tree: Any, path: str = '') -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield the node name and the values of each section."""
    if not isinstance(tree, dict):
        return
    for key, value in tree.items():
        if key == 'ros__parameters':
            yield path, value if isinstance(value, dict) else {}
        else:
            yield from _sections(value, f'{path}/{str(key).strip("/")}')


def _matches(pattern: list[str], name: list[str]) -> bool:
    """Tell whether a section's name, split at slashes, stands for a node's."""
    if not pattern or not name:
        return pattern in ([], ['**']) and not name
    if pattern[0] == '**':
        return _matches(pattern[1:], name) or _matches(pattern, name[1:])
    return fnmatchcase(name[0], pattern[0]) and _matches(pattern[1:], name[1:])


def _flat(values: Mapping[str, Any], prefix: str = '') -> Iterator[tuple[str, Any]]:
    for key, value in values.items():
        if isinstance(value, dict):
            yield from _flat(value, f'{prefix}{key}.')
        else:
            yield f'{prefix}{key}', value


def markdown_table() -> str:
    """Return the README's table of parameters."""
    lines = ['| parameter | type | default | range | while configured | meaning |',
             '|---|---|---|---|---|---|']
    for row in PARAMETERS:
        default = row.ros_default
        if default == '' or isinstance(default, bool):
            default = "''" if default == '' else str(default).lower()
        lines.append(f'| `{row.name}` | {row.type_text} | `{default}` | {row.range_text} | '
                     f'{"changes" if row.live else "fixed"} | {row.meaning} |')
    return '\n'.join(lines)
