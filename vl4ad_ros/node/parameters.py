# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The table of `vl4ad_ros.settings` as parameters of a ROS node."""

from __future__ import annotations

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor
from rclpy.exceptions import InvalidParameterTypeException, InvalidParameterValueException
from rclpy.node import Node

from vl4ad_ros.settings import ParameterError, PARAMETERS, Row, Settings


def descriptor(row: Row) -> ParameterDescriptor:
    """Return the descriptor that `ros2 param describe` shows and rclpy enforces."""
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
    Declare the whole table on `node` and return the values it starts with.

    :raises ParameterError: naming the key of the parameter file whose value has a wrong type,
        range or an empty list.
    :raises VocabularyError: naming the prompt that cannot be used.
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
    return Settings().changed(values)
