# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The pose of the camera from TF as it was recorded, without tf2_ros."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from vl4ad_ros.evaluation.bag_reader import CameraBag
from vl4ad_ros.obstacles.ground_view import CameraPose
from vl4ad_ros.obstacles.mounting import NoGround
from vl4ad_ros.obstacles.transforms import NoTransform, Transform, TransformTree

TF = 'tf2_msgs/msg/TFMessage'
TF_TOPIC, TF_STATIC_TOPIC = '/tf', '/tf_static'


class RecordedPose:
    """
    Looks the pose of the camera up in the TF of a recording, as `node.tf_pose` does in TF.

    Transforms on `/tf_static` hold for the whole recording, whenever they were recorded. `/tf` is
    only read if they do not lead from the camera to the vehicle. Transforms that were recorded
    after an image count, too. A node may still lack them when the image arrives.

    :ivar empty: whether the recording has no TF at all.
    """

    def __init__(self, bag: CameraBag, vehicle_frame: str) -> None:
        """
        Read the transforms.

        :param bag: the recording.
        :param vehicle_frame: the frame of the vehicle, whose plane z = 0 is the ground.
        :raises BagError: if the recording is damaged.
        """
        self._bag, self._vehicle_frame = bag, vehicle_frame
        self._trees: dict[str, TransformTree] = {}
        self._fixed = TransformTree()
        for parent, frame, transform, _ in _transforms(bag, TF_STATIC_TOPIC):
            self._fixed.add(parent, frame, transform)
        self.empty = not self._fixed.fixed and next(_transforms(bag, TF_TOPIC), None) is None

    def pose(self, camera_frame: str, stamp_ns: int) -> CameraPose:
        """
        Return the pose of the camera.

        :param camera_frame: `frame_id` of the image, an optical frame (REP 103).
        :param stamp_ns: stamp of the image, in ns.
        :raises NoGround: if TF does not know it.
        :raises BagError: if the recording is damaged.
        """
        try:
            found = self._tree(camera_frame).find(self._vehicle_frame, camera_frame, stamp_ns)
        except NoTransform as error:
            raise NoGround(
                f"the recorded TF has no pose of '{camera_frame}' in '{self._vehicle_frame}': "
                f'{error}; record {TF_STATIC_TOPIC} and {TF_TOPIC}, or set camera.height_m'
                ) from error
        return CameraPose.of_transform(found.rotation, found.translation)

    def fixed_pose(self, camera_frame: str) -> CameraPose | None:
        """
        Return the pose of a camera that does not move on the vehicle; None if it does.

        :param camera_frame: `frame_id` of the images.
        :raises NoGround: if TF does not know it.
        :raises BagError: if the recording is damaged.
        """
        try:
            fixed = self._tree(camera_frame).is_fixed(self._vehicle_frame, camera_frame)
        except NoTransform:
            fixed = True
        return self.pose(camera_frame, 0) if fixed else None

    def _tree(self, camera_frame: str) -> TransformTree:
        """Return the transforms on the way from a camera to the vehicle."""
        if camera_frame not in self._trees:
            self._trees[camera_frame] = self._read(camera_frame)
        return self._trees[camera_frame]

    def _read(self, camera_frame: str) -> TransformTree:
        tree = TransformTree(self._fixed.fixed, {}, dict(self._fixed.parents))
        links = _transforms(self._bag, TF_TOPIC)
        while True:
            try:
                up, down = tree.way(self._vehicle_frame, camera_frame)
                break
            except NoTransform:
                link = next(links, None)
                if link is None:
                    return tree
                tree.parents.setdefault(link[1], link[0])
        moving = {frame for frame in (*up, *down) if frame not in tree.fixed}
        if moving:  # Recordings have many transforms, and most of them are of other frames.
            for parent, frame, transform, stamp_ns in _transforms(self._bag, TF_TOPIC):
                if frame in moving:
                    tree.add(parent, frame, transform, stamp_ns)
        return tree


def _transforms(bag: CameraBag, topic: str) -> Iterator[tuple[str, str, Transform, int]]:
    """Yield parent, frame, transform and stamp in ns of the transforms that are usable."""
    for _, _, message in bag.messages_of(TF, topic):
        for one in message.transforms:
            turn, place = one.transform.rotation, one.transform.translation
            try:
                transform = Transform.normalised((turn.x, turn.y, turn.z, turn.w),
                                                 (place.x, place.y, place.z))
            except ValueError:
                continue
            yield (one.header.frame_id, one.child_frame_id, transform, _stamp_ns(one.header.stamp))


def _stamp_ns(stamp: Any) -> int:
    return 10**9 * int(stamp.sec) + int(stamp.nanosec)
