# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The table of `vl4ad_ros.settings` as parameters of a ROS node."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor
from rclpy.exceptions import InvalidParameterTypeException, InvalidParameterValueException
from rclpy.node import Node

from vl4ad_ros.settings import (
    OF_CAMERAS, own_name, ParameterError, PARAMETERS, Row, ROWS, Settings)


def descriptor(row: Row) -> ParameterDescriptor:
    """Return the descriptor of a parameter: `ros2 param describe` shows it, rclpy checks it."""
    described = ParameterDescriptor(
        description=row.meaning, additional_constraints=row.range_text)
    if row.between:
        kind, key = ((IntegerRange, 'integer_range') if isinstance(row.default, int)
                     else (FloatingPointRange, 'floating_point_range'))
        low, high = row.between
        setattr(described, key, [kind(from_value=low, to_value=high)])
    return described


def declare(node: Node) -> Settings:
    """
    Declare all parameters.

    :param node: on which they are declared.
    :returns: the start values, from the command line, the parameter file or the defaults.
    :raises ParameterError: if a start value has a wrong type or range, or is an empty list; the
        message names the parameter.
    :raises VocabularyError: if a prompt cannot be used; the message names it.
    """
    values = {}
    for row in PARAMETERS:
        try:
            values[row.name] = node.declare_parameter(
                row.name, row.ros_default, descriptor(row)).value
        except (InvalidParameterTypeException, InvalidParameterValueException) as error:
            raise ParameterError(
                f'{row.name}: expected {row.type_text}'
                f'{f" in {row.range_text}" if row.range_text else ""}, such as '
                f'{row.ros_default}; {error}') from error
    settings = Settings().changed(values)
    return settings.changed(declare_own(node, settings.cameras))


def declare_own(node: Node, cameras: Iterable[str]) -> dict[str, Any]:
    """
    Declare the parameters for the own values of cameras; those that are declared are left alone.

    They have no value until one is set, and may have none again: the shared value holds then.

    :param node: on which they are declared.
    :param cameras: names of the cameras.
    :returns: the start values that are set, by name.
    :raises ParameterError: if a start value cannot be used; the message names the parameter.
    """
    values = {}
    for camera in filter(None, cameras):
        for name in OF_CAMERAS:
            full_name = own_name(camera, name)
            if node.has_parameter(full_name):
                continue
            described = ParameterDescriptor(
                description=f"{name} of the camera '{camera}'; not set: that of all cameras",
                additional_constraints=ROWS[name].range_text, dynamic_typing=True)
            try:
                value = node.declare_parameter(full_name, None, described).value
            except InvalidParameterValueException as error:
                raise ParameterError(f'{full_name}: {error}') from error
            if value is not None:
                values[full_name] = value
    return values
