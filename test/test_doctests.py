# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The examples in docstrings run and print what they say."""

import doctest
import importlib

import pytest

MODULES = ['vl4ad_ros.bundle.bundle', 'vl4ad_ros.evaluation.alert_metrics',
           'vl4ad_ros.evaluation.component_metrics', 'vl4ad_ros.evaluation.flagged_pixels',
           'vl4ad_ros.evaluation.label_map', 'vl4ad_ros.evaluation.pixel_metrics',
           'vl4ad_ros.evaluation.rates', 'vl4ad_ros.evaluation.streaming',
           'vl4ad_ros.inference.detector', 'vl4ad_ros.obstacles.camera_model',
           'vl4ad_ros.obstacles.ground', 'vl4ad_ros.obstacles.ground_view',
           'vl4ad_ros.obstacles.pipeline', 'vl4ad_ros.prompts.vocabulary']


@pytest.mark.parametrize('name', MODULES)
def test_examples_of_a_module(name):
    failed, attempted = doctest.testmod(importlib.import_module(name))
    assert attempted, f'{name} has no example'
    assert not failed, 'see the output of doctest above'
