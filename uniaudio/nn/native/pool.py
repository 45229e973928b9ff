"""Blocks of sixteen positions that keys and values live in, lent to sequences and taken back."""

from __future__ import annotations

import ctypes
import mmap
import threading
from collections.abc import Callable

from uniaudio.errors import UnavailableError

BLOCK_SIZE = 16
_SLAB_BLOCKS = 64


class BlockPool:
    """Lends blocks by address. Memory is taken in slabs as it is first needed, up to a limit.

    Blocks are counted: `share` makes another holder, and the last `release` makes a block free.
    Any thread may call. `reclaim`, where set, is asked to release that many blocks before a loan is refused.
    """

    def __init__(self, block_bytes: int, max_blocks: int | None = None) -> None:
        self._block_bytes = block_bytes
        self._max_blocks = max_blocks
        self._slabs: list[mmap.mmap] = []
        self._free: list[int] = []
        self._holders: dict[int, int] = {}
        self._num_blocks = 0
        self._num_releases = 0
        self._lock = threading.RLock()  # `reclaim` releases blocks while they are being lent
        self.reclaim: Callable[[int], None] | None = None

    @property
    def num_used(self) -> int:
        """Blocks that somebody holds."""
        return len(self._holders)

    @property
    def num_available(self) -> int | None:
        """Blocks that could still be lent; None knows no limit."""
        return None if self._max_blocks is None else self._max_blocks - len(self._holders)

    def lend(self, count: int) -> list[int]:
        """Addresses of `count` blocks; UnavailableError, and nothing lent, when the pool is exhausted."""
        with self._lock:
            if self.reclaim is not None:
                self._make_room(count)
            if self._max_blocks is not None and len(self._holders) + count > self._max_blocks:
                raise UnavailableError(
                    f"{len(self._holders)} of {self._max_blocks} blocks are held, {count} more are needed; "
                    "try again when requests have ended",
                    value=f"{len(self._holders)} + {count} blocks",
                    limit=f"{self._max_blocks} blocks",
                    remedy="try again when requests have ended",
                )
            while len(self._free) < count:
                self._add_slab()
            lent = [self._free.pop() for _ in range(count)]
            for address in lent:
                self._holders[address] = 1
            return lent

    def _make_room(self, count: int) -> None:
        """Asks for blocks until `count` are free, or nothing more comes of it."""
        assert self.reclaim is not None
        while self.num_available is not None and self.num_available < count:
            before = self._num_releases
            self.reclaim(count - self.num_available)
            if self._num_releases == before:
                return

    def share(self, addresses: list[int]) -> None:
        """Counts one more holder of each block."""
        with self._lock:
            for address in addresses:
                self._holders[address] += 1

    def release(self, addresses: list[int]) -> None:
        """Counts one holder less of each block."""
        with self._lock:
            self._num_releases += len(addresses)
            for address in reversed(addresses):
                self._holders[address] -= 1
                if not self._holders[address]:
                    del self._holders[address]
                    self._free.append(address)

    def _add_slab(self) -> None:
        count = _SLAB_BLOCKS
        if self._max_blocks is not None:
            count = min(count, self._max_blocks - self._num_blocks)
        # The system gives the memory, zeroed, when it is first written.
        slab = mmap.mmap(-1, -(-count * self._block_bytes // mmap.PAGESIZE) * mmap.PAGESIZE)
        slab.madvise(mmap.MADV_HUGEPAGE)
        first = ctypes.addressof(ctypes.c_char.from_buffer(slab))
        self._slabs.append(slab)
        self._num_blocks += count
        self._free += [first + index * self._block_bytes for index in reversed(range(count))]
