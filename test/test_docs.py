# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The documentation agrees with the code: links, commands, parameters, files and names in it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
import re
import runpy

import pytest

from vl4ad_ros.cli import find_verbs
from vl4ad_ros.settings import ROWS

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / 'README.md', ROOT / 'CONTRIBUTING.md', *sorted((ROOT / 'docs').glob('*.md'))]
EACH_PAGE = pytest.mark.parametrize(
    'page', PAGES, ids=[page.relative_to(ROOT).as_posix() for page in PAGES])
WIDEST, LONGEST_README = 120, 150

FENCE = re.compile(r'^(```|~~~)')
LINK = re.compile(r'!?\[[^\]]*\]\(([^)\s]+)\)')
LINKS_ONLY = re.compile(r'(?:[\W_]*!?\[[^\]]*\]\([^)]*\)[\W_]*)+')
CODE = re.compile(r'`([^`\n]+)`')
VERB = re.compile(r'(?:\./run |[`\s])vl4ad ([a-z][a-z-]*)\b')
GROUPS = {name.split('.')[0] for name in ROWS if '.' in name}
FOLDERS = ('benchmarks', 'config', 'docker', 'docs', 'launch', 'ros_pypi', 'test', 'vl4ad_ros',
           'workshop')
FILE = re.compile(rf'(?:{"|".join(FOLDERS)})/[\w./-]+\.(?:md|py|toml|xml|yaml)')
FILE_TYPES = ('.py', '.md', '.json', '.npz', '.onnx', '.pth', '.yaml')
PACKAGES = {'vl4ad_ros': ROOT / 'vl4ad_ros',
            'vl4ad_workshop': ROOT / 'workshop' / 'vl4ad_workshop'}
NAME = re.compile(rf'(?:{"|".join(PACKAGES)})(?:\.\w+)+')
ENTRY_POINT_GROUPS = {'vl4ad_ros.bundles', 'vl4ad_ros.verbs'}


def prose(text: str) -> Iterator[tuple[int, str]]:
    """Yield number and text of each line that is outside of fenced and indented code."""
    inside = False
    for number, line in enumerate(text.splitlines(), 1):
        if FENCE.match(line.strip()):
            inside = not inside
        elif not inside and not line.startswith('    '):
            yield number, line


def too_wide(text: str) -> list[int]:
    """Return the numbers of lines above the limit; tables and lines of links may be wider."""
    return [number for number, line in prose(text) if len(line) > WIDEST
            and not line.startswith('|') and not LINKS_ONLY.fullmatch(line)]


def anchors(text: str) -> set[str]:
    """Return the anchors of the headings as GitHub makes them."""
    found: set[str] = set()
    for _, line in prose(text):
        if match := re.match(r'#+ +(.*)', line):
            heading = re.sub(r'\[([^\]]*)\]\([^)]*\)', r'\1', match[1]).strip().lower()
            anchor = re.sub(r'[^\w\- ]', '', heading).replace(' ', '-')
            number = 0
            while (unique := f'{anchor}-{number}' if number else anchor) in found:
                number += 1
            found.add(unique)
    return found


def broken_links(page: Path, text: str) -> list[str]:
    """Return the relative links of a page whose file or heading does not exist."""
    broken = []
    joined = '\n'.join(CODE.sub('', line) for _, line in prose(text))  # a link may span lines
    for target in LINK.findall(joined):
        if re.match(r'[a-z]+:', target):
            continue
        path, _, anchor = target.partition('#')
        file = (page.parent / path).resolve() if path else page
        if not file.exists() or (anchor and anchor not in anchors(file.read_text())):
            broken.append(target)
    return broken


def defined_in(file: Path) -> set[str]:
    """Return what a module defines: at its top level, in its classes, and by importing it."""
    names: set[str] = set()
    todo = list(ast.parse(file.read_text()).body)
    while todo:
        node = todo.pop()
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            names.add(node.name)
        if isinstance(node, ast.ClassDef):
            todo += node.body
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            names.update(alias.asname or alias.name for alias in node.names)
        elif isinstance(node, (ast.Assign, ast.AnnAssign)):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names.update(part.id for target in targets for part in ast.walk(target)
                         if isinstance(part, ast.Name))
            # A package may import its public names only when they are used; it lists them then.
            names.update(part.value for part in ast.walk(node) if file.name == '__init__.py'
                         and isinstance(part, ast.Constant) and isinstance(part.value, str))
    return names


def exists(dotted: str) -> bool:
    """Tell whether a dotted name is a package or module here, or is defined in one."""
    package, *parts = dotted.split('.')
    place = PACKAGES[package]
    while parts and (place / parts[0]).is_dir():
        place /= parts.pop(0)
    if not parts:
        return True
    file = place / f'{parts[0]}.py'
    if file.exists():
        parts.pop(0)
    else:
        # What a package exports is defined in another file, so are the attributes of it.
        return parts[0] in defined_in(place / '__init__.py')
    names = defined_in(file)
    return all(part in names for part in parts)


def unknown_verbs(text: str) -> list[str]:
    """Return the verbs of `vl4ad` that a page writes as code and that do not exist."""
    code, inside = [], False
    for line in text.splitlines():
        if FENCE.match(line.strip()):
            inside = not inside
        elif inside or line.startswith('    '):
            code.append(line.partition('#')[0])
        else:
            code += CODE.findall(line)
    return [verb for part in code for verb in VERB.findall(f' {part}')
            if verb not in find_verbs()]


def unknown_parameters(text: str) -> list[str]:
    """Return names in backticks that look like parameters of the node and are none."""
    pattern = re.compile(rf'(?:{"|".join(GROUPS)})\.[a-z_]+')
    return [name for code in CODE.findall(text) for name in [code.partition(':')[0]]
            if pattern.fullmatch(name) and name not in ROWS
            and not name.endswith(FILE_TYPES)]


def test_the_table_of_parameters_is_the_generated_one():
    generate = runpy.run_path(str(ROOT / 'docs' / 'generate_parameters.py'))
    page = (ROOT / 'docs' / 'parameters.md').read_text()
    assert generate['with_table'](page) == page, 'run: python docs/generate_parameters.py'


def test_readme_is_short():
    assert len((ROOT / 'README.md').read_text().splitlines()) <= LONGEST_README


@EACH_PAGE
def test_lines_are_not_too_wide(page):
    assert too_wide(page.read_text()) == []


@EACH_PAGE
def test_links_lead_somewhere(page):
    assert broken_links(page, page.read_text()) == []


@EACH_PAGE
def test_every_verb_exists(page):
    assert unknown_verbs(page.read_text()) == []


@EACH_PAGE
def test_every_parameter_exists(page):
    assert unknown_parameters(page.read_text()) == []


@EACH_PAGE
def test_every_file_exists(page):
    named = [name for code in CODE.findall(page.read_text()) for name in [code.split()[0]]
             if FILE.fullmatch(name)]
    assert [name for name in named if not (ROOT / name).exists()] == []


@EACH_PAGE
def test_every_name_exists(page):
    named = {name for code in CODE.findall(page.read_text()) if NAME.fullmatch(code)
             for name in [code] if name not in ENTRY_POINT_GROUPS}
    assert [name for name in sorted(named) if not exists(name)] == []


def test_faults_would_be_found():
    page = ROOT / 'docs' / 'parameters.md'
    wide = 'word ' * 30
    assert too_wide(f'{wide}\n| {wide}|\n```\n{wide}\n```\n[link]({"x" * 130})\n') == [1]
    assert broken_links(page, '[a\nb](none.md) [c](#none) [d](parameters.md#table)') == [
        'none.md', '#none']
    assert unknown_verbs('`vl4ad sing`, `vl4ad build`\n```\n./run vl4ad dance x\n```') == [
        'sing', 'dance']
    assert unknown_parameters('`model.backend` `model.colour: red`') == ['model.colour']
    assert not exists('vl4ad_ros.settings.Nothing') and not exists('vl4ad_ros.nothing.Settings')
    assert exists('vl4ad_ros.settings.Settings.prompts')
