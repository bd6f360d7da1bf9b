# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What rclpy's lifecycle leaves out: transitions that say why they failed, and survive."""

from __future__ import annotations

import functools
import traceback
from typing import Callable

from rclpy.impl.implementation_singleton import rclpy_implementation as _rclpy
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn

Transition = Callable[[LifecycleNode, LifecycleState], TransitionCallbackReturn]


def transition(undo: str = '') -> Callable[[Transition], Transition]:
    """
    Log what a transition callback raises; rclpy would hide it.

    :param undo: name of the method that takes back what the callback did before it failed; the
        answer is then FAILURE: the node is where it was, and the transition can be tried again.
        Without it the answer is ERROR, and `on_error` follows.
    """
    def wrap(callback: Transition) -> Transition:
        @functools.wraps(callback)
        def guarded(node: LifecycleNode, state: LifecycleState) -> TransitionCallbackReturn:
            try:
                return callback(node, state)
            except Exception as error:
                name = callback.__name__.replace('on_', '')
                node.get_logger().debug(traceback.format_exc())
                # Ours are whole sentences; a KeyError, say, is not.
                kind = '' if isinstance(error, (ValueError, RuntimeError, OSError)) else (
                    f'{type(error).__name__}: ')
                node.get_logger().error(f'{name} failed: {kind}{error}')
                if not undo:
                    return TransitionCallbackReturn.ERROR
                getattr(node, undo)()
                return TransitionCallbackReturn.FAILURE
        return guarded
    return wrap


class PatientLifecycleNode(LifecycleNode):
    """
    A lifecycle node that answers a transition its state does not allow with FAILURE.

    Up to Jazzy it raises out of the executor and ends the process, and the client is never
    answered (ros2/rclpy#1209).
    """

    def _LifecycleNodeMixin__change_state(self, transition_id: int) -> TransitionCallbackReturn:
        try:
            return super()._LifecycleNodeMixin__change_state(transition_id)
        except _rclpy.RCLError:
            self.get_logger().warning(f'transition {transition_id} is not possible in this state; '
                                      f'see: ros2 lifecycle list {self.get_name()}')
            return TransitionCallbackReturn.FAILURE

    def destroy_node(self) -> None:
        """Leave the graph at once: rclpy keeps the lifecycle services as long as the object."""
        super().destroy_node()
        self._state_machine.destroy_when_not_in_use()
