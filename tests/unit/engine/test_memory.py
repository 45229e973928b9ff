"""What is remembered of recordings: the latest, and known voices before what was heard once."""

from __future__ import annotations

import torch

from uniaudio.engine.memory import HeardRecording, RecordingMemory


class CountingPool:
    """How many hold each block."""

    def __init__(self) -> None:
        self.holders: dict[int, int] = {}

    def share(self, blocks: list[int]) -> None:
        for block in blocks:
            self.holders[block] = self.holders.get(block, 0) + 1

    def release(self, blocks: list[int]) -> None:
        for block in blocks:
            self.holders[block] -= 1


def heard(num_patches: int, *blocks: int) -> HeardRecording:
    return HeardRecording(torch.zeros(num_patches, 2), blocks)


def known(memory: RecordingMemory, names: str) -> str:
    """Those of the names that are remembered; asking makes none of them a voice."""
    return "".join(name for name in names if memory.find(name.encode()) is not None)


def test_the_oldest_use_is_forgotten_first() -> None:
    memory = RecordingMemory(None, 10)
    for name in "abc":
        memory.keep(name.encode(), heard(4))
    assert known(memory, "cb") == "cb"
    memory.keep(b"d", heard(4))
    assert known(memory, "abcd") == "bd"  # c was used before b


def test_a_known_voice_outlives_recordings_that_were_heard_once() -> None:
    memory = RecordingMemory(None, 10)
    memory.keep(b"v", heard(3), is_known_voice=True)
    for name in "abcdef":
        memory.keep(name.encode(), heard(7))
    assert known(memory, "vabcdef") == "vf"


def test_a_recording_that_turns_out_to_be_a_known_voice_is_kept_as_one() -> None:
    memory = RecordingMemory(None, 10)
    memory.keep(b"v", heard(3))
    assert memory.find(b"v", is_known_voice=True) is not None
    for name in "abc":
        memory.keep(name.encode(), heard(7))
    assert known(memory, "vabc") == "vc"


def test_known_voices_take_no_more_than_half() -> None:
    memory = RecordingMemory(None, 12)
    for name in "uvw":
        memory.keep(name.encode(), heard(3), is_known_voice=True)
    memory.keep(b"a", heard(5))  # u is the oldest voice, and gave its right up to w
    assert known(memory, "uvwa") == "vwa"


def test_what_is_longer_than_everything_is_not_kept() -> None:
    memory = RecordingMemory(None, 10)
    memory.keep(b"a", heard(11), is_known_voice=True)
    memory.keep(b"b", heard(8), is_known_voice=True)  # more than a voice may take: kept as heard once
    memory.keep(b"c", heard(4))
    assert known(memory, "abc") == "c"


def test_blocks_come_back() -> None:
    pool = CountingPool()
    memory = RecordingMemory(pool, 10)  # type: ignore[arg-type]
    memory.keep(b"v", heard(3, 1, 2), is_known_voice=True)
    memory.keep(b"v", heard(3, 1, 2))
    memory.keep(b"a", heard(7, 3))
    assert pool.holders == {1: 1, 2: 1, 3: 1}
    memory.keep(b"b", heard(7, 4))
    assert pool.holders == {1: 1, 2: 1, 3: 0, 4: 1}
    memory.forget_all()
    assert len(memory) == 0
    assert set(pool.holders.values()) == {0}
