# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""How far a recording has been read is told while it is opened."""

from bags import write_bag
import pytest

from vl4ad_ros.evaluation.bag_reader import CameraBag
from vl4ad_ros.evaluation.storage.recording import size_of
from vl4ad_ros.evaluation.storage.stored import zstd


def read_sizes(path):
    """Return the sizes that are told while a recording is opened."""
    sizes = []
    CameraBag(path, on_read=sizes.append)
    return sizes


@pytest.mark.parametrize('storage', ['mcap', 'sqlite3'])
def test_the_sizes_add_up_to_that_of_the_recording(tmp_path, storage):
    path = write_bag(tmp_path / 'bag', 8, storage=storage)
    sizes = read_sizes(path)
    assert len(sizes) > 4 and min(sizes) > 0
    assert 0.8 * size_of(path) < sum(sizes) <= size_of(path)


def test_a_compressed_file_counts_by_its_own_size(tmp_path):
    file, = write_bag(tmp_path / 'bag', 8).glob('*.mcap')
    packed = tmp_path / 'bag.mcap.zstd'
    packed.write_bytes(zstd.compress(file.read_bytes()))
    assert sum(read_sizes(packed)) == size_of(packed) == packed.stat().st_size


def test_what_is_not_there_has_no_size(tmp_path):
    assert size_of(tmp_path / 'absent') == size_of(tmp_path) == 0
