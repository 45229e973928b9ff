"""The neighbours over gRPC: thin adapters from the typed clients to what the pipelines ask for."""

from __future__ import annotations

import itertools
from collections.abc import AsyncGenerator, AsyncIterable
from contextlib import aclosing
from typing import Any

from services.orchestrator.clients import (
    Edit,
    Finished,
    Follow,
    Followed,
    Generated,
    PatchMade,
    Speak,
    Task,
    TextMade,
    Understand,
)
from services.orchestrator.domain import MAX_TAKES, FinishReason, Floats, Model, Sampling
from services.orchestrator.readings import MAX_READINGS
from uniaudio.runtime.calls import current_request_id, remaining_seconds
from uniaudio.runtime.llm_client import LlmClient
from uniaudio.runtime.llm_events import FinishEvent, LettersEvent, PatchEvent, TextEvent
from uniaudio.runtime.tokenizer_client import TokenizerClient
from uniaudio.v1 import audio_pb2, llm_pb2

_generations = itertools.count()
_PROBE_SECONDS = 4.0


class WireTokenizer:
    """The tokenizer service."""

    def __init__(self, client: TokenizerClient) -> None:
        self._client = client

    async def model(self) -> Model:
        info = await self._client.get_tokenizer(timeout_seconds=_PROBE_SECONDS)
        return Model(
            name=info.model_name,
            revision=info.model_revision,
            trained=info.model_trained,
            notice=info.model_notice,
            alphabet=info.alphabet,
        )

    async def check_ready(self) -> None:
        await self._client.check_ready(timeout_seconds=_PROBE_SECONDS)

    async def encode(self, waveform: Floats) -> Floats:
        return await self._client.encode(waveform)

    async def spell(self, latents: Floats) -> Floats:
        return await self._client.spell(latents)

    def stream_decode(self, latents: AsyncIterable[Floats]) -> AsyncGenerator[Floats, None]:
        return self._client.stream_decode(latents)


class WireLanguageModel:
    """The LLM inside Triton; `is_batch` generations give way to those that somebody listens to."""

    def __init__(self, client: LlmClient, *, max_generation_seconds: float, is_batch: bool = False) -> None:
        self._client = client
        self._priority = llm_pb2.PRIORITY_BATCH if is_batch else llm_pb2.PRIORITY_LIVE
        self._max_generation_seconds = max_generation_seconds

    async def model(self) -> Model:
        return _model(await self._client.info(timeout=_PROBE_SECONDS))

    async def generate(
        self, task: Task, latents: Floats | None, sampling: Sampling, *, made: Floats | None = None
    ) -> AsyncGenerator[Generated, None]:
        timeout = remaining_seconds(self._max_generation_seconds)
        options = _options(task, sampling, made, self._priority)
        events: Any = self._client.generate(options, latents, timeout=timeout)
        async with aclosing(events):
            async for event in events:
                match event:
                    case TextEvent():
                        yield TextMade(event.text)
                    case PatchEvent():
                        yield PatchMade(event.latents)
                    case LettersEvent():
                        yield Followed(event.log_probabilities)
                    case FinishEvent():
                        reason = FinishReason(event.reason)
                        yield Finished(reason, event.text, event.num_patches, _model(event.model))


def _model(message: audio_pb2.ModelInfo) -> Model:
    return Model(
        name=message.name,
        revision=message.revision,
        trained=message.trained,
        notice=message.notice,
        takes=min(max(1, message.takes), MAX_TAKES),
        readings=min(max(1, message.readings), MAX_READINGS),
        window_seconds=message.window_seconds,
        names_letters=message.names_letters,
        patch_frames=message.patch_frames,
    )


def _options(
    task: Task, sampling: Sampling, made: Floats | None, priority: llm_pb2.Priority
) -> llm_pb2.GenerateOptions:
    # One request may run several generations at once, and the engine wants an id for each.
    options = llm_pb2.GenerateOptions(
        request_id=f"{current_request_id() or 'internal'}/{next(_generations)}",
        sampling=llm_pb2.SamplingOptions(
            guidance_scale=sampling.guidance_scale,
            num_solver_steps=sampling.num_solver_steps,
            temperature=sampling.temperature,
            seed=sampling.seed,
        ),
        priority=priority,
    )
    if made is not None:
        options.made.num_patches = len(made)
        options.made.latents = made.astype("<f4").tobytes()
    match task:
        case Understand():
            options.understand.context_phrases.extend(task.context_phrases)
            options.understand.language = task.language
            options.understand.max_tokens = task.max_tokens
        case Speak():
            options.speak.text = task.text
            options.speak.prompt_text = task.prompt_text
            options.speak.known_voice = task.known_voice
        case Follow():
            options.follow.text = task.text
        case Edit():
            options.edit.instruction = task.instruction
            options.edit.reasoning = task.reasoning
            options.edit.kept_frames = task.kept_frames
            if task.mark is not None:
                options.edit.mark.before = task.mark.before
                options.edit.mark.after = task.mark.after
                options.edit.mark.adds_speech = task.mark.adds_speech
    return options
