# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Finds the frame of a recording that an answer of the node belongs to."""

from __future__ import annotations


class AnswerMatcher:
    """
    Matches answers to frames by their common header stamp; a frame gets at most one answer.

    A recording may repeat a stamp: all stamps may be zero or constant, or a frame may have been
    recorded twice. The node works on one frame at a time and then takes the newest frame that is
    waiting. So if several frames have the stamp of an answer, the answer belongs to the newest of
    them that had been sent when the previous answer arrived. If none of them had been sent by
    then, it belongs to the first one that was sent afterwards.

    `send` is called by the thread that publishes frames, and `answer` by the one that receives.

    :ivar sent_ns: when each frame was sent, nanoseconds since the epoch, by frame index.
    """

    def __init__(self) -> None:
        """Start without frames."""
        self.sent_ns: dict[int, int] = {}
        self._stamps: dict[int, int] = {}
        self._unanswered: dict[int, list[int]] = {}
        self._last_index, self._last_ns = -1, 0

    def send(self, index: int, stamp_ns: int, now_ns: int) -> None:
        """
        Note that a frame is about to be sent; call it before the frame can be answered.

        :param index: index of the frame in the recording.
        :param stamp_ns: its header stamp, nanoseconds.
        :param now_ns: the present time, nanoseconds since the epoch.
        """
        self.sent_ns[index] = now_ns
        self._stamps[index] = stamp_ns
        self._unanswered.setdefault(stamp_ns, []).append(index)

    def refuse(self, index: int) -> None:
        """
        Note that the node will not answer a frame.

        :param index: index of a frame that was sent and has no answer.
        """
        self._unanswered[self._stamps[index]].remove(index)

    def answer(self, stamp_ns: int, now_ns: int) -> int | None:
        """
        Match an answer that has just arrived.

        :param stamp_ns: header stamp of the answer, nanoseconds.
        :param now_ns: the present time, nanoseconds since the epoch.
        :returns: the index of its frame; None if no frame with this stamp waits for an answer.
        """
        unanswered = self._unanswered.get(stamp_ns, [])
        # The node answers in the order of the frames. If an earlier answer was matched to a frame
        # that is too late, this answer must still be counted, so all frames are candidates then.
        candidates = [i for i in unanswered if i > self._last_index] or list(unanswered)
        if not candidates:
            return None
        waited = [i for i in candidates if self.sent_ns[i] <= self._last_ns]
        index = waited[-1] if waited else candidates[0]
        unanswered.remove(index)
        self._last_index, self._last_ns = index, now_ns
        return index
