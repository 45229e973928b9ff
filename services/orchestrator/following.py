"""Finds words in a recording by the model's own ear: it follows the recording and says where each letter is spoken."""

from __future__ import annotations

import asyncio
from contextlib import aclosing

from services.orchestrator.clients import Follow, Followed, LanguageModel, Tokenizer, stopped_early
from services.orchestrator.domain import Floats, Sampling
from services.orchestrator.recordings import in_thread
from services.orchestrator.stages import all_of, stage
from uniaudio.editing.following import FollowedText, by_frame, follow, is_followable

_LEAST_LIKELIHOOD = -1.0
"""Where text and sound agree it is above -0.4, where they do not below -1.1 (docs/adr/0007)."""
_MOST_CHARACTERS_A_FRAME = 0.6
"""Nobody speaks thirty letters a second; what the alignment takes of memory grows with them."""
_PASSES_AT_ONCE = 5
_DETERMINISTIC = Sampling(seed=0)

Place = tuple[int, int]
"""Samples of a waveform: from, to."""


class Follower:
    """Follows recordings, where the model can; a few passes at once, so that its queue stays open for others."""

    def __init__(self, tokenizer: Tokenizer, language_model: LanguageModel) -> None:
        self._tokenizer = tokenizer
        self._language_model = language_model
        self._places = asyncio.Semaphore(_PASSES_AT_ONCE)

    async def find(self, waveform: Floats, text: str, characters: tuple[int, int]) -> Place | None:
        """Where those characters of `text` are spoken in a waveform `(num_samples,)` that says it.

        None where the model names no letters, or does not hear the text in the waveform.
        """
        patch_frames = await self._patch_frames()
        if not patch_frames or not is_followable(text):
            return None
        with stage("follow"):
            latents = await self._tokenizer.encode(waveform)
            if len(latents) < 2 * patch_frames or len(text) > _MOST_CHARACTERS_A_FRAME * len(latents):
                return None
            # A row stands for a patch: from every frame on there is one for every frame.
            rows = await all_of(*(self._expected(latents[shift:], text) for shift in range(patch_frames)))
            followed = await in_thread(lambda _: follow(by_frame(rows, len(latents)), text))
        if followed.likelihood < _LEAST_LIKELIHOOD:
            return None
        start, end = (_sample(followed, index, len(waveform)) for index in characters)
        return start, end

    async def _patch_frames(self) -> int:
        """Frames of a patch of a model that names letters, else 0."""
        model = await self._language_model.model()
        return model.patch_frames if model.names_letters else 0

    async def _expected(self, latents: Floats, text: str) -> Floats:
        """What the model expects of each patch, `(num_patches, num_characters)`."""
        expected: Floats | None = None
        events = self._language_model.generate(Follow(text=text), latents, _DETERMINISTIC)
        async with self._places, aclosing(events):
            async for event in events:
                if isinstance(event, Followed):
                    expected = event.log_probabilities
        if expected is None:
            raise stopped_early()
        return expected


def _sample(followed: FollowedText, index: int, num_samples: int) -> int:
    """The sample where the character at `index` begins."""
    return min(num_samples, round(followed.cut(index) * num_samples / followed.num_frames))
