"""The form that GPUs run makes what the plain modules make; here on a CPU, where its graphs are plain calls."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor

from uniaudio.checkpoint import Checkpoint
from uniaudio.engine import procedure
from uniaudio.engine.engine import Engine
from uniaudio.engine.events import Event, PatchEvent, TextEvent
from uniaudio.engine.model_runner import ModelRunner
from uniaudio.engine.noise import SeededNoise
from uniaudio.engine.packed_model import fast_form
from uniaudio.engine.paged_model import PagedSpeechModel
from uniaudio.engine.request import Edit, EngineConfig, GenerationRequest, SamplingOptions, Speak, Understand
from uniaudio.engine.speech_model import AnySpeechModel, SpeechModel
from uniaudio.errors import UnavailableError
from uniaudio.llm.prompt import edit_prompt, speak_prompt, understanding_prompt
from uniaudio.llm.solver import SolverOptions
from uniaudio.nn.graphs import GraphedCall

TOLERANCE = 5e-4  # of latents of unit variance, after a few patches that feed each other
RULES = procedure.Rules(min_patches=6, max_patches=6, max_tokens=8, drop_surplus_patch=True)
needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")


def plain_model(directory: Path, device: str = "cpu") -> SpeechModel:
    return SpeechModel.from_checkpoint(Checkpoint(directory), device=device)


@pytest.fixture(scope="module")
def plain(random_checkpoint: Path) -> SpeechModel:
    return plain_model(random_checkpoint)


@pytest.fixture(scope="module")
def paged(random_checkpoint: Path) -> PagedSpeechModel:
    return PagedSpeechModel.of(plain_model(random_checkpoint), max_positions=4096)


def recording(num_frames: int, seed: int) -> Tensor:
    return torch.randn(num_frames, 64, generator=torch.Generator().manual_seed(seed))


def assert_close(actual: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(actual, expected, atol=TOLERANCE, rtol=0)


def test_speech_is_the_plain_models(plain: SpeechModel, paged: PagedSpeechModel) -> None:
    for seed in range(3):
        prompt = speak_prompt(plain.text_tokenizer, "Hello there.", prompt_text="Mine.", num_patches=9)
        expected, made = (
            procedure.speak(which, prompt, recording(47, seed), noise=SeededNoise(seed), rules=RULES)
            for which in (plain, paged)
        )
        assert_close(made.patches, expected.patches)
        assert_close(made.stop_logits, expected.stop_logits)


def test_text_is_the_plain_models(plain: SpeechModel, paged: PagedSpeechModel) -> None:
    prompt = understanding_prompt(plain.text_tokenizer, 14)
    for seed in range(3):
        expected, made = (
            procedure.understand(which, prompt, [recording(70, seed)], max_tokens=20, keep_logits=True)
            for which in (plain, paged)
        )
        assert made.token_ids == expected.token_ids
        assert_close(made.logits, expected.logits)


def test_reasoned_edits_are_the_plain_models(plain: SpeechModel, paged: PagedSpeechModel) -> None:
    prompt = edit_prompt(plain.text_tokenizer, "denoise the audio", 12, reasoning=True)
    expected, made = (
        procedure.edit(which, prompt, recording(61, 3), noise=SeededNoise(3), rules=RULES)
        for which in (plain, paged)
    )
    assert made.text == expected.text
    assert_close(made.speech.patches, expected.speech.patches)


@pytest.mark.parametrize("scale", [1.0, 2.0])
def test_patches_of_odd_numbers_of_rows_are_the_plain_models(
    plain: SpeechModel, paged: PagedSpeechModel, scale: float
) -> None:
    hidden, history, noise = (recording(size, size) for size in (3, 15, 60))
    hidden = hidden[:, :1].expand(3, plain.hidden_size)
    rows = [SolverOptions(guidance_scale=scale, temperature=heat, num_steps=4) for heat in (0.0, 1.0, 2.0)]
    expected, made = (
        which.sample_patches(
            hidden, history.view(3, 5, 64), noise.view(4, 3, 5, 64)[0], noise.view(4, 3, 5, 64)[1:], rows
        )
        for which in (plain, paged)
    )
    assert_close(made, expected)


def requests() -> Iterator[GenerationRequest]:
    voice, sampling = recording(83, 1), SamplingOptions(seed=3, num_solver_steps=4)
    tasks = {
        "alone": (Speak(text="It was a bright cold day.", min_patches=7, max_patches=7), None),
        "voiced": (Speak(text="Hello there.", prompt_text="Mine.", min_patches=4, max_patches=4), voice),
        "again": (Speak(text="Hello there.", prompt_text="Mine.", min_patches=5, max_patches=5), voice),
        "edited": (Edit(instruction="denoise the audio", min_patches=6, max_patches=6), voice),
        "heard": (Understand(max_tokens=12), voice),
    }
    for name, (task, latents) in tasks.items():
        yield GenerationRequest(request_id=name, task=task, latents=latents, sampling=sampling)


def told(engine: Engine[AnySpeechModel]) -> dict[str, list[Event]]:
    """The events of all requests, which run together, by an engine that ends with them."""
    events: dict[str, list[Event]] = {}
    for request in requests():
        events[request.request_id] = []
        engine.submit(request, events[request.request_id].append)
    engine.close(drain_seconds=60)
    return events


def test_many_together_get_what_the_plain_engine_gives(random_checkpoint: Path, plain: SpeechModel) -> None:
    config = EngineConfig(use_kernels=False, max_step_positions=37, max_kv_positions=2048)
    model = PagedSpeechModel.of(plain_model(random_checkpoint), max_positions=config.max_kv_positions)
    runners: list[ModelRunner] = []

    def make_runner(which: AnySpeechModel) -> ModelRunner:
        runners.append(ModelRunner(which, config))
        return runners[-1]

    expected, made = (told(Engine(which, config, make_runner=make_runner)) for which in (plain, model))
    for name, events in expected.items():
        texts = ["".join(e.text for e in each if isinstance(e, TextEvent)) for each in (events, made[name])]
        patches = [[e.latents for e in each if isinstance(e, PatchEvent)] for each in (events, made[name])]
        assert texts[0] == texts[1]
        assert texts[0] or patches[0]
        assert len(patches[0]) == len(patches[1])
        for actual, wanted in zip(patches[1], patches[0], strict=True):
            assert_close(actual, wanted)
    assert len(runners[1].prefixes) > 0
    runners[1].prefixes.forget(10_000)
    runners[1].recordings.forget_all()
    assert model.language_model.pool.num_used == 0
    assert model.semantic.pool.num_used == 0


def test_where_the_pool_is_exhausted_no_cache_moves(random_checkpoint: Path) -> None:
    model = PagedSpeechModel.of(plain_model(random_checkpoint), max_positions=48)
    states = [model.new_state() for _ in range(2)]
    x = torch.randn(40, model.hidden_size)
    with pytest.raises(UnavailableError, match="blocks"):
        model.language_model(x, [20, 20], [state.language for state in states])
    assert [state.num_positions for state in states] == [0, 0]
    model.language_model(x[:20], [20], [states[0].language])
    assert states[0].num_positions == 20


def test_whole_numbers_are_refused_away_from_a_cpu(random_checkpoint: Path) -> None:
    model = plain_model(random_checkpoint)
    model.language_model.to("meta")
    with pytest.raises(UnavailableError, match="take bfloat16 there"):
        fast_form(model, EngineConfig(precision="int8"))


def test_elsewhere_a_graphed_call_is_a_call() -> None:
    call = GraphedCall(torch.add)
    assert call("key", torch.ones(2), torch.ones(2)).tolist() == [2, 2]


@needs_gpu
def test_graphs_give_what_the_plain_engine_gives_on_a_gpu(random_checkpoint: Path) -> None:
    plain = plain_model(random_checkpoint, "cuda")
    expected = told(Engine(plain, EngineConfig(use_kernels=False)))
    config = EngineConfig(max_kv_positions=2048)
    model = fast_form(plain, config)
    for made in (told(Engine(model, config)), told(Engine(model, config))):  # then every graph is replayed
        for name, events in expected.items():
            patches = [
                [e.latents for e in each if isinstance(e, PatchEvent)] for each in (events, made[name])
            ]
            assert len(patches[0]) == len(patches[1])
            for one, other in zip(*patches, strict=True):
                torch.testing.assert_close(one, other, atol=5e-3, rtol=0)  # float32 products may use TF32
