# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The parameter files for Nav2 and Autoware name what exists on both sides. Needs nothing."""

import json
from pathlib import Path
import re

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]
CONFIG = ROOT / 'config'
# Parameters that navigation2 a3a9704 declares in nav2_collision_monitor/src: of the node
# (collision_monitor_node.cpp), of a zone (polygon.cpp), of a cloud (source.cpp, pointcloud.cpp).
MONITOR = {
    'base_frame_id', 'odom_frame_id', 'cmd_vel_in_topic', 'cmd_vel_out_topic', 'state_topic',
    'transform_tolerance', 'source_timeout', 'base_shift_correction', 'stop_pub_timeout',
    'collision_points_marker_3d', 'enabled', 'polygons', 'observation_sources'}
ZONE = {
    'type', 'points', 'action_type', 'enabled', 'min_points', 'trigger_consecutive_points',
    'release_consecutive_points', 'slowdown_ratio', 'linear_limit', 'angular_limit',
    'time_before_collision', 'simulation_time_step', 'visualize', 'polygon_pub_topic',
    'polygon_subscribe_transient_local', 'polygon_sub_topic', 'footprint_topic', 'sources_names'}
CLOUD = {
    'type', 'topic', 'enabled', 'source_timeout', 'exclusion_zones', 'min_height', 'max_height',
    'min_range', 'use_global_height', 'transport_type'}
# Those of semantic_segmentation_layer b269885, src/semantic_segmentation_layer.cpp.
LAYER = {'enabled', 'combination_method', 'observation_sources', 'publish_debug_topics',
         'use_approximate_time_sync', 'sensor_data_depth'}
SOURCE = {
    'segmentation_topic', 'confidence_topic', 'labels_topic', 'pointcloud_topic',
    'observation_persistence', 'expected_update_rate', 'class_types', 'max_obstacle_distance',
    'min_obstacle_distance', 'tile_map_decay_time', 'visualize_tile_map', 'use_cost_selection',
    'camera_horizontal_fov', 'camera_vertical_fov', 'fov_decay_time', 'outside_fov_decay_time',
    'visualize_frustum_fov'}
CLASSES = {'classes', 'base_cost', 'max_cost', 'mark_confidence', 'samples_to_max_cost',
           'dominant_priority'}
# Those of a channel of the tracker: autoware_launch 662752e, config/object_recognition/tracking/
# multi_object_tracker/input_channels.param.yaml of autoware_perception_launch.
CHANNEL = {'associator_type': str, 'flags': dict, 'optional': dict}
FLAGS = {'can_spawn_new_tracker', 'can_trust_existence_probability', 'can_trust_extension',
         'can_trust_classification', 'can_trust_orientation'}


def parameters(name: str, *path: str):
    """Return the parameters in a file of config/, below some keys."""
    found = yaml.safe_load((CONFIG / name).read_text())
    for key in path:
        found = found[key]
    return found['ros__parameters']


def published():
    """Return the topics that the node publishes."""
    text = ''.join((ROOT / 'vl4ad_ros' / 'node' / f'{name}.py').read_text()
                   for name in ('outputs', 'obstacle_outputs', 'detector_node'))
    return {f'/vl4ad_detector/{name}' for name in re.findall(r"'(?:~/)?(\w+)', qos\.", text)}


def test_the_collision_monitor_s_file_is_complete_and_names_only_what_it_has():
    monitor = parameters('nav2_collision_monitor.yaml', 'collision_monitor')
    zones = [monitor[name] for name in monitor['polygons']]
    sources = [monitor[name] for name in monitor['observation_sources']]
    parts = {*monitor['polygons'], *monitor['observation_sources']}
    assert zones and set(monitor) - parts <= MONITOR
    for zone in zones:
        assert set(zone) <= ZONE and zone['type'] == 'polygon'
        assert zone['action_type'] in ('stop', 'slowdown')
        corners = yaml.safe_load(zone['points'])
        assert len(corners) >= 4 and all(len(corner) == 2 for corner in corners)
    (source,) = sources
    assert set(source) <= CLOUD and source['type'] == 'pointcloud'
    assert source['topic'] in published()
    assert 0 < monitor['source_timeout'] < 5


def test_the_height_of_the_points_is_in_the_band_of_the_file_and_of_the_defaults():
    from vl4ad_ros.obstacles.contact_points import HEIGHT_M
    source = parameters('nav2_collision_monitor.yaml', 'collision_monitor')['vl4ad']
    for low, high in ((source['min_height'], source['max_height']), (0.05, 0.5)):
        assert low + 0.1 < HEIGHT_M < high - 0.1


def test_the_layer_s_file_names_only_what_it_has_and_every_class_of_the_default_model():
    layer = parameters('nav2_semantic_layer.yaml', 'local_costmap', 'local_costmap')[
        'semantic_layer']
    source = layer[layer['observation_sources']]
    assert set(layer) - {'plugin', layer['observation_sources']} <= LAYER
    assert set(source) - set(source['class_types']) <= SOURCE
    for kind in source['class_types']:
        assert set(source[kind]) <= CLASSES
        assert 0 <= source[kind]['base_cost'] <= source[kind]['max_cost'] <= 254
    assert {value for key, value in source.items() if key.endswith('_topic')} <= published()
    words = json.loads((ROOT / 'vl4ad_ros/models/street/manifest.json').read_text())['vocabulary']
    known, anomaly = ([entry.split(':')[0] for entry in words[kind]]
                      for kind in ('known', 'anomaly'))
    assert set(source['danger']['classes']) == {'anomaly', *anomaly}
    assert set(source['free']['classes']) <= set(known)


def test_autoware_s_file_names_only_what_it_has():
    channels = parameters('autoware.yaml', '/**/multi_object_tracker')['input_channels']
    for channel in channels.values():
        assert {name: type(value) for name, value in channel.items()} == CHANNEL
        assert channel['associator_type'] == 'bev'
        assert set(channel['flags']) == FLAGS
        assert all(isinstance(flag, bool) for flag in channel['flags'].values())
        assert set(channel['optional']) == {'name', 'short_name'}
    planner = parameters('autoware.yaml', '/**/diffusion_planner_node')
    assert planner == {'remap_unsupported_objects_to_pedestrian': True}


@pytest.mark.parametrize('path', sorted(CONFIG.glob('*.yaml')), ids=lambda path: path.name)
def test_every_file_is_one_that_ros_can_load(path):
    """No empty list and no mixed one, which ROS parameters do not have."""
    def check(value):
        if isinstance(value, dict):
            assert value
            for inner in value.values():
                check(inner)
        elif isinstance(value, list):
            assert value and len({type(item) for item in value}) == 1
        else:
            assert isinstance(value, (bool, int, float, str))
    check(yaml.safe_load(path.read_text()))
