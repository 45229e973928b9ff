"""What the engine tells about a request, in order: Start, then Text, Patch or Letters, then Finish or Failure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from torch import Tensor

from uniaudio.errors import UniaudioError


class FinishReason(Enum):
    """Why a generation ended well."""

    STOP = "stop"  # the model ended it: end token or stop head
    LENGTH = "length"  # the cap on tokens or patches was reached


@dataclass(frozen=True)
class StartEvent:
    """The request left the queue; `queue_seconds` it waited, `num_positions` its prompt is long."""

    queue_seconds: float
    num_positions: int


@dataclass(frozen=True)
class TextEvent:
    """New characters, special tokens included where the published model keeps them."""

    text: str
    num_tokens: int


@dataclass(frozen=True)
class PatchEvent:
    """One patch of speech: `latents` `(patch_size, latent_dim)`, float32 in host memory."""

    index: int
    latents: Tensor
    stop_probability: float
    last: bool


@dataclass(frozen=True)
class LettersEvent:
    """Where a followed recording speaks its words: log-probabilities `(num_patches, num_characters)`, float32.

    Row j is what the model expected of patch j before it heard that; column i is the text's character i.
    """

    log_probabilities: Tensor


@dataclass(frozen=True)
class FinishEvent:
    """The generation ended well; `text` is all text as made."""

    reason: FinishReason
    text: str
    num_tokens: int
    num_patches: int
    queue_seconds: float
    total_seconds: float


@dataclass(frozen=True)
class FailureEvent:
    """The generation ended badly: refused late, cancelled, out of time, or broken."""

    error: UniaudioError


Event = StartEvent | TextEvent | PatchEvent | LettersEvent | FinishEvent | FailureEvent
