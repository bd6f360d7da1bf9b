# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Fast DDS and its shared memory: a profile for large images, clean-up and diagnosis."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
import re
import stat
from xml.etree import ElementTree

from rclpy.utilities import get_rmw_implementation_identifier

VARIABLES = ('FASTRTPS_DEFAULT_PROFILES_FILE', 'FASTDDS_DEFAULT_PROFILES_FILE')
"""The first is read by Fast DDS of Humble and Jazzy, the second by that of Lyrical."""

_PROFILE, _SMALL_PROFILE = (
    Path(__file__).with_name(name) for name in ('fastdds.xml', 'fastdds_small.xml'))
_SHARED_MEMORY = Path('/dev/shm')
_ROOMY = 256 * 2 ** 20
"""Bytes of /dev/shm that give a driver, this node and a viewer one large segment each."""
_DEFAULT_SEGMENT = 512 * 2 ** 10
"""Bytes of the segment that Fast DDS creates without a profile."""
_OVERHEAD = 1.05
"""Size of a segment's file, as a multiple of what it can hold."""
_LOCK = re.compile(r'(fast(?:rtps|dds)_[0-9a-f]{16})_el')
"""The file that the owner of a segment keeps locked (fastdds_... in Lyrical)."""


def profile_path() -> Path:
    """
    Return the XML profile with a shared memory segment that holds large images.

    The segment has 64 MiB, or 16 MiB where /dev/shm is smaller than 256 MiB, as it is in
    containers that were not given more: a segment that cannot be created would leave only UDP,
    which loses more images than a small segment does.
    """
    return _PROFILE if _size_and_free()[0] >= _ROOMY else _SMALL_PROFILE


def use_profile() -> None:
    """
    Prepare this process for large images; call it before `rclpy.init`.

    Removes the segments of processes that were killed, and lets Fast DDS read the shipped
    profile, unless the user chose another. The process that publishes a large image needs the
    profile most: with the default segment of 512 kB, best-effort images get lost if they are
    larger than about 640x360.
    """
    remove_abandoned_segments()
    chosen = next(filter(None, map(os.environ.get, VARIABLES)), str(profile_path()))
    for name in VARIABLES:
        os.environ[name] = os.environ.get(name) or chosen


def remove_abandoned_segments() -> int:
    """
    Remove the segments of this user's Fast DDS processes that were killed.

    When a process is killed or crashes, the segment of its Fast DDS stays in /dev/shm for ever.
    The port files beside the segments are left alone: they are small and few, and Fast DDS itself
    replaces one whose owner was killed.

    :returns: how many bytes were freed.
    """
    freed = 0
    for lock in _SHARED_MEMORY.glob('fast*_el'):
        match = _LOCK.fullmatch(lock.name)
        try:
            about = lock.lstat()
            if not (match and stat.S_ISREG(about.st_mode) and about.st_uid == os.geteuid()):
                continue
            descriptor = os.open(lock, os.O_RDONLY)
        except OSError:
            continue
        segment = lock.with_name(match.group(1))
        try:
            # The owner takes the lock before it creates the segment and keeps it until the
            # segment is removed. So a segment whose lock is free has no owner. A free lock
            # without a segment is left alone: its owner may be just about to take it.
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            size = segment.stat().st_size
            segment.unlink()
            freed += size
            lock.unlink()
        except OSError:
            pass
        finally:
            os.close(descriptor)
    return freed


def profile_in_use() -> Path | None:
    """Return the profile that Fast DDS reads in this process; None if there is none."""
    path = next(filter(None, map(os.environ.get, VARIABLES)), '')
    return Path(path) if path and _fast_dds() else None


def largest_image_bytes() -> int:
    """
    Return the size of the shared memory segment, the largest image that always arrives.

    A larger image is lost as soon as the reader is slower than the writer.

    :returns: bytes; 0 if the size is not known, because another middleware is used or the profile
        names no segment.
    """
    if not _fast_dds():
        return 0
    profile = profile_in_use()
    if profile is None:
        return _DEFAULT_SEGMENT
    try:
        return max((int(transport.findtext('{*}segment_size', '0')) for transport
                    in ElementTree.parse(profile).iterfind('.//{*}transport_descriptor')
                    if transport.findtext('{*}type') == 'SHM'), default=0)
    except (OSError, ElementTree.ParseError, ValueError):
        return 0


def shared_memory_problem() -> str:
    """
    Return what is wrong with the shared memory of this process, and what to do about it.

    Call this when a node exists, because Fast DDS creates its segment with the first node.

    :returns: a sentence, or '' if nothing is wrong.
    """
    segment = largest_image_bytes()
    size, free = _size_and_free()
    if not segment or not size:
        return ''
    advice = ('start the container with --ipc host or --shm-size=256m' if size < _ROOMY else
              'make room there, or check its permissions')
    if _own_segment_bytes() < segment:
        return (f'Fast DDS could not create its shared memory: it needs '
                f'{_mib(_OVERHEAD * segment)} of /dev/shm, where {_mib(free)} of {_mib(size)} '
                f'are free; large images will get lost; {advice}')
    if profile_in_use() == _SMALL_PROFILE:
        return (f'/dev/shm has only {_mib(size)}, and large images need {_mib(_ROOMY)}; images '
                f'of more than {_megabytes(segment)} will get lost; {advice}')
    return ''


def why_images_get_lost(image_bytes: int) -> str:
    """
    Return the likely causes, most likely first, if images get lost on their way to this node.

    :param image_bytes: size of the last image that arrived; 0 if none did.
    """
    if not _fast_dds():
        return 'the network or this machine is too busy: use a smaller or a compressed image'
    problem = shared_memory_problem()
    if problem:
        return problem
    profile, limit = profile_in_use() or profile_path(), largest_image_bytes()
    if image_bytes > limit > 0:
        return (f'an image has {_megabytes(image_bytes)} and shared memory carries '
                f'{_megabytes(limit)}; use a smaller or a compressed image, or a profile with a '
                f'larger segment (see {profile})')
    larger = f'its images are larger than {_megabytes(limit)}, ' if limit else ''
    return (f'the camera driver runs without the Fast DDS profile (start it with '
            f'{VARIABLES[0]}={profile}), {larger}or the machine is too busy')


def why_no_image_comes(topic: str) -> str:
    """
    Return the likely causes, most likely first, if no image of a publisher arrives.

    :param topic: resolved name of the topic.
    """
    silent = f'its publisher sends nothing (see: ros2 topic hz {topic})'
    if not _fast_dds():
        return silent
    return (f'{silent}, or runs in another container or as another user and shares no memory '
            'with this node (start both with --ipc host and the same user id)')


def _fast_dds() -> bool:
    return get_rmw_implementation_identifier().startswith('rmw_fastrtps')


def _size_and_free() -> tuple[int, int]:
    """Return the bytes that shared memory has and those that are free; 0, 0 without any."""
    try:
        memory = os.statvfs(_SHARED_MEMORY)
    except OSError:
        return 0, 0
    return memory.f_blocks * memory.f_frsize, memory.f_bavail * memory.f_frsize


def _own_segment_bytes() -> int:
    """Return the size of the largest segment whose lock this process holds; 0 without any."""
    sizes = [0]
    for descriptor in os.scandir('/proc/self/fd'):
        try:
            lock = Path(os.readlink(descriptor.path))
            match = _LOCK.fullmatch(lock.name)
            if match is not None:
                sizes.append(lock.with_name(match.group(1)).stat().st_size)
        except OSError:  # closed meanwhile
            continue
    return max(sizes)


def _mib(size: float) -> str:
    return f'{size / 2 ** 20:.0f} MiB'


def _megabytes(size: int) -> str:
    return f'{size / 1e6:.1f} MB'
