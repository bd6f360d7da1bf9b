# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The network against outputs of the official FC-CLIP code (needs torch and the oracle files)."""

import json
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip('torch')
pytest.importorskip('open_clip')

from benchmarks import parity  # noqa: E402, I100

ORACLES = Path(__file__).resolve().parents[4] / 'shared/oracles/fcclip'

pytestmark = pytest.mark.slow


@pytest.mark.parametrize('name', ['fcclip_rn50', 'fcclip_convnext_large_d_320'])
def test_every_array_agrees(name, monkeypatch, capsys):
    oracle = ORACLES / f'{name}.npz'
    if not oracle.exists():
        pytest.skip('the oracles of official FC-CLIP outputs are not on this machine')
    monkeypatch.setattr('sys.argv', ['parity', str(oracle)])
    assert parity.main() == 0, capsys.readouterr()
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 1
    assert set(json.loads(lines[0])) == set(np.load(oracle)) - {'image'}


def test_a_deviation_is_seen():
    good = {'text_classifier': {'max_abs': 9e-6, 'max_rel': 1.0},
            'sem_seg': {'max_abs': 1.0, 'max_rel': 9e-4}}
    assert parity.failures(good) == []
    for name, error in (('text_classifier', 2e-5), ('sem_seg', 2e-3), ('sem_seg', float('nan'))):
        assert parity.failures({**good, name: {'max_abs': error, 'max_rel': error}}) == [name]
