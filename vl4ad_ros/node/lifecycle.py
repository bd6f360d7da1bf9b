# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Additions to rclpy's lifecycle: failed transitions are logged and can be tried again."""

from __future__ import annotations

from collections.abc import Callable
import functools
import traceback
from typing import Any, cast, TypeVar

from rclpy.impl.implementation_singleton import rclpy_implementation as _rclpy
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn

CallbackT = TypeVar('CallbackT', bound=Callable[..., TransitionCallbackReturn])


def transition(undo: Callable[[Any], None] | None = None) -> Callable[[CallbackT], CallbackT]:
    """
    Decorate a transition callback: log the exceptions that it raises, which rclpy would hide.

    :param undo: a method of the same class that takes back what the callback did before it
        failed. With it the answer to a failed transition is FAILURE: the node stays in its state,
        and the transition can be tried again. Without it the answer is ERROR, and rclpy calls
        `on_error`.
    :returns: the decorator.
    """
    def decorate(callback: CallbackT) -> CallbackT:
        @functools.wraps(callback)
        def guarded(node: LifecycleNode, state: LifecycleState) -> TransitionCallbackReturn:
            try:
                return callback(node, state)
            except Exception as error:
                node.get_logger().debug(traceback.format_exc())
                name = callback.__name__.replace('on_', '')
                node.get_logger().error(f'{name} failed: {sentence(error)}')
                if undo is None:
                    return TransitionCallbackReturn.ERROR
                undo(node)
                return TransitionCallbackReturn.FAILURE
        return cast(CallbackT, guarded)
    return decorate


def sentence(error: Exception) -> str:
    """
    Return the text of an exception for the log.

    :param error: any exception. Those that this package raises contain a whole sentence; others,
        such as KeyError, do not, and get the name of their class in front.
    """
    if isinstance(error, (ValueError, RuntimeError, OSError)):
        return str(error)
    return f'{type(error).__name__}: {error}'


class PatientLifecycleNode(LifecycleNode):
    """
    A lifecycle node that answers a transition its state does not allow with FAILURE.

    Up to Jazzy, rclpy raises an exception out of the executor instead, which ends the process,
    and the client is never answered (ros2/rclpy#1209).
    """

    def _LifecycleNodeMixin__change_state(self, transition_id: int) -> TransitionCallbackReturn:
        try:
            # rclpy's type annotations lack this private method.
            change = getattr(super(), '_LifecycleNodeMixin__change_state')  # noqa: B009
            return change(transition_id)
        except _rclpy.RCLError:
            self.get_logger().warning(f'transition {transition_id} is not possible in this state; '
                                      f'see: ros2 lifecycle list {self.get_name()}')
            return TransitionCallbackReturn.FAILURE

    def destroy_node(self) -> None:
        """Leave the graph at once; rclpy keeps the lifecycle services as long as the object."""
        super().destroy_node()
        self._state_machine.destroy_when_not_in_use()
