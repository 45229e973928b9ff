"""Who waits, who runs, and who takes part in a step.

Waiting ones stand in order of priority, then of arrival. Running ones hold blocks as they grow; where
those run out, the last one of the lowest priority goes back to its place in the queue.
"""

from __future__ import annotations

import math
from bisect import insort

from uniaudio.engine.request import EngineConfig, Priority
from uniaudio.engine.sequence import Phase, Sequence
from uniaudio.errors import InvalidInputError, LimitExceededError, QueueFullError

# Weight of the newest duration in the running mean that retry hints are made from.
_NEWEST = 0.2
_BLOCK_SIZE = 16


class Scheduler:
    """Plain bookkeeping; the engine guards it with its lock."""

    def __init__(self, config: EngineConfig) -> None:
        self._config = config
        self._max_blocks = _blocks(config.max_kv_positions)
        self.waiting: list[Sequence] = []
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
        if _blocks(sequence.num_reserved_positions) > self._max_blocks:
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
        insort(self.waiting, sequence, key=_order)

    def age(self, now: float) -> None:
        """Lets batch requests that came long enough ago count as live ones."""
        patience = self._config.batch_patience_seconds
        for sequence in (*self.waiting, *self.running):
            if sequence.priority is Priority.BATCH and now - sequence.arrived_at >= patience:
                sequence.priority = Priority.LIVE
        self.waiting.sort(key=_order)

    def admit(self) -> list[Sequence]:
        """Moves sequences that fit from the queue's head to the running set and returns them.

        The head waits for room rather than being overtaken: large requests must not starve.
        """
        admitted = []
        while self.waiting and len(self.running) < self._config.max_running:
            # Room for a block more than there is to read, or the first step would send one back.
            needed = _blocks(self.waiting[0].num_positions + _BLOCK_SIZE)
            if self.running and self.num_held_blocks + needed > self._max_blocks:
                break
            sequence = self.waiting.pop(0)
            self.running.append(sequence)
            admitted.append(sequence)
        return admitted

    def preempt(self) -> list[Sequence]:
        """Sends sequences back to the queue: where blocks run out, and where a live one waits for batch.

        Blocks never run out for one alone, so that the engine gets on.
        """
        sent_back = []
        while self._batch_is_in_the_way() or (
            len(self.running) > 1 and self.num_held_blocks > self._max_blocks
        ):
            victim = max(self.running, key=_order)
            self.running.remove(victim)
            insort(self.waiting, victim, key=_order)
            sent_back.append(victim)
        return sent_back

    def _batch_is_in_the_way(self) -> bool:
        if not self.waiting or self.waiting[0].priority is not Priority.LIVE:
            return False
        if all(sequence.priority is Priority.LIVE for sequence in self.running):
            return False
        needed = _blocks(self.waiting[0].num_positions + _BLOCK_SIZE)
        return (
            len(self.running) >= self._config.max_running or self.num_held_blocks + needed > self._max_blocks
        )

    def choose(self, now: float, seconds_per_patch: float) -> list[Sequence]:
        """The running sequences that take part in the next step, with what each may read set.

        Where a live stream is behind, those far enough ahead, and batch speech, let it pass. Prompts
        share what the step has room for, in order of priority and arrival.
        """
        leads = {
            id(sequence): sequence.lead_seconds(now, seconds_per_patch)
            for sequence in self.running
            if sequence.phase is Phase.AUDIO
        }
        behind = any(
            leads.get(id(sequence), math.inf) < 0 and sequence.priority is Priority.LIVE
            for sequence in self.running
        )
        chosen = [
            sequence
            for sequence in self.running
            if not (behind and self._can_wait(sequence, leads.get(id(sequence))))
        ]
        return self._share_out(chosen)

    def _can_wait(self, sequence: Sequence, lead: float | None) -> bool:
        """Whether a sequence may leave out steps while somebody's speech is late."""
        if lead is None:
            return False
        is_batch = sequence.priority is Priority.BATCH
        return is_batch or (sequence.first_patch_at is not None and lead > self._config.max_lead_seconds)

    def _share_out(self, chosen: list[Sequence]) -> list[Sequence]:
        speaks = any(
            sequence.phase is Phase.AUDIO
            and sequence.priority is Priority.LIVE
            and sequence.first_patch_at is not None
            for sequence in chosen
        )
        left = self._config.max_step_positions_beside_speech if speaks else self._config.max_step_positions
        taking_part = []
        for sequence in sorted(chosen, key=_order):
            if sequence.is_reading:
                # The rest of a prompt may be read without a step's end in between.
                sequence.share = min(left, sequence.num_positions - sequence.num_read)
                left -= sequence.share
                if not sequence.share:
                    continue
            else:
                sequence.share = 1
            taking_part.append(sequence)
        return taking_part

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
    def num_held_blocks(self) -> int:
        """Blocks that the running sequences hold once each has read what there is."""
        return sum(_blocks(sequence.num_positions) for sequence in self.running)

    @property
    def num_held_positions(self) -> int:
        """LLM positions in these blocks."""
        return self.num_held_blocks * _BLOCK_SIZE


def _blocks(num_positions: int) -> int:
    return -(-num_positions // _BLOCK_SIZE)


def _order(sequence: Sequence) -> tuple[int, float, int]:
    """Priority, then arrival, then the order of submission."""
    return sequence.priority, sequence.arrived_at, sequence.number
