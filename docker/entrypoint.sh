#!/bin/sh
# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
# Run a command with ROS 2 and this package in its environment.
set -e
# shellcheck source=/dev/null
. "/opt/ros/$ROS_DISTRO/setup.sh"
# shellcheck source=/dev/null
. /opt/vl4ad/install/local_setup.sh
exec "$@"
