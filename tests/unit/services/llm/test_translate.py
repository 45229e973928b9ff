from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from services.llm import translate
from uniaudio.editing.mark import EditMark
from uniaudio.engine.request import Edit, GenerationRequest, Priority, SamplingOptions
from uniaudio.errors import InvalidInputError
from uniaudio.v1 import llm_pb2

PREFERRED = SamplingOptions(guidance_scale=2.0, temperature=0.5, num_solver_steps=12)


def taken_from(message: llm_pb2.GenerateOptions) -> GenerationRequest:
    return translate.request_from_options("r", message, None, latent_dim=4, preferred=PREFERRED)


def options(**made: object) -> llm_pb2.GenerateOptions:
    return llm_pb2.GenerateOptions(speak={"text": "hi"}, made=made)


def test_an_edit_may_bring_its_place() -> None:
    edit = {
        "instruction": "delete 'old'",
        "mark": {"before": "the ", "after": " dog"},
        "kept_frames": 7,
    }
    task = taken_from(llm_pb2.GenerateOptions(edit=edit)).task
    assert isinstance(task, Edit)
    assert task.mark == EditMark(before="the ", after=" dog", adds_speech=False)
    assert task.kept_frames == 7


def test_patches_made_before_come_in_as_they_were() -> None:
    made = torch.randn(3, 5, 4)
    message = options(num_patches=3, latents=made.numpy().astype("<f4").tobytes())
    request = taken_from(message)
    assert request.made_patches is not None
    assert torch.equal(request.made_patches, made)
    assert taken_from(options()).made_patches is None


@pytest.mark.parametrize(
    "made", [{"num_patches": 1}, {"latents": b"12345678"}, {"num_patches": -1, "latents": b"1234"}]
)
def test_patches_that_are_not_whole_are_refused(made: dict[str, object]) -> None:
    with pytest.raises(InvalidInputError, match="whole patches"):
        taken_from(options(**made))


@pytest.mark.parametrize(
    ("sent", "taken"),
    [
        (llm_pb2.PRIORITY_UNSPECIFIED, Priority.LIVE),
        (llm_pb2.PRIORITY_LIVE, Priority.LIVE),
        (llm_pb2.PRIORITY_BATCH, Priority.BATCH),
    ],
)
def test_priorities_come_in(sent: llm_pb2.Priority, taken: Priority) -> None:
    message = llm_pb2.GenerateOptions(speak={"text": "hi"}, priority=sent)
    assert taken_from(message).priority is taken


def test_an_unknown_priority_is_refused() -> None:
    message = llm_pb2.GenerateOptions(speak={"text": "hi"}, priority=7)  # type: ignore[arg-type]
    with pytest.raises(InvalidInputError, match="priority 7 is not known"):
        taken_from(message)


def test_what_is_not_sent_is_what_the_model_prefers() -> None:
    assert taken_from(options()).sampling == PREFERRED
    message = options()
    message.sampling.CopyFrom(llm_pb2.SamplingOptions(temperature=0.0, seed=5))
    assert taken_from(message).sampling == replace(PREFERRED, temperature=0.0, seed=5)


def test_the_llm_speaks_once() -> None:
    message = llm_pb2.GenerateOptions(speak={"text": "hi"}, sampling={"takes": 2})
    with pytest.raises(InvalidInputError, match="takes is 2; the LLM speaks once"):
        taken_from(message)
