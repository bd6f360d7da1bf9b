# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A detector node in a thread and, over DDS, the camera, manager and viewer around it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from threading import Thread
import time
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState, GetState
import numpy as np
from rcl_interfaces.srv import GetParameters, SetParameters, SetParametersAtomically
import rclpy
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter
from sensor_msgs.msg import CompressedImage, Image, PointCloud2
from std_msgs.msg import Header
from vision_msgs.msg import Detection2DArray, Detection3DArray, LabelInfo
from visualization_msgs.msg import MarkerArray

from vl4ad_ros.node import qos
from vl4ad_ros.node.detector_node import DetectorNode
from vl4ad_ros.node.messages import image as to_message

TIMEOUT_S = 60.0
"""Discovery takes 0.01 s or about 3 s, and some times that on a machine that is busy."""

TRANSITIONS = {
    'configure': Transition.TRANSITION_CONFIGURE, 'cleanup': Transition.TRANSITION_CLEANUP,
    'activate': Transition.TRANSITION_ACTIVATE, 'deactivate': Transition.TRANSITION_DEACTIVATE,
    'shutdown (unconfigured)': Transition.TRANSITION_UNCONFIGURED_SHUTDOWN,
    'shutdown (inactive)': Transition.TRANSITION_INACTIVE_SHUTDOWN,
    'shutdown (active)': Transition.TRANSITION_ACTIVE_SHUTDOWN}
TYPES = {'mask': Image, 'score': Image, 'overlay': Image, 'detections': Detection2DArray,
         'alerts': Detection2DArray, 'obstacles': Detection3DArray,
         'labels': Image, 'confidence': Image, 'points': PointCloud2, 'markers': MarkerArray,
         'obstacle_points': PointCloud2}
GREY, RED, BLUE, PURPLE = (128, 128, 128), (200, 30, 30), (90, 150, 235), (150, 40, 160)


def scene(height: int = 120, width: int = 200, thing: tuple = RED,
          at: tuple[int, int] = (60, 40), side: int = 40) -> np.ndarray:
    """Return a grey picture (H, W, 3) with a square of colour `thing` at x, y."""
    image = np.full((height, width, 3), GREY, np.uint8)
    x, y = at
    image[y:y + side, x:x + side] = thing
    return image


class Outside:
    """A process's worth of ROS around the detector node `/<name>`."""

    def __init__(self, context: rclpy.Context, watch: tuple[str, ...] = (),
                 image_type: type = Image, topic: str = 'image',
                 name: str = 'vl4ad_detector', camera: str = '') -> None:
        self.name = name
        self.node = Node(f'outside_{name}'.replace('/', '_'), context=context)
        self.executor = SingleThreadedExecutor(context=context)
        self.executor.add_node(self.node)
        self.received: dict[str, list[Any]] = defaultdict(list)
        self.camera = self.node.create_publisher(image_type, topic, qos.image_result())
        self.outputs = [f'{camera}/{output}' if camera else output
                        for output in ('mask', 'detections', 'alerts')]
        for output in (*self.outputs, *watch):
            self.watch(output)
        self._listen(LabelInfo, f'/{name}/label_info', 'label_info', qos.latched())
        self._listen(DiagnosticArray, '/diagnostics', 'diagnostics', qos.event())
        self._clients: dict[type, Any] = {
            kind: self.node.create_client(kind, f'/{name}/{service}')
            for kind, service in (
                (ChangeState, 'change_state'), (GetState, 'get_state'),
                (SetParameters, 'set_parameters'), (GetParameters, 'get_parameters'),
                (SetParametersAtomically, 'set_parameters_atomically'))}
        self._stamp_ns = time.time_ns()

    def close(self) -> None:
        """Leave the graph."""
        self.executor.shutdown()
        self.node.destroy_node()

    def watch(self, name: str) -> Any:
        """Subscribe to an output; return the subscription."""
        return self._listen(TYPES[name.rpartition('/')[2]], f'/{self.name}/{name}', name,
                            qos.event())

    def until(self, condition: Callable[[], Any], what: str, timeout_s: float = TIMEOUT_S) -> Any:
        """Spin until `condition` returns something true, and return it."""
        end = time.monotonic() + timeout_s
        while not (value := condition()):
            assert time.monotonic() < end, f'waited {timeout_s} s in vain for {what}'
            self.executor.spin_once(timeout_sec=0.05)
        return value

    def spin_for(self, seconds: float) -> None:
        """Take in what comes during a time."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self.executor.spin_once(timeout_sec=left)

    def call(self, kind: type, request: Any) -> Any:
        """Call a service of the node and return its answer."""
        future = self.call_soon(kind, request)
        self.until(future.done, f'an answer of {kind.__name__}')
        return future.result()

    def call_soon(self, kind: type, request: Any) -> Any:
        """Call a service of the node and return the future of its answer."""
        client = self._clients[kind]
        self.until(client.service_is_ready, f'service {client.srv_name}')
        return client.call_async(request)

    def change(self, transition: str) -> bool:
        """Ask for a transition; return whether it succeeded."""
        return self.call(*self.transition(transition)).success

    def transition(self, name: str) -> tuple[type, Any]:
        """Return the call that asks for a transition."""
        return ChangeState, ChangeState.Request(transition=Transition(id=TRANSITIONS[name]))

    @property
    def state(self) -> str:
        """The node's lifecycle state."""
        return self.call(GetState, GetState.Request()).current_state.label

    def set(self, **values: Any) -> Any:
        """Set parameters (dots as two underscores); return the first refusal, or a success."""
        results = self.call(*self.setting(**values)).results
        return next((r for r in results if not r.successful), results[0])

    def set_together(self, **values: Any) -> Any:
        """Set parameters in one change; return the answer."""
        request = SetParametersAtomically.Request(parameters=_parameters(values))
        return self.call(SetParametersAtomically, request).result

    def setting(self, **values: Any) -> tuple[type, Any]:
        """Return the call that sets parameters."""
        return SetParameters, SetParameters.Request(parameters=_parameters(values))

    def get(self, name: str) -> Any:
        """Return a parameter's value."""
        answer = self.call(GetParameters, GetParameters.Request(names=[name]))
        return rclpy.parameter.parameter_value_to_python(answer.values[0])

    def wait_for_match(self, *names: str) -> None:
        """Wait until the camera has a subscriber and the watched outputs a publisher."""
        self.until(self.camera.get_subscription_count, 'the node to subscribe')
        for name in (*self.outputs, *names):
            self.until(lambda: self.node.count_publishers(f'/{self.name}/{name}'), name)

    def header(self) -> Header:
        """Return a header with a stamp of its own, later than the last."""
        self._stamp_ns = max(self._stamp_ns + 1, time.time_ns())
        return Header(stamp=rclpy.time.Time(nanoseconds=self._stamp_ns).to_msg(),
                      frame_id='camera_optical')

    def send(self, picture: np.ndarray | Image | CompressedImage) -> Header:
        """Publish a picture (an array as rgb8 with a fresh header); return its header."""
        message = picture
        if isinstance(picture, np.ndarray):
            message = to_message(self.header(), picture, 'rgb8')
        self.camera.publish(message)
        return message.header

    def answer(self, header: Header, name: str = 'mask') -> Any:
        """Wait for the output with exactly this header."""
        return self.until(lambda: next(
            (m for m in self.received[name] if m.header == header), None), f'{name} {header}')

    def ask(self, picture: np.ndarray | Image | CompressedImage, name: str = 'mask') -> Any:
        """Publish a picture and return one output of it."""
        return self.answer(self.send(picture), name)

    def status(self, part: str, condition: Callable[[Any], bool] = lambda s: True) -> Any:
        """Wait for a new diagnostics status of 'model' or 'image' that fulfils `condition`."""
        self.received['diagnostics'].clear()
        return self.until(lambda: next(
            (s for m in self.received['diagnostics'] for s in m.status
             if s.name == f'{self.name}: {part}' and condition(s)), None),
            f'such a status of {part}')

    def _listen(self, kind: type, topic: str, name: str, profile: Any) -> Any:
        return self.node.create_subscription(
            kind, topic, self.received[name].append, profile)


def _parameters(values: dict[str, Any]) -> list[Any]:
    return [Parameter(name.replace('__', '.'), value=value).to_parameter_msg()
            for name, value in values.items()]


class Bench(Outside):
    """An `Outside` together with the node itself, spinning in a thread."""

    def __init__(self, context: rclpy.Context, parameters: dict[str, Any],
                 cli_args: list[str] | None = None, name: str = 'vl4ad_detector',
                 around: rclpy.Context | None = None, **outside) -> None:
        """Start the node in `context`, what is around it in `around` or the same context."""
        self.detector_node = DetectorNode(
            name, context=context, cli_args=cli_args, parameter_overrides=[
                Parameter(key, value=value) for key, value in parameters.items()])
        self._node_executor = SingleThreadedExecutor(context=context)
        self._node_executor.add_node(self.detector_node)
        self._thread = Thread(target=self._spin)
        self._thread.start()
        super().__init__(around or context, name=name, **outside)

    def __enter__(self) -> Bench:
        return self

    def __exit__(self, *_) -> None:
        self._node_executor.shutdown()
        self._thread.join()
        self.detector_node.release()
        self.detector_node.destroy_node()
        self.close()

    def _spin(self) -> None:
        try:
            self._node_executor.spin()
        except ExternalShutdownException:
            pass
