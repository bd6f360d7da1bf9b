# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Imports point one way, and each heavy library stays in its part. Needs nothing."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FILES = sorted((ROOT / 'vl4ad_ros').rglob('*.py'))

MAY_IMPORT = {
    '__init__': set(),
    'signals': set(),
    'outputs': {'signals'},
    'files': set(),
    'characters': set(),
    'synonyms': {'characters'},
    'vocabulary': {'characters', 'synonyms'},
    'vocabularies': {'characters', 'files', 'vocabulary'},
    'scenes': {'outputs'},
    'obstacles': set(),
    'obstacles/pipeline.py': {'runtime'},
    'runtime': {'files', 'vocabulary'},
    'settings': {'files', 'vocabulary', 'vocabularies', 'runtime', 'obstacles'},
    'evaluation': {'files', 'outputs', 'vocabulary', 'vocabularies', 'runtime', 'obstacles',
                   'settings', 'scenes'},
    'node': {'signals', 'outputs', 'vocabulary', 'vocabularies', 'runtime', 'obstacles',
             'settings', 'evaluation'},
    'network': {'vocabulary', 'vocabularies'},
    'network/export.py': {'vocabulary', 'vocabularies', 'runtime'},
    'network/convert.py': {'vocabulary', 'vocabularies', 'runtime'},
    'network/reexport.py': {'vocabulary', 'vocabularies', 'runtime', 'scenes'},
    'network/torch_backend.py': {'vocabulary', 'vocabularies', 'runtime'},
    'network/torch_cuda_backend.py': {'runtime'},
    'network/torch_compile_backend.py': {'vocabulary', 'vocabularies', 'runtime'},
    'training': {'obstacles', 'vocabulary', 'vocabularies', 'network', 'runtime', 'scenes',
                 'evaluation'},
    'cli': {'signals', 'outputs', 'vocabulary', 'runtime', 'obstacles', 'settings', 'scenes',
            'evaluation', 'node', 'network', 'training'},
}
ONLY_IN = {
    'torch': ('network/', 'training/'),
    'torchvision': ('network/', 'training/'),
    'timm': ('network/', 'training/'),
    'open_clip': ('network/', 'training/'),
    'onnx': ('network/', 'training/'),
    'onnx_ir': ('network/',),
    'safetensors': ('network/', 'training/'),
    'rclpy': ('node/',),
    'ament_index_python': ('node/',),
    'launch': (),
    'cv_bridge': (),
    'onnxruntime': ('runtime/backends/onnxruntime.py',
                    'runtime/backends/onnxruntime_cuda.py'),
    'tensorrt': ('runtime/backends/tensorrt.py',),
    'tensorrt_rtx': ('runtime/backends/tensorrt_rtx.py',),
    'cuda': ('runtime/backends/cuda.py',),
    'openvino': ('runtime/backends/openvino.py',),
    'tokenizers': ('runtime/tokenizer.py', 'network/clip_tokenizer.py', 'training/'),
    'rosbags': ('scenes/bag.py', 'evaluation/'),
}
MESSAGES = ('_msgs', '_interfaces')


def imported(path):
    """List the dotted names that a file of the package imports, relative ones made absolute."""
    package = ('vl4ad_ros', *path.relative_to(ROOT / 'vl4ad_ros').parent.parts)
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[:len(package) - node.level + 1] if node.level else ()
            name = '.'.join([*base, *filter(None, [node.module])])
            yield from (f'{name}.{alias.name}' for alias in node.names)


def parts_imported(path):
    parts = {name.split('.')[1] for name in imported(path)
             if name.startswith('vl4ad_ros.')} - {'__version__'}
    return parts - {Path(path.relative_to(ROOT / 'vl4ad_ros').parts[0]).stem}


@pytest.mark.parametrize('path', FILES, ids=lambda path: str(path.relative_to(ROOT / 'vl4ad_ros')))
def test_imports_point_one_way(path):
    place = path.relative_to(ROOT / 'vl4ad_ros')
    allowed = MAY_IMPORT.get(place.as_posix(), MAY_IMPORT.get(Path(place.parts[0]).stem))
    assert allowed is not None, f'{place} is in no part that MAY_IMPORT knows; add it there'
    assert parts_imported(path) <= allowed

    for library in {name.split('.')[0] for name in imported(path)}:
        homes = ('node/',) if library.endswith(MESSAGES) else ONLY_IN.get(library)
        assert homes is None or place.as_posix().startswith(homes), (
            f'{place} imports {library}, which belongs in {homes}')


def test_a_wrong_import_would_be_seen():
    export = ROOT / 'vl4ad_ros' / 'network' / 'export.py'
    assert 'runtime' in parts_imported(export)
    assert 'runtime' not in MAY_IMPORT['network']
