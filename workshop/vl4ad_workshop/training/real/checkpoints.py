# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Checkpoints of a training, which are written completely or not at all."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import torch


class ResumeError(ValueError):
    """A checkpoint of another training; the message names the differences."""


def write_whole(path: Path, content: Any) -> None:
    """Write `content` atomically: `path` holds all of it, or its former content."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix('.unfinished')
    with open(unfinished, 'wb') as file:
        torch.save(content, file)
        file.flush()
        os.fsync(file.fileno())
    os.replace(unfinished, path)


class Checkpoints:
    """The folder of one training's checkpoints."""

    def __init__(self, folder: Path, keep: int) -> None:
        self._folder, self._keep = folder, keep

    def save(self, iteration: int, state: dict[str, Any]) -> Path:
        """Write the state after `iteration` iterations and delete the oldest files."""
        path = self._folder / f'{iteration:08d}.pt'
        write_whole(path, {'iteration': iteration, **state})
        for old in self._files()[:-self._keep]:
            old.unlink()
        return path

    def newest(self, course: dict[str, Any], frozen: int) -> dict[str, Any] | None:
        """
        Return the newest state, or None before the first one.

        :param course: the settings that affect the result.
        :param frozen: checksum of the frozen weights.
        :raises ResumeError: if the state was made with other settings or frozen weights.
        """
        files = self._files()
        if not files:
            return None
        state = torch.load(files[-1], map_location='cpu', weights_only=True)
        differing = [f'{k} was {state["course"].get(k)} and is now {course.get(k)}'
                     for k in {**state['course'], **course}
                     if state['course'].get(k) != course.get(k)]
        if differing:
            raise ResumeError(f'{files[-1]} is of another training ({"; ".join(differing)}); '
                              'restore these values, or choose another folder with --work')
        if state['frozen'] != frozen:
            raise ResumeError(f'{files[-1]} was made with another frozen CLIP; set weights to '
                              'the file that this training began with, or choose another folder '
                              'with --work')
        return state

    def _files(self) -> list[Path]:
        return sorted(self._folder.glob('[0-9]*.pt'))
