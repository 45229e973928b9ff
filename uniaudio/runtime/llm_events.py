"""What a generation tells on its way, as the LLM's answers carry it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from uniaudio.errors import UnavailableError, UniaudioError
from uniaudio.v1 import audio_pb2, llm_pb2

Latents = NDArray[np.float32]


@dataclass(frozen=True)
class TextEvent:
    """New characters, and the number of tokens made so far."""

    text: str
    num_tokens: int


@dataclass(frozen=True)
class PatchEvent:
    """A patch of speech: `latents` `(patch_size, latent_dim)`, float32."""

    index: int
    latents: Latents
    stop_probability: float
    last: bool


@dataclass(frozen=True)
class LettersEvent:
    """How likely each patch of a recording speaks each character: `(num_patches, num_characters)`, logarithms."""

    log_probabilities: Latents


@dataclass(frozen=True)
class HeartbeatEvent:
    """Nothing new; `num_ahead` is the place in the queue, 0 when running."""

    num_ahead: int


@dataclass(frozen=True)
class FinishEvent:
    """The generation ended well; `reason` is "stop" or "length" (the cap was reached)."""

    reason: str
    text: str
    num_patches: int
    queue_seconds: float
    total_seconds: float
    model: audio_pb2.ModelInfo


Event = TextEvent | PatchEvent | LettersEvent | HeartbeatEvent | FinishEvent


def as_array(content: bytes, shape: tuple[int, ...]) -> Latents:
    """A tensor from the wire; UnavailableError where its bytes are not those of its shape."""
    if len(content) != 4 * int(np.prod(shape)):
        raise UnavailableError(
            f"a tensor of shape {shape} came with {len(content)} bytes; the LLM's environment needs numpy 1.26",
            value=f"{len(content)} bytes",
            limit=f"{4 * int(np.prod(shape))} bytes",
            remedy="the LLM's environment needs numpy 1.26",
        )
    return np.frombuffer(content, dtype="<f4").reshape(shape).astype(np.float32)


def _required(tensor: Latents | None, what: str) -> Latents:
    if tensor is None:
        raise UniaudioError(
            f"the LLM sent {what} without its tensor; its log has the cause",
            value="no tensor",
            limit=f"the tensor of {what}",
            remedy="its log has the cause",
        )
    return tensor


def typed(message: llm_pb2.GenerateEvent, latents: Latents | None) -> Event | None:
    """What a message tells; None for what only a newer server tells."""
    match message.WhichOneof("event"):
        case "text":
            return TextEvent(message.text.text, message.text.num_tokens)
        case "patch":
            patch = message.patch
            return PatchEvent(patch.index, _required(latents, "a patch"), patch.stop_probability, patch.last)
        case "letters":
            return LettersEvent(_required(latents, "how likely letters are"))
        case "heartbeat":
            return HeartbeatEvent(message.heartbeat.num_ahead)
        case "finish":
            finish = message.finish
            is_length = finish.reason == llm_pb2.FINISH_REASON_LENGTH
            return FinishEvent(
                reason="length" if is_length else "stop",
                text=finish.text,
                num_patches=finish.num_patches,
                queue_seconds=finish.queue_seconds,
                total_seconds=finish.total_seconds,
                model=finish.model,
            )
        case _:
            return None  # a newer server's event: this client has no use for it
