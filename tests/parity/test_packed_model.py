"""A packed model makes what the plain modules make: exactly by rounding, nearly in fewer bits."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from uniaudio.checkpoint import Checkpoint
from uniaudio.engine import procedure
from uniaudio.engine.noise import SeededNoise
from uniaudio.engine.packed_model import PackedSpeechModel
from uniaudio.engine.speech_model import SpeechModel
from uniaudio.llm.prompt import edit_prompt, speak_prompt, understanding_prompt
from uniaudio.nn.native.library import kernels_reason
from uniaudio.nn.native.packed import Precision

pytestmark = pytest.mark.skipif(kernels_reason() is not None, reason=str(kernels_reason()))

# What latents of unit variance may be off after a few patches that feed each other.
TOLERANCE = 5e-4
ROUNDED = 0.3


@pytest.fixture(scope="module")
def model(random_checkpoint: Path) -> SpeechModel:
    return SpeechModel.from_checkpoint(Checkpoint(random_checkpoint))


@pytest.fixture(scope="module")
def packed(model: SpeechModel) -> PackedSpeechModel:
    return PackedSpeechModel.pack(model)


def recording(num_frames: int, seed: int) -> Tensor:
    return torch.randn(num_frames, 64, generator=torch.Generator().manual_seed(seed))


RULES = procedure.Rules(min_patches=6, max_patches=6, max_tokens=8, drop_surplus_patch=True)


def test_speech_is_the_plain_models(model: SpeechModel, packed: PackedSpeechModel) -> None:
    for seed in range(3):
        prompt = speak_prompt(model.text_tokenizer, "Hello there.", prompt_text="Mine.", num_patches=9)
        made = [
            procedure.speak(which, prompt, recording(47, seed), noise=SeededNoise(seed), rules=RULES)
            for which in (model, packed)
        ]
        torch.testing.assert_close(made[1].patches, made[0].patches, atol=TOLERANCE, rtol=0)
        torch.testing.assert_close(made[1].stop_logits, made[0].stop_logits, atol=TOLERANCE, rtol=0)


def test_text_is_the_plain_models(model: SpeechModel, packed: PackedSpeechModel) -> None:
    prompt = understanding_prompt(model.text_tokenizer, 14)
    for seed in range(3):
        made = [
            procedure.understand(which, prompt, [recording(70, seed)], max_tokens=20, keep_logits=True)
            for which in (model, packed)
        ]
        assert made[0].token_ids == made[1].token_ids
        torch.testing.assert_close(made[1].logits, made[0].logits, atol=TOLERANCE, rtol=0)


def test_reasoned_edits_are_the_plain_models(model: SpeechModel, packed: PackedSpeechModel) -> None:
    prompt = edit_prompt(model.text_tokenizer, "denoise the audio", 12, reasoning=True)
    made = [
        procedure.edit(which, prompt, recording(61, 3), noise=SeededNoise(3), rules=RULES)
        for which in (model, packed)
    ]
    assert made[0].text == made[1].text
    torch.testing.assert_close(made[1].speech.patches, made[0].speech.patches, atol=TOLERANCE, rtol=0)


@pytest.mark.parametrize("precision", [Precision.BFLOAT16, Precision.INT8])
def test_the_first_patch_is_near_in_fewer_bits(model: SpeechModel, precision: Precision) -> None:
    packed = PackedSpeechModel.pack(model, precision)
    prompt = speak_prompt(model.text_tokenizer, "Hello there.")
    rules = procedure.Rules(min_patches=1, max_patches=1)
    made = [
        procedure.speak(which, prompt, None, noise=SeededNoise(1), rules=rules) for which in (model, packed)
    ]
    assert (made[1].patches - made[0].patches).square().mean().sqrt() < ROUNDED


def test_solver_states_can_be_observed(model: SpeechModel, packed: PackedSpeechModel) -> None:
    hidden, history = recording(2, 1)[:, :1].expand(2, model.hidden_size), torch.zeros(2, 5, 64)
    noise = recording(100, 2).view(10, 2, 5, 64)
    seen: list[list[Tensor]] = [[], []]
    for which, states in zip((model, packed), seen, strict=True):
        which.sample_patches(hidden, history, noise[0], noise[1:], observe=states.append)
    assert len(seen[0]) == len(seen[1]) == 11
    for plain, other in zip(*seen, strict=True):
        torch.testing.assert_close(other, plain, atol=TOLERANCE, rtol=0)


def test_dropped_states_give_their_blocks_back(packed: PackedSpeechModel) -> None:
    prompt = speak_prompt(packed.text_tokenizer, "Hello there.")
    procedure.speak(packed, prompt, None, noise=SeededNoise(1), rules=RULES)
    assert packed.language_model.pool.num_used == 0
    assert packed.semantic.pool.num_used == 0
