from __future__ import annotations

import pytest
import torch

from services.llm.translate import request_from_options
from uniaudio.engine.request import Priority
from uniaudio.errors import InvalidInputError
from uniaudio.v1 import llm_pb2


def options(**made: object) -> llm_pb2.GenerateOptions:
    return llm_pb2.GenerateOptions(speak={"text": "hi"}, made=made)


def test_patches_made_before_come_in_as_they_were() -> None:
    made = torch.randn(3, 5, 4)
    message = options(num_patches=3, latents=made.numpy().astype("<f4").tobytes())
    request = request_from_options("r", message, None, latent_dim=4)
    assert request.made_patches is not None
    assert torch.equal(request.made_patches, made)
    assert request_from_options("r", options(), None, latent_dim=4).made_patches is None


@pytest.mark.parametrize(
    "made", [{"num_patches": 1}, {"latents": b"12345678"}, {"num_patches": -1, "latents": b"1234"}]
)
def test_patches_that_are_not_whole_are_refused(made: dict[str, object]) -> None:
    with pytest.raises(InvalidInputError, match="whole patches"):
        request_from_options("r", options(**made), None, latent_dim=4)


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
    assert request_from_options("r", message, None, latent_dim=4).priority is taken


def test_an_unknown_priority_is_refused() -> None:
    message = llm_pb2.GenerateOptions(speak={"text": "hi"}, priority=7)  # type: ignore[arg-type]
    with pytest.raises(InvalidInputError, match="priority 7 is not known"):
        request_from_options("r", message, None, latent_dim=4)
