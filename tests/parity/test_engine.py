"""The engine makes what the plain procedure makes: alone, together, and whatever else runs."""

from __future__ import annotations

import queue
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
import torch
from torch import Tensor

from uniaudio.checkpoint import Checkpoint
from uniaudio.editing.mark import EditMark
from uniaudio.engine import procedure
from uniaudio.engine.budget import budget_of
from uniaudio.engine.engine import Engine
from uniaudio.engine.events import Event, FailureEvent, FinishEvent, PatchEvent, TextEvent
from uniaudio.engine.noise import RecordedNoise, SeededNoise
from uniaudio.engine.request import (
    Edit,
    EngineConfig,
    Follow,
    GenerationRequest,
    SamplingOptions,
    Speak,
    Understand,
)
from uniaudio.engine.speech_model import SpeechModel
from uniaudio.errors import InvalidInputError, ModelOutputError, UniaudioError
from uniaudio.llm.prompt import edit_prompt, speak_prompt, understanding_prompt

# Batched and single products round differently, and each patch feeds the next.
TOLERANCE = 5e-4


@pytest.fixture(scope="module")
def model(random_checkpoint: Path) -> SpeechModel:
    return SpeechModel.from_checkpoint(Checkpoint(random_checkpoint))


@pytest.fixture(scope="module")
def engine(model: SpeechModel) -> Iterator[Engine[SpeechModel]]:
    engine = Engine(model, EngineConfig(max_running=16))
    yield engine
    engine.close()


def recording(num_frames: int, seed: int) -> Tensor:
    return torch.randn(num_frames, 64, generator=torch.Generator().manual_seed(seed))


def speak(request_id: str, seed: int, **task: Any) -> GenerationRequest:
    task = {"text": "It was a bright cold day.", "min_patches": 4, "max_patches": 9, **task}
    return GenerationRequest(request_id=request_id, task=Speak(**task), sampling=SamplingOptions(seed=seed))


def edit(request_id: str, seed: int) -> GenerationRequest:
    return GenerationRequest(
        request_id=request_id,
        task=Edit(instruction="denoise the audio", min_patches=3, max_patches=7),
        latents=recording(57, seed),
        sampling=SamplingOptions(seed=seed),
    )


def understand(request_id: str, seed: int) -> GenerationRequest:
    return GenerationRequest(
        request_id=request_id, task=Understand(max_tokens=24), latents=recording(73, seed)
    )


def run_together(engine: Engine[Any], requests: list[GenerationRequest]) -> dict[str, list[Event]]:
    """All requests at once; each one's events."""
    told: queue.SimpleQueue[tuple[str, Event]] = queue.SimpleQueue()
    for request in requests:
        engine.submit(request, lambda event, name=request.request_id: told.put((name, event)))
    events: dict[str, list[Event]] = {request.request_id: [] for request in requests}
    open_ones = set(events)
    while open_ones:
        name, event = told.get(timeout=60)
        events[name].append(event)
        if isinstance(event, FinishEvent | FailureEvent):
            open_ones.discard(name)
    return events


def latents_of(events: list[Event]) -> Tensor:
    return torch.stack([event.latents for event in events if isinstance(event, PatchEvent)])


def written(events: list[Event]) -> str:
    return "".join(event.text for event in events if isinstance(event, TextEvent))


@pytest.mark.parametrize("surplus", [False, True])
def test_speech_is_the_procedures(model: SpeechModel, surplus: bool) -> None:
    for seed in range(3):
        voice = recording(23, seed)
        request = GenerationRequest(
            request_id="a",
            task=Speak(
                text="Hello there.", prompt_text="Mine.", min_patches=2, drop_surplus_patch=not surplus
            ),
            latents=voice,
            sampling=SamplingOptions(seed=seed),
        )
        budget = budget_of(request, EngineConfig(), model.patch_size)
        prompt = speak_prompt(model.text_tokenizer, "Hello there.", prompt_text="Mine.", num_patches=4)
        rules = procedure.Rules(min_patches=2, max_patches=budget.max_patches, drop_surplus_patch=not surplus)
        expected = procedure.speak(model, prompt, voice, noise=SeededNoise(seed), rules=rules)
        engine = Engine(model)
        events = list(engine.generate(request))
        engine.close()
        torch.testing.assert_close(latents_of(events), expected.patches, atol=TOLERANCE, rtol=0)


def test_recorded_noise_replaces_the_seeds(engine: Engine[SpeechModel], model: SpeechModel) -> None:
    source = SeededNoise(7)
    shape = (10, model.patch_size, model.latent_dim)
    recorded = RecordedNoise([source.next_patch(*shape) for _ in range(9)])
    seeded = speak("seeded", 7)
    replayed = GenerationRequest(request_id="recorded", task=seeded.task, noise=recorded)
    events = run_together(engine, [seeded, replayed])
    torch.testing.assert_close(
        latents_of(events["seeded"]), latents_of(events["recorded"]), atol=TOLERANCE, rtol=0
    )


def test_running_out_of_recorded_noise_fails_that_request_alone(engine: Engine[SpeechModel]) -> None:
    short = GenerationRequest(request_id="short", task=speak("", 0).task, noise=RecordedNoise([]))
    events = run_together(engine, [short, speak("good", 1)])
    failure = events["short"][-1]
    assert isinstance(failure, FailureEvent)
    assert "no further patch" in str(failure.error)
    assert isinstance(events["good"][-1], FinishEvent)


def test_understanding_is_the_procedures(engine: Engine[SpeechModel], model: SpeechModel) -> None:
    for seed in range(4):
        events = list(engine.generate(understand("a", seed)))
        expected = procedure.understand(
            model,
            understanding_prompt(model.text_tokenizer, 73 // 5),
            [recording(73, seed)],
            max_tokens=24,
        )
        finish = events[-1]
        assert isinstance(finish, FinishEvent)
        assert (finish.text, finish.num_tokens) == (expected.text, len(expected.token_ids))
        assert written(events) == finish.text


def test_edits_are_the_procedures(engine: Engine[SpeechModel], model: SpeechModel) -> None:
    rules = procedure.Rules(
        min_patches=3, max_patches=7, max_tokens=8, drop_surplus_patch=True, end_token_ends=True
    )
    prompt = edit_prompt(model.text_tokenizer, "denoise the audio", 57 // 5, reasoning=False)
    num_spoken = 0
    for seed in range(6):
        try:
            expected = procedure.edit(
                model, prompt, recording(57, seed), noise=SeededNoise(seed), rules=rules
            )
        except ModelOutputError:
            continue  # here the engine opens the speech itself, which the procedure does not
        events = list(engine.generate(edit("a", seed)))
        num_spoken += 1
        assert written(events) == expected.text.text
        torch.testing.assert_close(latents_of(events), expected.speech.patches, atol=TOLERANCE, rtol=0)
    assert num_spoken, "no seed spoke by itself; the model must have changed"


def test_an_edit_by_a_mark_sounds_as_if_the_model_had_written_it(
    engine: Engine[SpeechModel], model: SpeechModel
) -> None:
    mark = EditMark(before="the old ", after=" dog", adds_speech=True)
    tokenizer = model.text_tokenizer
    prompt = edit_prompt(tokenizer, "delete 'the'", 57 // 5, reasoning=True)
    writer = Writer(model, [*tokenizer.encode(mark.reasoning), tokenizer.gen_audio_id])
    rules = procedure.Rules(
        min_patches=3, max_patches=7, max_tokens=99, drop_surplus_patch=True, end_token_ends=True
    )
    expected = procedure.edit(
        cast(SpeechModel, writer), prompt, recording(57, 1), noise=SeededNoise(1), rules=rules
    )
    task = Edit(instruction="delete 'the'", mark=mark, min_patches=3, max_patches=7)
    events = list(engine.generate(replace(edit("a", 1), task=task)))
    assert written(events) == ""
    torch.testing.assert_close(latents_of(events), expected.speech.patches, atol=TOLERANCE, rtol=0)


def test_an_edit_goes_on_from_kept_frames_as_from_patches_made_before(engine: Engine[SpeechModel]) -> None:
    mark = EditMark(before="the ", after="dog", adds_speech=True)
    request = edit("a", 1)
    assert request.latents is not None
    task = Edit(instruction="x", mark=mark, min_patches=4, max_patches=7)
    expected = list(
        engine.generate(replace(request, task=task, made_patches=request.latents[:10].reshape(2, 5, 64)))
    )
    events = list(engine.generate(replace(request, task=replace(task, kept_frames=13))))
    assert torch.equal(latents_of(events)[:2].flatten(0, 1), request.latents[:10])
    torch.testing.assert_close(latents_of(events), latents_of(expected), atol=TOLERANCE, rtol=0)


class Writer:
    """A model that writes what it is told, whatever it thinks."""

    def __init__(self, model: SpeechModel, token_ids: list[int]) -> None:
        self._model, self._token_ids = model, iter(token_ids)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)

    def logits(self, hidden: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.one_hot(
            torch.tensor([next(self._token_ids)]), self._model.text_tokenizer.num_ids
        ).float()


def test_the_same_seed_sounds_the_same_alone_and_in_company(engine: Engine[SpeechModel]) -> None:
    makers = [speak, edit, understand, speak, edit, understand, speak]
    requests = [make(f"r{index}", index) for index, make in enumerate(makers)]
    alone = {request.request_id: run_together(engine, [request]) for request in requests}
    together = run_together(engine, requests)
    for request in requests:
        name = request.request_id
        assert written(together[name]) == written(alone[name][name])
        if isinstance(request.task, Understand):
            continue
        torch.testing.assert_close(
            latents_of(together[name]), latents_of(alone[name][name]), atol=TOLERANCE, rtol=0
        )


def test_a_reproducible_engine_gives_the_same_bits_alone_and_in_company(model: SpeechModel) -> None:
    makers = [speak, edit, understand, speak, edit, understand, speak]
    requests = [make(f"r{index}", index) for index, make in enumerate(makers)]
    engine = Engine(model, EngineConfig(reproducible=True))
    try:
        alone = {request.request_id: run_together(engine, [request]) for request in requests}
        together = run_together(engine, requests)
    finally:
        engine.close()
    for request in requests:
        name = request.request_id
        assert written(together[name]) == written(alone[name][name])
        if not isinstance(request.task, Understand):
            assert torch.equal(latents_of(together[name]), latents_of(alone[name][name]))


@pytest.mark.parametrize("make", [speak, edit])
def test_interrupted_at_any_patch_it_ends_as_if_it_had_not_been(model: SpeechModel, make: Any) -> None:
    engine = Engine(model, EngineConfig(reproducible=True))
    try:
        whole = run_together(engine, [make("whole", 3)])["whole"]
        patches = latents_of(whole)
        for num_made in range(len(patches) + 1):
            again = replace(make("again", 3), made_patches=patches[:num_made])
            beside = make("beside", 4)
            resumed = run_together(engine, [again, beside])["again"]
            assert written(resumed) == written(whole)
            assert torch.equal(latents_of(resumed), latents_of(whole))
    finally:
        engine.close()


def test_patches_of_another_model_are_refused(engine: Engine[SpeechModel]) -> None:
    for made in (torch.zeros(1, 5, 3), torch.zeros(5, 64), torch.full((1, 5, 64), torch.nan)):
        with pytest.raises(InvalidInputError, match="patches made before"):
            engine.submit(replace(speak("a", 0), made_patches=made), lambda event: None)


def test_options_of_neighbours_do_not_mix(engine: Engine[SpeechModel]) -> None:
    task = speak("", 0).task
    options = [
        SamplingOptions(seed=3),
        SamplingOptions(seed=3, guidance_scale=1.0),
        SamplingOptions(seed=3, num_solver_steps=5),
        SamplingOptions(seed=3, temperature=0.0),
    ]
    requests = [
        GenerationRequest(request_id=f"o{index}", task=task, sampling=sampling)
        for index, sampling in enumerate(options)
    ]
    together = run_together(engine, requests)
    first_patches = [latents_of(together[request.request_id])[0] for request in requests]
    for request, patch in zip(requests, first_patches, strict=True):
        alone = latents_of(run_together(engine, [request])[request.request_id])[0]
        torch.testing.assert_close(patch, alone, atol=TOLERANCE, rtol=0)
    for other in first_patches[1:]:
        assert not torch.allclose(first_patches[0], other, atol=0.01)


def test_special_tokens_in_texts_are_refused_before_anything_is_queued(engine: Engine[SpeechModel]) -> None:
    request = GenerationRequest(request_id="a", task=Speak(text="Hello <gen_audio> there"))
    with pytest.raises(UniaudioError, match="reads as a command"):
        engine.submit(request, lambda event: None)
    assert engine.stats().num_waiting == 0


def test_a_model_that_names_no_letters_follows_nothing(engine: Engine[SpeechModel]) -> None:
    request = GenerationRequest(request_id="a", task=Follow(text="hello"), latents=recording(20, 1))
    with pytest.raises(InvalidInputError, match="does not name the letters that it speaks") as caught:
        list(engine.generate(request))
    assert caught.value.reason == "NOT_SUPPORTED"
