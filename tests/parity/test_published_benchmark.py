"""What the engine is measured against computes the model: it would be no comparison otherwise."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from benchmarks.published import Cache, PublishedDecoder, PublishedModel
from uniaudio.checkpoint import Checkpoint
from uniaudio.engine.speech_model import SpeechModel
from uniaudio.llm.solver import SolverOptions
from uniaudio.tokenizer import AudioTokenizer

SAME = {"atol": 2e-4, "rtol": 0.0}


@pytest.fixture(scope="module")
def model(random_checkpoint: Path) -> SpeechModel:
    return SpeechModel.from_checkpoint(Checkpoint(random_checkpoint))


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@torch.no_grad()
def test_text_and_patches_are_the_models(model: SpeechModel) -> None:
    published, cache, semantic = PublishedModel(model), Cache(), Cache()
    state = model.new_state()
    prompt = normal(20, model.hidden_size)
    expected = model.language_model(prompt, [20], [state.language])[-1:]
    hidden = published.language_step(prompt[None], cache)
    torch.testing.assert_close(hidden[0, -1:], expected, **SAME)
    assert published.next_token(hidden) == int(model.logits(expected).argmax())
    for seed in range(3):
        patch = normal(1, model.patch_size, model.latent_dim, seed=seed)
        embedding = model.embed_patches(patch, [state])
        fed = published.embed_patch(patch, semantic)
        torch.testing.assert_close(fed[0], embedding, **SAME)
        expected, hidden = model.step(embedding, [state]), published.language_step(fed, cache)
        torch.testing.assert_close(hidden[0], expected, **SAME)
        noise = normal(10, model.patch_size, model.latent_dim, seed=seed)
        made = published.sample_patch(hidden[0], patch, noise, SolverOptions())
        sampled = model.sample_patches(expected, patch, noise[:1], noise[1:, None])
        torch.testing.assert_close(made, sampled, **SAME)
        assert abs(published.stops(hidden[0]) - float(model.stop_probabilities(expected))) < 1e-4


@torch.no_grad()
def test_streamed_samples_are_the_tokenizers(random_checkpoint: Path) -> None:
    tokenizer = AudioTokenizer.from_checkpoint(Checkpoint(random_checkpoint), parts=("decoder",))
    latents = normal(60, tokenizer.latent_dim)
    decoder = PublishedDecoder(tokenizer)
    pieces = [decoder.decode(chunk, last=index == 11) for index, chunk in enumerate(latents.split(5))]
    torch.testing.assert_close(torch.cat(pieces), tokenizer.decode(latents[None])[0], **SAME)
