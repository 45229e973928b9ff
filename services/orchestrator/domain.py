"""What callers ask and what they get, in plain values: no protobuf type goes deeper than the servicer."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field, replace
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from services.orchestrator.load import Load
from uniaudio.audio.formats import AudioFormat
from uniaudio.editing.checks import Check
from uniaudio.editing.plan import EditEngine, Plan
from uniaudio.editing.splice import EditedRange

Floats = NDArray[np.float32]
MAX_TAKES = 16


@dataclass(frozen=True, kw_only=True)
class Model:
    """Which model answered; `trained` False means random weights, `notice` says so in words.

    `takes` is how often it should speak, at most, until it hears that it spoke right. With `names_letters` it
    can follow a recording, in patches of `patch_frames`. `readings` is how often it should read what must be right.
    Stretches longer than `window_seconds` it reads badly, unless that is 0. `alphabet` are the letters that a
    tokenizer tells in latents.
    """

    name: str = ""
    revision: str = ""
    trained: bool = True
    notice: str = ""
    takes: int = 1
    readings: int = 1
    window_seconds: float = 0.0
    names_letters: bool = False
    patch_frames: int = 0
    alphabet: str = ""


def about_weights(model: Model) -> tuple[str, ...]:
    """What a caller must know about the model that answered: nothing, or that its weights are random."""
    if model.trained:
        return (model.notice,) if model.notice else ()
    return (model.notice or "the model's weights are random: what it says means nothing",)


@dataclass(frozen=True, kw_only=True)
class Recording:
    """A recording as it was sent."""

    content: bytes
    format: AudioFormat = field(default_factory=AudioFormat)


@dataclass(frozen=True)
class PreparedVoice:
    """A voice to continue: latents `(num_frames, latent_dim)`, the words in them, whether it is a kept one."""

    latents: Floats
    text: str
    is_known: bool = False


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """How the flow head samples, and how often at most; None and 0 leave it to the model."""

    guidance_scale: float | None = None
    num_solver_steps: int = 0
    temperature: float | None = None
    seed: int | None = None
    takes: int = 0

    def with_seed(self) -> tuple[Sampling, int]:
        """The same with a seed, drawn at random where the caller set none; and that seed."""
        seed = secrets.randbits(64) if self.seed is None else self.seed
        return replace(self, seed=seed), seed


class FinishReason(Enum):
    """Why a generation ended well."""

    STOP = "stop"
    LENGTH = "length"


class Normalization(Enum):
    """How numbers, dates and the like are turned into words."""

    AUTO = "auto"
    NONE = "none"
    REFERENCE_CHINESE = "reference_chinese"


@dataclass(frozen=True, kw_only=True)
class Provenance:
    """How an answer's audio was made. `generated` are the seconds that the model made, `manifest` a signed JWS."""

    watermarked: bool = False
    watermark_key_id: str = ""
    generated: tuple[tuple[float, float], ...] = ()
    manifest: str = ""


@dataclass(frozen=True)
class AudioBytes:
    """The next piece of an answer's audio; `start_seconds` is 0 for file encodings."""

    format: AudioFormat
    content: bytes
    start_seconds: float


@dataclass(frozen=True, kw_only=True)
class TranscribeOrder:
    """A recording to transcribe."""

    audio: Recording
    context_phrases: tuple[str, ...] = ()
    language: str = ""


@dataclass(frozen=True)
class Segment:
    """The words of one stretch of a recording, in seconds from its start.

    `truncated` says that the model was still writing when it reached its limit of tokens.
    """

    start_seconds: float
    end_seconds: float
    text: str
    language: str
    truncated: bool = False


@dataclass(frozen=True, kw_only=True)
class Transcript:
    """The words of a recording."""

    text: str
    language: str
    segments: tuple[Segment, ...]
    audio_seconds: float
    model: Model


@dataclass(frozen=True)
class TextDelta:
    """The next characters of a transcript that is being written."""

    text: str


@dataclass(frozen=True, kw_only=True)
class LiveOrder:
    """How live audio is transcribed; `format` is raw PCM."""

    format: AudioFormat
    context_phrases: tuple[str, ...] = ()
    language: str = ""
    interim_results: bool = False


@dataclass(frozen=True)
class LiveText:
    """Text of the current utterance; `final` when it will not change any more.

    `model` is None while the model still writes.
    """

    segment: Segment
    final: bool
    model: Model | None


@dataclass(frozen=True, kw_only=True)
class SynthesizeOrder:
    """Text to speak."""

    text: str
    prompt_audio: Recording | None = None
    prompt_text: str = ""
    voice_id: str = ""
    normalization: Normalization = Normalization.AUTO
    sampling: Sampling = field(default_factory=Sampling)
    output: AudioFormat = field(default_factory=AudioFormat)
    text_in_manifest: bool = False


@dataclass(frozen=True, kw_only=True)
class SynthesizeReport:
    """How a synthesis went."""

    spoken_text: str
    audio_seconds: float
    first_audio_seconds: float
    finish_reason: FinishReason
    seed: int
    warnings: tuple[str, ...]
    model: Model
    provenance: Provenance = field(default_factory=Provenance)


@dataclass(frozen=True, kw_only=True)
class EditOrder:
    """A recording and what to do with it."""

    audio: Recording
    instruction: str
    engine: EditEngine = EditEngine.AUTO
    transcript: str = ""
    regenerate_untouched: bool = False
    validate_only: bool = False
    sampling: Sampling = field(default_factory=Sampling)
    output: AudioFormat = field(default_factory=AudioFormat)
    text_in_manifest: bool = False


@dataclass(frozen=True)
class Reasoning:
    """New characters of the model's reasoning text."""

    text: str


@dataclass(frozen=True)
class Progress:
    """How far an edit is: what is being done, and an estimate from 0 to 1."""

    stage: str
    fraction: float


@dataclass(frozen=True, kw_only=True)
class EditReport:
    """What was done. `transcript_source` is "caller", "model" or ""; `seed` is 0 where nothing was random."""

    plan: Plan
    ranges: tuple[EditedRange, ...]
    transcript_before: str = ""
    transcript_after: str = ""
    transcript_source: str = ""
    checks: tuple[Check, ...] = ()
    untouched_copied: bool = False
    source_seconds: float = 0.0
    result_seconds: float = 0.0
    warnings: tuple[str, ...] = ()
    model: Model | None = None
    seed: int = 0
    provenance: Provenance = field(default_factory=Provenance)


EditItem = Plan | Reasoning | Progress | AudioBytes | EditReport
"""Something that happened during an edit; the plan first, the report last."""


@dataclass(frozen=True, kw_only=True)
class Info:
    """What is loaded and what is allowed."""

    version: str
    model: Model
    tokenizer: Model
    sample_rate: int
    max_audio_seconds: float
    max_audio_bytes: int
    max_text_characters: int
    load: Load
