# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""`vl4ad compare`: exit status, figures, page, and the frames that it shows."""

import json

from bags import write_bag
import cv2
import numpy as np
import pytest

from vl4ad_ros import cli
from vl4ad_ros.evaluation.differing_frames import differing_frames
from vl4ad_ros.evaluation.evaluation_folder import read_evaluation


@pytest.fixture(scope='module')
def evaluations(tmp_path_factory, mock_bundle):
    """Return the folders of an evaluation, and of a worse one that does not know the road."""
    folder = tmp_path_factory.mktemp('evaluations')
    bags = [str(write_bag(folder / name, frames)) for name, frames in (('a', 10), ('b', 6))]
    (folder / 'worse.yaml').write_text("/**: {ros__parameters: {prompts.known: ['sky', 'tree']}}")
    good, worse = folder / 'good', folder / 'worse'
    common = ['evaluate', *bags, '--bundle', str(mock_bundle), '--out']
    assert cli.main([*common, str(good)]) == 0
    assert cli.main([*common, str(worse), '--params', str(folder / 'worse.yaml')]) == 0
    return good, worse


@pytest.fixture
def compare(tmp_path, capsys):
    """Return a function that runs the verb and returns its exit status and what it printed."""
    def run(*arguments):
        code = cli.main(['compare', *map(str, arguments), '--out', str(tmp_path / 'out')])
        said = capsys.readouterr()
        return code, said.out + said.err
    return run


def test_the_exit_status_says_whether_b_is_worse_than_allowed(evaluations, compare, tmp_path):
    good, worse = evaluations
    code, said = compare(good, worse, '--max-drop', '0.01')
    assert code == 1 and 'more than the allowed drop of 0.01' in said
    found = json.loads((tmp_path / 'out' / 'comparison.json').read_text())
    ap = found['metrics']['pixel_ap']
    assert ap['change'] == pytest.approx(ap['second'] - ap['first'], abs=2e-5) and (
        ap['change'] < -0.05)
    assert ap['interval'][0] <= ap['change'] <= ap['interval'][1] < 0
    assert compare(good, worse, '--max-drop', '1')[0] == 0
    assert compare(good, worse)[0] == 0
    assert compare(worse, good, '--max-drop', '0')[0] == 0
    # A rate that is to be small has risen.
    code, said = compare(good, worse, '--max-drop', '0.01', '--metric', 'fpr95')
    assert code == 1 and 'fpr95 of B is worse' in said


def test_the_page_shows_parameters_and_frames(evaluations, compare, tmp_path):
    good, worse = evaluations
    assert compare(good, worse, '--max-drop', '0.01')[0] == 1
    page = (tmp_path / 'out' / 'comparison.html').read_text()
    for text in ('prompts.known', 'The masks differ in', 'more than the allowed drop', '95 %'):
        assert text in page
    assert page.count('data:image/jpeg') == 4  # one frame of each recording: 1 s apart
    assert 'http' not in page.replace('https://json-schema.org', '')
    assert compare(good, good)[0] == 0
    page = (tmp_path / 'out' / 'comparison.html').read_text()
    assert 'equal in every frame' in page and 'data:image/jpeg' not in page


def test_frames_that_differ_are_counted_without_ignored_pixels(evaluations):
    good, worse = (read_evaluation(folder)[1] for folder in evaluations)
    frames = differing_frames(list(zip(good, worse)))
    assert [frame.recording for frame in frames] == ['a', 'b']
    for frame in frames:
        # The road is anomalous for B, and the 10 rows on top are ignored.
        assert 0.8 * 80 * 160 < frame.pixels <= 80 * 160
        assert frame.first_right > 0.95 * frame.pixels
        one, other = (cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR).astype(int)
                      for jpeg in frame.pictures)
        assert one.shape == (360, 640, 3)
        assert (np.abs(one - other).max(axis=2) > 30).mean() > 0.5


def test_what_cannot_be_compared_is_one_line(evaluations, compare, tmp_path, mock_bundle):
    code, said = compare(evaluations[0], tmp_path / 'none')
    assert code == 1 and 'is not the folder of an evaluation' in said and said.count('\n') == 1
    plain = write_bag(tmp_path / 'a', 10, truth=False)
    assert cli.main(['evaluate', str(plain), '--bundle', str(mock_bundle), '--out',
                     str(tmp_path / 'plain')]) == 0
    code, said = compare(evaluations[0], tmp_path / 'plain')
    assert code == 1 and 'evaluate the same part with the same ground truth' in said
    code, said = compare(tmp_path / 'plain', tmp_path / 'plain', '--max-drop', '0')
    assert code == 1 and "do not both have 'pixel_ap'" in said
    assert compare(tmp_path / 'plain', tmp_path / 'plain')[0] == 0
