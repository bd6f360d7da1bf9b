# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Package vl4ad_ros for pip and for colcon (ament_python)."""

from pathlib import Path

from setuptools import find_packages, setup

PACKAGE = 'vl4ad_ros'
ROOT = Path(__file__).resolve().parent


def shared(folder, pattern):
    """List files below ``folder`` as ``data_files`` that keep their sub-folders in share/."""
    files = [path.relative_to(ROOT) for path in sorted((ROOT / folder).rglob(pattern))
             if path.is_file()]
    return [(f'share/{PACKAGE}/{path.parent}', [str(path)]) for path in files]


setup(
    name=PACKAGE,
    version='0.2.0',
    description='Road-anomaly perception for ROS 2, prompted with text (VL4AD)',
    maintainer='vl4ad_ros contributors',
    maintainer_email='vl4ad-ros@users.noreply.github.com',
    license='Apache-2.0',
    license_files=['LICENSE', 'NOTICE'],
    python_requires='>=3.10',
    packages=find_packages(include=[PACKAGE, f'{PACKAGE}.*']),
    package_data={'': ['*.json', '*.xml', '*.yaml', 'py.typed'], PACKAGE: ['models/street/*'],
                  f'{PACKAGE}.evaluation': ['pages/*.j2'],
                  f'{PACKAGE}.composing': ['objects/*'],
                  f'{PACKAGE}.prompts': ['lists/*.yaml']},
    data_files=[
        ('share/ament_index/resource_index/packages', [f'resource/{PACKAGE}']),
        (f'share/{PACKAGE}', ['package.xml', 'NOTICE']),
        *shared('launch', '*.launch.py'),
        *shared('config', '*'),
    ],
    zip_safe=False,
    install_requires=['setuptools', 'numpy', 'opencv-python-headless<5', 'PyYAML', 'scipy'],
    extras_require={
        'runtime': ['onnxruntime', 'openvino', 'tokenizers'],
        'bags': ['rosbags', "backports-zstd; python_version < '3.14'", 'lz4', 'tqdm'],
        'ray': ['ray'],
        'report': ['jinja2', 'matplotlib'],
        'video': ["av; python_version >= '3.11'"],
        'tensorrt': ['cuda-python>=12.9.1', 'onnxruntime', 'tensorrt', 'tokenizers'],
        'test': ['flake8', 'jsonschema', 'pydocstyle', 'pytest<9'],
    },
    entry_points={
        'console_scripts': [
            'build_engine = vl4ad_ros.cli:build_engine',
            'detector = vl4ad_ros.node.__main__:main',
            'vl4ad = vl4ad_ros.cli:main',
        ],
        'vl4ad_ros.bundles': [
            'street = vl4ad_ros.models:street',
        ],
    },
)
