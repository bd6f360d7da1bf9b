# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""`vl4ad replay` with several recordings; a stand-in takes the place of the node."""

import json

from bags import write_bag, write_video
import pytest

pytest.importorskip('rclpy', reason='needs ROS 2')
from vl4ad_ros import cli  # noqa: E402
from vl4ad_ros.replay import replay_and_report  # noqa: E402


@pytest.fixture
def replay(mock_bundle, tmp_path, capsys, monkeypatch):
    """Return a function that runs the verb; it returns exit status, output folder and stderr."""
    def stand_in(parts, options):
        assert options.settings.model_bundle == str(mock_bundle)
        return [written(part.bag, part.folder / 'metrics.json') for part in parts]

    def written(bag, file):
        assert bag.path.exists()
        file.write_text(json.dumps({
            'frames_recorded': len(bag.times_ns), 'frames_processed': len(bag.times_ns),
            'frames_refused': 0, 'duration_s': bag.duration_s, 'alerts': 1}))
        return {'metrics': file}
    monkeypatch.setattr(replay_and_report, 'replay_cameras_and_report', stand_in)

    def run(*recordings):
        code = cli.main(['replay', *map(str, recordings), '--bundle', str(mock_bundle),
                         '--out', str(tmp_path / 'out')])
        return code, tmp_path / 'out', capsys.readouterr().err
    return run


def test_several_recordings_have_a_folder_each_and_their_figures_are_summed(tmp_path, replay):
    bags = [write_bag(tmp_path / 'one', 12), write_video(tmp_path / 'clip.mp4', 6),
            write_bag(tmp_path / 'again' / 'one', 8)]
    code, out, said = replay(*bags)
    assert code == 0 and said.count('frames of /camera/image') == 3
    assert sorted(path.name for path in out.iterdir()) == [
        'clip.mp4', 'one', 'one_2', 'summary.json']
    assert [path.name for path in (out / 'clip.mp4').iterdir()] == ['metrics.json']
    summary = json.loads((out / 'summary.json').read_text())
    assert [r['frames_processed'] for r in summary['recordings']] == [12, 6, 8]
    assert summary['total']['frames_processed'] == 26 and summary['total']['alerts'] == 3


def test_a_recording_that_cannot_be_read_does_not_stop_the_others(tmp_path, replay):
    code, out, said = replay(tmp_path / 'absent', write_bag(tmp_path / 'one', 12))
    assert code == 1 and 'there is no such file' in said and (out / 'one').is_dir()
    summary = json.loads((out / 'summary.json').read_text())
    assert summary['total']['recordings_failed'] == 1 and not (out / 'absent').exists()


def test_one_recording_has_its_report_in_the_folder_itself(tmp_path, replay):
    code, out, _ = replay(write_bag(tmp_path / 'one', 12))
    assert code == 0 and [path.name for path in out.iterdir()] == ['metrics.json']


def test_a_video_has_one_camera(tmp_path, replay):
    code, _, said = replay(write_video(tmp_path / 'clip.mp4', 6), '--topic', 'a=/x', '--topic',
                           'b=/y')
    assert code == 1 and 'has one camera only' in said
