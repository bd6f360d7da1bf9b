# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""`vl4ad evaluate --workers` and `--ray` give what one process gives, also when one is killed."""

import json
import multiprocessing
import os
import signal
import sys
from threading import Thread
import time

from bags import write_bag, write_jpegs
import pytest

from vl4ad_ros import cli


@pytest.fixture(scope='module')
def recordings(tmp_path_factory):
    """Return recordings with and without ground truth, one of which does not exist."""
    folder = tmp_path_factory.mktemp('recordings')
    return [write_bag(folder / 'one', 12), folder / 'absent',
            write_jpegs(folder / 'two', [(90, 160)] * 12, damaged=(4,)),
            write_bag(folder / 'three', 8)]


@pytest.fixture
def evaluate(mock_bundle, recordings, capfd):
    """Return a function that evaluates the recordings; it returns exit status and both outputs."""
    def run(*arguments):
        code = cli.main(['evaluate', *map(str, recordings), '--bundle', str(mock_bundle),
                         *arguments])
        said = capfd.readouterr()
        return code, said.out, said.err
    return run


def kill_one(killed):
    """Kill the first worker that there is, in the middle of whatever it does, and note it."""
    deadline = time.monotonic() + 60
    while not (found := multiprocessing.active_children()) and time.monotonic() < deadline:
        time.sleep(0.005)
    time.sleep(0.3)
    os.kill(found[0].pid, signal.SIGKILL)
    killed.append(found[0].pid)


def test_two_workers_give_what_one_process_gives_even_if_one_is_killed(evaluate):
    code, out, said = alone = evaluate()
    figures = json.loads(out)
    assert code == 1 and figures['total']['recordings_failed'] == 1
    assert figures['total']['frames_processed'] == 31 and 'there is no such file' in said
    assert evaluate('--workers', '2') == alone
    killed = []
    killer = Thread(target=kill_one, args=[killed])
    killer.start()
    again = evaluate('--workers', '2')
    killer.join()
    assert killed and again == alone


def test_what_is_wrong_with_all_recordings_is_said_once(evaluate, mock_bundle):
    code, out, said = evaluate('--workers', '2', '--bundle', str(mock_bundle.parent))
    assert code == 1 and not out
    assert said.count('manifest.json is missing') == 1 and said.count('\n') == 1


@pytest.mark.parametrize('arguments', [['--workers', '0'], ['--workers', '2', '--ray', 'local']])
def test_wrong_numbers_of_workers_are_refused(arguments, capsys):
    with pytest.raises(SystemExit) as ended:
        cli.main(['evaluate', 'bag', *arguments])
    assert ended.value.code == 2 and '--workers' in capsys.readouterr().err


def test_without_ray_the_cure_is_said(evaluate, monkeypatch):
    monkeypatch.setitem(sys.modules, 'ray', None)
    code, _, said = evaluate('--ray', 'local')
    assert code == 1 and 'pip install ray' in said


def test_ray_gives_what_one_process_gives(evaluate):
    pytest.importorskip('ray', reason='ray is not installed: pip install ray')
    assert evaluate('--ray', 'local') == evaluate()
