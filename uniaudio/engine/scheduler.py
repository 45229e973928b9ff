"""Who waits and who runs: a bounded queue in order of arrival, a bounded set of running sequences."""

from __future__ import annotations

import math
from collections import deque

from uniaudio.engine.request import EngineConfig
from uniaudio.engine.sequence import Sequence
from uniaudio.errors import InvalidInputError, LimitExceededError, QueueFullError

# Weight of the newest duration in the running mean that retry hints are made from.
_NEWEST = 0.2


class Scheduler:
    """Plain bookkeeping; the engine guards it with its lock."""

    def __init__(self, config: EngineConfig) -> None:
        self._config = config
        self.waiting: deque[Sequence] = deque()
        self.running: list[Sequence] = []
        self._mean_seconds = 1.0

    def add(self, sequence: Sequence) -> None:
        """Queues a sequence; `QueueFullError` says when to try again."""
        request_id = sequence.request.request_id
        if self.find(request_id) is not None:
            raise InvalidInputError(
                f"request_id {request_id!r} is already queued or running; give every request its own",
                reason="DUPLICATE_REQUEST_ID",
                value=request_id,
                limit="one request of an id at a time",
                remedy="give every request its own",
            )
        limit = self._config.max_kv_positions
        if sequence.num_reserved_positions > limit:
            raise LimitExceededError(
                f"the request may need {sequence.num_reserved_positions} positions, the engine holds {limit}: "
                "shorten the recording or lower max_tokens or max_patches",
                value=f"{sequence.num_reserved_positions} positions",
                limit=f"{limit} positions",
                remedy="shorten the recording or lower max_tokens or max_patches",
                max_kv_positions=limit,
            )
        # Those at the queue's head whom the next step will admit do not count: they only just arrived.
        num_free = self._config.max_running - len(self.running)
        if len(self.waiting) - num_free >= self._config.max_waiting:
            retry_after = self.retry_after_seconds()
            raise QueueFullError(
                f"{len(self.waiting)} requests are waiting, the limit is {self._config.max_waiting}; "
                f"try again in {retry_after} s",
                value=len(self.waiting),
                limit=self._config.max_waiting,
                remedy=f"try again in {retry_after} s",
                retry_after_seconds=retry_after,
                max_waiting=self._config.max_waiting,
            )
        self.waiting.append(sequence)

    def admit(self) -> list[Sequence]:
        """Moves sequences that fit from the queue's head to the running set and returns them.

        The head waits for room rather than being overtaken: large requests must not starve.
        """
        admitted = []
        while self.waiting and len(self.running) < self._config.max_running:
            reserved = self.num_reserved_positions + self.waiting[0].num_reserved_positions
            if reserved > self._config.max_kv_positions:
                break
            sequence = self.waiting.popleft()
            self.running.append(sequence)
            admitted.append(sequence)
        return admitted

    def remove(self, sequence: Sequence, *, seconds: float | None = None) -> None:
        """Forgets a sequence; `seconds` it ran feed the retry hint."""
        if sequence in self.running:
            self.running.remove(sequence)
        else:
            self.waiting.remove(sequence)
        if seconds is not None:
            self._mean_seconds += _NEWEST * (seconds - self._mean_seconds)

    def find(self, request_id: str) -> Sequence | None:
        """The queued or running sequence of that request."""
        for sequence in (*self.running, *self.waiting):
            if sequence.request.request_id == request_id:
                return sequence
        return None

    def num_ahead(self, request_id: str) -> int:
        """Requests before this one in the queue; 0 when it runs or is unknown."""
        for index, sequence in enumerate(self.waiting):
            if sequence.request.request_id == request_id:
                return index + 1
        return 0

    def retry_after_seconds(self) -> int:
        """Whole seconds after which a place in the queue is likely free, at least 1."""
        return max(1, math.ceil(self._mean_seconds / self._config.max_running))

    @property
    def num_reserved_positions(self) -> int:
        """LLM positions that the running sequences may come to hold."""
        return sum(sequence.num_reserved_positions for sequence in self.running)
