"""The side of a rank that holds experts for rank 0: answers its questions, and remembers nothing of them."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from uniaudio.engine.ranks import wire
from uniaudio.engine.ranks.link import Link, LinkError, RankGroup
from uniaudio.engine.ranks.meeting import join

logger = logging.getLogger(__name__)

# Rank 0 gives a sign of life several times in its own deadline; a rank that hears nothing so long looks for it.
_SILENT_DEADLINES = 3
# As many positions as a step may ever be set to have; checked before room is made for them.
_MOST_ROWS = 1_000_000


@dataclass(frozen=True)
class RankExperts:
    """Experts of every layer, as a rank holds them.

    `results(layer, x, ids)` gives the outputs `(M, dim)` of the assignments whose expert is held, in their
    order, for rows `x` `(N, dim)` of `rows_dtype` on `device` and `ids` `(N, k)`, int32.
    """

    results: Callable[[int, Tensor, Tensor], Tensor]
    dim: int
    top_k: int
    rows_dtype: torch.dtype
    device: torch.device


def serve_experts(
    group: RankGroup,
    identity: str,
    experts: RankExperts,
    *,
    join_seconds: float,
    live: Callable[[], None] = lambda: None,
) -> None:
    """Serves one group after the other; never returns. Calls `live` all the while.

    Raises UnavailableError where rank 0 cannot be found within `join_seconds`.
    """
    while True:
        link = join(group, identity, experts.device, seconds=join_seconds, live=live)
        logger.info("rank %d of %d is in the group", group.rank, group.count)
        try:
            while True:
                live()
                _answer(link, group, experts)
        except LinkError as lost:
            logger.warning("the group is lost: %s", lost)
        finally:
            link.close()


def _answer(link: Link, group: RankGroup, experts: RankExperts) -> None:
    """Waits for rank 0's next question and answers it."""
    timeout = group.timeout_seconds
    coming = link.receive(wire.header(wire.Kind.PULSE), 0, wire.Tag.HEADER)
    question = link.wait(coming, _SILENT_DEADLINES * timeout)
    kind, layer, num_rows = question.tolist()
    if kind == wire.Kind.PULSE:
        link.wait(link.send(question, 0, wire.Tag.HEADER), timeout)
        return
    if not 0 < num_rows <= _MOST_ROWS:
        raise LinkError(0, f"asks for {num_rows} rows at once, at most {_MOST_ROWS} are possible")
    size = wire.num_bytes(num_rows, experts.top_k, experts.dim, experts.rows_dtype)
    message = torch.empty(size, dtype=torch.uint8, device=experts.device)
    link.wait(link.receive(message, 0, wire.Tag.ROWS), timeout)
    x, ids = wire.unpack_rows(message, experts.top_k, experts.dim, experts.rows_dtype)
    results = experts.results(layer, x, ids).contiguous()
    link.wait(link.send(results, 0, wire.Tag.RESULTS), timeout)
