# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
What the stand-in for TensorRT has, the real bindings have, with as many arguments.

binding_surfaces.json holds what was read from the bindings' wheels. Where a wheel is installed,
or unpacked in a folder that the environment variable TENSORRT_BINDINGS lists, it is read again.
"""

from __future__ import annotations

import enum
import inspect
import json
import os
from pathlib import Path
import shutil
import subprocess
import sys

from fake_cuda import FakeCuda
from fake_tensorrt import fake_tensorrt
import pytest

HERE = Path(__file__).parent
STORED = json.loads((HERE / 'binding_surfaces.json').read_text())
# The bindings load without TensorRT itself if something has the names that they link to.
STAND_IN = 'void *{}() {{ return 0; }}\n'
LINKED = ('createInferBuilder_INTERNAL', 'createInferRefitter_INTERNAL', 'getPluginRegistry',
          'createInferRuntime_INTERNAL', 'createNvOnnxParserRefitter_INTERNAL',
          'createNvOnnxParser_INTERNAL', 'getBuilderPluginRegistry', 'getNvOnnxParserVersion',
          'initLibNvInferPlugins')


def used():
    """Return the stand-in's names with their numbers of arguments, True for other things."""
    module, names = fake_tensorrt(FakeCuda()), {}
    for name, thing in vars(module).items():
        if inspect.isfunction(thing):
            names[name] = len(inspect.signature(thing).parameters)
        elif isinstance(thing, type) and issubclass(thing, enum.Enum):
            real = 'NetworkDefinitionCreationFlag' if name == 'Flag' else name
            names |= {f'{real}.{member.name}': True for member in thing}
        elif isinstance(thing, type):
            for attribute, value in vars(thing).items():
                if not attribute.startswith('_') and attribute not in ('content', 'model', 'name'):
                    is_method = inspect.isfunction(value)
                    names[f'{name}.{attribute}'] = (
                        len(inspect.signature(value).parameters) - 1 if is_method else True)
    return names


# What the library calls on our objects.
OURS = {'ILogger.log': 2, 'IProgressMonitor.phase_start': 3, 'IProgressMonitor.step_complete': 2,
        'IProgressMonitor.phase_finish': 1}


def check(surface):
    names = {**used(), **OURS}
    assert not {name for name in names if surface.get(name) is None}
    for name, count in names.items():
        stored = surface[name]
        assert stored is True or count in stored, f'{name} takes {stored} arguments, not {count}'


@pytest.mark.parametrize('which', STORED)
def test_the_stand_in_has_nothing_else(which):
    check(STORED[which])


def test_another_name_or_number_would_be_seen():
    surface = next(iter(STORED.values()))
    for name, value in (('Builder.create_network', None), ('OnnxParser.get_error', [2])):
        with pytest.raises(AssertionError):
            check({**surface, name: value})


def read(module, folder, environment):
    names = sorted({*used(), *OURS})
    done = subprocess.run(
        [sys.executable, HERE / 'binding_surface.py', module, folder, *names], text=True,
        capture_output=True, env={**os.environ, **environment})
    if done.returncode:
        pytest.skip(f'{module} does not import: {done.stderr.strip().splitlines()[-1]}; install '
                    'tensorrt-cu13-bindings')
    return json.loads(done.stdout)


@pytest.mark.parametrize('folder', ['', *filter(None, os.environ.get(
    'TENSORRT_BINDINGS', '').split(os.pathsep))])
def test_tensorrt_wheel(folder, tmp_path):
    if shutil.which('cc') is None:
        pytest.skip('needs a C compiler, for stand-ins of the libraries')
    (tmp_path / 'names.c').write_text(''.join(map(STAND_IN.format, LINKED)))
    for library in ('nvinfer', 'nvinfer_plugin', 'nvonnxparser'):
        for major in (10, 11):
            name = f'lib{library}.so.{major}'
            subprocess.run(['cc', '-shared', '-fPIC', f'-Wl,-soname,{name}', '-o',
                            tmp_path / name, tmp_path / 'names.c'], check=True)
    seen = read('tensorrt_bindings', folder, {'LD_LIBRARY_PATH': str(tmp_path)})
    check(seen)
    assert STORED.get(f'tensorrt {seen["version"]}', seen) == seen
