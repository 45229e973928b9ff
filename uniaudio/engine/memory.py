"""What sequences leave behind for later ones: the blocks of equal prompts, and recordings once heard.

Both are found by content, so no caller has to name anything: the same system prompt, the same voice.
What is kept counts as one more holder of its blocks, and is forgotten in the order of its last use.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from uniaudio.llm.prompt import Prompt
from uniaudio.nn.native.pool import BLOCK_SIZE, BlockPool


def content_of(latents: Tensor) -> bytes:
    """A digest of a recording's latents `(num_frames, C)`."""
    numbers = latents.detach().float().cpu().contiguous().numpy()
    return hashlib.blake2b(numbers.tobytes(), digest_size=16).digest()


def block_keys(prompt: Prompt, recording: bytes) -> list[bytes]:
    """A key for every whole block of a prompt: of its content and of all content before it."""
    audio: dict[int, int] = {}
    for span in prompt.audio_spans:
        audio |= {span.start + index: index for index in range(span.num_patches)}
    keys, key = [], b"router" if prompt.audio_router else b""
    for start in range(0, len(prompt) - BLOCK_SIZE + 1, BLOCK_SIZE):
        digest = hashlib.blake2b(key, digest_size=16)
        for position in range(start, start + BLOCK_SIZE):
            digest.update(prompt.token_ids[position].to_bytes(4, "little"))
            if position in audio:
                digest.update(recording + audio[position].to_bytes(4, "little"))
        key = digest.digest()
        keys.append(key)
    return keys


class PrefixMemory:
    """Blocks of prompts that were read, up to a number of them."""

    def __init__(self, pool: BlockPool, max_blocks: int) -> None:
        self._pool = pool
        self._max_blocks = max_blocks
        self._blocks: OrderedDict[bytes, int] = OrderedDict()

    def __len__(self) -> int:
        return len(self._blocks)

    def find(self, keys: Sequence[bytes]) -> list[int]:
        """The blocks of the longest known beginning of a prompt."""
        found = []
        for key in keys:
            block = self._blocks.get(key)
            if block is None:
                break
            self._blocks.move_to_end(key)
            found.append(block)
        return found

    def keep(self, keys: Sequence[bytes], blocks: Sequence[int]) -> None:
        """Remembers a prompt's blocks that are not known yet."""
        # The last first: a beginning without what follows it is of use, the reverse is not.
        for key, block in reversed(list(zip(keys, blocks, strict=True))):
            if key not in self._blocks:
                self._pool.share([block])
                self._blocks[key] = block
            self._blocks.move_to_end(key)
        self.forget(len(self._blocks) - self._max_blocks)

    def forget(self, count: int) -> None:
        """Forgets the `count` blocks whose last use is longest ago; a free pool gets those back."""
        for _ in range(min(count, len(self._blocks))):
            _, block = self._blocks.popitem(last=False)
            self._pool.release([block])


@dataclass(frozen=True)
class HeardRecording:
    """A recording's embeddings `(n, H)` and the semantic module's whole blocks of it."""

    embeddings: Tensor
    blocks: tuple[int, ...]

    @property
    def num_patches(self) -> int:
        """How long it is."""
        return len(self.embeddings)


class RecordingMemory:
    """Recordings that were heard, up to a number of patches.

    Known voices, which will be asked for again, fill up to half of it, and go after all that was heard once.
    """

    def __init__(self, pool: BlockPool | None, max_patches: int) -> None:
        self._pool = pool
        self._max_patches = max_patches
        # Each in the order of last use.
        self._once: OrderedDict[bytes, HeardRecording] = OrderedDict()
        self._voices: OrderedDict[bytes, HeardRecording] = OrderedDict()

    def __len__(self) -> int:
        return len(self._once) + len(self._voices)

    def find(self, content: bytes, *, is_known_voice: bool = False) -> HeardRecording | None:
        """What is known of a recording of this content, which may turn out to be a known voice."""
        heard = self._voices.get(content)
        if heard is not None:
            self._voices.move_to_end(content)
            return heard
        heard = self._once.get(content)
        if heard is not None and is_known_voice:
            del self._once[content]
            self._add(content, heard, is_known_voice=True)
        elif heard is not None:
            self._once.move_to_end(content)
        return heard

    def keep(self, content: bytes, heard: HeardRecording, *, is_known_voice: bool = False) -> None:
        """Remembers a recording, unless it is longer than everything that may be kept."""
        if content in self._voices or content in self._once or heard.num_patches > self._max_patches:
            return
        if self._pool is not None:
            self._pool.share(list(heard.blocks))
        self._add(content, heard, is_known_voice=is_known_voice)

    def forget_all(self) -> None:
        """Gives everything that is kept back."""
        while len(self):
            self._forget_oldest()

    def _add(self, content: bytes, heard: HeardRecording, *, is_known_voice: bool) -> None:
        (self._voices if is_known_voice else self._once)[content] = heard
        while _num_patches(self._voices) > self._max_patches // 2:
            oldest, voice = self._voices.popitem(last=False)
            self._once[oldest] = voice
        while _num_patches(self._voices) + _num_patches(self._once) > self._max_patches:
            self._forget_oldest()

    def _forget_oldest(self) -> None:
        _, oldest = (self._once or self._voices).popitem(last=False)
        if self._pool is not None:
            self._pool.release(list(oldest.blocks))


def _num_patches(recordings: OrderedDict[bytes, HeardRecording]) -> int:
    return sum(heard.num_patches for heard in recordings.values())
