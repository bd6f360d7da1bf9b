# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A drawn drive is composed with the camera that it states, and keeps its own anomalies apart."""

from vl4ad_ros import cli
from vl4ad_ros.evaluation.bag_reader import CameraBag
from vl4ad_workshop.scenes.bag import write_drive
from vl4ad_workshop.scenes.drive import Drive


def test_a_drive_is_composed(tmp_path, capsys):
    drive = Drive(0, (144, 256), seconds=4.0, rate_hz=3.0, anomalies=1)
    source, out = write_drive(drive, tmp_path / 'drive'), tmp_path / 'out'
    assert cli.main(['compose', str(source), '--out', str(out), '--spacing', '12']) == 0
    said = capsys.readouterr().out
    focal, horizon = drive.camera_matrix[0, 0], drive.camera_matrix[1, 2]
    assert f'focal length {focal:.0f} pixels (from CameraInfo)' in said
    row = float(said.split('horizon in row ')[1].split()[0])
    assert abs(row - horizon) < 5
    before, after = CameraBag(source), CameraBag(out)
    assert after.label_count == len(drive)
    seen = 0
    for (_, old, _), (_, new, ids), image, drawn in zip(
            before.labelled_frames(), after.labelled_frames(), after.images(), before.images()):
        assert not ((old != 0) & (new == 1) & (ids == 0)).any()
        assert (new[(old != 0) & (ids == 0)] == 255).all(), 'its own anomalies are ignored'
        assert ((new == 1) <= (ids > 0)).all()
        seen += bool((ids > 0).any())
        assert (image != drawn).any() or not (ids > 0).any()
    assert seen > len(drive) / 2
