# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Start the node: `ros2 run vl4ad_ros detector` or `python -m vl4ad_ros.node`."""

from __future__ import annotations

import os
import signal
import sys

from vl4ad_ros.signals import ignore, STOPPING


def main(args: list[str] | None = None) -> int:
    """
    Run the node until SIGINT or SIGTERM.

    :param args: arguments for rclpy; None takes those of the command line.
    :returns: exit code: 0 after a signal, 1 if the GPU is lost and only a new process can use it,
        2 if an argument or the start value of a parameter is unusable.
    """
    running = told = False

    def leave(signal_number: int, frame: object) -> None:
        nonlocal told
        told = True
        if not running:
            # Not by an exception, because a module that is being imported may catch it.
            os._exit(0)
    # rclpy ends the spin itself and then calls this handler. So there is no KeyboardInterrupt,
    # neither at the first Ctrl-C nor, during the clean-up, at the second.
    for number in STOPPING:
        signal.signal(number, leave)

    import rclpy
    from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
    from rclpy.impl.implementation_singleton import rclpy_implementation

    from vl4ad_ros.inference.errors import FatalBackendError
    from vl4ad_ros.node.background import is_busy
    from vl4ad_ros.node.dds import use_profile
    from vl4ad_ros.node.detector_node import DetectorNode
    from vl4ad_ros.node.process import tune
    from vl4ad_ros.prompts.vocabulary import VocabularyError
    from vl4ad_ros.settings import ParameterError

    tune()
    use_profile()
    running = True
    try:
        rclpy.init(args=args)
    except (RuntimeError, ValueError) as error:  # RCLError and its like
        print(f'vl4ad_detector cannot start: {error}; check the arguments behind --ros-args and '
              'the environment variables ROS_*', file=sys.stderr)
        return 2
    node, lost = None, ''
    try:
        if told:  # a signal came before rclpy had its own handlers
            return 0
        node = DetectorNode()
        executor = SingleThreadedExecutor()
        executor.add_node(node)
        executor.spin()
    except (ParameterError, VocabularyError) as error:
        rclpy.logging.get_logger('vl4ad_detector').fatal(str(error))
        return 2
    except FatalBackendError as error:
        lost = str(error)
    except (ExternalShutdownException, rclpy_implementation.RCLError) as error:
        # A signal shuts the context down, whatever rclpy is doing at that moment.
        if rclpy.ok():
            if node is not None:
                raise
            rclpy.logging.get_logger('vl4ad_detector').fatal(f'cannot start: {error}')
            return 2
    finally:
        if node is not None:
            try:
                node.release()
            except FatalBackendError as error:
                lost = str(error)
            if lost:
                node.get_logger().fatal(f'only a new process can go on: {lost}')
            node.destroy_node()
        rclpy.try_shutdown()
        ignore()
        if lost or is_busy():
            # The regular end of the interpreter crashes or hangs if a GPU is lost or still builds
            # an engine, so it is skipped.
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(int(bool(lost)))
    return 0


if __name__ == '__main__':
    sys.exit(main())
