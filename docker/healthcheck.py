# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Exit with 0 if the node that is named is active; `ros2 lifecycle get` needs 11 s for that."""

import sys

from lifecycle_msgs.msg import State
from lifecycle_msgs.srv import GetState
import rclpy

rclpy.init()
node = rclpy.create_node('healthcheck')
client = node.create_client(GetState, f'{sys.argv[1]}/get_state')
active = False
if client.wait_for_service(timeout_sec=6.0):
    future = client.call_async(GetState.Request())
    rclpy.spin_until_future_complete(node, future, timeout_sec=4.0)
    active = future.done() and future.result().current_state.id == State.PRIMARY_STATE_ACTIVE
node.destroy_node()
rclpy.shutdown()
sys.exit(0 if active else f'{sys.argv[1]} is not active')
