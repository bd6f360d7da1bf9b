# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The lifecycle node: its transitions, its parameters, its diagnostics."""

from __future__ import annotations

from collections.abc import Sequence
import time

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rcl_interfaces.msg import SetParametersResult
from rclpy.clock import Clock, ClockType
from rclpy.duration import Duration
from rclpy.lifecycle import LifecycleState, TransitionCallbackReturn
from rclpy.parameter import Parameter
from std_msgs.msg import Header
from vision_msgs.msg import LabelInfo

from vl4ad_ros.node import messages, qos
from vl4ad_ros.node.aside import aside
from vl4ad_ros.node.camera import Camera, Live
from vl4ad_ros.node.lifecycle import PatientLifecycleNode, transition
from vl4ad_ros.node.parameters import declare, ParameterError, Settings
from vl4ad_ros.node.python_log import forwarded
from vl4ad_ros.runtime.backends import EngineMissing, FatalBackendError
from vl4ad_ros.runtime.detector import Detector
from vl4ad_ros.runtime.prompts import Prompts
from vl4ad_ros.vocabularies import has_reference

PROMPT_LISTS = ('prompts.known', 'prompts.anomaly')
_DIAGNOSTICS_S = 1.0
_POLL_S = 0.1
"""Seconds between two looks for a signal while the model loads."""


class DetectorNode(PatientLifecycleNode):
    """
    Says of each image which pixels do not belong there.

    configure loads the model and cleanup frees it; activate takes images and deactivate stops.
    A transition that fails says why in the log and can be tried again. Every setting is a
    parameter; a change is answered with success or a reason, and a frame is processed wholly
    with the settings and prompts it began with.
    """

    def __init__(self, name: str = 'vl4ad_detector', **kwargs) -> None:
        """
        Create the node, unconfigured.

        :raises ParameterError: if a start value (parameter file, command line) is unusable.
        """
        super().__init__(name, **kwargs)
        self._detector: Detector | None = None
        self._camera: Camera | None = None
        self._live: Live | None = None
        self._label_info = None
        self._references: dict[str, tuple[list[str], list[str]]] = {}  # as set, spelt out
        self._trouble = ''
        self._lost: FatalBackendError | None = None
        self._doing = ''
        self._diagnosed = 0.0
        self._last_level = DiagnosticStatus.OK
        try:
            self._settings = declare(self)
        except ValueError:
            self.destroy_node()
            raise
        self.add_on_set_parameters_callback(self._change_parameters)
        self._give_up_soon = self.create_guard_condition(self._act_on_trouble)
        self._show_prompts_soon = self.create_guard_condition(self._show_prompts)
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
        self._detector = detector
        self._live = Live(settings, prompts)
        self._camera = Camera(self, detector, lambda: self._live, self._give_up)
        self._camera.open()
        self._label_info = self.create_publisher(LabelInfo, '~/label_info', qos.latched())
        self._trouble = ''
        vocabulary = prompts.vocabulary
        self.get_logger().info(
            f'model {detector.bundle.name}: {len(vocabulary.known)} known and '
            f'{len(vocabulary.anomaly)} anomaly classes')
        if detector.bundle.notice:
            self.get_logger().warning(f'model {detector.bundle.name}: {detector.bundle.notice}')
        for name in PROMPT_LISTS:
            self._remember_references(self.get_parameter(name))
        self._show_prompts()
        self._publish_label_info()
        return super().on_configure(state)

    @transition(undo='_stop')
    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Take images from here on."""
        answer = super().on_activate(state)
        self._trouble = ''
        self._camera.start()
        return answer

    @transition()
    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Finish the frame in hand and publish nothing more; the model stays loaded."""
        self._camera.stop()
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
        camera, self._camera = self._camera, None
        if camera is not None:
            camera.close()
        detector, self._detector = self._detector, None
        # A lost GPU is left to the end of the process: what frees it may fail or hang.
        if detector is not None and self._lost is None:
            detector.close()
        if self._label_info is not None:
            self.destroy_publisher(self._label_info)
            self._label_info = None
        self._live = None
        # The next bundle brings its own lists.
        references, self._references = self._references, {}
        if references and self.context.ok():
            self.set_parameters([Parameter(name, value=as_set)
                                 for name, (as_set, _) in references.items()])

    @property
    def _state(self) -> str:
        if self._camera is None:
            return 'unconfigured'
        return 'active' if self._camera.running else 'inactive'

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
        self._camera.stop()
        super().on_deactivate(None)

    def _change_parameters(self, parameters: Sequence[Parameter]) -> SetParametersResult:
        """Check the new values and put them into force, or say why not; the old ones stay."""
        try:
            settings = self._settings.changed(parameters)
            if self._live is not None:
                self._apply(settings)
            self._settings = settings
        except Exception as error:
            if isinstance(error, FatalBackendError):
                self._give_up(error)
            return SetParametersResult(successful=False, reason=str(error))
        for parameter in parameters:
            if parameter.name in PROMPT_LISTS and self._live is not None:
                self._remember_references(parameter)
        return SetParametersResult(successful=True)

    def _apply(self, settings: Settings) -> None:
        fixed = self._settings.fixed_changes(settings)
        if fixed:
            raise ParameterError(f'{fixed[0]} can only change while the node is unconfigured; '
                                 'deactivate and clean it up first')
        vocabulary = settings.vocabulary(self._detector.default_vocabulary)
        prompts = self._camera.keep_taking(lambda: self._detector.encode(vocabulary))
        before, self._live = self._live, Live(settings, prompts)
        if (prompts.digest, settings.threshold) != (
                before.prompts.digest, before.settings.threshold):
            self._publish_label_info()

    def _remember_references(self, parameter: Parameter) -> None:
        """Keep a list with references as it was set; the parameter shows it spelt out."""
        name, value = parameter.name, list(parameter.value)
        if has_reference(value):
            spelt_out = self._live.prompts.vocabulary.to_strings()[PROMPT_LISTS.index(name)]
            self._references[name] = value, spelt_out
            # rclpy stores the value after this callback; it can be spelt out only then.
            self._show_prompts_soon.trigger()
        elif name in self._references and value != self._references[name][1]:
            del self._references[name]

    def _show_prompts(self) -> None:
        """Let `ros2 param get` show the prompts in force."""
        if self._live is not None and self._references:
            self.set_parameters([Parameter(name, value=spelt_out)
                                 for name, (_, spelt_out) in self._references.items()])

    def _publish_label_info(self) -> None:
        header = Header(stamp=self.get_clock().now().to_msg())
        self._label_info.publish(messages.label_info(
            header, self._live.prompts.vocabulary, self._live.settings.threshold))

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
        if self._detector is not None:
            bundle = self._detector.bundle
            backend = self._detector.backend
            hardware = backend.description
            values.update({'bundle': bundle.name, 'notice': bundle.notice,
                           'prompts': self._live.prompts.digest[:12], 'backend': backend.name,
                           'backend description': hardware})
            held = backend.device_memory()
            if held is not None:
                values['device memory (MiB)'] = f'{held / 2 ** 20:.0f}'
        if self._trouble:
            level, sentence = DiagnosticStatus.ERROR, f'{self._state}: {self._trouble}'
        statuses = [messages.status(f'{self.get_name()}: model', level, sentence, hardware,
                                    values)]
        if self._state == 'active':
            level, sentence, values = self._camera.report()
            statuses.append(messages.status(
                f'{self.get_name()}: image', level, sentence, hardware, values))
            if level > self._last_level:
                self.get_logger().warning(sentence)
            self._last_level = level
        self._diagnostics.publish(DiagnosticArray(
            header=Header(stamp=self.get_clock().now().to_msg()), status=statuses))
