# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The lifecycle node: its transitions, its parameters, its diagnostics."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
import time

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rcl_interfaces.msg import SetParametersResult
from rclpy.clock import Clock, ClockType
from rclpy.duration import Duration
from rclpy.lifecycle import LifecycleState, TransitionCallbackReturn
from rclpy.parameter import Parameter
from rclpy.publisher import Publisher
from std_msgs.msg import Header
from vision_msgs.msg import LabelInfo

from vl4ad_ros.bundle.prompt_encoder import Prompts
from vl4ad_ros.inference.detector import Detector
from vl4ad_ros.inference.errors import EngineMissing, FatalBackendError
from vl4ad_ros.node import messages, qos
from vl4ad_ros.node.aside import aside
from vl4ad_ros.node.camera import Camera, Configuration
from vl4ad_ros.node.dds import shared_memory_problem
from vl4ad_ros.node.lifecycle import PatientLifecycleNode, transition
from vl4ad_ros.node.parameters import declare
from vl4ad_ros.node.prompt_changes import PromptChanges
from vl4ad_ros.node.python_log import forwarded
from vl4ad_ros.prompts.vocabulary import script_warnings
from vl4ad_ros.settings import NODE_NAME, ParameterError, ROWS, Settings, unknown_names

_DIAGNOSTICS_S = 1.0
_POLL_S = 0.1
"""Seconds between two looks for a signal while the model loads."""


@dataclass(frozen=True)
class _Loaded:
    """What exists only while the node is configured."""

    detector: Detector
    camera: Camera
    label_info: Publisher
    changes: PromptChanges


class DetectorNode(PatientLifecycleNode):
    """
    Says of each image which pixels do not belong there.

    configure loads the model and cleanup frees it; activate takes images and deactivate stops.
    A transition that fails says why in the log and can be tried again. Every setting is a
    parameter; a change is answered with success or a reason, and a frame is processed wholly
    with the settings and prompts it began with. New prompts come into force when they are
    encoded, which `~/label_info` tells.
    """

    def __init__(self, name: str = NODE_NAME, **kwargs) -> None:
        """
        Create the node, unconfigured.

        :raises ParameterError: if a start value (parameter file, command line) is unusable.
        :raises VocabularyError: if a start value is a prompt that cannot be used.
        """
        super().__init__(name, **kwargs)
        self._loaded: _Loaded | None = None
        self._trouble = ''
        self._prompt_trouble = ''
        self._lost: FatalBackendError | None = None
        self._doing = ''
        self._diagnosed = 0.0
        self._last_level = DiagnosticStatus.OK
        try:
            self._settings = declare(self)
        except ValueError:
            self.destroy_node()
            raise
        for sentence in unknown_names(self._parameter_overrides):
            self.get_logger().warning(sentence)
        self._memory_problem = shared_memory_problem()
        if self._memory_problem:
            self.get_logger().warning(self._memory_problem)
        self.add_on_set_parameters_callback(self._change_parameters)
        self._give_up_soon = self.create_guard_condition(self._act_on_trouble)
        self._prompts_soon = self.create_guard_condition(self._put_prompts_into_force)
        self._diagnostics = self.create_publisher(DiagnosticArray, '/diagnostics', qos.event())
        # A steady clock: diagnostics must not stop when /clock pauses.
        self.create_timer(
            _DIAGNOSTICS_S, self._diagnose, clock=Clock(clock_type=ClockType.STEADY_TIME))

    @transition(undo='release')
    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Load the model and its prompts; inactive follows, or unconfigured with a reason."""
        settings = self._settings
        try:
            with forwarded(self._progress, self._warn):
                detector, prompts = aside(
                    lambda: self._load(settings), self._while_loading, _POLL_S)
        except FatalBackendError as error:
            self._give_up(error)
            raise
        finally:
            self._doing = ''
        camera = Camera(self, detector, Configuration(settings, prompts), self._give_up)
        self._loaded = _Loaded(
            detector, camera, self.create_publisher(LabelInfo, '~/label_info', qos.latched()),
            PromptChanges(detector, self._prompts_soon.trigger))
        camera.open()
        self._trouble = self._prompt_trouble = ''
        vocabulary = prompts.vocabulary
        self.get_logger().info(
            f'model {detector.bundle.name}: {len(vocabulary.known)} known and '
            f'{len(vocabulary.anomaly)} anomaly classes')
        if detector.bundle.notice:
            self.get_logger().warning(f'model {detector.bundle.name}: {detector.bundle.notice}')
        self._warn_of_scripts(self._loaded, prompts)
        self._publish_label_info(self._loaded)
        return super().on_configure(state)

    @transition(undo='_stop')
    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Take images from here on."""
        answer = super().on_activate(state)
        self._trouble = ''
        self._loaded.camera.start()
        return answer

    @transition()
    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Finish the frame in hand and publish nothing more; the model stays loaded."""
        self._loaded.camera.stop()
        return super().on_deactivate(state)

    @transition()
    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Free the model and the publishers."""
        self.release()
        return super().on_cleanup(state)

    @transition()
    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Free everything, from any state."""
        self.release()
        return super().on_shutdown(state)

    @transition()
    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Free everything; unconfigured follows, and configure may be tried again."""
        self.release()
        return super().on_error(state)

    def release(self) -> None:
        """Stop and free whatever is there; may be called in any state."""
        loaded, self._loaded = self._loaded, None
        if loaded is None:
            return
        loaded.changes.cancel()
        self.destroy_publisher(loaded.label_info)
        loaded.camera.close()
        # A lost GPU is left to the end of the process: what frees it may fail or hang.
        if self._lost is None:
            loaded.detector.close()

    @property
    def _state(self) -> str:
        if self._loaded is None:
            return 'unconfigured'
        return 'active' if self._loaded.camera.running else 'inactive'

    def _load(self, settings: Settings) -> tuple[Detector, Prompts]:
        """Return the model, run and ready, and its prompts; called beside the executor."""
        try:
            detector = Detector.open(settings.model_bundle, settings.model_backend,
                                     settings.backend_options, self._progress)
        except EngineMissing as error:
            raise EngineMissing(str(error).replace(
                'vl4ad build', 'ros2 run vl4ad_ros build_engine')) from error
        try:
            prompts = detector.encode(settings.vocabulary(detector.default_vocabulary))
            detector.warm_up()
        except FatalBackendError:
            raise
        except Exception:
            detector.close()
            raise
        return detector, prompts

    def _progress(self, line: str) -> None:
        self._doing = f'configuring: {line}'
        self.get_logger().info(line)

    def _warn(self, line: str) -> None:
        self._doing = f'configuring: {line}'
        self.get_logger().warning(line)

    def _while_loading(self) -> None:
        if not self.context.ok():
            raise RuntimeError('told to end while the model was loading')
        if time.monotonic() - self._diagnosed > _DIAGNOSTICS_S:
            self._diagnose()

    def _stop(self) -> None:
        self._loaded.camera.stop()
        super().on_deactivate(None)

    def _change_parameters(self, parameters: Sequence[Parameter]) -> SetParametersResult:
        """
        Check the new values and accept them, or say why not; the old ones stay then.

        Prompts come into force when they are encoded, and what is set in the same call with them.
        """
        values = {p.name: p.value for p in parameters if p.name in ROWS}
        if not values:
            return SetParametersResult(successful=True)  # such as qos_overrides.*, by rclpy
        try:
            settings = self._settings.changed(values)
            if self._loaded is not None:
                sets_prompts = any(name.startswith('prompts.') for name in values)
                self._apply(self._loaded, settings, sets_prompts)
        except Exception as error:
            # Whatever is raised here would end the executor.
            return SetParametersResult(successful=False, reason=str(error))
        self._settings = settings
        return SetParametersResult(successful=True)

    def _apply(self, loaded: _Loaded, settings: Settings, sets_prompts: bool) -> None:
        fixed = self._settings.fixed_changes(settings)
        if fixed:
            raise ParameterError(f'{fixed[0]} can only change while the node is unconfigured; '
                                 'deactivate and clean it up first')
        differs = settings.prompts != self._settings.prompts
        if sets_prompts and (differs or self._prompt_trouble):
            loaded.changes.begin(settings)
            return
        before = loaded.camera.configuration
        loaded.camera.configuration = replace(before, settings=settings)
        if settings.threshold != before.settings.threshold:
            self._publish_label_info(loaded)

    def _put_prompts_into_force(self) -> None:
        """Let the next frame begin with prompts that are encoded now."""
        loaded = self._loaded
        outcome = loaded and loaded.changes.take()
        if not loaded or not outcome:
            return
        error = outcome.exception()
        if error is not None:
            self._prompt_trouble = (
                f'the new prompts cannot be used, the old ones stay in force: {error}')
            self.get_logger().error(self._prompt_trouble)
            if isinstance(error, FatalBackendError):
                self._give_up(error)
            return
        self._prompt_trouble = ''
        loaded.camera.configuration = Configuration(self._settings, outcome.result())
        self._warn_of_scripts(loaded, outcome.result())
        self._publish_label_info(loaded)

    def _warn_of_scripts(self, loaded: _Loaded, prompts: Prompts) -> None:
        for sentence in script_warnings(prompts.vocabulary, loaded.detector.bundle.text.scripts):
            self.get_logger().warning(sentence)

    def _publish_label_info(self, loaded: _Loaded) -> None:
        header = Header(stamp=self.get_clock().now().to_msg())
        configuration = loaded.camera.configuration
        loaded.label_info.publish(messages.label_info(
            header, configuration.prompts.vocabulary, configuration.settings.threshold))

    def _give_up(self, error: Exception) -> None:
        """Have the executor act: called from the worker and from transitions, which cannot."""
        if self._lost is None:
            self._trouble = str(error)
            if isinstance(error, FatalBackendError):
                self._lost = error
        self._give_up_soon.trigger()

    def _act_on_trouble(self) -> None:
        """Deactivate; with a lost GPU end the spinning, and so the process, instead."""
        if self._lost is not None:
            self._diagnose()
            self._diagnostics.wait_for_all_acked(Duration(seconds=1))
            raise self._lost
        if self._state == 'active':
            self.get_logger().error(f'deactivating: {self._trouble}')
            self.trigger_deactivate()

    def _diagnose(self) -> None:
        self._diagnosed = time.monotonic()
        level, sentence = DiagnosticStatus.OK, self._doing or self._state
        values = {'state': self._state}
        hardware = ''
        loaded = self._loaded
        if loaded is not None:
            bundle = loaded.detector.bundle
            backend = loaded.detector.backend
            hardware = backend.description
            values.update({'bundle': bundle.name, 'notice': bundle.notice,
                           'prompts': loaded.camera.configuration.prompts.digest[:12],
                           'prompts pending': 'yes' if loaded.changes.pending else 'no',
                           'backend': backend.name, 'backend description': hardware})
            held = backend.device_memory()
            if held is not None:
                values['device memory (MiB)'] = f'{held / 2 ** 20:.0f}'
        trouble = self._trouble or (self._prompt_trouble if loaded is not None else '')
        if trouble:
            level, sentence = DiagnosticStatus.ERROR, f'{self._state}: {trouble}'
        elif self._memory_problem:
            level, sentence = DiagnosticStatus.WARN, f'{sentence}: {self._memory_problem}'
        statuses = [messages.status(f'{self.get_name()}: model', level, sentence, hardware,
                                    values)]
        if loaded is not None and loaded.camera.running:
            level, sentence, values = loaded.camera.report()
            statuses.append(messages.status(
                f'{self.get_name()}: image', level, sentence, hardware, values))
            if level > self._last_level:
                self.get_logger().warning(sentence)
            self._last_level = level
        self._diagnostics.publish(DiagnosticArray(
            header=Header(stamp=self.get_clock().now().to_msg()), status=statuses))
