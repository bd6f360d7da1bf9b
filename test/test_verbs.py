# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Verbs of other projects: found by entry points, and without any effect on the other verbs."""

from importlib.metadata import EntryPoint
import sys

import pytest

from vl4ad_ros import cli

MODULE = """
from vl4ad_ros.commands import Verb

def add_arguments(parser):
    parser.add_argument('--times', type=int, default=1)

def run(options):
    print('hello ' * options.times)

VERB = Verb(add_arguments, run)
NO_VERB = 7
"""


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Return a function that installs a project with verbs on the path of Python modules."""
    def add(project, entry_points, module='', metadata=True):
        folder = tmp_path / f'{project}-1.0.dist-info'
        folder.mkdir()
        if metadata:
            (folder / 'METADATA').write_text(
                f'Metadata-Version: 2.1\nName: {project}\nVersion: 1.0\n')
        (folder / 'entry_points.txt').write_text(f'[vl4ad_ros.verbs]\n{entry_points}\n')
        if module:
            (tmp_path / f'{project}_module.py').write_text(module)
            monkeypatch.delitem(sys.modules, f'{project}_module', raising=False)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield add
    for name in [name for name in sys.modules if name.endswith('_module')]:
        if str(tmp_path) in str(getattr(sys.modules[name], '__file__', '')):
            del sys.modules[name]


def help_text(capsys, *arguments):
    """Return what `--help` prints, in one line."""
    with pytest.raises(SystemExit) as ended:
        cli.main([*arguments, '--help'])
    assert ended.value.code == 0
    return ' '.join(capsys.readouterr().out.split())


@pytest.mark.parametrize('verb', cli.WORKSHOP)
def test_without_the_workshop_its_verbs_say_what_to_install(verb, capsys, monkeypatch):
    monkeypatch.setattr(cli, 'entry_points', lambda group: ())
    shown = help_text(capsys)
    assert f'{verb} {cli.WORKSHOP[verb]} (needs vl4ad_workshop)' in shown
    assert cli.main([verb]) == 1
    assert capsys.readouterr().err == (
        f"vl4ad: error: 'vl4ad {verb}' needs vl4ad_workshop, which is not installed; in the "
        'source folder of vl4ad_ros run: pip install . ./workshop\n')


def test_with_the_workshop_nothing_is_said_to_be_missing(capsys, monkeypatch):
    monkeypatch.setattr(cli, 'entry_points', lambda group: [
        EntryPoint(verb, f'vl4ad_workshop.some.module:{verb.upper()}', group)
        for verb in cli.WORKSHOP])
    assert 'needs vl4ad_workshop' not in help_text(capsys)


def test_a_verb_of_another_project_is_listed_and_run(install, capsys):
    install('greeter', 'greet = greeter_module:VERB', MODULE)
    shown = help_text(capsys)
    assert 'greet added by greeter' in shown
    assert 'greeter_module' not in sys.modules, 'a verb is imported only when it is chosen'
    assert '--times TIMES' in help_text(capsys, 'greet')
    assert cli.main(['greet', '--times', '2']) == 0
    assert capsys.readouterr().out == 'hello hello \n'


@pytest.mark.parametrize('target, module, message', [
    ('broken_module:VERB', 'raise RuntimeError("out of order")', 'RuntimeError: out of order'),
    ('broken_module:VERB', 'import no_such_library', "No module named 'no_such_library'"),
    ('broken_module:VERB', '', "No module named 'broken_module'"),
    ('broken_module:ABSENT', MODULE, 'ABSENT'),
    ('broken_module:NO_VERB', MODULE, 'has the type int, expected vl4ad_ros.commands.Verb'),
    ('not a module!', '', 'cannot be imported'),
])
def test_a_broken_verb_breaks_nothing_else(install, capsys, target, module, message):
    install('broken', f'crash = {target}', module)
    assert 'crash added by broken' in help_text(capsys)
    assert cli.main(['vocabulary', 'show']) == 0
    capsys.readouterr()
    assert cli.main(['crash']) == 1
    said = capsys.readouterr().err
    assert said.startswith("vl4ad: error: the verb 'crash' of broken cannot be ")
    assert message in said and said.endswith('update or uninstall broken\n')


def test_damaged_metadata_breaks_nothing_else(install, capsys):
    install('nameless', 'first = nameless_module:VERB', MODULE, metadata=False)
    install('damaged', 'this is no entry point')
    install('greeter', 'greet = greeter_module:VERB', MODULE)
    shown = help_text(capsys)
    assert 'greet added by greeter' in shown and 'first added by nameless' in shown
    assert cli.main(['greet']) == 0


def test_a_percent_sign_is_no_placeholder_of_the_help(install, capsys):
    install('odd', 'odd = odd_module:%VERB', metadata=False)
    assert 'odd added by odd_module:%VERB' in help_text(capsys)


@pytest.mark.parametrize('name', [*cli.OWN, *cli.WORKSHOP])
def test_reserved_names_are_not_replaced(install, name):
    before = cli.find_verbs()[name]
    install('greeter', f'{name} = greeter_module:VERB', MODULE)
    assert cli.find_verbs()[name] == before
