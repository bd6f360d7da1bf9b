# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Start the detector, configured and active; `--show-args` lists the arguments."""

from launch import Action, LaunchContext, LaunchDescription
from launch.actions import (
    DeclareLaunchArgument, EmitEvent, OpaqueFunction, RegisterEventHandler, SetEnvironmentVariable)
from launch.conditions import IfCondition
from launch.event_handlers import OnProcessStart
from launch.events import matches_action
from launch.substitutions import EnvironmentVariable, LaunchConfiguration, PathJoinSubstitution
from launch_ros.actions import LifecycleNode
from launch_ros.event_handlers import OnStateTransition
from launch_ros.events.lifecycle import ChangeState
from launch_ros.substitutions import FindPackageShare
from lifecycle_msgs.msg import Transition

from vl4ad_ros.node.dds import profile_path, VARIABLES

ARGUMENTS = [
    DeclareLaunchArgument('namespace', default_value='', description='Namespace of the node.'),
    DeclareLaunchArgument('node_name', default_value='vl4ad_detector',
                          description='Name of the node; its outputs are <node_name>/mask, ...'),
    DeclareLaunchArgument(
        'params_file',
        default_value=PathJoinSubstitution(
            [FindPackageShare('vl4ad_ros'), 'config', 'detector.yaml']),
        description='YAML file of parameters; the others keep their defaults.'),
    DeclareLaunchArgument('bundle', default_value='',
                          description="Model: a bundle's folder, or 'street'; replaces what "
                                      'params_file says.'),
    DeclareLaunchArgument('backend', default_value='',
                          description="Inference library, such as 'tensorrt'; replaces what "
                                      'params_file says.'),
    DeclareLaunchArgument('precision', default_value='',
                          choices=['', 'auto', 'fp16', 'bf16', 'fp32'],
                          description='Precision on a GPU; replaces what params_file says.'),
    DeclareLaunchArgument('image', default_value='image',
                          description='Topic of the camera images (without /compressed); with '
                                      'cameras, a pattern such as /{camera}/image_raw.'),
    DeclareLaunchArgument('cameras', default_value='',
                          description="Names of several cameras, such as 'front,left'; replaces "
                                      'what params_file says.'),
    DeclareLaunchArgument('use_sim_time', default_value='false', choices=['true', 'false'],
                          description='Take the time from /clock, as when a bag is replayed.'),
    DeclareLaunchArgument('autostart', default_value='true', choices=['true', 'false'],
                          description='Configure and activate the node; false leaves both to a '
                                      'lifecycle manager.'),
    DeclareLaunchArgument('respawn', default_value='false', choices=['true', 'false'],
                          description='Start the node again when its process ends, as it does '
                                      'when the GPU is lost.'),
    DeclareLaunchArgument('log_level', default_value='info',
                          choices=['debug', 'info', 'warn', 'error', 'fatal'],
                          description='Least severe messages to show.'),
]


def generate_launch_description() -> LaunchDescription:
    """Return the arguments, the Fast DDS profile, the node and its first two transitions."""
    return LaunchDescription([*ARGUMENTS, *_fast_dds_profile(), OpaqueFunction(function=_start)])


def _start(context: LaunchContext) -> list[Action]:
    chosen = {f'model.{name}': LaunchConfiguration(name).perform(context)
              for name in ('bundle', 'backend', 'precision')}
    cameras = LaunchConfiguration('cameras').perform(context).replace(',', ' ').split()
    respawn = LaunchConfiguration('respawn').perform(context) == 'true'
    node = LifecycleNode(
        package='vl4ad_ros', executable='detector',
        name=LaunchConfiguration('node_name'), namespace=LaunchConfiguration('namespace'),
        parameters=[LaunchConfiguration('params_file'),
                    {'use_sim_time': LaunchConfiguration('use_sim_time')},
                    {name: value for name, value in chosen.items() if value},
                    {'cameras': cameras} if cameras else {}],
        remappings=_topics(cameras, LaunchConfiguration('image').perform(context)),
        arguments=['--ros-args', '--log-level', LaunchConfiguration('log_level')],
        output='screen', emulate_tty=True, respawn=respawn, respawn_delay=2.0)

    def change(transition_id: int) -> EmitEvent:
        return EmitEvent(event=ChangeState(lifecycle_node_matcher=matches_action(node),
                                           transition_id=transition_id))
    autostart = IfCondition(LaunchConfiguration('autostart'))
    configure = RegisterEventHandler(OnProcessStart(
        target_action=node, on_start=[change(Transition.TRANSITION_CONFIGURE)]),
        condition=autostart)
    # Only once, unless the process can be started again: a user who configures the node later by
    # hand may not want it to be active.
    activate = RegisterEventHandler(OnStateTransition(
        target_lifecycle_node=node, start_state='configuring', goal_state='inactive',
        entities=[change(Transition.TRANSITION_ACTIVATE)], handle_once=not respawn),
        condition=autostart)
    return [configure, activate, node]


def _topics(cameras: list[str], image: str) -> list[tuple[str, str]]:
    """Return what the image topics of the node are remapped to."""
    if not cameras:
        return [('image', image)]
    if '{camera}' not in image:
        raise RuntimeError(f"image:='{image}' is one topic for all cameras; give a pattern with "
                           '{camera}, such as image:=/{camera}/image_raw')
    return [(f'{name}/image', image.replace('{camera}', name)) for name in cameras]


def _fast_dds_profile() -> list[SetEnvironmentVariable]:
    """Give every process of this launch the profile for large images, unless the user has one."""
    shipped = str(profile_path())
    return [
        SetEnvironmentVariable(name, EnvironmentVariable(
            name, default_value=EnvironmentVariable(other, default_value=shipped)))
        for name, other in (VARIABLES, VARIABLES[::-1])]
