# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Play a recording through the detector and write a report; `--show-args` lists the arguments.

The node, its topics and its clock are in the namespace `replay`, so a detector that runs already
is not disturbed. The launch ends with the replay.
"""

from launch import Action, LaunchContext, LaunchDescription
from launch.actions import (
    DeclareLaunchArgument, ExecuteProcess, OpaqueFunction, SetEnvironmentVariable, Shutdown)
from launch.events.process import ProcessExited
from launch.substitutions import EnvironmentVariable, LaunchConfiguration, PathJoinSubstitution
from launch_ros.actions import Node
from launch_ros.substitutions import ExecutableInPackage, FindPackageShare

ARGUMENTS = [
    DeclareLaunchArgument('bag', description='The recording: a rosbag2 folder, a .mcap, .db3 or '
                          'ROS 1 .bag file, a video, or a folder of images.'),
    DeclareLaunchArgument('out', default_value='out/replay', description='Folder of the report; '
                          'an older report in it is replaced.'),
    DeclareLaunchArgument(
        'params_file',
        default_value=PathJoinSubstitution(
            [FindPackageShare('vl4ad_ros'), 'config', 'detector.yaml']),
        description='YAML file of parameters; the others keep their defaults.'),
    DeclareLaunchArgument('bundle', default_value='',
                          description="Model: a bundle's folder, or 'street'; replaces what "
                                      'params_file says.'),
    DeclareLaunchArgument('topic', default_value='',
                          description='Image topic; needed only if the recording has more than '
                                      'one camera.'),
    DeclareLaunchArgument('lockstep', default_value='false', choices=['true', 'false'],
                          description='Send each frame after the answer to the one before, so '
                                      'that none is dropped.'),
    DeclareLaunchArgument('namespace', default_value='replay',
                          description='Namespace of the node, its topics and its clock; replays '
                                      'at the same time need different ones.'),
    DeclareLaunchArgument('rviz', default_value='false', choices=['true', 'false'],
                          description='Show the replay in RViz, which must be installed.'),
]
SHOWN = ('overlay', 'labels', 'markers', 'points')
"""Topics of the node in `config/detector.rviz`."""


def generate_launch_description() -> LaunchDescription:
    """Return the arguments, the ROS domain, the replay and RViz."""
    # A replay without a domain takes one at random, where RViz would not see it.
    domain = SetEnvironmentVariable(
        'ROS_DOMAIN_ID', EnvironmentVariable('ROS_DOMAIN_ID', default_value='0'))
    return LaunchDescription([*ARGUMENTS, domain, OpaqueFunction(function=_start)])


def _start(context: LaunchContext) -> list[Action]:
    given = {name: LaunchConfiguration(name).perform(context) for name in (
        'bag', 'out', 'params_file', 'bundle', 'topic', 'lockstep', 'namespace', 'rviz')}
    command = ['replay', given['bag'], '--out', given['out'], '--params', given['params_file'],
               '--namespace', given['namespace']]
    for name in ('bundle', 'topic'):
        command += [f'--{name}', given[name]] if given[name] else []
    command += ['--lockstep'] if given['lockstep'] == 'true' else []
    replay = ExecuteProcess(
        cmd=[ExecutableInPackage(package='vl4ad_ros', executable='vl4ad'), *command],
        name='replay', output='screen', additional_env={'PYTHONUNBUFFERED': '1'},
        # After Ctrl-C the replay first ends the node in order.
        sigterm_timeout='15', sigkill_timeout='15', on_exit=_ended)
    return [replay, *([_rviz(given['namespace'])] if given['rviz'] == 'true' else [])]


def _rviz(namespace: str) -> Node:
    """Return RViz with the configuration for a vehicle, which shows the replay instead."""
    prefix = f"/{namespace.strip('/')}"
    return Node(
        package='rviz2', executable='rviz2', name='rviz', output='log',
        arguments=['-d', PathJoinSubstitution(
            [FindPackageShare('vl4ad_ros'), 'config', 'detector.rviz'])],
        parameters=[{'use_sim_time': True}],
        remappings=[('/clock', f'{prefix}/clock'), ('/image', f'{prefix}/image'),
                    *((f'/vl4ad_detector/{name}', f'{prefix}/vl4ad_detector/{name}')
                      for name in SHOWN)])


def _ended(event: ProcessExited, context: LaunchContext) -> Shutdown:
    """End the launch with the replay; if it failed, `ros2 launch` fails, too."""
    if event.returncode and not context.is_shutdown:
        raise RuntimeError(f'the replay failed with the exit status {event.returncode}')
    return Shutdown(reason='the replay is done')
