"""Between the contract's messages and the engine's own types."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from uniaudio.editing.mark import EditMark
from uniaudio.engine.events import Event, FinishEvent, FinishReason, LettersEvent, PatchEvent, TextEvent
from uniaudio.engine.request import (
    Edit,
    Follow,
    GenerationRequest,
    Priority,
    SamplingOptions,
    Speak,
    Task,
    Understand,
)
from uniaudio.errors import InvalidInputError
from uniaudio.v1 import audio_pb2, llm_pb2

_REASONS = {
    FinishReason.STOP: llm_pb2.FINISH_REASON_STOP,
    FinishReason.LENGTH: llm_pb2.FINISH_REASON_LENGTH,
}
_PRIORITIES = {
    llm_pb2.PRIORITY_UNSPECIFIED: Priority.LIVE,
    llm_pb2.PRIORITY_LIVE: Priority.LIVE,
    llm_pb2.PRIORITY_BATCH: Priority.BATCH,
}


def request_from_options(
    request_id: str,
    options: llm_pb2.GenerateOptions,
    latents: Tensor | None,
    *,
    latent_dim: int,
    preferred: SamplingOptions,
) -> GenerationRequest:
    """The engine's request; fields left at 0 take the engine's defaults, sampling what is `preferred`."""
    if options.deadline_milliseconds < 0:
        raise InvalidInputError(
            f"deadline_milliseconds is {options.deadline_milliseconds}; it must be 0 or above",
            field="deadline_milliseconds",
            value=options.deadline_milliseconds,
            limit="0 or above",
            remedy="send 0 for the engine's own limit",
        )
    return GenerationRequest(
        request_id=request_id,
        task=_task(options),
        latents=latents,
        sampling=_sampling(options.sampling, preferred),
        deadline_seconds=options.deadline_milliseconds / 1000 or None,
        made_patches=_made_patches(options.made, latent_dim) if options.HasField("made") else None,
        priority=_priority(options.priority),
    )


def to_wire_event(event: Event, info: audio_pb2.ModelInfo) -> llm_pb2.GenerateEvent:
    """The contract's event; a tensor (`tensor_of`) travels beside it."""
    match event:
        case TextEvent():
            text = llm_pb2.TextEvent(text=event.text, num_tokens=event.num_tokens)
            return llm_pb2.GenerateEvent(text=text)
        case PatchEvent():
            patch = llm_pb2.PatchEvent(
                index=event.index, stop_probability=event.stop_probability, last=event.last
            )
            return llm_pb2.GenerateEvent(patch=patch)
        case LettersEvent():
            letters = llm_pb2.LettersEvent(num_patches=len(event.log_probabilities))
            return llm_pb2.GenerateEvent(letters=letters)
        case FinishEvent():
            finish = llm_pb2.FinishEvent(
                reason=_REASONS[event.reason],
                text=event.text,
                num_patches=event.num_patches,
                queue_seconds=event.queue_seconds,
                total_seconds=event.total_seconds,
                model=info,
            )
            return llm_pb2.GenerateEvent(finish=finish)
        case _:
            raise TypeError(f"{type(event).__name__} does not travel")


def tensor_of(event: Event) -> Tensor | None:
    """What travels beside an event: a patch's latents, or how likely letters are."""
    match event:
        case PatchEvent():
            return event.latents
        case LettersEvent():
            return event.log_probabilities
        case _:
            return None


def _priority(value: llm_pb2.Priority) -> Priority:
    if value not in _PRIORITIES:
        raise InvalidInputError(
            f"priority {value} is not known; send one of {', '.join(llm_pb2.Priority.keys())}",
            field="priority",
            value=value,
            limit=", ".join(llm_pb2.Priority.keys()),
            remedy="send one of them",
        )
    return _PRIORITIES[value]


def _task(options: llm_pb2.GenerateOptions) -> Task:
    match options.WhichOneof("task"):
        case "understand":
            understand = options.understand
            return Understand(
                context_phrases=tuple(understand.context_phrases),
                language=understand.language,
                max_tokens=understand.max_tokens or None,
            )
        case "speak":
            speak = options.speak
            return Speak(
                text=speak.text,
                prompt_text=speak.prompt_text,
                min_patches=speak.min_patches or None,
                max_patches=speak.max_patches or None,
                known_voice=speak.known_voice,
            )
        case "edit":
            edit = options.edit
            return Edit(
                instruction=edit.instruction,
                reasoning=edit.reasoning,
                mark=_mark(edit.mark) if edit.HasField("mark") else None,
                kept_frames=edit.kept_frames,
                min_patches=edit.min_patches or None,
                max_patches=edit.max_patches or None,
                max_tokens=edit.max_tokens or None,
            )
        case "follow":
            return Follow(text=options.follow.text)
        case _:
            raise InvalidInputError(
                "the options name no task; set understand, speak, edit or follow",
                field="task",
                value="no task",
                limit="understand, speak, edit or follow",
                remedy="set one of them",
            )


def _mark(mark: llm_pb2.EditMark) -> EditMark:
    return EditMark(before=mark.before, after=mark.after, adds_speech=mark.adds_speech)


def _made_patches(made: llm_pb2.MadePatches, latent_dim: int) -> Tensor | None:
    """`(n, P, C)`, or None where nothing had been made."""
    if not made.num_patches and not made.latents:
        return None
    frame_bytes = 4 * latent_dim * made.num_patches
    if made.num_patches < 1 or not made.latents or len(made.latents) % frame_bytes:
        raise InvalidInputError(
            f"made.latents has {len(made.latents)} bytes for {made.num_patches} patches of frames of "
            f"{4 * latent_dim} bytes; send whole patches",
            field="made",
            value=f"{len(made.latents)} bytes for {made.num_patches} patches",
            limit=f"a multiple of {frame_bytes} bytes",
            remedy="send whole patches",
        )
    latents = torch.frombuffer(bytearray(made.latents), dtype=torch.float32)
    return latents.reshape(made.num_patches, -1, latent_dim)


def _sampling(options: llm_pb2.SamplingOptions, preferred: SamplingOptions) -> SamplingOptions:
    if options.takes > 1:
        raise InvalidInputError(
            f"sampling.takes is {options.takes}; the LLM speaks once, SpeechService listens and asks again",
            field="sampling.takes",
            value=options.takes,
            limit="0 or 1",
            remedy="leave it out, or ask SpeechService",
        )
    return replace(
        preferred,
        guidance_scale=(
            options.guidance_scale if options.HasField("guidance_scale") else preferred.guidance_scale
        ),
        num_solver_steps=options.num_solver_steps or preferred.num_solver_steps,
        temperature=options.temperature if options.HasField("temperature") else preferred.temperature,
        seed=options.seed,
    )
