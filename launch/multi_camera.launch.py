# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Start one detector for several cameras; it takes all arguments of detector.launch.py, too."""

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import PathJoinSubstitution
from launch_ros.substitutions import FindPackageShare


def generate_launch_description() -> LaunchDescription:
    """Return the arguments whose defaults differ, and the launch file of the detector."""
    return LaunchDescription([
        DeclareLaunchArgument('cameras', default_value='front,left,right,rear',
                              description='Names of the cameras.'),
        DeclareLaunchArgument('image', default_value='/{camera}/image_raw',
                              description='Topics of the images (without /compressed); {camera} '
                                          'stands for the name of each camera.'),
        IncludeLaunchDescription(PythonLaunchDescriptionSource(PathJoinSubstitution(
            [FindPackageShare('vl4ad_ros'), 'launch', 'detector.launch.py']))),
    ])
