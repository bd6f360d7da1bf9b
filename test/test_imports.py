# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Imports point one way, and each heavy library stays in its part. Needs nothing."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
ROOTS = {'vl4ad_ros': ROOT, 'vl4ad_workshop': ROOT / 'workshop'}
FILES = sorted(path for package, root in ROOTS.items() for path in (root / package).rglob('*.py'))

# What each part of vl4ad_ros may import of it. A key is a part or a single file in one.
MAY_IMPORT = {
    # The public classes, which are imported when they are first used.
    '__init__.py': {'bundle', 'inference', 'obstacles'},
    'signals.py': set(),
    'processes.py': set(),
    'workers.py': {'processes'},
    'ray_workers.py': {'workers'},
    'outputs.py': {'signals'},
    'captions.py': set(),
    'files.py': set(),
    'prompts': {'files'},
    'images': set(),
    'bundle': {'files', 'prompts'},
    'inference': {'signals', 'processes', 'files', 'prompts', 'bundle'},
    'obstacles': {'prompts', 'bundle', 'inference'},
    'settings': {'files', 'prompts', 'images', 'bundle', 'inference', 'obstacles'},
    'evaluation': {'signals', 'files', 'outputs', 'captions', 'prompts', 'images', 'bundle',
                   'inference', 'obstacles', 'settings'},
    'composing': {'files', 'outputs', 'evaluation', 'obstacles'},
    'node': {'signals', 'processes', 'files', 'captions', 'prompts', 'images', 'bundle',
             'inference', 'obstacles', 'settings'},
    'replay': {'signals', 'files', 'outputs', 'prompts', 'images', 'bundle', 'inference',
               'obstacles', 'settings', 'evaluation', 'node'},
    'commands': {'signals', 'files', 'outputs', 'prompts', 'images', 'bundle', 'inference',
                 'obstacles', 'settings', 'evaluation', 'composing', 'replay', 'workers',
                 'ray_workers'},
    'cli.py': {'signals', 'commands'},
}
# The same for the workshop, which may import all of vl4ad_ros too.
WORKSHOP_MAY_IMPORT = {
    '__init__.py': set(),
    'scenes': set(),
    'network': set(),
    'street': {'network'},
    'demo': {'scenes'},
    'training': {'network', 'street', 'scenes', 'demo'},
}
ANYWHERE_IN_WORKSHOP = ('vl4ad_workshop/',)
# Where each heavy library may be imported.
ONLY_IN = {
    'torch': ANYWHERE_IN_WORKSHOP,
    'torchvision': ANYWHERE_IN_WORKSHOP,
    'timm': ANYWHERE_IN_WORKSHOP,
    'open_clip': ANYWHERE_IN_WORKSHOP,
    'onnx': ANYWHERE_IN_WORKSHOP,
    'onnx_ir': ANYWHERE_IN_WORKSHOP,
    'safetensors': ANYWHERE_IN_WORKSHOP,
    'rclpy': ('vl4ad_ros/node/', 'vl4ad_ros/replay/'),
    'ament_index_python': ('vl4ad_ros/node/',),
    'launch': (),
    'tf2_ros': ('vl4ad_ros/node/tf_pose.py',),
    'autoware_perception_msgs': ('vl4ad_ros/node/autoware.py',),
    'cv_bridge': ('vl4ad_ros/images/with_cv_bridge.py',),
    'onnxruntime': ('vl4ad_ros/inference/onnxruntime.py',
                    'vl4ad_workshop/street/text_encoder.py'),
    'tensorrt': ('vl4ad_ros/inference/tensorrt/library.py',),
    'tensorrt_rtx': (),
    'cuda': ('vl4ad_ros/inference/tensorrt/cuda.py',),
    'openvino': ('vl4ad_ros/inference/openvino.py',),
    'tokenizers': ('vl4ad_ros/bundle/tokenizer.py', *ANYWHERE_IN_WORKSHOP),
    'ray': ('vl4ad_ros/ray_workers.py',),
    'scipy': ('vl4ad_ros/obstacles/ground_tracks.py', *ANYWHERE_IN_WORKSHOP),
    'av': ('vl4ad_ros/evaluation/video_topic.py', 'vl4ad_ros/evaluation/picture_writer.py'),
    'jinja2': ('vl4ad_ros/evaluation/report_page.py',),
    'matplotlib': ('vl4ad_ros/evaluation/charts.py',),
    'lz4': ('vl4ad_ros/evaluation/storage/',),
    'rosbags': ('vl4ad_ros/evaluation/', 'vl4ad_ros/composing/composed_bag.py',
                'vl4ad_workshop/scenes/bag.py'),
}
MESSAGES = ('_msgs', '_interfaces')


def place_of(path):
    """Return the package of a file, and its path inside it."""
    package = 'vl4ad_workshop' if 'workshop' in path.relative_to(ROOT).parts else 'vl4ad_ros'
    return package, path.relative_to(ROOTS[package] / package)


def imported(path):
    """List the dotted names that a file imports, relative ones made absolute."""
    package, place = place_of(path)
    package = (package, *place.parent.parts)
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[:len(package) - node.level + 1] if node.level else ()
            name = '.'.join([*base, *filter(None, [node.module])])
            yield from (f'{name}.{alias.name}' for alias in node.names)


def parts_imported(path):
    """Return the parts of its own package that a file imports, its own part left out."""
    package, place = place_of(path)
    parts = {name.split('.')[1] for name in imported(path)
             if name.startswith(f'{package}.')} - {'__version__'}
    return parts - {Path(place.parts[0]).stem}


@pytest.mark.parametrize('path', FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_point_one_way(path):
    package, place = place_of(path)
    table = MAY_IMPORT if package == 'vl4ad_ros' else WORKSHOP_MAY_IMPORT
    allowed = table.get(place.as_posix(), table.get(place.parts[0]))
    assert allowed is not None, f'{place} is in no part that this test knows; add it there'
    assert parts_imported(path) <= allowed
    libraries = {name.split('.')[0] for name in imported(path)}
    if package == 'vl4ad_ros':
        assert 'vl4ad_workshop' not in libraries

    for library in libraries:
        homes = ONLY_IN.get(library, ('vl4ad_ros/node/', 'vl4ad_ros/replay/')
                            if library.endswith(MESSAGES) else None)
        assert homes is None or f'{package}/{place.as_posix()}'.startswith(homes), (
            f'{place} imports {library}, which belongs in {homes}')


def test_a_wrong_import_would_be_seen():
    detector = ROOT / 'vl4ad_ros' / 'inference' / 'detector.py'
    assert 'bundle' in parts_imported(detector)
    assert 'bundle' not in MAY_IMPORT['images']
