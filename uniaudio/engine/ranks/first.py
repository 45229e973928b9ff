"""Rank 0's side of the ranks: asks the others for their experts, notices when one is lost, forms the group anew."""

from __future__ import annotations

import logging
import math
import threading
import time
from dataclasses import dataclass, field

import torch
from torch import Tensor

from uniaudio.engine.ranks import wire
from uniaudio.engine.ranks.link import Link, LinkError, RankGroup, Transfer
from uniaudio.engine.ranks.meeting import FirstMeeting
from uniaudio.errors import RankLostError, StartupError
from uniaudio.nn.held_experts import ExpertShare, held_experts, places_of

logger = logging.getLogger(__name__)

_POLL_SECONDS = 0.1
_PULSES_PER_TIMEOUT = 4


@dataclass
class _Exchange:
    """What is under way with the other ranks."""

    results: Tensor
    ends_at: float
    sent: list[Transfer] = field(default_factory=list)
    awaited: list[tuple[Tensor, Transfer]] = field(
        default_factory=list
    )  # places in `results`, and what comes


class FirstRank:
    """The other ranks, as the model of rank 0 sees them (`OtherRanks`).

    A thread of its own forms the group, sees every now and then that all ranks live, and forms it anew when
    one is lost. Until then every question fails at once with the RankLostError that names the lost rank, and
    since when it is lost (`lost_for_seconds`) where it had been in a group.
    """

    def __init__(self, group: RankGroup, num_experts: int, device: torch.device) -> None:
        if not 1 < group.count <= num_experts:
            raise StartupError(
                f"WORLD_SIZE={group.count}: {num_experts} experts can be spread over 2 to {num_experts} ranks",
                reason="INVALID_SETTING",
                value=group.count,
                limit=f"2 to {num_experts}",
            )
        self._group = group
        self._shares = {rank: held_experts(num_experts, rank, group.count) for rank in range(1, group.count)}
        self.share = ExpertShare(held_experts(num_experts, 0, group.count), self)
        self._meeting = FirstMeeting(group, device)
        self._lock = threading.Lock()  # guards all below
        self._link: Link | None = None
        self._open: _Exchange | None = None
        self._used_at = 0.0
        self._trouble, self._lost_at = self._missing(list(self._shares)), math.inf
        self._differs = self._was_formed = False
        self._changed = threading.Condition(self._lock)
        self._closing = threading.Event()
        self._identity = ""
        self._keeper = threading.Thread(target=self._keep, name="uniaudio-ranks", daemon=True)

    def form(self, identity: str, *, seconds: float) -> None:
        """Returns when all ranks are there with the model `identity`.

        Raises StartupError when they are not there in time, or one has another model.
        """
        self._identity = identity
        self._keeper.start()
        with self._changed:
            self._changed.wait_for(lambda: self._link is not None or self._differs, seconds)
            if self._link is None:
                trouble = self._trouble
                raise StartupError(
                    f"the ranks did not come together within {seconds:g} s: {trouble.message}",
                    reason=trouble.reason,
                    **trouble.metadata,
                )

    def check(self) -> None:
        """Returns while the group stands; else raises RankLostError."""
        with self._lock:
            self._require_link()

    def begin(self, layer: int, x: Tensor, ids: Tensor, results: Tensor) -> None:
        """See `OtherRanks`."""
        with self._lock:
            link = self._require_link()
            if self._open is not None:
                raise self._lose(LinkError(0, "gave a step up half-way"))
            exchange = _Exchange(results, time.monotonic() + self._group.timeout_seconds)
            try:
                self._ask(link, exchange, layer, x, ids)
            except LinkError as lost:
                raise self._lose(lost) from lost
            self._open = exchange

    def end(self) -> None:
        """See `OtherRanks`."""
        with self._lock:
            exchange, self._open = self._open, None
            link = self._require_link()
            assert exchange is not None
            try:
                for places, transfer in exchange.awaited:
                    exchange.results[places] = link.wait(transfer, exchange.ends_at - time.monotonic())
                for transfer in exchange.sent:
                    link.wait(transfer, exchange.ends_at - time.monotonic())
            except LinkError as lost:
                raise self._lose(lost) from lost
            self._used_at = time.monotonic()

    def close(self) -> None:
        """Leaves the group; the other ranks wait for the next rank 0."""
        self._closing.set()
        with self._lock:
            if self._link is not None:
                self._link.close()
                self._link = None

    def _ask(self, link: Link, exchange: _Exchange, layer: int, x: Tensor, ids: Tensor) -> None:
        header, message = wire.header(wire.Kind.EXPERTS, layer, len(x)), wire.pack_rows(x, ids)
        for rank, held in self._shares.items():
            places = places_of(held, ids)
            if not len(places):
                continue
            exchange.sent.append(link.send(header, rank, wire.Tag.HEADER))
            exchange.sent.append(link.send(message, rank, wire.Tag.ROWS))
            coming = exchange.results.new_empty(len(places), exchange.results.shape[1])
            exchange.awaited.append((places, link.receive(coming, rank, wire.Tag.RESULTS)))

    def _require_link(self) -> Link:
        if self._link is None:
            since = time.monotonic() - self._lost_at
            lost_for = {"lost_for_seconds": f"{since:.3f}"} if since >= 0 else {}
            raise RankLostError(self._trouble.message, **self._trouble.metadata, **lost_for)
        return self._link

    def _lose(self, lost: LinkError) -> RankLostError:
        """Drops the group because of a rank; what its questions fail with."""
        assert self._link is not None
        self._link.close()
        self._link = self._open = None
        self._trouble, self._lost_at = self._lost(lost.rank, lost.why), time.monotonic()
        logger.error("the group is lost: %s", self._trouble.message)
        self._changed.notify_all()
        return self._trouble

    def _missing(self, ranks: list[int]) -> RankLostError:
        more = f" (nor have ranks {', '.join(map(str, ranks[1:]))})" if ranks[1:] else ""
        return self._lost(ranks[0], f"has not come yet{more}")

    def _lost(self, rank: int, why: str) -> RankLostError:
        group = self._group
        return RankLostError(
            f"rank {rank} of {group.count} {why}; a rank has {group.timeout_seconds:g} s to answer. Requests that "
            "needed it have failed, and the ranks come together again: try again in some seconds",
            rank=rank,
            deadline_seconds=group.timeout_seconds,
            value=f"rank {rank} {why}",
            limit=f"an answer within {group.timeout_seconds:g} s",
            remedy="try again in some seconds",
        )

    # The keeper's thread, from here on.

    def _keep(self) -> None:
        while not self._closing.is_set():
            try:
                if self._link is None:
                    self._form()
                else:
                    self._closing.wait(self._group.timeout_seconds / _PULSES_PER_TIMEOUT)
                    self._pulse()
            except Exception:
                logger.exception("the group cannot be kept; trying again")
                self._closing.wait(self._group.timeout_seconds)

    def _form(self) -> None:
        self._meeting.call()
        while len(came := self._meeting.came()) < len(self._shares):
            if not self._was_formed:
                self._trouble = self._missing([rank for rank in self._shares if rank not in came])
            if self._closing.wait(_POLL_SECONDS):
                return
        others = [rank for rank, identity in came.items() if identity != self._identity]
        if others:
            self._refuse(others[0], came[others[0]])
            return
        try:
            link = self._meeting.go()
        except LinkError as lost:
            logger.warning("the group did not form, and is called again: %s", lost)
            return
        with self._changed:
            self._link, self._used_at, self._was_formed = link, time.monotonic(), True
            self._changed.notify_all()
        logger.info("the group of %d ranks is formed", self._group.count)

    def _refuse(self, rank: int, identity: str) -> None:
        """Says that a rank's model is another one, and waits a while for a better one."""
        with self._changed:
            self._differs = True
            self._trouble = self._lost(
                rank,
                f"has the model {identity!r}, rank 0 has {self._identity!r}: give all ranks the same "
                "UNIAUDIO_MODEL_DIR and UNIAUDIO_LLM_DTYPE, and a C++ compiler to all or none",
            )
            self._changed.notify_all()
        self._closing.wait(self._group.timeout_seconds)

    def _pulse(self) -> None:
        """Asks every rank for a sign of life, where nothing else was asked lately."""
        with self._lock:
            now = time.monotonic()
            link, exchange = self._link, self._open
            if link is None or now - self._used_at < self._group.timeout_seconds / _PULSES_PER_TIMEOUT:
                return
            if exchange is not None:
                if now > exchange.ends_at:  # whoever began it will not end it
                    self._lose(LinkError(0, "gave a step up half-way"))
                return
            try:
                self._exchange_pulses(link, now + self._group.timeout_seconds)
            except LinkError as lost:
                self._lose(lost)
            self._used_at = time.monotonic()

    def _exchange_pulses(self, link: Link, ends_at: float) -> None:
        sent = [link.send(wire.header(wire.Kind.PULSE), rank, wire.Tag.HEADER) for rank in self._shares]
        awaited = [link.receive(wire.header(wire.Kind.PULSE), rank, wire.Tag.HEADER) for rank in self._shares]
        for transfer in (*awaited, *sent):
            link.wait(transfer, ends_at - time.monotonic())
