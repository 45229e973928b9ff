"""How many messages a stream may be cut into: each costs work however little it carries."""

from __future__ import annotations

from uniaudio.errors import LimitExceededError

_FIRST_MESSAGES = 1000


class StreamPace:
    """Counts the messages of one stream against the audio that they brought.

    A thousand are free, so that any stream may begin as it likes; then `per_second` for each second of audio.
    """

    def __init__(self, *, per_second: float = 200.0) -> None:
        self._per_second = per_second
        self._num_messages = 0
        self._seconds = 0.0

    def take(self, seconds: float) -> None:
        """Counts a message with so much audio. Raises LimitExceededError for far too many."""
        self._num_messages += 1
        self._seconds += seconds
        allowed = _FIRST_MESSAGES + self._per_second * self._seconds
        if self._num_messages > allowed:
            raise LimitExceededError(
                f"{self._num_messages} messages brought {self._seconds:.2f} s of audio, allowed are "
                f"{self._per_second:g} a second; put more into each",
                reason="TOO_MANY_MESSAGES",
                value=f"{self._num_messages} messages for {self._seconds:.2f} s",
                limit=f"{self._per_second:g} messages a second of audio",
                remedy="put more audio into each message",
            )
