"""The engine's state for one request, and the rules by which a generation goes on or ends."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence as SequenceOf
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

import torch
from torch import Tensor

from uniaudio.engine.budget import Budget
from uniaudio.engine.events import Event, FinishReason, LettersEvent, PatchEvent, TextEvent
from uniaudio.engine.noise import NoiseSource
from uniaudio.engine.request import Edit, Follow, GenerationRequest, Priority, Speak, Understand
from uniaudio.engine.text_stream import TextStream
from uniaudio.errors import CancelledByCallerError, DeadlineError, ModelOutputError, UniaudioError


class Phase(Enum):
    """What the next step makes."""

    TEXT = "text"
    AUDIO = "audio"


@dataclass(frozen=True)
class Vocabulary:
    """The two tokens that steer a generation, and how ids become text."""

    end_id: int
    gen_audio_id: int
    decode: Callable[[SequenceOf[int], bool], str]  # ids, whether special tokens are left out


@dataclass(frozen=True)
class TokenMade:
    """A step's result: one text token."""

    token_id: int


@dataclass(frozen=True)
class PatchMade:
    """A step's result: a patch `(P, C)` and the stop head's opinion after it."""

    latents: Tensor
    stop_probability: float


@dataclass(frozen=True)
class PatchFollowed:
    """A step's result: the recording's next patch `(P, C)`, and how likely it speaks each character `(n,)`."""

    latents: Tensor
    log_probabilities: Tensor


@dataclass(frozen=True)
class SpeechEnded:
    """A step's result: the stop head fired before another patch was sampled."""

    stop_probability: float


@dataclass(frozen=True)
class PromptRead:
    """A step's result: the sequence has read so many positions, and more are to come."""

    num_positions: int


StepResult = TokenMade | PatchMade | PatchFollowed | SpeechEnded | PromptRead


@dataclass(eq=False)
class Sequence:
    """One request that is queued or running; only the stepping thread changes it.

    `model_state` belongs to the runner (caches, pending inputs); dropping it frees what it holds, and
    what was made is enough to build it again. `share` is how many positions the next step may read.
    """

    request: GenerationRequest
    prompt: Any
    num_prompt_positions: int
    budget: Budget
    vocabulary: Vocabulary
    noise: NoiseSource
    drop_surplus_patch: bool
    force_audio: bool
    on_event: Callable[[Event], None]
    arrived_at: float
    deadline_at: float
    audio_seconds: float = 0.0  # what its recording has, or its speech likely will
    priority: Priority = Priority.LIVE
    number: int = 0  # of submission, which tells apart those of one moment
    started_at: float | None = None
    first_patch_at: float | None = None
    share: int = 1
    num_read: int = 0
    num_underruns: int = 0
    made_tokens: list[int] = field(default_factory=list)
    made_patches: list[Tensor] = field(default_factory=list)
    phase: Phase = Phase.TEXT
    finish_reason: FinishReason | None = None
    text: str = ""
    num_tokens: int = 0
    num_patches: int = 0
    model_state: Any = None
    is_cancelled: bool = False  # set by any thread, read by the stepping one
    _held: PatchEvent | None = None
    _followed: list[Tensor] = field(default_factory=list)
    _stream: TextStream = field(init=False)

    def __post_init__(self) -> None:
        skip_special = isinstance(self.request.task, Understand)
        self._stream = TextStream(lambda ids: self.vocabulary.decode(ids, skip_special))
        task = self.request.task
        if isinstance(task, (Speak, Follow)) or (isinstance(task, Edit) and task.mark is not None):
            self.phase = Phase.AUDIO

    @property
    def num_reserved_positions(self) -> int:
        """LLM positions that this sequence may come to hold."""
        return self.num_prompt_positions + self.budget.max_tokens + self.budget.max_patches + 1

    @property
    def num_positions(self) -> int:
        """LLM positions that there are to read by now."""
        return self.num_prompt_positions + self.num_tokens + self.num_patches

    @property
    def is_reading(self) -> bool:
        """Whether the next step reads more than the one position that was made last."""
        return self.num_positions - self.num_read > 1

    def lose_state(self) -> None:
        """Gives up what the model holds; the sequence will read everything again."""
        self.model_state = None
        self.num_read = 0

    def lead_seconds(self, now: float, seconds_per_patch: float) -> float:
        """How far ahead of its listener the speech is; before the first patch, as if that had been due."""
        if self.first_patch_at is None:
            return self.arrived_at - now
        return self.num_patches * seconds_per_patch - (now - self.first_patch_at)

    def ended_by(self, now: float) -> UniaudioError | None:
        """Why this sequence must not go on, or None."""
        if self.is_cancelled:
            return CancelledByCallerError("the caller cancelled the request")
        if now >= self.deadline_at:
            allowed = self.deadline_at - self.arrived_at
            return DeadlineError(
                f"the request did not end within its {allowed:.1f} s ({self._progress()}); "
                "allow more time or ask for less",
                value=f"{self._progress()}",
                limit=f"{allowed:.1f} s",
                remedy="allow more time or ask for less",
                deadline_seconds=f"{allowed:.3f}",
            )
        return None

    def stops_before_patch(self, stop_probability: float) -> bool:
        """Whether speech ends here rather than with one more, surplus patch."""
        return (
            self.drop_surplus_patch
            and stop_probability > 0.5
            and self.num_patches >= max(self.budget.min_patches, 1)
        )

    def next_made_patch(self) -> Tensor | None:
        """The next patch `(P, C)`, where an interrupted run of the same request had made it."""
        made = self.request.made_patches
        return None if made is None or self.num_patches >= len(made) else made[self.num_patches]

    def choose_token(self, token_id: int) -> int:
        """The token to take where the model's own choice is `token_id`.

        Without reasoning the only right text of an edit is the token that opens the speech, so it
        is forced when the model would end instead or has used its text budget up.
        """
        task = self.request.task
        if not self.force_audio or not isinstance(task, Edit) or task.reasoning:
            return token_id
        is_over = token_id == self.vocabulary.end_id or self.num_tokens + 1 >= self.budget.max_tokens
        return self.vocabulary.gen_audio_id if is_over else token_id

    def advance(self, result: StepResult) -> list[Event]:
        """Takes one step's result in; sets `finish_reason` when the generation is over."""
        match result:
            case PromptRead(num_positions):
                self.num_read = num_positions
                return []
            case TokenMade(token_id):
                self.num_read = self.num_positions
                self.made_tokens.append(token_id)
                return self._take_token(token_id)
            case PatchMade(latents, stop_probability):
                self.num_read = self.num_positions
                self.made_patches.append(latents)
                return self._take_patch(latents, stop_probability)
            case PatchFollowed(latents, log_probabilities):
                self.num_read = self.num_positions
                self.made_patches.append(latents)
                return self._take_followed(log_probabilities)
            case SpeechEnded(stop_probability):
                self.finish_reason = FinishReason.STOP
                return self._release_held(last=True)

    def _take_token(self, token_id: int) -> list[Event]:
        self.num_tokens += 1
        is_edit = isinstance(self.request.task, Edit)
        if not is_edit and token_id == self.vocabulary.end_id:
            self.finish_reason = FinishReason.STOP
            return self._text_event(self._stream.flush())
        new_text = self._stream.push(token_id)
        if is_edit and token_id == self.vocabulary.gen_audio_id:
            self.phase = Phase.AUDIO
            return self._text_event(new_text)
        ended = token_id == self.vocabulary.end_id
        if ended or self.num_tokens >= self.budget.max_tokens:
            new_text += self._stream.flush()
            if is_edit:
                self.text += new_text
                raise self._no_audio_error()
            self.finish_reason = FinishReason.LENGTH
        return self._text_event(new_text)

    def _take_patch(self, latents: Tensor, stop_probability: float) -> list[Event]:
        index = self.num_patches
        self.num_patches += 1
        stopped = (
            not self.drop_surplus_patch
            and stop_probability > 0.5
            and self.num_patches >= self.budget.min_patches
        )
        capped = self.num_patches >= self.budget.max_patches
        events = self._release_held(last=False)
        self._held = PatchEvent(index, latents, stop_probability, last=False)
        if stopped or capped:
            self.finish_reason = FinishReason.STOP if stopped else FinishReason.LENGTH
            return events + self._release_held(last=True)
        # Only where the stop head may make this patch the last one must it wait for the next step.
        if not self.drop_surplus_patch or self.num_patches < self.budget.min_patches:
            events += self._release_held(last=False)
        return events

    def _take_followed(self, log_probabilities: Tensor) -> list[Event]:
        self.num_patches += 1
        self._followed.append(log_probabilities)
        if self.num_patches < self.budget.max_patches:
            return []
        self.finish_reason = FinishReason.STOP
        return [LettersEvent(torch.stack(self._followed))]

    def _release_held(self, *, last: bool) -> list[Event]:
        held, self._held = self._held, None
        if held is None:
            return []
        return [PatchEvent(held.index, held.latents, held.stop_probability, last)]

    def _text_event(self, new_text: str) -> list[Event]:
        self.text += new_text
        return [TextEvent(new_text, self.num_tokens)] if new_text else []

    def _no_audio_error(self) -> ModelOutputError:
        return ModelOutputError(
            f"the model wrote {self.num_tokens} tokens without starting to speak; allow more tokens "
            "(max_tokens), rephrase the instruction, or use exact editing where the edit has it",
            reason="NO_AUDIO",
            value=f"{self.num_tokens} tokens without speech",
            limit=f"{self.budget.max_tokens} tokens",
            remedy="allow more tokens, rephrase the instruction, or use exact editing where the edit has it",
            num_tokens=self.num_tokens,
            text=self.text[:200],
        )

    def _progress(self) -> str:
        if self.started_at is None:
            return "still queued"
        return f"{self.num_tokens} tokens and {self.num_patches} patches made"
