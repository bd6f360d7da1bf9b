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


def survives_invalid_transitions(node_class: type[LifecycleNode]) -> type[LifecycleNode]:
    """
    Answer a transition that the state does not allow with FAILURE.

    Up to Jazzy it raises out of the executor and ends the process, and the client is never
    answered (ros2/rclpy#1209). The method is private, and its class was renamed after Humble,
    hence the search.
    """
    for base in node_class.__mro__:
        name = f'_{base.__name__}__change_state'
        if name in vars(base):
            change_state = vars(base)[name]

            @functools.wraps(change_state)
            def guarded(node: LifecycleNode, transition_id: int) -> TransitionCallbackReturn:
                try:
                    return change_state(node, transition_id)
                except _rclpy.RCLError:
                    node.get_logger().warning(
                        f'transition {transition_id} is not possible in this state; '
                        'see: ros2 lifecycle list')
                    return TransitionCallbackReturn.FAILURE
            setattr(node_class, name, guarded)
    return node_class
