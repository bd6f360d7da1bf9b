# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The parameter table against config/detector.yaml, and what it refuses."""

from __future__ import annotations

from pathlib import Path

import pytest
from rclpy.parameter import Parameter
from vl4ad_ros.node.parameters import BUNDLE_LIST, markdown_table, PARAMETERS, Settings
from vl4ad_ros.vocabulary import PromptClass, Vocabulary
import yaml

ROOT = Path(__file__).resolve().parents[2]
CONFIG = ROOT / 'config' / 'detector.yaml'


def flatten(tree: dict, prefix: str = '') -> dict:
    flat = {}
    for key, value in tree.items():
        if isinstance(value, dict):
            flat.update(flatten(value, f'{prefix}{key}.'))
        else:
            flat[prefix + key] = value
    return flat


def test_config_file_names_every_parameter_with_its_default_and_type():
    written = flatten(yaml.safe_load(CONFIG.read_text())['/**']['ros__parameters'])
    assert written == {row.name: row.ros_default for row in PARAMETERS}
    assert ({name: type(value) for name, value in written.items()}
            == {row.name: type(row.ros_default) for row in PARAMETERS})


def test_readme_holds_the_table_of_parameters():
    table = markdown_table()
    assert len(table.splitlines()) == len(PARAMETERS) + 2
    assert table in (ROOT / 'README.md').read_text(), (
        'README.md: put the output of vl4ad_ros.node.parameters.markdown_table() there')


@pytest.mark.parametrize('name, value, reason', [
    ('threshold', 1.5, 'threshold is 1.5; expected 0.0 to 1.0'),
    ('threshold', float('nan'), 'threshold is nan; expected 0.0 to 1.0'),
    ('image_transport', 'zipped', "image_transport is 'zipped'; expected raw or compressed"),
    ('alert.confirm_hits', 8, 'alert.confirm_hits 8 is more than alert.confirm_window 5'),
    ('region.roi', [0.0, 0.0, 1.0, 1.0], 'region.roi'),
    ('region.roi', [0.0, 0.0, 1.0, 0.0, 1.0], 'region.roi has 5 numbers'),
    ('region.roi', [0.0, 0.0, 640.0, 0.0, 640.0, 480.0], 'region.roi'),
    ('region.roi', [0.0, 0.0, 1.0, 0.0, 0.5, 0.0], 'no area'),
    ('prompts.known', None, 'prompts.known is an empty list; expected at least one entry'),
    ('prompts.anomaly', None, r"write \[''\] for none"),
])
def test_refusals_name_the_parameter_and_the_cure(name, value, reason):
    kind = Parameter.Type.NOT_SET if value is None else None
    with pytest.raises(ValueError, match=reason):
        Settings().changed([Parameter(name, kind, value)])


def test_prompts_are_checked_without_a_bundle_once_both_lists_are_given():
    with pytest.raises(ValueError, match=r"prompts.anomaly\[0\] 'road'"):
        Settings().changed([Parameter('prompts.known', value=['road']),
                            Parameter('prompts.anomaly', value=['road'])])


@pytest.mark.parametrize('value, reason', [
    (['<bundle>', '<everythin>'], r"prompts.anomaly\[1\] '<everythin>': no vocabulary"),
    (['<bundle>', 'dog: dog, '], r"prompts.anomaly\[1\] 'dog: dog, ': empty name"),
])
def test_references_are_checked_before_there_is_a_bundle(value, reason):
    with pytest.raises(ValueError, match=reason):
        Settings().changed([Parameter('prompts.anomaly', value=value)])


def test_bundle_list_and_none_are_different():
    bundled = Vocabulary((PromptClass('road', ('road',)),), (PromptClass('cow', ('cow',)),))
    assert Settings().vocabulary(bundled) == bundled
    none = Settings().changed([Parameter('prompts.anomaly', value=[''])])
    assert none.vocabulary(bundled).anomaly == ()
    assert none.prompts_known == BUNDLE_LIST
