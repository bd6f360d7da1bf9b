# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Changes of the prompts: checked at once, then encoded in a background thread."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, wait
from threading import Lock

from vl4ad_ros.bundle.prompt_encoder import Prompts
from vl4ad_ros.inference.detector import Detector
from vl4ad_ros.node.background import submit
from vl4ad_ros.obstacles.labels import label_names
from vl4ad_ros.prompts.vocabulary import Vocabulary
from vl4ad_ros.settings import Settings

_READING_S = 0.5
"""Seconds that the answer to a change waits until the files that it names are read."""


class PromptChanges:
    """
    Encodes the prompts of accepted settings in background threads.

    A large text tower takes seconds to minutes. Of several pending changes only the newest is
    encoded. The executor's thread calls all methods.

    :param detector: checks and encodes the prompts.
    :param finished: is called from a background thread when `take` has an outcome.
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
        Check the prompts of these settings, and start to encode them if they can be used.

        Reading a file may take longer than half a second. The change is accepted then, and
        `take` returns the error if the file turns out to be unusable.

        :param settings: the new settings.
        :raises VocabularyError: if a prompt cannot be used; the message names it. A pending
            change stays pending.
        """
        detector = self._detector

        def read() -> Vocabulary:
            vocabulary = settings.vocabulary(detector.default_vocabulary)
            detector.check(vocabulary)
            label_names(vocabulary)  # refuses more classes than labels have room for
            return vocabulary

        if settings.names_file:
            reading = submit(read)
            wait([reading], _READING_S)
            if reading.done():
                reading.result()  # raises the error, if there was one
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
        """
        Return the outcome of the newest change and forget it.

        :returns: a future that is done: its result is the encoded prompts, or its exception says
            why they cannot be used. None if no change is pending or encoding has not ended.
        """
        pending = self._pending
        if pending is None or not pending.done():
            return None
        self.cancel()
        return pending

    def cancel(self) -> None:
        """Drop a pending change; `finished` is not called for it."""
        self._pending = None
        self._newest += 1


class _Superseded(Exception):
    """The change was replaced by a newer one, or cancelled."""
