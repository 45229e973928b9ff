"""The two neighbours as the pipelines see them; their wire is in `uniaudio.runtime`."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable
from dataclasses import dataclass
from typing import Protocol

from services.orchestrator.domain import FinishReason, Floats, Model, Sampling
from uniaudio.editing.mark import EditMark
from uniaudio.errors import ModelOutputError


@dataclass(frozen=True, kw_only=True)
class Understand:
    """Recording to text."""

    context_phrases: tuple[str, ...] = ()
    language: str = ""
    max_tokens: int = 0


@dataclass(frozen=True, kw_only=True)
class Speak:
    """Text to speech, in the voice of the latents where there are some; a known one will be asked for again."""

    text: str
    prompt_text: str = ""
    known_voice: bool = False


@dataclass(frozen=True, kw_only=True)
class Edit:
    """Recording and command to text (when `reasoning` and there is no `mark` to speak by) and speech.

    The speech begins with `kept_frames` of the recording's latents.
    """

    instruction: str
    reasoning: bool = False
    mark: EditMark | None = None
    kept_frames: int = 0


@dataclass(frozen=True, kw_only=True)
class Follow:
    """Recording and its words to when each letter is spoken, by a model that names letters."""

    text: str


Task = Understand | Speak | Edit | Follow


@dataclass(frozen=True)
class TextMade:
    """New characters, special tokens included as the published model writes them."""

    text: str


@dataclass(frozen=True)
class PatchMade:
    """A patch of speech: latents `(patch_size, latent_dim)`."""

    latents: Floats


@dataclass(frozen=True)
class Followed:
    """How likely each patch of a recording speaks each character: `(num_patches, num_characters)`, logarithms."""

    log_probabilities: Floats


@dataclass(frozen=True)
class Finished:
    """The generation ended well; `text` is all text as made."""

    reason: FinishReason
    text: str
    num_patches: int
    model: Model


Generated = TextMade | PatchMade | Followed | Finished


class Tokenizer(Protocol):
    """Waveforms to latents and back. Raises errors of our tree."""

    async def model(self) -> Model:
        """Which model is served; raises UnavailableError when none can answer now."""
        ...

    async def check_ready(self) -> None:
        """Returns when a recording could be encoded and decoded now; raises UnavailableError otherwise."""
        ...

    async def encode(self, waveform: Floats) -> Floats:
        """Latents `(num_frames, latent_dim)` of a 16 kHz waveform `(num_samples,)`."""
        ...

    async def spell(self, latents: Floats) -> Floats:
        """How likely latents speak each letter of the model's alphabet: logarithms, a column each."""
        ...

    def stream_decode(self, latents: AsyncIterable[Floats]) -> AsyncGenerator[Floats, None]:
        """Pieces of the waveform as they become known; an error of `latents` is raised here."""
        ...


class LanguageModel(Protocol):
    """The LLM with its flow head. Raises errors of our tree."""

    async def model(self) -> Model:
        """Which model is served; raises UnavailableError when it cannot answer now."""
        ...

    def generate(
        self, task: Task, latents: Floats | None, sampling: Sampling, *, made: Floats | None = None
    ) -> AsyncGenerator[Generated, None]:
        """What is made, as it is made, Finished last; closing the generator cancels it.

        `made` `(num_patches, patch_size, latent_dim)` are the patches of an interrupted run of the same
        generation: they are sent again and not computed again, and the rest follows as it would have.
        """
        ...


def stopped_early() -> ModelOutputError:
    """For a generation whose events end without Finished."""
    return ModelOutputError(
        "the model's answer stopped before it was over; try again",
        value="no end of the answer",
        limit="an answer with its end",
        remedy="try again",
    )
