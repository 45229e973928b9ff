"""A stream of very many messages with next to nothing in them ends early; an ordinary one never."""

from __future__ import annotations

import pytest

from uniaudio.errors import LimitExceededError
from uniaudio.runtime.pace import StreamPace


def test_messages_without_audio_are_bounded() -> None:
    pace = StreamPace()
    for _ in range(1000):
        pace.take(0.0)
    with pytest.raises(LimitExceededError, match="put more into each"):
        pace.take(0.0)


@pytest.mark.parametrize("seconds", [0.005, 0.02, 0.1])
def test_an_hour_in_small_messages_is_fine(seconds: float) -> None:
    pace = StreamPace()
    for _ in range(int(3600 / seconds)):
        pace.take(seconds)
