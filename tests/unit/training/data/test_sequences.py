"""Sequences have the layouts of inference: every position, label, condition and history where it belongs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.unit.training.fake_latents import LATENT_DIM, PATCH, posterior, text_tokenizer
from training.data.sequences import (
    DrawConfig,
    TrainingSequence,
    draw_sequence,
    edit_sequence,
    pack,
    speech_sequence,
    understanding_sequence,
)
from training.objectives.flow_matching import FlowMatchingConfig
from uniaudio.llm.prompt import edit_prompt, speak_prompt, understanding_prompt
from uniaudio.llm.text_tokenizer import TextTokenizer

DRAW = DrawConfig(flow=FlowMatchingConfig(num_draws=2))
PLAN = "<cot_text>he <edit><framePatch></edit>home</cot_text>"


@pytest.fixture(scope="module")
def tokenizer() -> TextTokenizer:
    return text_tokenizer()


def written(tokenizer: TextTokenizer, sequence: TrainingSequence) -> str:
    return tokenizer.decode([sequence.token_ids[at] for at in sequence.labels])


@pytest.mark.parametrize("forced", [False, True])
def test_understanding_is_the_prompt_and_the_answer(tokenizer: TextTokenizer, forced: bool) -> None:
    sequence = understanding_sequence(
        tokenizer, text="he went", language="English", num_patches=4, forced_language=forced
    )
    prompt = understanding_prompt(tokenizer, 4, language="English" if forced else "")
    assert sequence.token_ids[: len(prompt)] == prompt.token_ids
    assert sequence.labels == range(len(prompt), len(sequence))
    assert written(tokenizer, sequence) == ("" if forced else "English\t") + "he went<|endoftext|>"
    assert sequence.patch_positions == tuple(
        range(prompt.audio_spans[0].start, prompt.audio_spans[0].start + 4)
    )
    assert sequence.audio_router
    assert sequence.num_targets == 0


def test_speech_continues_its_prompt_as_one_recording(tokenizer: TextTokenizer) -> None:
    sequence = speech_sequence(
        tokenizer, text="she sang", num_patches=3, prompt_text="he went", num_prompt_patches=2
    )
    prompt = speak_prompt(tokenizer, "she sang", prompt_text="he went", num_patches=2)
    assert sequence.token_ids[: len(prompt)] == prompt.token_ids
    first = prompt.audio_spans[0].start
    assert sequence.patch_positions == tuple(range(first, first + 5))
    assert len(sequence) == first + 5
    assert sequence.num_targets == 5
    assert sequence.token_ids[first - 1] == tokenizer.audio_id
    assert not sequence.labels
    assert not sequence.audio_router


def test_speech_without_a_prompt_is_the_published_layout(tokenizer: TextTokenizer) -> None:
    sequence = speech_sequence(tokenizer, text="she sang", num_patches=3)
    prompt = speak_prompt(tokenizer, "she sang")
    assert sequence.token_ids == (*prompt.token_ids, *[tokenizer.audio_patch_id] * 3)
    assert sequence.patch_positions == tuple(range(len(prompt), len(prompt) + 3))


@pytest.mark.parametrize("plan", ["", PLAN])
def test_edits_write_their_plan_and_open_speech(tokenizer: TextTokenizer, plan: str) -> None:
    sequence = edit_sequence(
        tokenizer,
        instruction="denoise the audio",
        plan_text=plan,
        num_source_patches=2,
        num_target_patches=3,
    )
    prompt = edit_prompt(tokenizer, "denoise the audio", 2, reasoning=bool(plan))
    assert sequence.token_ids[: len(prompt)] == prompt.token_ids
    assert written(tokenizer, sequence) == plan + "<gen_audio>"
    source = prompt.audio_spans[0].start
    target = len(sequence) - 3
    assert sequence.patch_positions == (source, source + 1, target, target + 1, target + 2)
    assert sequence.token_ids[target - 1] == tokenizer.gen_audio_id
    assert sequence.first_target == 2


def test_history_is_the_patch_before_and_zeros_at_the_first(tokenizer: TextTokenizer) -> None:
    speech = speech_sequence(tokenizer, text="a", num_patches=2, prompt_text="b", num_prompt_patches=2)
    edit = edit_sequence(tokenizer, instruction="x", plan_text="", num_source_patches=2, num_target_patches=3)
    for sequence in (speech, edit):
        frames = PATCH * sequence.num_patches
        drawn = draw_sequence(sequence, [posterior(1, frames)], np.random.default_rng(0), DRAW)
        assert drawn.flow is not None
        patches = torch.from_numpy(drawn.read_latents).view(-1, PATCH, LATENT_DIM)[sequence.first_target :]
        assert torch.equal(drawn.flow.latents, patches)
        assert torch.equal(drawn.flow.history[1:], patches[:-1])
        assert not drawn.flow.history[0].any()


def test_noise_reaches_what_is_read_and_not_what_is_learnt(tokenizer: TextTokenizer) -> None:
    sequence = speech_sequence(tokenizer, text="a", num_patches=4)
    frames = [posterior(1, PATCH * 4)]
    clean = draw_sequence(sequence, frames, np.random.default_rng(0), DRAW)
    for noisy_history in (False, True):
        config = DrawConfig(flow=DRAW.flow, input_noise=0.5, noisy_history=noisy_history)
        noisy = draw_sequence(sequence, frames, np.random.default_rng(0), config)
        assert noisy.flow is not None
        assert clean.flow is not None
        assert not np.array_equal(noisy.read_latents, clean.read_latents)
        assert np.array_equal(noisy.clean_targets, clean.clean_targets)
        assert torch.equal(noisy.flow.latents, clean.flow.latents)
        assert torch.equal(noisy.flow.history, clean.flow.history) is not noisy_history


def test_means_may_be_learnt_while_samples_are_read(tokenizer: TextTokenizer) -> None:
    sequence = speech_sequence(tokenizer, text="a", num_patches=4)
    frames = posterior(1, PATCH * 4)
    config = replace(DRAW, mean_targets=True)
    drawn = draw_sequence(sequence, [frames], np.random.default_rng(0), config)
    plain = draw_sequence(sequence, [frames], np.random.default_rng(0), DRAW)
    assert drawn.flow is not None
    assert np.array_equal(drawn.clean_targets.reshape(frames.mean.shape), frames.mean)
    assert np.array_equal(drawn.read_latents, plain.read_latents)


def test_packing_keeps_every_index_on_its_own_sequence(tokenizer: TextTokenizer) -> None:
    sequences = [
        understanding_sequence(tokenizer, text="he went", language="English", num_patches=2),
        speech_sequence(tokenizer, text="she sang", num_patches=3),
        edit_sequence(tokenizer, instruction="x", plan_text=PLAN, num_source_patches=2, num_target_patches=3),
    ]
    rng = np.random.default_rng(0)
    config = DrawConfig(flow=FlowMatchingConfig(num_draws=2, patch_fraction=0.67))
    drawn = [
        draw_sequence(s, [posterior(seed, PATCH * s.num_patches)], rng, config)
        for seed, s in enumerate(sequences)
    ]
    batch = pack(drawn)
    assert batch.lengths == tuple(map(len, sequences))
    assert batch.patch_counts == (2, 3, 5)
    assert batch.target_counts == (3, 3)
    patch_id = tokenizer.audio_patch_id
    assert (batch.token_ids[batch.patch_positions] == patch_id).all()
    assert int((batch.token_ids == patch_id).sum()) == len(batch.patch_positions)
    assert torch.equal(batch.token_ids[batch.label_positions + 1], batch.labels)
    consumed = batch.patch_positions[batch.target_patches]
    opens = batch.token_ids[consumed[[0, 3]] - 1]
    assert opens.tolist() == [tokenizer.audio_id, tokenizer.gen_audio_id]
    assert batch.audio_mask is not None
    assert batch.audio_mask.nonzero().flatten().tolist() == batch.patch_positions[:2].tolist()
    assert batch.flow is not None
    assert torch.equal(batch.flow.latents, batch.clean_latents[batch.chosen])
    assert len(batch.chosen) == 4


def test_frame_weights_go_with_their_frames(tokenizer: TextTokenizer) -> None:
    weights = np.arange(15, dtype=np.float32)
    sequence = edit_sequence(
        tokenizer,
        instruction="x",
        plan_text="",
        num_source_patches=1,
        num_target_patches=3,
        frame_weights=weights,
    )
    drawn = draw_sequence(sequence, [posterior(0, 20)], np.random.default_rng(0), DRAW)
    assert drawn.flow is not None
    assert drawn.flow.weights.flatten().tolist() == weights.tolist()
