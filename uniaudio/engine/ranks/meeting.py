"""How ranks find each other: rank 0 keeps a store at MASTER_ADDR:MASTER_PORT and calls the others to it.

Whenever a group is lost, rank 0 calls a new generation. Every other rank, the survivor that still holds its
experts as well as the one that was started again, says there that it has come; when all have, rank 0 says go.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from datetime import timedelta

import torch
import torch.distributed as dist
from torch.distributed import PrefixStore, Store, TCPStore  # type: ignore[attr-defined]  # documented, not re-exported

from uniaudio.engine.ranks.link import Link, LinkError, RankGroup
from uniaudio.errors import StartupError, UnavailableError

_GENERATION = "generation"
_POLL_SECONDS = 0.1
_BACKLOG = 128


class FirstMeeting:
    """Rank 0's store; listens on the group's own address alone."""

    def __init__(self, group: RankGroup, device: torch.device) -> None:
        self._group, self._device = group, device
        self._address = _own_address(group)
        self._store = _open_store(group)
        self._generation = 0

    def call(self) -> None:
        """Asks all ranks to come again."""
        self._generation += 1
        self._store.set(_GENERATION, str(self._generation))

    def came(self) -> dict[int, str]:
        """What every rank that has come says of its model."""
        others = range(1, self._group.count)
        here = [rank for rank in others if self._store.check([_presence(self._generation, rank)])]
        return {rank: self._store.get(_presence(self._generation, rank)).decode() for rank in here}

    def go(self) -> Link:
        """Connects with all ranks; LinkError where one that had come is gone again."""
        self._store.set(_go(self._generation), "1")
        return _connect(self._store, self._generation, self._group, self._address, self._device)


def join(
    group: RankGroup,
    identity: str,
    device: torch.device,
    *,
    seconds: float,
    live: Callable[[], None] = lambda: None,
) -> Link:
    """Another rank's way into the next group that forms; calls `live` while it waits.

    Raises UnavailableError where rank 0 cannot be found within `seconds`.
    """
    until = time.monotonic() + seconds
    while True:
        try:
            live()
            return _join(_find_store(group), group, identity, device, live)
        except (dist.DistError, LinkError, OSError) as error:  # OSError: its name is not known yet
            if time.monotonic() >= until:
                raise UnavailableError(
                    f"rank {group.rank} found no rank 0 at {group.host}:{group.port} within {seconds:g} s: "
                    f"{error}; see that it runs and that MASTER_ADDR and MASTER_PORT are its",
                    rank=group.rank,
                    value=f"{group.host}:{group.port}",
                    limit=f"{seconds:g} s",
                    remedy="see that rank 0 runs and that MASTER_ADDR and MASTER_PORT are its",
                ) from error
            time.sleep(_POLL_SECONDS)


def _join(
    store: Store, group: RankGroup, identity: str, device: torch.device, live: Callable[[], None]
) -> Link:
    """Waits for a generation that has not begun, and for its beginning. Ends with rank 0's store at the latest."""
    came_to = 0
    while True:
        live()
        if not store.check([_GENERATION]):  # rank 0 is still loading
            time.sleep(_POLL_SECONDS)
            continue
        generation = int(store.get(_GENERATION))
        has_begun = store.check([_go(generation)])
        if has_begun and came_to == generation:
            return _connect(store, generation, group, _own_address(group), device)
        if not has_begun and came_to != generation:
            store.set(_presence(generation, group.rank), identity)
            came_to = generation
        time.sleep(_POLL_SECONDS)


def _connect(store: Store, generation: int, group: RankGroup, address: str, device: torch.device) -> Link:
    try:
        return Link(PrefixStore(f"group-{generation}", store), group, address, device)
    except RuntimeError as error:
        raise LinkError(0, f"formed no group: {str(error)[:200]}") from error


def _open_store(group: RankGroup) -> TCPStore:
    # Left to itself, the store listens on every network.
    try:
        family = socket.getaddrinfo(group.host, group.port, type=socket.SOCK_STREAM)[0][0]
        listener = socket.create_server((group.host, group.port), family=family, backlog=_BACKLOG)
    except OSError as error:
        raise StartupError(
            f"rank 0 cannot listen on {group.host}:{group.port}: {error}; MASTER_ADDR must be an address of its "
            "machine, and MASTER_PORT free",
            reason="BUSY_PORT",
            value=f"{group.host}:{group.port}",
        ) from error
    return TCPStore(
        group.host,
        group.port,
        is_master=True,
        wait_for_workers=False,
        timeout=timedelta(seconds=group.timeout_seconds),
        master_listen_fd=listener.detach(),
    )


def _find_store(group: RankGroup) -> TCPStore:
    return TCPStore(
        group.host,
        group.port,
        is_master=False,
        wait_for_workers=False,
        timeout=timedelta(seconds=group.timeout_seconds),
    )


def _own_address(group: RankGroup) -> str:
    """This machine's address on the way to rank 0; nothing is sent."""
    info = socket.getaddrinfo(group.host, group.port, type=socket.SOCK_DGRAM)[0]
    with socket.socket(info[0], socket.SOCK_DGRAM) as probe:
        probe.connect(info[4])
        address: str = probe.getsockname()[0]
        return address


def _presence(generation: int, rank: int) -> str:
    return f"{generation}/came/{rank}"


def _go(generation: int) -> str:
    return f"{generation}/go"
