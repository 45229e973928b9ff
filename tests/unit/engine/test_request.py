"""What can never work is refused before it is queued, with value, limit and remedy."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from uniaudio.checkpoint import CheckpointInfo
from uniaudio.engine.budget import budget_of
from uniaudio.engine.request import (
    Edit,
    EngineConfig,
    Follow,
    GenerationRequest,
    SamplingOptions,
    Speak,
    Task,
    Understand,
    check_request,
)
from uniaudio.engine.text_stream import TextStream
from uniaudio.errors import CheckpointError, InvalidInputError, LimitExceededError

CONFIG = EngineConfig()


def check(task: Task, latents: torch.Tensor | None = None, **fields: Any) -> GenerationRequest:
    request = GenerationRequest(
        request_id=fields.pop("request_id", "a"), task=task, latents=latents, **fields
    )
    check_request(request, CONFIG, latent_dim=4, patch_size=5)
    return request


def frames(count: int, width: int = 4) -> torch.Tensor:
    return torch.zeros(count, width)


@pytest.mark.parametrize(
    ("task", "latents", "message"),
    [
        (Understand(), None, "has 0 frames of 20 ms; it must have at least 5"),
        (Understand(), frames(4), "has 4 frames"),
        (Edit(instruction="x"), frames(10, 3), r"shape \(10, 3\), this model needs \(num_frames, 4\)"),
        (Understand(), torch.full((10, 4), torch.nan), "NaN or infinity"),
        (Understand(), torch.full((10, 4), torch.inf), "NaN or infinity"),
        (Speak(text="  "), None, "text is empty"),
        (Edit(instruction=""), frames(10), "instruction is empty"),
        (Edit(instruction="x", kept_frames=11), frames(10), "kept_frames is 11; it must be 0 to 10"),
        (Follow(text=" "), frames(10), "text is empty"),
        (Follow(text="x"), frames(4), "has 4 frames of 20 ms; it must have at least 5"),
        (Understand(max_tokens=0), frames(10), "max_tokens is 0; it must be 1 to 4096"),
        (Speak(text="x", min_patches=0), None, "min_patches is 0"),
        (Speak(text="x", min_patches=9, max_patches=3), None, "min_patches is 9; it must be 1 to 3"),
    ],
)
def test_refusals(task: Task, latents: torch.Tensor | None, message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        check(task, latents)


@pytest.mark.parametrize(
    ("task", "latents", "message"),
    [
        (Understand(), frames(4097), "has 4097 frames; the limit is 4096"),
        (Speak(text="x" * 12_001), None, "text has 12001 characters; the limit is 12000"),
        (Speak(text="x", prompt_text="y" * 15_000), None, "prompt_text has 15000"),
        (Understand(context_phrases=("z" * 10_000_000,)), frames(10), "context_phrases has 10000000"),
    ],
)
def test_limits(task: Task, latents: torch.Tensor | None, message: str) -> None:
    with pytest.raises(LimitExceededError, match=message):
        check(task, latents)


def test_output_and_recording_share_the_frames() -> None:
    request = check(Edit(instruction="x", max_patches=100), frames(4000))
    with pytest.raises(LimitExceededError, match="more than the limit of 819"):
        budget_of(request, CONFIG, 5)
    roomy = check(Edit(instruction="x"), frames(4000))
    assert budget_of(roomy, CONFIG, 5).max_patches == 19


@pytest.mark.parametrize(
    "fields",
    [
        {"guidance_scale": 0.5},
        {"guidance_scale": float("nan")},
        {"num_solver_steps": 65},
        {"temperature": -1},
        {"seed": 2**64},
    ],
)
def test_sampling_out_of_range(fields: dict[str, float]) -> None:
    with pytest.raises(InvalidInputError, match="it must be"):
        SamplingOptions(**fields)


@pytest.mark.parametrize("seconds", [0.0, -1.0, float("nan"), float("inf")])
def test_deadlines_out_of_range(seconds: float) -> None:
    with pytest.raises(InvalidInputError, match="deadline_seconds"):
        check(Speak(text="x"), deadline_seconds=seconds)


def test_short_texts_may_be_short_and_long_ones_are_capped() -> None:
    short = budget_of(check(Speak(text="Hi")), CONFIG, 5)
    long = budget_of(check(Speak(text="word " * 700)), CONFIG, 5)
    assert (short.min_patches, short.max_patches) == (2, 30)
    assert (long.min_patches, long.max_patches) == (18, 819)


def test_what_is_read_follows_the_length_of_what_is_heard() -> None:
    told = [budget_of(check(Understand(), frames(count)), CONFIG, 5).max_tokens for count in (15, 4000)]
    assert told == [32, 2024]
    assert budget_of(check(Understand(max_tokens=3), frames(15)), CONFIG, 5).max_tokens == 3


def test_an_ideograph_takes_longer_than_a_letter() -> None:
    chinese = budget_of(check(Speak(text="现在是不是也该长点心了吧")), CONFIG, 5)
    english = budget_of(check(Speak(text="now should we")), CONFIG, 5)
    assert chinese.min_patches > english.min_patches
    assert chinese.max_patches > english.max_patches


def test_a_character_is_told_once_all_its_bytes_are_there() -> None:
    pieces = list("现在 ok".encode())
    stream = TextStream(lambda ids: bytes(ids).decode(errors="replace"))
    told = [stream.push(byte) for byte in pieces]
    assert "".join(told) == "现在 ok"
    assert told[:3] == ["", "", "现"]
    assert stream.push(0xE7) == ""
    assert stream.flush() == "\ufffd"


def test_as_many_hints_as_the_contract_promises_fit() -> None:
    assert check(Understand(context_phrases=("z" * 100,) * 100), frames(10)) is not None


def asking_for(**sampling: float) -> CheckpointInfo:
    return CheckpointInfo(name="a", revision="b", trained=True, notice="", sampling=sampling)


def test_a_checkpoint_may_prefer_other_sampling_than_the_published() -> None:
    assert SamplingOptions.preferred_by(asking_for()) == SamplingOptions()
    preferred = SamplingOptions.preferred_by(asking_for(guidance_scale=2.0, temperature=0.0))
    assert preferred == SamplingOptions(guidance_scale=2.0, temperature=0.0)


@pytest.mark.parametrize(
    ("sampling", "message"),
    [({"guidance": 2.0}, "names 'guidance'"), ({"temperature": 9.0}, "temperature is 9.0")],
)
def test_a_checkpoint_that_asks_for_the_impossible_is_refused(
    sampling: dict[str, float], message: str
) -> None:
    with pytest.raises(CheckpointError, match=message):
        SamplingOptions.preferred_by(asking_for(**sampling))
