"""Tasks become the messages of the contract, events become plain values, and each generation has an id of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import numpy as np
import pytest

from services.orchestrator.clients import (
    Edit,
    Finished,
    Follow,
    Followed,
    PatchMade,
    Speak,
    Task,
    TextMade,
    Understand,
)
from services.orchestrator.domain import FinishReason, Model, Sampling
from services.orchestrator.wire_clients import WireLanguageModel, WireTokenizer
from tests.fakes_speech import Floats
from uniaudio.editing.mark import EditMark
from uniaudio.runtime.calls import adopt_request_id
from uniaudio.runtime.llm_events import FinishEvent, LettersEvent, PatchEvent, TextEvent
from uniaudio.runtime.tokenizer_client import TokenizerInfo
from uniaudio.v1 import audio_pb2, llm_pb2

INFO = audio_pb2.ModelInfo(name="m", revision="r", trained=False, notice="n")


class FakeLlmClient:
    """Keeps what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[llm_pb2.GenerateOptions, Floats | None, float]] = []
        self.was_closed = False

    async def info(self, *, timeout: float) -> audio_pb2.ModelInfo:
        return INFO

    async def generate(
        self, options: llm_pb2.GenerateOptions, latents: Floats | None, *, timeout: float
    ) -> AsyncIterator[Any]:
        self.asked.append((options, latents, timeout))
        try:
            yield TextEvent("a", 1)
            if options.WhichOneof("task") == "follow":
                yield LettersEvent(np.zeros((3, 2), np.float32))
            else:
                yield PatchEvent(0, np.ones((5, 4), np.float32), 0.9, True)
            yield FinishEvent("length", "a", 1, 0.0, 0.1, INFO)
        finally:
            self.was_closed = True


async def ask(task: Task, sampling: Sampling | None = None) -> tuple[llm_pb2.GenerateOptions, list]:
    client = FakeLlmClient()
    model = WireLanguageModel(client, max_generation_seconds=30)  # type: ignore[arg-type]
    events = [event async for event in model.generate(task, None, sampling or Sampling(seed=5))]
    ((options, _, timeout),) = client.asked
    assert timeout == 30
    assert client.was_closed
    return options, events


async def test_events_become_plain_values() -> None:
    _, (text, patch, finished) = await ask(Speak(text="hi"))
    assert text == TextMade("a")
    assert isinstance(patch, PatchMade)
    assert finished == Finished(
        FinishReason.LENGTH, "a", 1, Model(name="m", revision="r", trained=False, notice="n")
    )


async def test_a_followed_recording_has_no_patches_of_its_own() -> None:
    options, (_, followed, _) = await ask(Follow(text="hi"))
    assert options.follow == llm_pb2.FollowTask(text="hi")
    assert isinstance(followed, Followed)
    assert followed.log_probabilities.shape == (3, 2)


async def test_tasks_become_messages() -> None:
    options, _ = await ask(Understand(context_phrases=("a", "b"), language="Chinese"))
    assert options.understand == llm_pb2.UnderstandTask(context_phrases=["a", "b"], language="Chinese")
    options, _ = await ask(Speak(text="hi", prompt_text="voice"))
    assert options.speak == llm_pb2.SpeakTask(text="hi", prompt_text="voice")
    options, _ = await ask(Speak(text="hi", prompt_text="voice", known_voice=True))
    assert options.speak.known_voice
    options, _ = await ask(Edit(instruction="denoise the audio", reasoning=True))
    assert options.edit == llm_pb2.EditTask(instruction="denoise the audio", reasoning=True)
    mark = EditMark(before="the ", after=" dog", adds_speech=False)
    options, _ = await ask(Edit(instruction="delete 'old'", reasoning=True, mark=mark, kept_frames=7))
    assert options.edit.mark == llm_pb2.EditMark(before="the ", after=" dog")
    assert options.edit.kept_frames == 7


async def test_unset_sampling_stays_unset() -> None:
    options, _ = await ask(Speak(text="hi"))
    assert not options.sampling.HasField("guidance_scale")
    assert not options.sampling.HasField("temperature")
    assert options.sampling.seed == 5
    wishes = Sampling(guidance_scale=1.0, num_solver_steps=4, temperature=0.0, seed=2**64 - 1)
    options, _ = await ask(Speak(text="hi"), wishes)
    assert options.sampling == llm_pb2.SamplingOptions(
        guidance_scale=1.0, num_solver_steps=4, temperature=0.0, seed=2**64 - 1
    )


async def test_generations_of_one_request_have_ids_of_their_own() -> None:
    adopt_request_id("mine")
    first, _ = await ask(Speak(text="hi"))
    second, _ = await ask(Speak(text="hi"))
    assert first.request_id.startswith("mine/")
    assert first.request_id != second.request_id


async def test_leaving_early_closes_the_client_s_stream() -> None:
    client = FakeLlmClient()
    model = WireLanguageModel(client, max_generation_seconds=30)  # type: ignore[arg-type]
    events = model.generate(Speak(text="hi"), None, Sampling(seed=0))
    await anext(events)
    await events.aclose()
    assert client.was_closed


async def test_both_models_are_told() -> None:
    class FakeTokenizerClient:
        async def get_tokenizer(self, *, timeout_seconds: float) -> TokenizerInfo:
            return TokenizerInfo(
                sample_rate=16_000, hop_length=320, latent_dim=4, alphabet=" a", model_name="t", model_revision="r",
                model_trained=True, model_notice="",
            )  # fmt: skip

    tokenizer = WireTokenizer(FakeTokenizerClient())  # type: ignore[arg-type]
    assert await tokenizer.model() == Model(name="t", revision="r", trained=True, notice="", alphabet=" a")
    client = WireLanguageModel(FakeLlmClient(), max_generation_seconds=30)  # type: ignore[arg-type]
    served = await client.model()
    assert not served.trained
    assert served.takes == 1


async def test_patches_made_before_travel_as_they_were() -> None:
    made = np.random.default_rng(0).standard_normal((3, 5, 4), np.float32)
    client = FakeLlmClient()
    model = WireLanguageModel(client, max_generation_seconds=30)  # type: ignore[arg-type]
    async for _ in model.generate(Speak(text="hi"), None, Sampling(seed=5), made=made):
        pass
    ((options, _, _),) = client.asked
    assert options.made.num_patches == 3
    assert np.array_equal(np.frombuffer(options.made.latents, "<f4").reshape(3, 5, 4), made)


@pytest.mark.parametrize(
    ("is_batch", "priority"), [(False, llm_pb2.PRIORITY_LIVE), (True, llm_pb2.PRIORITY_BATCH)]
)
async def test_what_nobody_waits_for_says_so(is_batch: bool, priority: int) -> None:
    client = FakeLlmClient()
    model = WireLanguageModel(client, max_generation_seconds=30, is_batch=is_batch)  # type: ignore[arg-type]
    async for _ in model.generate(Speak(text="hi"), None, Sampling(seed=5)):
        pass
    assert client.asked[0][0].priority == priority
