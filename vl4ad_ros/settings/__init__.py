# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""All parameters: their table, their values as one immutable object, files of them; no rclpy."""

from vl4ad_ros.settings.files import read_parameter_file
from vl4ad_ros.settings.row import ParameterError, Row
from vl4ad_ros.settings.settings import (
    BUNDLE_LIST, markdown_table, NODE_NAME, OF_CAMERAS, own_name, PARAMETERS, ROWS, Settings,
    unknown_names)

__all__ = ['BUNDLE_LIST', 'markdown_table', 'NODE_NAME', 'OF_CAMERAS', 'own_name',
           'ParameterError', 'PARAMETERS', 'read_parameter_file', 'Row', 'ROWS', 'Settings',
           'unknown_names']
