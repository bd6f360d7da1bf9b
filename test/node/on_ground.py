# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A node that knows the pose of its camera, CameraInfo for it, and what it then publishes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from harness import Bench, scene
from nav_msgs.msg import Odometry
from sensor_msgs.msg import CameraInfo
from vl4ad_ros.node import qos

HEIGHT_M, FOCAL = 1.4, 200.0
POSE = {'camera.height_m': HEIGHT_M, 'camera.x_m': 1.5, 'camera.y_m': -0.2}
PATIENT = {'health.stall_timeout_s': 30.0, 'health.warn_age_s': 5.0}


@contextmanager
def ground_bench(ros, bundle, **parameters) -> Iterator[Bench]:
    """Yield an active node, and publishers `infos` and `odometry` that it has subscribed to."""
    parameters = {'model.bundle': str(bundle), **PATIENT, **parameters}
    with Bench(ros, parameters, watch=('obstacles',)) as bench:
        bench.infos = bench.node.create_publisher(CameraInfo, 'camera_info', qos.image_result())
        bench.odometry = bench.node.create_publisher(Odometry, 'odometry', qos.event())
        assert bench.change('configure') and bench.change('activate')
        bench.wait_for_match('obstacles')
        bench.until(bench.infos.get_subscription_count, 'the node to subscribe to CameraInfo')
        yield bench


def info(**fields) -> CameraInfo:
    """Return the calibration of a level camera for the pictures of `scene`."""
    return CameraInfo(**{
        'width': 200, 'height': 120, 'distortion_model': 'plumb_bob', 'd': [0.0] * 5,
        'k': [FOCAL, 0.0, 99.5, 0.0, FOCAL, 29.5, 0.0, 0.0, 1.0], **fields})


def tell(bench, message: CameraInfo) -> None:
    """Publish CameraInfo and give the node time to take it."""
    bench.infos.publish(message)
    bench.spin_for(0.2)


def last(bench, picture=None, count: int = 5):
    """Send pictures; return alerts and, if they have come by then, obstacles of the last one."""
    for _ in range(count):
        header = bench.send(scene() if picture is None else picture)
        bench.answer(header, 'detections')
    alerts = bench.answer(header, 'alerts')
    bench.spin_for(0.2)
    stamped = stamped_as(header, bench.received['obstacles'])
    assert len(stamped) <= 1
    return alerts, stamped[0] if stamped else None


def stamped_as(header, messages: list) -> list:
    """Return the messages that have the stamp of a header."""
    return [message for message in messages if message.header.stamp == header.stamp]
