# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The sizes of a network, which distinguish the tiny model from the published ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import open_clip


@dataclass(frozen=True)
class NetworkConfig:
    """
    Sizes of one VL4AD network.

    :ivar clip: arguments of `open_clip.CLIP`: ``embed_dim``, ``vision_cfg``, ``text_cfg``,
        ``quick_gelu``.
    :ivar feature_channels: channels of the trunk's features at strides 4, 8, 16 and 32 (the tiny
        trunk's last stride is 16).
    :ivar mean: mean of each channel of an RGB image in 0..255.
    :ivar std: standard deviation of each channel, likewise.
    :ivar size_divisibility: images are zero-padded (after normalisation) to a multiple of this.
    :ivar ensemble_on_valid_mask: use the in-vocabulary classifier alone for queries whose mask is
        empty at stride 32 (FC-CLIP's ResNet configurations).
    :ivar templates: sentences with one ``{}``; the embedding of a concept is the mean over them.
    """

    name: str
    clip: dict[str, Any]
    feature_channels: tuple[int, int, int, int]
    hidden_dim: int = 256
    norm_groups: int = 32
    attention_heads: int = 8
    sampling_points: int = 4
    pixel_decoder_layers: int = 6
    pixel_decoder_ffn: int = 1024
    mask_decoder_layers: int = 9
    mask_decoder_ffn: int = 2048
    queries: int = 250
    mean: tuple[float, float, float] = (122.7709383, 116.7460125, 104.09373615)
    std: tuple[float, float, float] = (68.5005327, 66.6321579, 70.32316305)
    size_divisibility: int = 32
    ensemble_on_valid_mask: bool = False
    templates: tuple[str, ...] = ()

    @staticmethod
    def from_record(record: Mapping[str, Any]) -> NetworkConfig:
        """
        Return the configuration that ``dataclasses.asdict`` turned into JSON.

        :raises TypeError: if it has other fields.
        """
        return NetworkConfig(**{k: tuple(v) if isinstance(v, list) else v
                                for k, v in record.items()})

    @property
    def embed_dim(self) -> int:
        """Dimension D of the embeddings of texts and images."""
        return self.clip['embed_dim']

    @property
    def context_length(self) -> int:
        """Largest number of tokens of a text, start and end included."""
        return self.clip['text_cfg']['context_length']


# The 14 sentence templates of ViLD that FC-CLIP averages over.
VILD_TEMPLATES = (
    'a photo of a {}.',
    'This is a photo of a {}',
    'There is a {} in the scene',
    'There is the {} in the scene',
    'a photo of a {} in the scene',
    'a photo of a small {}.',
    'a photo of a medium {}.',
    'a photo of a large {}.',
    'This is a photo of a small {}.',
    'This is a photo of a medium {}.',
    'This is a photo of a large {}.',
    'There is a small {} in the scene.',
    'There is a medium {} in the scene.',
    'There is a large {} in the scene.',
)

TINY = NetworkConfig(
    name='tiny',
    clip={
        'embed_dim': 128,
        'vision_cfg': {
            'timm_model_name': 'vl4ad_resnet_tiny', 'timm_model_pretrained': False,
            'timm_pool': '', 'timm_proj': 'mlp', 'timm_drop': 0.0, 'timm_drop_path': 0.0,
            'image_size': 64},
        'text_cfg': {
            'context_length': 24, 'vocab_size': 1024, 'width': 128, 'heads': 4, 'layers': 3},
    },
    feature_channels=(32, 64, 128, 256),
    hidden_dim=96,
    attention_heads=4,
    pixel_decoder_layers=2,
    pixel_decoder_ffn=256,
    mask_decoder_layers=3,
    mask_decoder_ffn=256,
    queries=40,
    templates=('a photo of a {}.', 'a {} in the scene.', 'there is a {} on the road.'),
)


def _official(name: str, clip: str, channels: tuple[int, int, int, int],
              openai: bool = False) -> NetworkConfig:
    """Return FC-CLIP's decoder on one of open_clip's models."""
    # OpenAI trained with QuickGELU, which a state dict does not tell; FC-CLIP's ResNet
    # configurations switch its guard against empty masks on.
    return NetworkConfig(
        name=name, clip={**open_clip.get_model_config(clip), 'quick_gelu': openai},
        feature_channels=channels, ensemble_on_valid_mask=openai, templates=VILD_TEMPLATES)


CONVNEXT_LARGE_D_320 = _official(
    'convnext_large_d_320', 'convnext_large_d_320', (192, 384, 768, 1536))

# FC-CLIP's published architectures, and the ConvNeXts that its code takes as well.
# Models that differ only in the size of CLIP's training images have equal weights' shapes.
OFFICIAL: dict[str, NetworkConfig] = {c.name: c for c in (
    CONVNEXT_LARGE_D_320,
    _official('rn50', 'RN50', (256, 512, 1024, 2048), openai=True),
    _official('rn101', 'RN101', (256, 512, 1024, 2048), openai=True),
    _official('rn50x4', 'RN50x4', (320, 640, 1280, 2560), openai=True),
    _official('rn50x16', 'RN50x16', (384, 768, 1536, 3072), openai=True),
    _official('rn50x64', 'RN50x64', (512, 1024, 2048, 4096), openai=True),
    _official('convnext_base', 'convnext_base', (128, 256, 512, 1024)),
    _official('convnext_base_w', 'convnext_base_w', (128, 256, 512, 1024)),
    _official('convnext_large', 'convnext_large', (192, 384, 768, 1536)),
    _official('convnext_xxlarge', 'convnext_xxlarge', (384, 768, 1536, 3072)),
)}
NETWORKS: dict[str, NetworkConfig] = {TINY.name: TINY, **OFFICIAL}
