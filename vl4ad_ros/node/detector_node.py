# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The lifecycle node: its transitions, and changes of its parameters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from lifecycle_msgs.msg import State
from rcl_interfaces.msg import SetParametersResult
from rclpy.clock import Clock, ClockType
from rclpy.lifecycle import LifecycleState, TransitionCallbackReturn
from rclpy.parameter import Parameter
from rclpy.publisher import Publisher
from std_msgs.msg import Header
from vision_msgs.msg import LabelInfo

from vl4ad_ros.bundle.coverage import coverage_warning
from vl4ad_ros.bundle.prompt_encoder import Prompts
from vl4ad_ros.inference.detector import Detector
from vl4ad_ros.inference.errors import FatalBackendError
from vl4ad_ros.node import background, messages, qos
from vl4ad_ros.node.cameras import Cameras
from vl4ad_ros.node.dds import shared_memory_problem
from vl4ad_ros.node.diagnostics import Diagnostics, INTERVAL_S
from vl4ad_ros.node.frames import Configuration
from vl4ad_ros.node.lifecycle import PatientLifecycleNode, transition
from vl4ad_ros.node.loading import load
from vl4ad_ros.node.parameters import declare, declare_own
from vl4ad_ros.node.prompt_changes import PromptChanges
from vl4ad_ros.node.python_log import forwarded
from vl4ad_ros.prompts.vocabulary import script_warnings
from vl4ad_ros.settings import (
    NODE_NAME, OF_CAMERAS, ParameterError, ROWS, Settings, unknown_names)

_CHECK_S = 0.1
"""Seconds between two checks for a signal while the model loads."""


@dataclass(frozen=True)
class _Loaded:
    """What exists only while the node is configured."""

    detector: Detector
    cameras: Cameras
    label_info: Publisher
    changes: PromptChanges


class DetectorNode(PatientLifecycleNode):
    """
    Publishes, for each image, which of its pixels show something that does not belong there.

    configure loads the model and cleanup frees it; activate begins to take images and deactivate
    ends it. A transition that fails logs the reason and can be tried again. Every setting is a
    parameter. A parameter change is answered with success or with a reason, and each frame is
    processed entirely with the settings and prompts that were in force at its start. New prompts
    come into force when they are encoded; the node then publishes `~/label_info`.
    """

    def __init__(self, name: str = NODE_NAME, **kwargs: Any) -> None:
        """
        Create the node, unconfigured.

        :param name: of the node, unless it is remapped.
        :param kwargs: further arguments of rclpy's `Node`.
        :raises ParameterError: if a start value (parameter file, command line) is unusable.
        :raises VocabularyError: if a start value is a prompt that cannot be used.
        """
        super().__init__(name, **kwargs)
        self._loaded: _Loaded | None = None
        self._trouble = ''
        self._prompt_trouble = ''
        self._fatal: FatalBackendError | None = None
        self._activity = ''
        try:
            self._settings = declare(self)
        except ValueError:
            self.destroy_node()
            raise
        for sentence in unknown_names(self._parameter_overrides, self._settings.cameras):
            self.get_logger().warning(sentence)
        memory_problem = shared_memory_problem()
        if memory_problem:
            self.get_logger().warning(memory_problem)
        self.add_on_set_parameters_callback(self._change_parameters)
        self._trouble_noticed = self.create_guard_condition(self._act_on_trouble)
        self._prompts_encoded = self.create_guard_condition(self._put_prompts_into_force)
        # rclpy undeclares a parameter that is set to nothing, which is how a camera's own value is
        # taken away.
        self._parameter_removed = self.create_guard_condition(
            lambda: declare_own(self, self._settings.cameras))
        self._diagnostics = Diagnostics(self, memory_problem)
        # A steady clock, because diagnostics must not stop when /clock pauses.
        self.create_timer(
            INTERVAL_S, self._diagnose, clock=Clock(clock_type=ClockType.STEADY_TIME))

    def release(self) -> None:
        """
        Stop, and free everything that configure created; may be called in any state.

        :raises FatalBackendError: if the inference hangs.
        """
        loaded, self._loaded = self._loaded, None
        if loaded is None:
            return
        loaded.changes.cancel()
        self.destroy_publisher(loaded.label_info)
        loaded.cameras.close()
        # A lost GPU is left to the end of the process: freeing it may fail or hang.
        if self._fatal is None:
            loaded.detector.close()

    def _stop_cameras(self) -> None:
        self._configured.cameras.stop()
        super().on_deactivate(LifecycleState('inactive', State.PRIMARY_STATE_INACTIVE))

    @transition(undo=release)
    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """
        Load the model and its prompts.

        :param state: the previous state.
        :returns: SUCCESS, and the node becomes inactive; FAILURE, and it stays unconfigured.
        """
        # This calls back to set the start values that they have.
        declare_own(self, self._settings.cameras)
        settings = self._settings
        try:
            with forwarded(self._log_progress, self._log_warning):
                model = background.run_while(
                    lambda: load(settings, self._log_progress), self._while_loading, _CHECK_S)
        except FatalBackendError as error:
            self._give_up(error)
            raise
        finally:
            self._activity = ''
        detector, prompts = model.detector, model.prompts
        try:
            cameras = Cameras(self, detector, Configuration(settings, prompts), model.convert_raw,
                              self._give_up)
        except Exception:
            detector.close()
            raise
        self._loaded = loaded = _Loaded(
            detector, cameras, self.create_publisher(LabelInfo, '~/label_info', qos.latched()),
            PromptChanges(detector, self._prompts_encoded.trigger))
        self._trouble = self._prompt_trouble = ''
        vocabulary = prompts.vocabulary
        self.get_logger().info(
            f'model {detector.bundle.name}: {len(vocabulary.known)} known and '
            f'{len(vocabulary.anomaly)} anomaly classes')
        if detector.bundle.notice:
            self.get_logger().warning(f'model {detector.bundle.name}: {detector.bundle.notice}')
        if detector.bundle.terms:
            self.get_logger().info(f"Bundle '{detector.bundle.name}': {detector.bundle.terms}")
        if settings.image_transport == 'raw':
            self.get_logger().info(model.conversion)
        self._warn_of_prompts(loaded, prompts)
        self._publish_label_info(loaded)
        return super().on_configure(state)

    @transition(undo=_stop_cameras)
    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """
        Begin to take images.

        :param state: the previous state.
        :returns: SUCCESS, and the node becomes active; FAILURE, and it stays inactive.
        """
        answer = super().on_activate(state)
        self._trouble = ''
        self._configured.cameras.start()
        return answer

    @transition()
    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """
        Finish the current frame and publish nothing more; the model stays loaded.

        :param state: the previous state.
        :returns: SUCCESS, and the node becomes inactive; ERROR if the inference hangs.
        """
        self._configured.cameras.stop()
        return super().on_deactivate(state)

    @transition()
    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """
        Free the model and the publishers.

        :param state: the previous state.
        :returns: SUCCESS, and the node becomes unconfigured.
        """
        self.release()
        return super().on_cleanup(state)

    @transition()
    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """
        Free everything.

        :param state: the previous state, any.
        :returns: SUCCESS, and the node becomes finalized.
        """
        self.release()
        return super().on_shutdown(state)

    @transition()
    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        """
        Free everything after a callback failed.

        :param state: the previous state.
        :returns: SUCCESS, and the node becomes unconfigured and can be configured again.
        """
        self.release()
        return super().on_error(state)

    @property
    def _configured(self) -> _Loaded:
        """What exists only while the node is configured, for callbacks of later states."""
        if self._loaded is None:
            raise RuntimeError('the node is not configured; configure it first')
        return self._loaded

    @property
    def _state(self) -> str:
        if self._loaded is None:
            return 'unconfigured'
        return 'active' if self._loaded.cameras.running else 'inactive'

    def _log_progress(self, line: str) -> None:
        self._activity = f'configuring: {line}'
        self.get_logger().info(line)

    def _log_warning(self, line: str) -> None:
        self._activity = f'configuring: {line}'
        self.get_logger().warning(line)

    def _while_loading(self) -> None:
        if not self.context.ok():
            raise RuntimeError('the process was told to end while the model was loading')
        if self._diagnostics.due:
            self._diagnose()

    def _change_parameters(self, parameters: Sequence[Parameter]) -> SetParametersResult:
        """
        Check the new values and accept all of them or none.

        New prompts come into force when they are encoded, together with all other values that
        were set in the same call.
        """
        values = {p.name: p.value for p in parameters
                  if p.name in ROWS or p.name.partition('.')[2] in OF_CAMERAS}
        if not values:
            return SetParametersResult(successful=True)  # rclpy's own, such as qos_overrides.*
        try:
            settings = self._settings.changed(values)
            if self._loaded is not None:
                sets_prompts = any(name.startswith('prompts.') for name in values)
                self._apply(self._loaded, settings, sets_prompts)
        except Exception as error:
            # An exception would end the executor.
            return SetParametersResult(successful=False, reason=str(error))
        self._settings = settings
        if None in values.values():
            self._parameter_removed.trigger()
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
        before = loaded.cameras.configuration
        loaded.cameras.configuration = replace(before, settings=settings)
        if settings.threshold != before.settings.threshold:
            self._publish_label_info(loaded)

    def _put_prompts_into_force(self) -> None:
        """Use the newly encoded prompts from the next frame on."""
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
        loaded.cameras.configuration = Configuration(self._settings, outcome.result())
        self._warn_of_prompts(loaded, outcome.result())
        self._publish_label_info(loaded)

    def _warn_of_prompts(self, loaded: _Loaded, prompts: Prompts) -> None:
        detector = loaded.detector
        for sentence in (*script_warnings(prompts.vocabulary, detector.bundle.text.scripts),
                         coverage_warning(detector.missing_classes(prompts))):
            if sentence:
                self.get_logger().warning(sentence)

    def _publish_label_info(self, loaded: _Loaded) -> None:
        header = Header(stamp=self.get_clock().now().to_msg())
        configuration = loaded.cameras.configuration
        loaded.label_info.publish(messages.label_info(
            header, configuration.prompts.vocabulary, configuration.settings.threshold))

    def _give_up(self, error: Exception) -> None:
        """Wake the executor to act; threads and transitions, which cannot act, call this."""
        if self._fatal is None:
            self._trouble = str(error)
            if isinstance(error, FatalBackendError):
                self._fatal = error
        self._trouble_noticed.trigger()

    def _act_on_trouble(self) -> None:
        """Deactivate the node; if only a new process can go on, end the executor instead."""
        if self._fatal is not None:
            self._diagnose()
            self._diagnostics.flush()
            raise self._fatal
        if self._state == 'active':
            self.get_logger().error(f'deactivating: {self._trouble}')
            self.trigger_deactivate()

    def _diagnose(self) -> None:
        loaded = self._loaded
        if loaded is None:
            self._diagnostics.publish(self._state, self._activity, self._trouble)
        else:
            self._diagnostics.publish(
                self._state, self._activity, self._trouble or self._prompt_trouble,
                loaded.detector, loaded.cameras, loaded.changes.pending)
