"""An edit that is interrupted anywhere and gone on with has the very bytes of one that was not; real models, small."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncGenerator, AsyncIterable, Iterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from services.orchestrator.clients import Edit, Finished, Generated, PatchMade, Task, TextMade, Understand
from services.orchestrator.domain import (
    AudioBytes,
    EditOrder,
    FinishReason,
    Floats,
    Model,
    Recording,
    Sampling,
)
from services.orchestrator.edit import Editor
from services.orchestrator.jobs import generations
from services.orchestrator.jobs.generations import KeepingModel, KeepingTokenizer
from services.orchestrator.transcribe import Transcriber
from tests.fakes_speech import FakeTools, tone
from uniaudio.audio.encode import encode_audio
from uniaudio.audio.formats import AudioEncoding, AudioFormat
from uniaudio.checkpoint import Checkpoint
from uniaudio.engine import events as engine_events
from uniaudio.engine import request as engine_request
from uniaudio.engine.engine import Engine
from uniaudio.engine.speech_model import SpeechModel
from uniaudio.runtime.folder_store import FolderStore
from uniaudio.tokenizer import AudioTokenizer

NAMED = Model(name="small", revision="1")
SPOKEN = encode_audio(tone(1.5), AudioFormat(encoding=AudioEncoding.WAV))
ORDER = EditOrder(
    audio=Recording(content=SPOKEN),
    instruction="make it sound sad",
    sampling=Sampling(seed=11, num_solver_steps=2),
)


class EngineModel:
    """The engine in this process as the pipelines see it. Counts the patches that it sampled."""

    def __init__(self, engine: Engine[Any]) -> None:
        self._engine = engine
        self._numbers = itertools.count()
        self.num_sampled = 0

    async def model(self) -> Model:
        return NAMED

    async def generate(
        self, task: Task, latents: Floats | None, sampling: Sampling, *, made: Floats | None = None
    ) -> AsyncGenerator[Generated, None]:
        name = f"r{next(self._numbers)}"
        loop, queue = asyncio.get_running_loop(), asyncio.Queue[Any]()
        request = engine_request.GenerationRequest(
            request_id=name,
            task=_engine_task(task),
            latents=None if latents is None else torch.from_numpy(latents.copy()),
            sampling=engine_request.SamplingOptions(
                seed=sampling.seed or 0, num_solver_steps=sampling.num_solver_steps or 2
            ),
            made_patches=None if made is None else torch.from_numpy(made),
        )
        self.num_sampled -= 0 if made is None else len(made)
        self._engine.submit(request, lambda event: loop.call_soon_threadsafe(queue.put_nowait, event))
        try:
            while True:
                match await queue.get():
                    case engine_events.TextEvent() as text:
                        yield TextMade(text.text)
                    case engine_events.PatchEvent() as patch:
                        self.num_sampled += 1
                        yield PatchMade(patch.latents.numpy())
                    case engine_events.FinishEvent() as finish:
                        yield Finished(
                            FinishReason(finish.reason.value), finish.text, finish.num_patches, NAMED
                        )
                        return
                    case engine_events.FailureEvent() as failure:
                        raise failure.error
        finally:
            self._engine.cancel(name)


def _engine_task(task: Task) -> engine_request.Task:
    match task:
        case Understand():
            return engine_request.Understand(max_tokens=8)
        case Edit():
            return engine_request.Edit(
                instruction=task.instruction, reasoning=task.reasoning, min_patches=12, max_patches=16
            )
        case _:
            raise TypeError(task)


class LocalTokenizer:
    """The tokenizer in this process, one stream at a time."""

    def __init__(self, tokenizer: AudioTokenizer) -> None:
        self._tokenizer = tokenizer

    async def encode(self, waveform: Floats) -> Floats:
        with torch.no_grad():
            latents: Floats = self._tokenizer.encode(torch.from_numpy(waveform.copy())[None]).mean[0].numpy()
        return latents

    async def model(self) -> Model:
        return Model()

    async def spell(self, latents: Floats) -> Floats:
        raise NotImplementedError("there is no ear here")

    async def stream_decode(self, latents: AsyncIterable[Floats]) -> AsyncGenerator[Floats, None]:
        state = self._tokenizer.new_decoder_state()
        async for piece in latents:
            yield self._decode(torch.from_numpy(piece.copy()), state, last=False)
        yield self._decode(torch.zeros(0, self._tokenizer.latent_dim), state, last=True)

    @torch.no_grad()
    def _decode(self, latents: torch.Tensor, state: Any, *, last: bool) -> Floats:
        (waveform,) = self._tokenizer.decode_stream([latents], [state], [last])
        decoded: Floats = waveform.numpy()
        return decoded


@pytest.fixture(scope="module")
def parts(random_checkpoint: Path) -> Iterator[tuple[EngineModel, LocalTokenizer]]:
    checkpoint = Checkpoint(random_checkpoint)
    engine = Engine(SpeechModel.from_checkpoint(checkpoint), engine_request.EngineConfig(reproducible=True))
    yield EngineModel(engine), LocalTokenizer(AudioTokenizer.from_checkpoint(checkpoint))
    engine.close()


async def edited(model: Any, tokenizer: Any, stop_after: int = 10_000) -> bytes:
    """The audio of the edit, or what there was of it when its process ended after so many pieces."""
    editor = Editor(tokenizer, model, Transcriber(tokenizer, model), FakeTools())
    content, num_pieces = b"", 0
    async with aclosing(editor.edit(ORDER)) as items:
        async for item in items:
            if isinstance(item, AudioBytes):
                content += item.content
                num_pieces += 1
                if num_pieces == stop_after:
                    break
    return content


async def test_whenever_an_edit_is_interrupted_it_ends_with_the_same_bytes(
    parts: tuple[EngineModel, LocalTokenizer], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(generations, "_PATCHES_OF_A_PIECE", 2)
    model, tokenizer = parts
    whole = await edited(model, tokenizer)
    assert np.abs(np.frombuffer(whole, "<i2")).max() > 0
    num_whole, model.num_sampled = model.num_sampled, 0
    saved = 0
    for stop_after in (1, 2, 5, 9):
        store = FolderStore(tmp_path / str(stop_after))

        def kept(store: FolderStore = store) -> tuple[KeepingModel, KeepingTokenizer]:
            return KeepingModel(model, store, "g"), KeepingTokenizer(tokenizer, store, "l")

        await edited(*kept(), stop_after)
        model.num_sampled = 0
        assert await edited(*kept()) == whole
        saved += num_whole - model.num_sampled
        model.num_sampled = 0
        assert await edited(*kept()) == whole
        assert model.num_sampled == 0
    assert saved > 0
