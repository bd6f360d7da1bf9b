# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The table of all parameters, and their values as one immutable object."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
import difflib
from pathlib import Path
import re
from typing import Any

from vl4ad_ros.bundle.installed import DEFAULT
from vl4ad_ros.bundle.manifest import DTYPES
from vl4ad_ros.images import MAX_PIXELS
from vl4ad_ros.inference.backend import BackendOptions, PROVIDERS, REGISTRY
from vl4ad_ros.obstacles.ground_view import CameraPose, GroundLimits
from vl4ad_ros.obstacles.mounting import FixedPose, Mounting
from vl4ad_ros.obstacles.pipeline import Limits
from vl4ad_ros.obstacles.regions import RegionLimits
from vl4ad_ros.obstacles.scene_time import TimeLimits
from vl4ad_ros.obstacles.severity import SeverityLimits
from vl4ad_ros.obstacles.sizes import SizeLimits
from vl4ad_ros.obstacles.tracks import TrackLimits
from vl4ad_ros.prompts.reader import BUNDLE, check_entries, names_file, read
from vl4ad_ros.prompts.vocabulary import Vocabulary
from vl4ad_ros.settings.row import parameter, ParameterError, Row

BUNDLE_LIST = (BUNDLE,)
"""Value of a prompt list that stands for the list in the bundle."""
NODE_NAME = 'vl4ad_detector'
"""Default name of the node."""
_RCLPY_PARAMETERS = ('use_sim_time', 'start_type_description_service')


@dataclass(frozen=True)
class Settings:
    """
    The values of all parameters at one moment; its fields are also the table of parameters.

    `region_roi` is a polygon x, y, x, y, ... in fractions of the image. The prompt lists have
    entries in the syntax of `prompts.read`. Files that they name are not opened here, but in
    `vocabulary`.

    :ivar own: the values that single cameras have of their own: (camera, name of the parameter,
        value). Those of cameras that are not among `cameras` have no effect.
    :raises ParameterError: if a value lies outside its range, or if values contradict each other.
    :raises VocabularyError: if a prompt cannot be used; the message names it.
    """

    model_bundle: str = parameter(
        'model.bundle', DEFAULT, 'the exported model: a directory with manifest.json, or the name '
        'of an installed bundle; `street`, the shipped one, reads road scenes by daylight and is '
        'not for driving', fixed=True)
    model_backend: str = parameter(
        'model.backend', 'auto', 'inference library; `auto` takes `tensorrt` if it has an engine '
        'for this bundle and GPU, else the CPU', choices=('auto', *REGISTRY), fixed=True)
    model_threads: int = parameter(
        'model.threads', 2, 'CPU threads of one inference', (1, 64), fixed=True)
    model_device: int = parameter(
        'model.device', 0, 'index of the NVIDIA GPU', (0, 15), fixed=True)
    model_precision: str = parameter(
        'model.precision', 'auto', 'precision on a GPU; `auto` takes the first of these that the '
        'bundle has; a CPU always computes in fp32', choices=('auto', *DTYPES), fixed=True)
    model_onnxruntime_provider: str = parameter(
        'model.onnxruntime_provider', 'cpu', 'where the backend `onnxruntime` runs the image '
        'network; `model.backend: auto` never uses `cuda`', choices=PROVIDERS, fixed=True)
    model_require_gpu: bool = parameter(
        'model.require_gpu', False, 'makes it an error in configure if the image network would '
        'run on the CPU', fixed=True)
    model_cache_dir: str = parameter(
        'model.cache_dir', '', 'folder of built engines; empty stands for '
        '`$XDG_CACHE_HOME/vl4ad_ros/engines`', fixed=True)
    model_build_if_missing: bool = parameter(
        'model.build_if_missing', False, 'build a missing engine in configure, which then takes '
        'minutes; without a GPU this has no effect', fixed=True)
    cameras: tuple[str, ...] = parameter(
        'cameras', ('',), "names of the cameras; `['']` is one camera, whose topics have no "
        'prefix. The camera `front` is read from `front/image` and answered on `~/front/mask` and '
        'so on, and `front.threshold`, `front.region.*`, `front.alert.*` and `front.camera.*` '
        'replace `threshold` and so on for it', fixed=True)
    image_transport: str = parameter(
        'image_transport', 'raw', '`compressed` subscribes to `<image>/compressed` instead',
        choices=('raw', 'compressed'), fixed=True)
    image_max_pixels: int = parameter(
        'image.max_pixels', MAX_PIXELS, 'an image with more pixels is refused before decoding',
        (1, 1_000_000_000))
    image_max_value: int = parameter(
        'image.max_value', 0, 'value of full brightness in images of 16-bit values, such as 4095 '
        'for 12 bits; 0 takes the number of bits that all values so far need. 16UC1 images are '
        'refused while it is 0, because most of them are depth maps', (0, 65535))
    camera_rectified: bool = parameter(
        'camera.rectified', False, 'the images are rectified, so that the projection matrix of '
        'CameraInfo holds for them and its distortion does not')
    camera_height_m: float = parameter(
        'camera.height_m', 0.0, 'height of the camera above the ground in metres; while it is 0, '
        'TF gives the pose of the camera at the stamp of each image, and the other `camera.*_m` '
        'and `camera.*_deg` do not matter', (0.0, 100.0))
    camera_pitch_deg: float = parameter(
        'camera.pitch_deg', 0.0, 'angle in degrees by which the camera looks down', (-89.0, 89.0))
    camera_roll_deg: float = parameter(
        'camera.roll_deg', 0.0, 'angle in degrees by which the camera is turned clockwise, as '
        'seen from behind it', (-180.0, 180.0))
    camera_yaw_deg: float = parameter(
        'camera.yaw_deg', 0.0, 'angle in degrees by which the camera looks to the left of the '
        'direction in which the vehicle drives', (-180.0, 180.0))
    camera_x_m: float = parameter(
        'camera.x_m', 0.0, 'metres by which the camera is in front of the origin of '
        '`ground.frame_id`', (-100.0, 100.0))
    camera_y_m: float = parameter(
        'camera.y_m', 0.0, 'metres by which the camera is to the left of the origin of '
        '`ground.frame_id`', (-100.0, 100.0))
    ground_frame_id: str = parameter(
        'ground.frame_id', 'base_link', 'frame of the vehicle in which positions are given, with '
        'x forward and y to the left; the ground is its plane z = 0', fixed=True)
    ground_max_range_m: float = parameter(
        'ground.max_range_m', 40.0, 'distance in metres beyond which no position is given',
        (0.1, 1000.0))
    ground_pixel_sigma_px: float = parameter(
        'ground.pixel_sigma_px', 3.0, 'standard deviation in pixels of the place where an '
        'obstacle touches the ground in the image', (0.0, 1000.0))
    ground_angle_sigma_deg: float = parameter(
        'ground.angle_sigma_deg', 0.5, 'standard deviation in degrees of the angles of the '
        'camera, to which braking and slopes add', (0.0, 45.0))
    ground_classes: tuple[str, ...] = parameter(
        'ground.classes', ('road', 'sidewalk'), 'known classes that are ground in `~/points`: '
        'names of classes, or concepts in them')
    prompts_known: tuple[str, ...] = parameter(
        'prompts.known', BUNDLE_LIST, 'what belongs in the scene, one entry per class: '
        "`'vegetation: tree, trees'`, or just `'road'`; `'<NAME>'` is a whole list: `'<bundle>'` "
        "that of the bundle, `'<cityscapes>'` a shipped one, `'<file.yaml>'` your own")
    prompts_anomaly: tuple[str, ...] = parameter(
        'prompts.anomaly', BUNDLE_LIST, 'what does not belong, in the same syntax; these classes '
        "take probability from the known ones; `['<everything>', 'hay bale']` is a list and one "
        "more class, `['']` is none")
    threshold: float = parameter(
        'threshold', 0.5, 'score above which a pixel is anomalous', (0.0, 1.0))
    region_min_area: float = parameter(
        'region.min_area', 0.0005, 'smallest region that counts, as a share of the image',
        (0.0, 1.0))
    region_min_area_bottom: float = parameter(
        'region.min_area_bottom', 0.0, 'the same for a region near the lower border of the image, '
        'where its size in metres is not known; up to the middle row it falls to 0 with the '
        'square of the distance from this row, because far objects look smaller', (0.0, 1.0))
    region_max_count: int = parameter(
        'region.max_count', 100, 'how many of the largest regions are reported and tracked; '
        'diagnostics count the others', (1, 10000))
    region_roi: tuple[float, ...] = parameter(
        'region.roi', (0.0, 0.0, 1.0, 0.0, 1.0, 1.0, 0.0, 1.0),
        'polygon x, y, x, y, ... in fractions of the image; a region whose lowest point is '
        'outside is not reported')
    region_drivable: tuple[str, ...] = parameter(
        'region.drivable', ('',), 'known classes, or concepts in them, on which one can drive, '
        "such as `['road', 'sidewalk']`: a region whose lowest point is not among them is not "
        "reported; `['']` is none, and then only `region.roi` counts")
    region_min_size_m: float = parameter(
        'region.min_size_m', 0.0, 'smallest region that counts where the ground is known: the '
        'larger one of its width and height in metres', (0.0, 100.0))
    region_max_size_m: float = parameter(
        'region.max_size_m', 0.0, 'largest region that counts where the ground is known, in '
        'metres; 0 stands for no limit', (0.0, 1000.0))
    alert_confirm_hits: int = parameter(
        'alert.confirm_hits', 3, 'number of frames of the window that must show a region before '
        'it is an alert; 3 of 5 take 2 to 4 s at 1 Hz, and 33 to 67 ms at 60 Hz', (1, 60))
    alert_confirm_window: int = parameter(
        'alert.confirm_window', 5, 'length of the window in processed frames; no `~/alerts` are '
        'published before it is full, which takes 4 s at 1 Hz and 67 ms at 60 Hz', (1, 60))
    alert_release_after: int = parameter(
        'alert.release_after', 5, 'number of processed frames in a row without the region after '
        'which its alert ends: 5 s at 1 Hz, 83 ms at 60 Hz', (1, 120))
    alert_late_s: float = parameter(
        'alert.late_s', 0.5, 'a frame whose stamp is older than the newest one by less than this '
        'many seconds is left out of tracking; if it is older by more, tracking starts anew',
        (0.0, 60.0))
    alert_max_gap_s: float = parameter(
        'alert.max_gap_s', 3.0, 'seconds between two stamps above which tracking starts anew',
        (0.01, 3600.0))
    alert_name_floor: float = parameter(
        'alert.name_floor', 0.3, 'smallest mean mass over a region for which its best anomaly '
        'class is reported beside `anomaly`', (0.0, 1.0))
    severity_reaction_s: float = parameter(
        'severity.reaction_s', 1.0, 'seconds until the vehicle brakes, for the stopping distance '
        'v t + v^2 / (2 a); an obstacle within it is critical', (0.0, 10.0))
    severity_deceleration_mps2: float = parameter(
        'severity.deceleration_mps2', 3.0, 'deceleration a of the stopping distance, in m/s^2',
        (0.1, 20.0))
    severity_margin_m: float = parameter(
        'severity.margin_m', 2.0, 'distance in metres from the origin of `ground.frame_id` at '
        'which an obstacle counts as hit: to the bumper, and the gap that shall be left',
        (0.0, 100.0))
    severity_warning_ttc_s: float = parameter(
        'severity.warning_ttc_s', 5.0, 'time to collision in seconds up to which an obstacle is a '
        'warning', (0.0, 60.0))
    severity_critical_m: float = parameter(
        'severity.critical_m', 10.0, 'distance in metres up to which an obstacle is critical '
        'while no odometry comes', (0.0, 1000.0))
    severity_warning_m: float = parameter(
        'severity.warning_m', 30.0, 'distance in metres up to which an obstacle is a warning '
        'while no odometry comes', (0.0, 1000.0))
    output_overlay_alpha: float = parameter(
        'output.overlay_alpha', 0.5, 'opacity of the mask in the overlay', (0.0, 1.0))
    health_stall_timeout_s: float = parameter(
        'health.stall_timeout_s', 1.0, 'seconds without an image after which the camera counts '
        'as stalled',
        (0.1, 60.0))
    health_warn_age_s: float = parameter(
        'health.warn_age_s', 0.3, 'latency in seconds, from image stamp to publishing, above '
        'which there is a warning', (0.01, 10.0))
    health_fault_limit: int = parameter(
        'health.fault_limit', 5, 'number of frames in a row that cannot be processed after which '
        'the node deactivates itself', (1, 1000))
    health_max_anomalous_share: float = parameter(
        'health.max_anomalous_share', 0.2, 'share of the image above `threshold`, the median of '
        'the last 100 results, above which there is a warning; 1.0 never warns', (0.0, 1.0))

    own: tuple[tuple[str, str, Any], ...] = ()

    def __post_init__(self) -> None:
        """Check every value, and the values against each other."""
        for row in PARAMETERS:
            row.check(getattr(self, row.attribute))
        _check_cameras(self.cameras)
        if self.alert_confirm_hits > self.alert_confirm_window:
            raise ParameterError(
                f'alert.confirm_hits {self.alert_confirm_hits} is more than alert.confirm_window '
                f'{self.alert_confirm_window}; widen the window first')
        if len(self.region_roi) % 2:
            raise ParameterError(
                f'region.roi has {len(self.region_roi)} numbers; give x, y, x, y, ..., such as '
                '[0.0, 0.4, 1.0, 0.4, 1.0, 1.0, 0.0, 1.0]')
        if not self.ground_frame_id.strip('/ '):
            raise ParameterError('ground.frame_id is empty; expected the name of a frame of the '
                                 'vehicle, such as base_link')
        try:
            self._severity
        except ValueError as error:
            raise ParameterError(f'severity.{error}') from error
        try:
            self.limits
        except ValueError as error:
            raise ParameterError(f'region.{error}') from error
        check_entries(self.prompts_known, 'known')
        check_entries(self.prompts_anomaly, 'anomaly')
        if not self.names_file and BUNDLE not in map(
                str.strip, self.prompts_known + self.prompts_anomaly):
            read(*self.prompts)
        for camera in {camera for camera, _, _ in self.own}:
            try:
                self.of_camera(camera)
            except ParameterError as error:
                raise ParameterError(f"camera '{camera}': {error}") from error

    def of_camera(self, camera: str) -> Settings:
        """
        Return the settings of one camera, with its own values in the place of the shared ones.

        :param camera: its name, one of `cameras`.
        """
        if not self.own:
            return self
        return replace(self, own=(), **{ROWS[name].attribute: value
                                        for owner, name, value in self.own if owner == camera})

    @property
    def backend_options(self) -> BackendOptions:
        """
        The options of the backend.

        :raises ParameterError: if `model.cache_dir` begins with ``~`` and a user that is unknown.
        """
        try:
            cache_dir = Path(self.model_cache_dir).expanduser() if self.model_cache_dir else None
        except RuntimeError as error:
            raise ParameterError(f"model.cache_dir '{self.model_cache_dir}': {error}; give the "
                                 'absolute path of the folder') from error
        return BackendOptions(
            self.model_threads, self.model_device, self.model_precision, cache_dir,
            self.model_build_if_missing, self.model_onnxruntime_provider, self.model_require_gpu)

    @property
    def limits(self) -> Limits:
        """The options of the pipeline, from regions to alerts."""
        roi = tuple(zip(self.region_roi[::2], self.region_roi[1::2]))
        return Limits(
            RegionLimits(self.threshold, self.region_min_area, roi, self.region_max_count),
            TrackLimits(self.alert_confirm_hits, self.alert_confirm_window,
                        self.alert_release_after),
            TimeLimits(self.alert_late_s, self.alert_max_gap_s), self.alert_name_floor,
            SizeLimits(self.region_min_size_m, self.region_max_size_m,
                       self.region_min_area_bottom), self._severity,
            tuple(name for name in self.region_drivable if name.strip()))

    @property
    def _severity(self) -> SeverityLimits:
        return SeverityLimits(
            self.severity_reaction_s, self.severity_deceleration_mps2, self.severity_margin_m,
            self.severity_warning_ttc_s, self.severity_critical_m, self.severity_warning_m)

    @property
    def mounting(self) -> Mounting:
        """What is known about the camera and the ground."""
        fixed = FixedPose(CameraPose.of_angles(
            self.camera_height_m, self.camera_pitch_deg, self.camera_roll_deg,
            self.camera_yaw_deg, self.camera_x_m, self.camera_y_m)) if self.camera_height_m else (
                None)
        return Mounting(fixed, self.camera_rectified, GroundLimits(
            self.ground_max_range_m, self.ground_pixel_sigma_px, self.ground_angle_sigma_deg))

    @property
    def prompts(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """The entries of the list of known prompts, and those of the anomaly prompts."""
        return self.prompts_known, self.prompts_anomaly

    @property
    def names_file(self) -> bool:
        """Whether an entry of the prompt lists refers to a file of the user."""
        return names_file(self.prompts_known + self.prompts_anomaly)

    def vocabulary(self, bundled: Vocabulary) -> Vocabulary:
        """
        Return the prompts, with every reference to a list replaced by the list.

        This reads the files that the prompts name, so it must not be called on the executor.

        :param bundled: the vocabulary of the bundle, which ``'<bundle>'`` stands for.
        :raises VocabularyError: if an entry cannot be used; the message names it.
        """
        return read(self.prompts_known, self.prompts_anomaly, bundled)

    def changed(self, values: Mapping[str, Any]) -> Settings:
        """
        Return these settings with the given parameters replaced.

        :param values: values by the name of the parameter, with lists or tuples for lists. Names
            that are no parameters are ignored; see `unknown_names`. A camera's own value has the
            name of the camera in front, such as ``front.threshold``; None removes it.
        :raises ParameterError: if a value has a wrong type, is empty or is out of range.
        :raises VocabularyError: if a prompt cannot be used; the message names it.
        """
        shared = {ROWS[name].attribute: ROWS[name].value_of(value)
                  for name, value in values.items() if name in ROWS}
        own = {(camera, name): value for camera, name, value in self.own}
        for full_name, value in values.items():
            camera, _, name = full_name.partition('.')
            if full_name in ROWS or name not in OF_CAMERAS:
                continue
            own.pop((camera, name), None)
            if value is not None:
                try:
                    own[camera, name] = ROWS[name].value_of(value)
                except ParameterError as error:
                    raise ParameterError(f"camera '{camera}': {error}") from error
        return replace(self, own=tuple((*key, own[key]) for key in sorted(own)), **shared)

    def fixed_changes(self, other: Settings) -> list[str]:
        """
        Return the parameters that differ and can only change while the node is unconfigured.

        :param other: the settings to compare with.
        :returns: names of parameters.
        """
        return [row.name for row in PARAMETERS if row.fixed
                and getattr(self, row.attribute) != getattr(other, row.attribute)]


PARAMETERS = tuple(Row(f.name, f.default, **f.metadata) for f in fields(Settings) if f.metadata)
"""All parameters, in the order of the documentation."""
ROWS: Mapping[str, Row] = {row.name: row for row in PARAMETERS}
"""All parameters by name."""
OF_CAMERAS = tuple(row.name for row in PARAMETERS if row.name == 'threshold'
                   or row.name.startswith(('region.', 'alert.', 'camera.')))
"""Names of the parameters of which each camera may have a value of its own."""
_CAMERA_NAME = re.compile(r'[A-Za-z](_?[A-Za-z0-9])*')


def own_name(camera: str, name: str) -> str:
    """Return the name of the parameter that holds a camera's own value of a parameter."""
    return f'{camera}.{name}'


def _check_cameras(cameras: tuple[str, ...]) -> None:
    """Refuse names of cameras that cannot be part of names of topics and parameters."""
    if cameras == ('',):
        return
    groups = {row.name.partition('.')[0] for row in PARAMETERS} | {'qos_overrides'}
    for camera in cameras:
        if not _CAMERA_NAME.fullmatch(camera):
            raise ParameterError(
                f"cameras has the name '{camera}'; expected letters, digits and single "
                'underscores, with a letter at the beginning')
        if camera in groups:
            raise ParameterError(f"cameras has the name '{camera}', with which other parameters "
                                 f'begin; choose another one, such as {camera}_camera')
        if cameras.count(camera) > 1:
            raise ParameterError(f"cameras has the name '{camera}' more than once")


def unknown_names(names: Iterable[str], cameras: Iterable[str] = ()) -> list[str]:
    """
    Return a sentence for each name that is no parameter, with the most similar parameter.

    :param names: names of parameters. Those that rclpy itself declares (``use_sim_time``,
        ``qos_overrides.*``) are known.
    :param cameras: names of the cameras, which may have values of their own.
    """
    known = {*ROWS, *_RCLPY_PARAMETERS, *(own_name(camera, name)
                                          for camera in cameras for name in OF_CAMERAS)}
    sentences = []
    for name in names:
        if name in known or name.startswith('qos_overrides.'):
            continue
        camera, _, shared = name.partition('.')
        if camera in cameras and shared in ROWS:
            sentences.append(f"there is no parameter '{name}', so its value is ignored: "
                             f"'{shared}' is the same for all cameras")
            continue
        near = difflib.get_close_matches(name, known, 1)
        if shared in OF_CAMERAS and not difflib.get_close_matches(camera, cameras, 1):
            sentences.append(f"the parameter 'cameras' does not name '{camera}', so the value of "
                             f"'{name}' is ignored")
            continue
        sentences.append(f"there is no parameter '{name}', so its value is ignored; "
                         + (f"did you mean '{near[0]}'?" if near else
                            'docs/parameters.md lists all parameters'))
    return sentences


def markdown_table() -> str:
    """Return the table of parameters of docs/parameters.md."""
    lines = ['| parameter | type | default | range | while configured | meaning |',
             '|---|---|---|---|---|---|']
    for row in PARAMETERS:
        default = row.ros_default
        if default == '' or isinstance(default, bool):
            default = "''" if default == '' else str(default).lower()
        lines.append(f'| `{row.name}` | {row.type_text} | `{default}` | {row.range_text} | '
                     f'{"fixed" if row.fixed else "changes"} | {row.meaning} |')
    return '\n'.join(lines)
