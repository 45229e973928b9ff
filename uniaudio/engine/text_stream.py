"""Text from tokens, one by one: a character is told once all its bytes are there."""

from __future__ import annotations

from collections.abc import Callable, Sequence

_UNFINISHED = "\ufffd"
# A byte-level token never changes text further back than one character, at most four bytes.
_CONTEXT = 8


class TextStream:
    """Turns a growing list of token ids into new characters with a bounded amount of decoding."""

    def __init__(self, decode: Callable[[Sequence[int]], str]) -> None:
        self._decode = decode
        self._pending: list[int] = []
        self._told: list[int] = []

    def push(self, token_id: int) -> str:
        """The characters that this token completes, maybe none."""
        self._pending.append(token_id)
        return self._take(final=False)

    def flush(self) -> str:
        """What is left, broken characters included."""
        return self._take(final=True) if self._pending else ""

    def _take(self, *, final: bool) -> str:
        before = self._decode(self._told)
        after = self._decode(self._told + self._pending)
        if after.endswith(_UNFINISHED) and not final:
            return ""
        self._told = (self._told + self._pending)[-_CONTEXT:]
        self._pending = []
        return after[len(before) :]
