# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Architectures small enough for tests, in place of the official ones (needs torch)."""

from dataclasses import replace

import cv2
import numpy as np
import pytest


@pytest.fixture(scope='session')
def small_config():
    """Return the configuration of a small ResNet."""
    from vl4ad_workshop.network.config import NetworkConfig, VILD_TEMPLATES
    return NetworkConfig(
        name='small_resnet',
        clip={'embed_dim': 16, 'quick_gelu': True,
              'vision_cfg': {'image_size': 96, 'layers': [1, 1, 1, 1], 'width': 8,
                             'head_width': 64, 'patch_size': None},
              'text_cfg': {'context_length': 77, 'vocab_size': 49408, 'width': 16, 'heads': 2,
                           'layers': 1}},
        feature_channels=(32, 64, 128, 256), hidden_dim=32, norm_groups=8, attention_heads=4,
        pixel_decoder_layers=1, pixel_decoder_ffn=32, mask_decoder_layers=3,
        mask_decoder_ffn=32, queries=5, ensemble_on_valid_mask=True, templates=VILD_TEMPLATES)


@pytest.fixture(scope='session')
def small_convnext():
    """Return the tiny model's configuration with timm's smallest ConvNeXt as its trunk."""
    from vl4ad_workshop.network.config import TINY
    vision = {**TINY.clip['vision_cfg'], 'timm_model_name': 'test_convnext'}
    return replace(TINY, name='small_convnext', clip={**TINY.clip, 'vision_cfg': vision},
                   feature_channels=(24, 32, 48, 64))


@pytest.fixture
def pictures(tmp_path_factory):
    """Return a folder of nine square pictures whose red, 100 to 108, is their number."""
    folder = tmp_path_factory.mktemp('pictures')
    for i in range(9):
        cv2.imwrite(str(folder / f'{i}.png'), np.full((40, 40, 3), (0, 0, 100 + i), np.uint8))
    (folder / 'notes.txt').write_text('no picture')
    return folder


@pytest.fixture(scope='session')
def trunks(small_config, small_convnext):
    """Return a small configuration of every kind of trunk."""
    from vl4ad_workshop.network.config import TINY
    return {'tiny': TINY, 'ConvNeXt': small_convnext, 'ResNet': small_config}


@pytest.fixture
def small(small_config, monkeypatch):
    """Let the registry hold the small configuration only, and return it."""
    from vl4ad_workshop.network import checkpoint
    monkeypatch.setattr(checkpoint, 'OFFICIAL', {small_config.name: small_config})
    checkpoint.expected_shapes.cache_clear()
    yield small_config
    checkpoint.expected_shapes.cache_clear()
