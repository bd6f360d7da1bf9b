# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The configurations of RViz and Foxglove show topics that the node has, with known displays."""

from __future__ import annotations

from collections.abc import Iterator
import json
from pathlib import Path
import re
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
RVIZ = yaml.safe_load((ROOT / 'config' / 'detector.rviz').read_text())
FOXGLOVE = json.loads((ROOT / 'config' / 'foxglove_layout.json').read_text())
# Displays of rviz_default_plugins in Humble, Jazzy and Rolling, by the type that they show.
DISPLAYS = {'sensor_msgs/Image': 'Image', 'visualization_msgs/MarkerArray': 'MarkerArray',
            'sensor_msgs/PointCloud2': 'PointCloud2'}
# Panels of Foxglove Studio 1 and Lichtblick 1, by the key of their settings that names topics.
PANELS = {'Image': 'imageMode', '3D': 'topics', 'RawMessages': 'topicPath',
          'DiagnosticSummary': 'topicToRender', 'DiagnosticStatusPanel': 'topicToRender'}
SHOWN = {'overlay', 'labels', 'markers', 'points'}


def outputs() -> dict[str, str]:
    """Return the type of each output of the node, by its full name, as docs/topics.md says."""
    rows = re.findall(r'^\| `(\S+)` \| ([\w/]+)', (ROOT / 'docs' / 'topics.md').read_text(), re.M)
    return {name.replace('~', '/vl4ad_detector'): kind for name, kind in rows}


def test_rviz_shows_outputs_of_the_node_with_displays_of_their_types():
    displays = RVIZ['Visualization Manager']['Displays']
    shown = {d['Topic']['Value']: d for d in displays if 'Topic' in d}
    assert {f'/vl4ad_detector/{name}' for name in SHOWN} == set(shown) - {'/image'}
    for topic, display in shown.items():
        kind = outputs()[topic] if topic != '/image' else 'sensor_msgs/Image'
        assert display['Class'] == f'rviz_default_plugins/{DISPLAYS[kind]}', topic
        assert display['Enabled'] and display['Value']
    # A camera may be best effort, and the node publishes reliably.
    assert {d['Topic']['Reliability Policy'] for t, d in shown.items() if t != '/image'} == {
        'Reliable'}
    assert shown['/image']['Topic']['Reliability Policy'] == 'Best Effort'


def panels(layout: Any) -> Iterator[str]:
    """Yield the panels of a part of the layout."""
    if isinstance(layout, str):
        yield layout
    else:
        assert layout['direction'] in ('row', 'column') and 0 < layout['splitPercentage'] < 100
        for part in ('first', 'second'):
            yield from panels(layout[part])


def test_foxglove_shows_outputs_of_the_node_in_panels_that_have_settings():
    placed, settings = list(panels(FOXGLOVE['layout'])), FOXGLOVE['configById']
    assert sorted(placed) == sorted(settings)
    topics = set()
    for panel, setting in settings.items():
        named = setting[PANELS[panel.partition('!')[0]]]
        named = named.get('imageTopic', named) if isinstance(named, dict) else named
        topics |= {named} if isinstance(named, str) else set(named)
    topics = {topic.partition('.')[0] for topic in topics}
    expected = {f'/vl4ad_detector/{name}' for name in SHOWN | {'alerts', 'obstacles'}}
    # The camera is on the topic of the result bags.
    assert topics == {*expected, '/diagnostics', '/camera/image/compressed'}
    assert expected <= set(outputs())


def test_both_look_from_the_frame_of_the_vehicle():
    from vl4ad_ros.settings import Settings
    frame = Settings().ground_frame_id
    assert RVIZ['Visualization Manager']['Global Options']['Fixed Frame'] == frame
    assert FOXGLOVE['configById']['3D!obstacles']['followTf'] == frame
