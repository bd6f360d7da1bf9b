# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Which frame of a recording an answer of the node belongs to."""

from __future__ import annotations


class Ledger:
    """
    Match answers to frames by the stamp that both carry; each frame has one answer at most.

    In a recording a stamp may occur more than once: zero, never changed, or taken twice. The node
    works on one frame at a time and then takes the newest that waits. So of several frames with
    the stamp of an answer, the answer belongs to the newest that was out when the node finished
    the answer before, or else to the first that went out since.

    Frames are booked by the thread that sends them and answers by the one that receives them.

    :ivar sent_ns: when each frame was sent, ns since the epoch, by frame index.
    """

    def __init__(self) -> None:
        self.sent_ns: dict[int, int] = {}
        self._stamps: dict[int, int] = {}
        self._unanswered: dict[int, list[int]] = {}
        self._last_index, self._last_ns = -1, 0

    def send(self, index: int, stamp_ns: int, now_ns: int) -> None:
        """Book a frame that goes out now; call it before the frame can be answered."""
        self.sent_ns[index] = now_ns
        self._stamps[index] = stamp_ns
        self._unanswered.setdefault(stamp_ns, []).append(index)

    def refuse(self, index: int) -> None:
        """Book that a frame that is unanswered so far will not be answered."""
        self._unanswered[self._stamps[index]].remove(index)

    def answer(self, stamp_ns: int, now_ns: int) -> int | None:
        """Return the frame of an answer that arrived now; None if no frame waits for it."""
        unanswered = self._unanswered.get(stamp_ns, [])
        # The node answers in order; should an earlier answer have been taken for that of a later
        # frame, this one must still count.
        candidates = [i for i in unanswered if i > self._last_index] or list(unanswered)
        if not candidates:
            return None
        waited = [i for i in candidates if self.sent_ns[i] <= self._last_ns]
        index = waited[-1] if waited else candidates[0]
        unanswered.remove(index)
        self._last_index, self._last_ns = index, now_ns
        return index
