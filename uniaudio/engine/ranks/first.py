"""Rank 0's side of the ranks: asks the others for their experts, notices when one is lost, forms the group anew."""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass, field

import torch
from torch import Tensor

from uniaudio.engine.ranks import wire
from uniaudio.engine.ranks.link import Link, RankGroup, RankLostError, Transfer
from uniaudio.engine.ranks.meeting import FirstMeeting
from uniaudio.errors import StartupError, UnavailableError
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
    one is lost. Until then every question fails at once with the UnavailableError that names the lost rank.
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
        self._trouble = _missing(list(self._shares))
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
            self._changed.wait_for(lambda: self._link is not None or _is_final(self._trouble), seconds)
            if self._link is not None:
                return
            raise StartupError(
                f"the group of {self._group.count} ranks did not form within {seconds:g} s: "
                f"{self._trouble.message}",
                reason=self._trouble.reason,
                **self._trouble.metadata,
            )

    def check(self) -> None:
        """Returns while the group stands; else raises UnavailableError saying which rank is missing."""
        with self._lock:
            self._require_link()

    def begin(self, layer: int, x: Tensor, ids: Tensor, results: Tensor) -> None:
        """See `OtherRanks`."""
        with self._lock:
            link = self._require_link()
            if self._open is not None:
                raise self._lose(RankLostError(0, "gave a step up half-way"))
            exchange = _Exchange(results, time.monotonic() + self._group.timeout_seconds)
            try:
                self._ask(link, exchange, layer, x, ids)
            except RankLostError as lost:
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
            except RankLostError as lost:
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
            error = self._trouble
            raise UnavailableError(error.message, reason=error.reason, **error.metadata)
        return self._link

    def _lose(self, lost: RankLostError) -> UnavailableError:
        """Drops the group because of a rank; what its questions fail with."""
        assert self._link is not None
        self._link.close()
        self._link = self._open = None
        self._trouble = _lost(lost, self._group, self._meeting.generation)
        logger.error("the group is lost: %s", self._trouble.message)
        self._changed.notify_all()
        return self._trouble

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
            self._tell(_missing([rank for rank in self._shares if rank not in came]))
            if self._closing.wait(_POLL_SECONDS):
                return
        others = {rank: identity for rank, identity in came.items() if identity != self._identity}
        if others:
            self._tell(_differs(*next(iter(others.items())), self._identity), is_new=True)
            self._closing.wait(self._group.timeout_seconds)
            return
        try:
            link = self._meeting.go()
        except RankLostError as lost:
            logger.warning("the group did not form, and is called again: %s", lost)
            return
        with self._changed:
            self._link, self._used_at = link, time.monotonic()
            self._changed.notify_all()
        logger.info("the group of %d ranks is formed", self._group.count)

    def _tell(self, trouble: UnavailableError, *, is_new: bool = False) -> None:
        """Says why there is no group; that a rank was lost tells more than that it is missing."""
        with self._changed:
            if is_new or self._trouble.reason != _LOST:
                self._trouble = trouble
                self._changed.notify_all()

    def _pulse(self) -> None:
        """Asks every rank for a sign of life, where nothing else was asked lately."""
        with self._lock:
            now = time.monotonic()
            link, exchange = self._link, self._open
            if link is None or now - self._used_at < self._group.timeout_seconds / _PULSES_PER_TIMEOUT:
                return
            if exchange is not None:
                if now > exchange.ends_at:  # whoever began it will not end it
                    self._lose(RankLostError(0, "gave a step up half-way"))
                return
            try:
                self._exchange_pulses(link, now + self._group.timeout_seconds)
            except RankLostError as lost:
                self._lose(lost)
            self._used_at = time.monotonic()

    def _exchange_pulses(self, link: Link, ends_at: float) -> None:
        sent = [link.send(wire.header(wire.Kind.PULSE), rank, wire.Tag.HEADER) for rank in self._shares]
        awaited = [link.receive(wire.header(wire.Kind.PULSE), rank, wire.Tag.HEADER) for rank in self._shares]
        for transfer in (*awaited, *sent):
            link.wait(transfer, ends_at - time.monotonic())


_LOST, _MISSING, _DIFFERS = "RANK_LOST", "RANKS_MISSING", "RANK_DIFFERS"


def _is_final(trouble: UnavailableError) -> bool:
    """Whether waiting does not help."""
    return trouble.reason == _DIFFERS


def _lost(lost: RankLostError, group: RankGroup, generation: int) -> UnavailableError:
    return UnavailableError(
        f"rank {lost.rank} of {group.count} {lost.why}; a rank has {group.timeout_seconds:g} s to answer. "
        "Requests that needed it have failed, and the group is formed anew: try again in some seconds",
        reason=_LOST,
        rank=lost.rank,
        deadline_seconds=group.timeout_seconds,
        generation=generation,
        value=f"rank {lost.rank} {lost.why}",
        limit=f"an answer within {group.timeout_seconds:g} s",
        remedy="try again in some seconds",
    )


def _missing(ranks: list[int]) -> UnavailableError:
    names = ", ".join(map(str, ranks))
    return UnavailableError(
        f"rank {names} has not come yet; see that it runs, or try again in some seconds",
        reason=_MISSING,
        ranks=names,
        value=f"rank {names} missing",
        limit="all ranks",
        remedy="see that it runs, or try again in some seconds",
    )


def _differs(rank: int, identity: str, own: str) -> UnavailableError:
    return UnavailableError(
        f"rank {rank} has the model {identity!r}, rank 0 has {own!r}; give all ranks the same "
        "UNIAUDIO_MODEL_DIR and UNIAUDIO_LLM_DTYPE, and a C++ compiler to all or none",
        reason=_DIFFERS,
        rank=rank,
        value=identity,
        limit=own,
        remedy="give all ranks the same model and the same settings",
    )
