# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The report in headless Chromium: it opens without a network, fits a phone, and looks drawn."""

import re
import shutil
import subprocess

from bags import write_bag
import cv2
import numpy as np
import pytest

from vl4ad_ros import cli
from vl4ad_ros.evaluation.picture_writer import h264_encoder, Video

CHROMIUM = shutil.which('chromium') or shutil.which('chromium-browser')
pytestmark = pytest.mark.skipif(
    CHROMIUM is None, reason='needs Chromium: apt-get install chromium')
# The report is shown in a frame of the width of a phone, because no window is that narrow. The
# script tells the outer width of everything in it that cannot be scrolled by itself.
PROBE = """
<script>
addEventListener('load', () => {
  const wide = document.documentElement.scrollWidth, broken = [...document.images].filter(
    image => !image.complete || !image.naturalWidth).length;
  parent.postMessage([wide, innerWidth, broken, document.images.length], '*');
});
</script>
"""
OUTER = """
<body style="margin: 0"><iframe src="report.html" style="width: 400px; height: 900px"></iframe>
<video id="video" src="clip.mp4" muted></video><p id="told"></p>
<script>
const told = {};
const tell = () => { document.getElementById('told').textContent = JSON.stringify(told); };
addEventListener('message', event => { told.report = event.data; tell(); });
document.getElementById('video').addEventListener('loadeddata', event => {
  told.video = event.target.videoWidth; tell(); });
</script>
"""


@pytest.fixture(scope='module')
def report(tmp_path_factory, mock_bundle):
    """Return the report of a recording."""
    folder = tmp_path_factory.mktemp('browser')
    assert cli.main(['evaluate', str(write_bag(folder / 'bag', 10)), '--bundle', str(mock_bundle),
                     '--out', str(folder / 'out')]) == 0
    return folder / 'out' / 'report.html'


def chromium(profile, page, *arguments):
    """Run Chromium without a network and return what it printed."""
    done = subprocess.run(
        [CHROMIUM, '--headless', '--no-sandbox', '--disable-gpu', '--hide-scrollbars',
         '--disable-dev-shm-usage', f'--user-data-dir={profile}',
         '--host-resolver-rules=MAP * ~NOTFOUND', '--allow-file-access-from-files', *arguments,
         page.as_uri()], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def test_it_is_drawn_on_a_wide_screen(report, tmp_path):
    picture = tmp_path / 'wide.png'
    chromium(tmp_path / 'profile', report, f'--screenshot={picture}', '--window-size=1400,1200')
    shot = cv2.imread(str(picture))
    assert shot.shape == (1200, 1400, 3)
    # There is something in each quarter of the height: text, curves, pictures.
    for part in np.array_split(shot, 4):
        assert (np.abs(part.astype(int) - part[0, 0]).max(axis=2) > 40).mean() > 0.005


def test_it_fits_a_phone_and_its_videos_play(report, tmp_path):
    text = report.read_text()
    (tmp_path / 'report.html').write_text(text.replace('</body>', PROBE + '</body>'))
    (tmp_path / 'outer.html').write_text(OUTER)
    video = Video(tmp_path / 'clip.mp4', 10.0)
    for grey in range(0, 250, 25):
        video.write(np.full((90, 160, 3), grey, np.uint8))
    video.close()
    page = chromium(tmp_path / 'profile', tmp_path / 'outer.html', '--dump-dom',
                    '--virtual-time-budget=20000')
    told = re.search(r'<p id="told">(.*?)</p>', page).group(1)
    wide, inner, broken, images = map(int, re.search(
        r'"report":\[(\d+),(\d+),(\d+),(\d+)\]', told).groups())
    assert inner == 400 and wide <= inner, f'the page is {wide} pixels wide'
    assert broken == 0 and images == text.count('<img') >= 2
    if h264_encoder():
        assert '"video":160' in told, told
