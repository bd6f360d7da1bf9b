#!/usr/bin/env python3
# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Build a ROS 2 message package into the virtual environment that runs this, without CMake.

    .venv/bin/python ros_pypi/build_interfaces.py ros_pypi/vision_msgs

It builds what rclpy needs with Fast DDS: the C structures, their Fast DDS and introspection type
supports, and the Python classes. It does nothing if the same sources were built before for the
same versions of ROS and Python. An interrupted build is started again.
"""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
import hashlib
from importlib import metadata
import json
import os
from pathlib import Path
import shutil
import subprocess
import sys
import sysconfig
import xml.etree.ElementTree as ElementTree

PREFIX = Path(sys.prefix)
SHARE = PREFIX / 'share'
LIB = PREFIX / 'lib'
SITE_PACKAGES = Path(sysconfig.get_path('purelib'))
INDEX = SHARE / 'ament_index' / 'resource_index'
GENERATORS = (
    'rosidl_generator_type_description', 'rosidl_generator_c', 'rosidl_generator_py',
    'rosidl_typesupport_c', 'rosidl_typesupport_fastrtps_c',
    'rosidl_typesupport_introspection_c')
# rmw_fastrtps_cpp registers its types through introspection, so both are needed.
TYPESUPPORTS = ('rosidl_typesupport_fastrtps_c', 'rosidl_typesupport_introspection_c')
RUNTIME_LIBRARIES = (
    'rosidl_runtime_c', 'rosidl_typesupport_introspection_c', 'rosidl_typesupport_c',
    'rosidl_typesupport_fastrtps_c', 'rosidl_typesupport_fastrtps_cpp', 'fastcdr', 'rcutils',
    'rmw')
# Installed libraries, each linked against those before it, and the sources that make it.
LIBRARIES = {
    'rosidl_generator_c': '*.c',
    'rosidl_typesupport_fastrtps_c': '*.cpp',
    'rosidl_typesupport_introspection_c': '*.c',
    'rosidl_typesupport_c': '*.cpp',
    'rosidl_generator_py': '*_s.c',
}


class BuildError(RuntimeError):
    """A package that cannot be built; the message says why, and what to run."""


@dataclass(frozen=True)
class Package:
    """
    A message package.

    :ivar folder: holds ``package.xml`` and ``msg/``.
    :ivar name: of the package.
    :ivar messages: paths below the folder, such as ``msg/X.msg``.
    :ivar dependencies: names of all message packages that it needs, directly or not.
    """

    folder: Path
    name: str
    messages: tuple[str, ...]
    dependencies: tuple[str, ...]

    @staticmethod
    def read(folder: Path) -> Package:
        """
        Read ``package.xml`` and ``msg/``.

        :param folder: of the package.
        :raises BuildError: if the folder holds no message package, or if a message package that
            it needs is not installed.
        """
        manifest = folder / 'package.xml'
        messages = tuple(f'msg/{path.name}' for path in sorted(folder.glob('msg/*.msg')))
        if not manifest.exists() or not messages:
            raise BuildError(
                f'{folder}: expected package.xml and msg/*.msg, found '
                f'{sorted(p.name for p in folder.glob("*")) or "nothing"}; name a message package')
        name = ElementTree.parse(manifest).findtext('name', '').strip()
        return Package(folder, name, messages, tuple(_message_dependencies(manifest, [])))


def _message_dependencies(manifest: Path, found: list[str]) -> list[str]:
    for element in ElementTree.parse(manifest).getroot():
        if element.tag not in ('depend', 'build_depend', 'exec_depend', 'build_export_depend'):
            continue
        name = (element.text or '').strip()
        if name in found or name.startswith('rosidl_'):
            continue
        if not (INDEX / 'rosidl_interfaces' / name).exists():
            raise BuildError(
                f"{manifest} depends on '{name}', whose messages are not installed in {PREFIX}; "
                f'run: {sys.executable} -m pip install ros-{name.replace("_", "-")}=='
                'VERSION OF THIS ROS')
        found.append(name)
        _message_dependencies(SHARE / name / 'package.xml', found)
    return found


def fingerprint(package: Package) -> str:
    """
    Return a digest of everything that decides the result of a build.

    :param package: whose sources are part of it, like this script and the versions of ROS and
        Python.
    :raises PackageNotFoundError: if a generator or a needed package is not installed.
    """
    digest = hashlib.sha256()
    for path in (Path(__file__), package.folder / 'package.xml',
                 *(package.folder / message for message in package.messages)):
        digest.update(path.name.encode() + b'\0' + path.read_bytes() + b'\0')
    versions = [f'{name} {metadata.version("ros-" + name.replace("_", "-"))}'
                for name in (*GENERATORS, *package.dependencies)]
    digest.update('\n'.join([*versions, sysconfig.get_config_var('SOABI')]).encode())
    return digest.hexdigest()


def check_tools() -> None:
    """
    Look for compilers and Python's headers.

    :raises BuildError: if one is missing; the message names it and the command that installs it.
    """
    header = Path(sysconfig.get_path('include')) / 'Python.h'
    missing = [tool for tool in ('gcc', 'g++') if not shutil.which(tool)]
    if not header.exists():
        missing.append(f'python{sys.version_info.major}.{sys.version_info.minor}-dev')
    if missing:
        raise BuildError(
            f'a compiler and {header} are needed; run: sudo apt-get install {" ".join(missing)}')


def _run(*command: str | Path) -> None:
    done = subprocess.run(
        [str(part) for part in command], env={**os.environ, 'AMENT_PREFIX_PATH': str(PREFIX)},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        raise BuildError(f'{" ".join(str(part) for part in command)}\n{done.stdout}\n'
                         f'failed with {done.returncode}; is {PREFIX} as ./run made it? '
                         'If not: ./run clean, then again')


def _run_all(commands: Iterable[tuple[str | Path, ...]]) -> None:
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(lambda command: _run(*command), commands))


def generate(package: Package, work: Path) -> None:
    """
    Generate the IDL, type descriptions and C sources of all messages.

    :param package: to generate code for.
    :param work: an empty folder for the results.
    :raises BuildError: if a generator fails; the message holds its output.
    """
    request = work / 'rosidl_adapter.json'
    request.write_text(json.dumps({
        'non_idl_tuples': [f'{package.folder}:{message}' for message in package.messages]}))
    _run(sys.executable, '-m', 'rosidl_adapter', '--package-name', package.name,
         '--arguments-file', request, '--output-dir', work / 'idl' / package.name,
         '--output-file', work / 'idl.txt')
    idl = [str(Path(message).with_suffix('.idl')) for message in package.messages]
    description = work / 'rosidl_generator_type_description' / package.name
    options = {
        'rosidl_typesupport_c': ['--typesupports', *TYPESUPPORTS],
        'rosidl_generator_py': ['--typesupport-impls', 'rosidl_typesupport_c'],
    }
    commands = []
    for generator in GENERATORS:
        output = work / generator / package.name
        output.mkdir(parents=True)
        request = work / f'{generator}.json'
        request.write_text(json.dumps({
            'package_name': package.name,
            'output_dir': str(output),
            'template_dir': str(SHARE / generator / 'resource'),
            'idl_tuples': [f'{work}/idl/{package.name}:{path}' for path in idl],
            'ros_interface_files': [str(package.folder / path) for path in package.messages],
            'ros_interface_dependencies': [
                f'{name}:{path}' for name in package.dependencies
                for path in sorted((SHARE / name / 'msg').glob('*.idl'))],
            'include_paths': [f'{name}:{SHARE / name}' for name in package.dependencies],
            'type_description_tuples': [
                f'{path}:{description / Path(path).with_suffix(".json")}' for path in idl],
            'target_dependencies': [],
        }))
        commands.append((sys.executable, LIB / generator / generator,
                         '--generator-arguments-file', request, *options.get(generator, ())))
    _run(*commands[0])  # the others read the type descriptions
    _run_all(commands[1:])
    for generator in ('rosidl_generator_c', *TYPESUPPORTS):
        _write_visibility_header(package, work / generator / package.name / 'msg', generator)


def _write_visibility_header(package: Package, folder: Path, generator: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f'{generator}__visibility_control.h').write_text('#pragma once\n' + ''.join(
        f'#define {generator.upper()}_{kind}_{package.name} {attribute}\n'
        for kind, attribute in (
            ('EXPORT', ''), ('IMPORT', ''), ('PUBLIC', '__attribute__((visibility("default")))'))))


def compile_libraries(package: Package, work: Path) -> list[Path]:
    """
    Compile what ``generate`` wrote.

    :param package: as for ``generate``.
    :param work: as for ``generate``.
    :returns: the libraries; the last one is the Python extension.
    :raises BuildError: if a compiler fails; the message holds its output.
    """
    import numpy

    includes = [f'-I{work / name}' for name in ('rosidl_generator_c', *TYPESUPPORTS)]
    headers = PREFIX / 'include'
    includes += [f'-isystem{path}' for path in (
        headers, *sorted(path for path in headers.iterdir()
                         if path.is_dir() and not path.name.startswith('python')),
        sysconfig.get_path('include'), numpy.get_include())]
    options = work / 'compiler_options'
    options.write_text('\n'.join([
        '-O1 -fPIC -w -DFASTCDR_DYN_LINK', f'-DROS_PACKAGE_NAME=\\"{package.name}\\"', *(
            f'"{include}"' for include in includes)]))
    sources = {name: sorted((work / name).rglob(pattern)) for name, pattern in LIBRARIES.items()}
    extension = next((work / 'rosidl_generator_py').rglob('*_s.ep.rosidl_typesupport_c.c'))
    _run_all(
        ('g++' if source.suffix == '.cpp' else 'gcc', f'@{options}', '-c', source,
         '-o', f'{source}.o')
        for source in (*(path for paths in sources.values() for path in paths), extension))

    dependencies = [
        f'-l{name}__{library}' for name in package.dependencies for library in LIBRARIES
        if (LIB / f'lib{name}__{library}.so').exists()]
    paths = [f'-L{work}', f'-L{LIB}', f'-Wl,-rpath-link,{LIB}', '-Wl,--as-needed']
    runtime = [f'-l{name}' for name in RUNTIME_LIBRARIES]
    built: list[Path] = []

    def link(target: Path, objects: Iterable[Path], rpath: str) -> None:
        before = [f'-l{library.stem[3:]}' for library in built]
        _run('g++', '-shared', '-o', target, *(f'{path}.o' for path in objects), *paths,
             f'-Wl,-rpath,{rpath}', *before, *dependencies, *runtime)
        built.append(target)

    for name, paths_of_library in sources.items():
        link(work / f'lib{package.name}__{name}.so', paths_of_library, '$ORIGIN')
    link(work / 'rosidl_generator_py' / package.name
         / f'{package.name}_s__rosidl_typesupport_c.so', [extension], '$ORIGIN/../../..')
    return built


def install(package: Package, work: Path, libraries: list[Path]) -> None:
    """
    Copy libraries, Python package, definitions and index entries into the environment.

    :param package: as for ``generate``.
    :param work: as for ``generate``.
    :param libraries: what ``compile_libraries`` returned.
    """
    for library in libraries[:-1]:
        fresh = LIB / f'{library.name}.new'
        shutil.copy2(library, fresh)
        fresh.replace(LIB / library.name)  # a node that runs keeps the library that it has open
    python = SITE_PACKAGES / package.name
    shutil.rmtree(python, ignore_errors=True)
    shutil.copytree(work / 'rosidl_generator_py' / package.name, python,
                    ignore=shutil.ignore_patterns('*.c', '*.o'))
    (python / '__init__.py').touch()
    share = SHARE / package.name
    shutil.rmtree(share, ignore_errors=True)
    for folder in (package.folder, work / 'idl' / package.name,
                   work / 'rosidl_generator_type_description' / package.name):
        shutil.copytree(folder, share, dirs_exist_ok=True)
    (INDEX / 'packages' / package.name).touch()
    idl = [str(Path(message).with_suffix('.idl')) for message in package.messages]
    (INDEX / 'rosidl_interfaces' / package.name).write_text(
        '\n'.join(sorted([*package.messages, *idl])))


def build(folder: Path) -> bool:
    """
    Build and install a message package, unless it is up to date.

    :param folder: of the package.
    :returns: True if it was built, False if it was up to date.
    :raises BuildError: if something is missing or a step fails; the message says what to run.
    """
    if sys.prefix == sys.base_prefix:
        raise BuildError(f'{PREFIX} is no virtual environment; run: ./run demo, which makes one')
    package = Package.read(folder)
    try:
        expected = fingerprint(package)
    except metadata.PackageNotFoundError as missing:
        raise BuildError(
            f'{missing.name} is not installed in {PREFIX}; run: {sys.executable} -m pip install '
            '-r ros_pypi/requirements-ros.txt') from None
    stamp = SHARE / package.name / '.built_from'
    if stamp.exists() and stamp.read_text() == expected:
        return False
    check_tools()
    stamp.unlink(missing_ok=True)
    work = PREFIX / 'build' / package.name
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    generate(package, work)
    install(package, work, compile_libraries(package, work))
    shutil.rmtree(work)
    stamp.write_text(expected)
    return True


def main() -> int:
    """Build the package named on the command line; return the exit code."""
    if len(sys.argv) != 2:
        print(f'usage: {sys.argv[0]} FOLDER_OF_A_MESSAGE_PACKAGE', file=sys.stderr)
        return 2
    folder = Path(sys.argv[1]).resolve()
    try:
        built = build(folder)
    except BuildError as error:
        print(f'{folder.name}: {error}', file=sys.stderr)
        return 1
    print(f'{folder.name}: {"built" if built else "up to date"}')
    return 0


if __name__ == '__main__':
    sys.exit(main())
