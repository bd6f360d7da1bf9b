# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Convert weights to half precision where it is safe; the modules cast the activations."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_weights

from vl4ad_workshop.network.vl4ad import Vl4ad

DTYPES: Mapping[str, torch.dtype] = {
    'fp16': torch.float16, 'bf16': torch.bfloat16, 'fp32': torch.float32}

# Parts that stay float32, by the prefixes of their parameters' names: the text tower, everything
# that turns a pooled vector into class logits, and positions, which are summed in float32.
_FLOAT32 = (
    'void_embedding.',
    'backbone.clip_model.',
    'sem_seg_head.pixel_decoder.transformer.level_embed',
    'sem_seg_head.predictor.logit_scale',
    'sem_seg_head.predictor.class_embed.',
    'sem_seg_head.predictor._mask_pooling_proj.')
_TRUNK = 'backbone.clip_model.visual.'
_HEAD = ('backbone.clip_model.visual.trunk.head.', 'backbone.clip_model.visual.trunk.norm.',
         'backbone.clip_model.visual.head.',
         'backbone.clip_model.visual.attnpool.positional_embedding')


def set_precision(network: Vl4ad, dtype: str) -> None:
    """
    Convert a float32 network to half precision in place, except for some parts.

    docs/method.md, "Precision and sampling forms", lists the parts that stay float32 and says
    why. Inputs and outputs keep their types. 'fp32' changes nothing.

    :param network: in evaluation mode; changed in place.
    :param dtype: one of `DTYPES`.
    :raises ValueError: for another dtype.
    """
    if dtype not in DTYPES:
        raise ValueError(f'dtype is {dtype!r}; choose one of ' + ', '.join(map(repr, DTYPES)))
    if dtype == 'fp32':
        return
    _fold_batch_norms(network)
    group_norms = {id(p) for m in network.modules() if isinstance(m, nn.GroupNorm)
                   for p in m.parameters()}
    for name, parameter in network.named_parameters():
        trunk = name.startswith(_TRUNK) and not name.startswith(_HEAD)
        if trunk or not (name.startswith(_FLOAT32) or id(parameter) in group_norms):
            parameter.data = parameter.data.to(DTYPES[dtype])


def _fold_batch_norms(network: nn.Module) -> None:
    """
    Merge every batch norm into the convolution before it, in float32.

    The statistics of a batch norm may exceed the range of half precision; the merged weights do
    not.
    """
    for module in list(network.modules()):
        children = list(module.named_children())
        for (_, convolution), (name, norm) in zip(children, children[1:]):
            if isinstance(convolution, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                convolution.weight, convolution.bias = fuse_conv_bn_weights(
                    convolution.weight, convolution.bias, norm.running_mean, norm.running_var,
                    norm.eps, norm.weight, norm.bias)
                # The norms of timm contain the activation that follows them.
                setattr(module, name, getattr(norm, 'act', nn.Identity()))
