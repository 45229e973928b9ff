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


class RecordingMemory:
    """Recordings that were heard, up to a number of patches."""

    def __init__(self, pool: BlockPool | None, max_patches: int) -> None:
        self._pool = pool
        self._max_patches = max_patches
        self._num_patches = 0
        self._heard: OrderedDict[bytes, HeardRecording] = OrderedDict()

    def __len__(self) -> int:
        return len(self._heard)

    def find(self, content: bytes) -> HeardRecording | None:
        """What is known of a recording of this content."""
        heard = self._heard.get(content)
        if heard is not None:
            self._heard.move_to_end(content)
        return heard

    def keep(self, content: bytes, heard: HeardRecording) -> None:
        """Remembers a recording, unless it is longer than everything that may be kept."""
        if content in self._heard or len(heard.embeddings) > self._max_patches:
            return
        if self._pool is not None:
            self._pool.share(list(heard.blocks))
        self._heard[content] = heard
        self._num_patches += len(heard.embeddings)
        while self._num_patches > self._max_patches:
            self._forget_oldest()

    def forget_all(self) -> None:
        """Gives everything that is kept back."""
        while self._heard:
            self._forget_oldest()

    def _forget_oldest(self) -> None:
        _, oldest = self._heard.popitem(last=False)
        self._num_patches -= len(oldest.embeddings)
        if self._pool is not None:
            self._pool.release(list(oldest.blocks))
