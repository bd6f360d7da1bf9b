# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Only regular files up to a size limit are read, and nothing blocks. Needs nothing."""

import os
import socket
import time

import pytest

from vl4ad_ros.files import (
    cache_folder, FileRefused, open_regular, read_regular, stands_for_another)


def test_a_file_is_read_up_to_the_limit(tmp_path):
    file = tmp_path / 'f'
    file.write_bytes(b'12345')
    (tmp_path / 'link').symlink_to(file)
    assert read_regular(file, 5) == read_regular(str(tmp_path / 'link'), 9) == b'12345'
    with pytest.raises(FileRefused, match="f' has 5 bytes; expected at most 4"):
        read_regular(file, 4)
    (tmp_path / 'empty').touch()
    assert read_regular(tmp_path / 'empty', 0) == b''


def test_a_file_that_hides_its_size_is_read_up_to_the_limit():
    if not os.path.exists('/proc/self/status'):
        pytest.skip('no /proc')
    assert b'Name' in read_regular('/proc/self/status', 1 << 20)
    with pytest.raises(FileRefused, match="status' has more than 10 bytes; expected at most 10"):
        read_regular('/proc/self/status', 10)


def test_what_is_no_regular_file_is_refused_at_once(tmp_path):
    os.mkfifo(tmp_path / 'pipe')
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / 'socket'))
        started = time.monotonic()
        for path, kind in ((tmp_path / 'pipe', 'a named pipe'), ('/dev/zero', 'a device'),
                           (tmp_path, 'a directory'), (tmp_path / 'socket', 'a socket')):
            with pytest.raises(FileRefused, match=f'{path}. is {kind}; expected a regular file'):
                read_regular(path, 100)
        assert time.monotonic() - started < 1


@pytest.mark.parametrize('path', ['a\0b', 'a\ud800b'])
def test_what_is_no_path_is_refused_in_words_that_can_be_printed(path):
    with pytest.raises(FileRefused, match='is not the path of a file: it has ') as refused:
        read_regular(path, 100)
    str(refused.value).encode()


def test_errors_of_the_system_stay_what_they_are(tmp_path):
    (tmp_path / 'loop').symlink_to(tmp_path / 'loop')
    with pytest.raises(FileNotFoundError):
        read_regular(tmp_path / 'none', 1)
    with pytest.raises(OSError, match='symbolic links'):
        read_regular(tmp_path / 'loop', 1)
    with pytest.raises(OSError, match='too long'):
        read_regular('x' * 5000, 1)


def test_a_large_file_is_opened_without_a_limit(tmp_path):
    with open(tmp_path / 'f', 'wb') as stream:
        stream.truncate(2 ** 33)
    with open_regular(tmp_path / 'f') as stream:
        assert stream.read(3) == bytes(3)
    with pytest.raises(FileRefused, match='expected at most 9'):
        open_regular(tmp_path / 'f', 9)
    os.mkfifo(tmp_path / 'pipe')
    for name, kind in (('pipe', 'a named pipe'), ('.', 'a directory'), ('/dev/null', 'a device')):
        with pytest.raises(FileRefused, match=kind):
            open_regular(tmp_path / name)


@pytest.mark.parametrize('start, said', [
    (b'version https://git-lfs.github.com/spec/v1\noid sha256:75515bb8\nsize 9\n', 'git lfs pull'),
    (b'<!DOCTYPE html><html><head><title>Virus scan', 'HTML'),
    (b'\xef\xbb\xbf\r\n <HTML lang="en">', 'HTML'),
    (b'<?xml version="1.0"?><Error><Code>AccessDenied', 'HTML'),
    (b'', ''), (b'PK\x03\x04', ''), (b'version 3', ''), (b'\x89MCAP0\r\n', ''),
])
def test_what_stands_in_the_place_of_a_file_is_named(start, said):
    found = stands_for_another(start)
    assert said in found and bool(found) == bool(said)


def test_the_cache_is_below_the_home_folder_or_where_the_user_says(monkeypatch, tmp_path):
    monkeypatch.setenv('HOME', str(tmp_path))
    monkeypatch.delenv('XDG_CACHE_HOME', raising=False)
    assert cache_folder() == tmp_path / '.cache' / 'vl4ad_ros'
    monkeypatch.setenv('XDG_CACHE_HOME', '/elsewhere')
    assert str(cache_folder()) == '/elsewhere/vl4ad_ros'
