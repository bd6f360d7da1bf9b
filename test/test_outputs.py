# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Outputs are complete, old or new, however a run ends, and never destroy an input."""

from pathlib import Path
import signal
import subprocess
import sys

import pytest

import vl4ad_ros
from vl4ad_ros.outputs import beside, keep_apart, OutputError, replaced

ROOT = Path(vl4ad_ros.__file__).parents[1]
NAMES = ('first', 'folder', 'second', 'third')


def write(folder, text, names=NAMES):
    """Write a result; `folder` is a folder with content."""
    for name in names:
        if name == 'folder':
            (folder / name).mkdir()
            (folder / name / 'content').write_text(text)
        else:
            (folder / name).write_text(text)


def content(folder):
    """Return what the files of a folder say, by path."""
    return {str(p.relative_to(folder)): p.read_text() for p in folder.rglob('*') if p.is_file()}


def whole(text, names=NAMES):
    """Return the content of a whole result."""
    return {name if name != 'folder' else 'folder/content': text for name in names}


@pytest.fixture
def out(tmp_path):
    """Return a folder with an old result and a note of the user's."""
    folder = tmp_path / 'out'
    folder.mkdir()
    write(folder, 'old')
    (folder / 'note').write_text('mine')
    return folder


def test_new_results_take_the_place_of_old_ones(out):
    with replaced(out, NAMES) as folder:
        write(folder, 'new', NAMES[:-1])
        assert content(out).items() >= whole('old').items()
    assert content(out) == {**whole('new', NAMES[:-1]), 'note': 'mine'}


@pytest.mark.parametrize('error', [KeyboardInterrupt, ValueError])
def test_after_a_failure_the_old_results_are_there(out, error):
    with pytest.raises(error), replaced(out, NAMES) as folder:
        write(folder, 'new', NAMES[:2])
        raise error
    assert content(out) == {**whole('old'), 'note': 'mine'}


def test_a_failed_first_run_leaves_no_folder(tmp_path):
    with pytest.raises(ValueError), replaced(tmp_path / 'new' / 'out', NAMES) as folder:
        write(folder, 'new')
        raise ValueError
    assert not (tmp_path / 'new' / 'out').exists()


# Both begin without the packages of the environment, which take long to find.
START = """
import os, pathlib, signal, sys
sys.path.insert(0, sys.argv[1])
from vl4ad_ros.outputs import beside, replaced
out = pathlib.Path(sys.argv[2])
"""
KILLED = START + """
left, names = int(sys.argv[4]), sys.argv[5:]
signal.signal(signal.SIGTERM, signal.default_int_handler)
rename = pathlib.Path.rename

def die_after_some(self, target):
    global left
    if left == 0:
        os.kill(os.getpid(), getattr(signal, sys.argv[3]))
    left -= 1
    return rename(self, target)
pathlib.Path.rename = die_after_some
# Who starts the tests in the background may have Ctrl-C ignored, which children inherit.
signal.signal(signal.SIGINT, signal.default_int_handler)
with replaced(out, names) as folder:
    for name in names:
        path = folder / 'folder/content' if name == 'folder' else folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text('new')
"""
ABANDONED = START + """
with beside(out) as path:
    path.touch()
    os.kill(os.getpid(), 9)
"""


def run(code, out, *arguments):
    """Run one of these; `out` is what it writes."""
    return subprocess.run(
        [sys.executable, '-S', '-c', code, ROOT, out, *map(str, arguments)], capture_output=True,
        text=True)


@pytest.mark.parametrize('renames', range(10))
def test_a_run_killed_while_it_moves_results_is_finished_by_the_next(out, renames):
    assert run(KILLED, out, 'SIGKILL', renames, *NAMES).returncode == -signal.SIGKILL
    now = {k: v for k, v in content(out).items() if k in whole('')}
    # Never a mixture that looks complete.
    assert now in (whole('old'), whole('new')) or 'first' not in now
    with pytest.raises(ZeroDivisionError), replaced(out, NAMES) as folder:
        assert not list(folder.iterdir())
        1 / 0
    assert content(out) == {**whole('new' if renames else 'old'), 'note': 'mine'}


@pytest.mark.parametrize('renames', [0, 1, 4, 9])
@pytest.mark.parametrize('number', ['SIGINT', 'SIGTERM'])
def test_a_signal_while_results_move_waits(out, renames, number):
    ended = run(KILLED, out, number, renames, *NAMES)
    assert 'KeyboardInterrupt' in ended.stderr
    assert content(out) == {**whole('new'), 'note': 'mine'}


def test_a_run_that_is_alive_is_left_alone(out):
    with replaced(out, NAMES) as folder:
        write(folder, 'new')
        with pytest.raises(OutputError, match=f"another run is writing to '{out}'"):
            with replaced(out, NAMES):
                pass
    assert content(out) == {**whole('new'), 'note': 'mine'}


def test_a_path_beside(tmp_path):
    out = tmp_path / 'deep' / 'bag'
    with beside(out) as path:
        assert path.name == 'bag' and not path.exists()
        path.mkdir()
        write(path, 'new')
        assert not out.exists()
    assert content(out) == whole('new') and list(out.parent.iterdir()) == [out]
    with pytest.raises(KeyboardInterrupt), beside(tmp_path / 'file') as path:
        path.touch()
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == [tmp_path / 'deep']


def test_what_a_killed_run_left_beside_goes_with_the_next(tmp_path):
    out = tmp_path / 'file'
    assert run(ABANDONED, out).returncode == -signal.SIGKILL
    assert {p.name for p in tmp_path.iterdir()} == {'.file.partial', '.file.partial.lock'}
    with beside(out) as path:
        assert not path.exists()
        path.write_text('new')
    assert content(tmp_path) == {'file': 'new'}


@pytest.mark.parametrize('given, out', [
    ('out/bag', 'out'), ('out', 'out'), ('out/bag/part', 'out'), ('in', 'in/out'), ('in', './in'),
    ('link', 'out'), ('in', 'link_to_in'), ('with_link', 'out'), ('in', 'link_to_in/new/out')])
def test_an_input_is_never_written_over(tmp_path, monkeypatch, given, out):
    monkeypatch.chdir(tmp_path)
    for folder in ('out/bag', 'in', 'with_link'):
        Path(folder).mkdir(parents=True)
    Path('out/bag/part').touch()
    Path('link').symlink_to('out/bag')
    Path('link_to_in').symlink_to(tmp_path / 'in')
    Path('with_link/part').symlink_to(tmp_path / 'out/bag/part')
    with pytest.raises(OutputError, match='choose another folder with --out'):
        keep_apart(Path(out), [Path(given)])
    keep_apart(Path('elsewhere'), [Path(given)])


@pytest.mark.parametrize('write_to', [beside, lambda out: replaced(out, NAMES)])
def test_a_place_that_cannot_be_written_is_refused_with_a_sentence(tmp_path, write_to):
    (tmp_path / 'file').touch()
    with pytest.raises(OutputError, match='cannot be written .*choose another place with --out'):
        with write_to(tmp_path / 'file' / 'out'):
            pass
    with pytest.raises(OutputError, match='cannot be written'), replaced(tmp_path / 'file', NAMES):
        pass
    assert [p.name for p in tmp_path.iterdir()] == ['file']


def test_links_that_lead_in_a_circle_are_no_trouble(tmp_path):
    (tmp_path / 'a').symlink_to('b')
    (tmp_path / 'b').symlink_to('a')
    keep_apart(tmp_path / 'a', [tmp_path / 'in'])
