# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Changes of the prompts: checked at once and encoded on a thread; the newest one counts."""

from __future__ import annotations

from concurrent.futures import Future, wait
from threading import Lock
from typing import Callable

from vl4ad_ros.bundle.prompt_encoder import Prompts
from vl4ad_ros.inference.detector import Detector
from vl4ad_ros.node.background import submit
from vl4ad_ros.prompts.vocabulary import Vocabulary
from vl4ad_ros.settings import Settings

_READING_S = 0.5
"""Seconds that the answer to a change waits for the files that it names."""


class PromptChanges:
    """
    Encodes the prompts of accepted settings beside the executor, whose thread calls all methods.

    A large text tower takes seconds to minutes. Of several changes only the newest is encoded.

    :param finished: called from another thread when `take` has an outcome.
    """

    def __init__(self, detector: Detector, finished: Callable[[], None]) -> None:
        """Start with nothing pending."""
        self._detector = detector
        self._finished = finished
        self._pending: Future[Prompts] | None = None
        self._newest = 0
        self._encoding = Lock()

    @property
    def pending(self) -> bool:
        """Whether new prompts are being encoded."""
        return self._pending is not None

    def begin(self, settings: Settings) -> None:
        """
        Check the prompts of these settings and start to encode them, or refuse them.

        A file that cannot be read in half a second is read on; if it turns out to be unusable,
        that is the outcome of an accepted change.

        :raises VocabularyError: naming the entry; a change that is pending goes on.
        """
        detector = self._detector

        def read() -> Vocabulary:
            vocabulary = settings.vocabulary(detector.default_vocabulary)
            detector.check(vocabulary)
            return vocabulary

        if settings.names_file:
            reading = submit(read)
            wait([reading], _READING_S)
            if reading.done():
                reading.result()  # raises what it found
        else:
            reading = Future()
            reading.set_result(read())

        self._newest += 1
        number = self._newest

        def encode() -> Prompts:
            vocabulary = reading.result()
            with self._encoding:
                if number != self._newest:
                    raise _Superseded
                return detector.encode(vocabulary)
        encoding = submit(encode)
        self._pending = encoding
        encoding.add_done_callback(
            lambda done: self._finished() if number == self._newest else None)

    def take(self) -> Future[Prompts] | None:
        """Return the newest change once it is done: the encoded prompts, or why that failed."""
        pending = self._pending
        if pending is None or not pending.done():
            return None
        self.cancel()
        return pending

    def cancel(self) -> None:
        """Let no pending change have an outcome."""
        self._pending = None
        self._newest += 1


class _Superseded(Exception):
    """A newer change is there, or none is wanted any more."""
