"""Several encoded corpora as one, in their order."""

from __future__ import annotations

import bisect
from collections.abc import Sequence
from itertools import accumulate

from training.data.latent_folder import StoredPosterior
from training.data.latents import LatentCorpus
from training.data.utterance import Span
from uniaudio.errors import InvalidInputError


class JoinedLatents:
    """A `LatentCorpus` of the utterances of all `parts`, which one tokenizer has encoded."""

    def __init__(self, parts: Sequence[LatentCorpus]) -> None:
        dims = {part.latent_dim for part in parts}
        if len(dims) != 1:
            raise InvalidInputError(
                f"the corpora have latents of {sorted(dims)} channels; encode all with one tokenizer"
            )
        self.latent_dim = dims.pop()
        self._parts = tuple(parts)
        self._ends = list(accumulate(map(len, parts)))

    def __len__(self) -> int:
        return self._ends[-1]

    def num_frames(self, index: int) -> int:
        """Frames of a recording."""
        part, place = self._find(index)
        return part.num_frames(place)

    def text(self, index: int) -> str:
        """What is said."""
        part, place = self._find(index)
        return part.text(place)

    def voice(self, index: int) -> str:
        """Who says it."""
        part, place = self._find(index)
        return part.voice(place)

    def language(self, index: int) -> str:
        """The language's name in English."""
        part, place = self._find(index)
        return part.language(place)

    def words(self, index: int) -> tuple[Span, ...]:
        """Times of the words, in samples."""
        part, place = self._find(index)
        return part.words(place)

    def posterior(self, index: int, num_frames: int | None = None) -> StoredPosterior:
        """The recording's frames, or the first ones."""
        part, place = self._find(index)
        return part.posterior(place, num_frames)

    def _find(self, index: int) -> tuple[LatentCorpus, int]:
        number = bisect.bisect_right(self._ends, index)
        return self._parts[number], index - (self._ends[number - 1] if number else 0)
