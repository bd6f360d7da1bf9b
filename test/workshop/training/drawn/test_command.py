# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""`vl4ad train` from nothing to a bundle that opens (needs torch, open_clip and onnx)."""

import numpy as np
import pytest

pytest.importorskip('torch')
pytest.importorskip('open_clip')
pytest.importorskip('onnx')

from vl4ad_ros.bundle import Bundle  # noqa: E402
from vl4ad_ros.cli import main  # noqa: E402
from vl4ad_ros.inference.detector import Detector  # noqa: E402


@pytest.mark.slow
@pytest.mark.parametrize('options, files', [((), 9), (('--image-tower', 'tiny'), 7)])
def test_trains_a_bundle_and_does_nothing_twice(options, files, tmp_path, capsys):
    command = ['train', '--config', 'tiny', '--short', '1000', '--work', str(tmp_path), *options]
    assert main(command) == 0, capsys.readouterr().err
    made = {p: p.stat().st_mtime_ns for p in tmp_path.glob('*') if p.name == 'tokenizer.json'}
    made |= {p: p.stat().st_mtime_ns for p in tmp_path.rglob('*')
             if p.suffix == '.pt' or p.name in ('pictures.json', 'features.json')}
    assert len(made) == files
    detector = Detector.open(tmp_path / 'bundle')
    tiny = Bundle.open('tiny')
    # That of the bundle that trained it, from whichever it was taken.
    trained_in = tiny.provenance['image'].get('bundle', tiny.digest) if options else None
    assert detector.bundle.provenance['image'].get('bundle') == trained_in
    prompts = detector.encode(detector.default_vocabulary)
    assert detector.detect(np.zeros((36, 64, 3), np.uint8), prompts).score.shape == (36, 64)
    detector.close()
    assert main(command) == 0, capsys.readouterr().err
    assert {p: p.stat().st_mtime_ns for p in made} == made
