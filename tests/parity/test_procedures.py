"""How generations begin and end, by the published rules and by our own (specification 5, 7, appendix E)."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from uniaudio.checkpoint import Checkpoint
from uniaudio.engine.budget import Budget
from uniaudio.engine.noise import SeededNoise
from uniaudio.engine.procedure import (
    EditResult,
    Rules,
    SpeechResult,
    edit,
    published_edit_rules,
    published_speak_rules,
    rules_of,
    speak,
    understand,
)
from uniaudio.engine.speech_model import SpeechModel
from uniaudio.errors import InvalidInputError, ModelOutputError
from uniaudio.llm.prompt import (
    AudioClip,
    Message,
    Role,
    chat_prompt,
    edit_prompt,
    speak_prompt,
    understanding_prompt,
)
from uniaudio.llm.solver import SolverOptions

NUM_FRAMES = 32
QUICK = SolverOptions(num_steps=2)


@pytest.fixture(scope="module")
def model(random_checkpoint: Path) -> SpeechModel:
    return SpeechModel.from_checkpoint(Checkpoint(random_checkpoint))


def latents(seed: int = 1, num_frames: int = NUM_FRAMES) -> Tensor:
    return torch.randn(num_frames, 64, generator=torch.Generator().manual_seed(seed))


def with_stop(model: SpeechModel, *, fires: bool) -> SpeechModel:
    """The model with a stop head that always, or never, fires."""
    from uniaudio.llm.flow_head import StopHead

    head = StopHead(model.hidden_size).requires_grad_(False)
    head.weight.zero_()
    head.bias.copy_(torch.tensor([0.0, 9.0 if fires else -9.0]))
    return replace(model, stop_head=head)


def with_first_token(model: SpeechModel, token_id: int) -> SpeechModel:
    """The model with a text head that always writes that token."""
    import copy

    language_model = copy.copy(model.language_model)
    language_model._modules = dict(language_model._modules)
    head = torch.nn.Linear(model.hidden_size, language_model.config.vocab_size)
    torch.nn.init.zeros_(head.weight)
    head.bias.data.zero_()
    head.bias.data[token_id] = 5.0
    language_model.lm_head = head.requires_grad_(False)
    return replace(model, language_model=language_model)


def speak_with(model: SpeechModel, rules: Rules, seed: int = 3) -> SpeechResult:
    prompt = speak_prompt(model.text_tokenizer, "hello", prompt_text="Hi.", num_patches=NUM_FRAMES // 5)
    return speak(model, prompt, latents(), noise=SeededNoise(seed), rules=rules, options=QUICK)


def edit_with(model: SpeechModel, rules: Rules) -> EditResult:
    prompt = edit_prompt(model.text_tokenizer, "denoise the audio", NUM_FRAMES // 5, reasoning=False)
    return edit(model, prompt, latents(), noise=SeededNoise(3), rules=rules, options=QUICK)


def test_a_stop_head_that_always_fires_gives_18_patches_of_speech_and_17_of_an_edit(
    model: SpeechModel,
) -> None:
    eager = with_first_token(with_stop(model, fires=True), model.text_tokenizer.gen_audio_id)
    spoken = speak_with(eager, published_speak_rules("one two three four five six", chinese=False))
    assert (len(spoken.patches), spoken.ended) == (18, True)
    edited = edit_with(eager, published_edit_rules(100))
    assert edited.text.text == "<gen_audio>"
    assert (len(edited.speech.patches), edited.speech.ended) == (17, True)


@pytest.mark.parametrize("min_patches", [1, 3])
def test_without_the_surplus_patch_the_minimum_is_still_kept(model: SpeechModel, min_patches: int) -> None:
    eager = with_stop(model, fires=True)
    rules = Rules(min_patches=min_patches, max_patches=9, drop_surplus_patch=True)
    assert len(speak_with(eager, rules).patches) == min_patches


def test_dropping_the_surplus_patch_drops_exactly_one_and_changes_no_other(model: SpeechModel) -> None:
    """From the step on at which the published rules stop."""
    published = speak_with(model, Rules(min_patches=4, max_patches=40))
    ours = speak_with(model, Rules(min_patches=3, max_patches=40, drop_surplus_patch=True))
    assert published.ended
    assert ours.ended
    assert len(ours.patches) == len(published.patches) - 1
    assert torch.equal(ours.patches, published.patches[:-1])
    assert len(ours.embeddings) == len(ours.patches) - 1


def test_a_stop_head_that_never_fires_reaches_the_cap(model: SpeechModel) -> None:
    spoken = speak_with(with_stop(model, fires=False), Rules(min_patches=1, max_patches=5))
    assert (len(spoken.patches), spoken.ended) == (5, False)


def test_published_caps_come_from_characters_and_words() -> None:
    assert published_speak_rules("我们的愿景是构建未来服务", chinese=True).max_patches == 100
    assert published_speak_rules("hello brave world", chinese=False).max_patches == 25
    assert published_edit_rules(95).max_patches == 237
    assert published_edit_rules(20).max_patches == 100


def test_a_text_that_is_too_short_for_the_published_caps_is_a_clear_error(model: SpeechModel) -> None:
    with pytest.raises(ModelOutputError, match="too short for the published limits"):
        speak_with(model, published_speak_rules("Hi", chinese=False))


def test_the_engines_own_limits_drop_the_surplus_patch_and_end_silent_edits() -> None:
    budget = Budget(min_patches=2, max_patches=30, max_tokens=64)
    assert rules_of(budget) == Rules(
        min_patches=2, max_patches=30, max_tokens=64, drop_surplus_patch=True, end_token_ends=True
    )


def test_an_edit_that_never_speaks_is_a_clear_error(model: SpeechModel) -> None:
    silent = with_first_token(model, model.text_tokenizer.end_id)
    with pytest.raises(ModelOutputError, match="wrote 7 tokens") as caught:
        edit_with(silent, Rules(min_patches=1, max_patches=5, max_tokens=7))
    assert caught.value.reason == "NO_AUDIO"
    with pytest.raises(ModelOutputError, match="wrote 1 tokens"):
        edit_with(silent, Rules(min_patches=1, max_patches=5, max_tokens=7, end_token_ends=True))


def test_the_same_seed_gives_the_same_speech_and_another_one_another(model: SpeechModel) -> None:
    rules = Rules(min_patches=3, max_patches=3)
    first = speak_with(model, rules).patches
    assert torch.equal(speak_with(model, rules).patches, first)
    assert not torch.allclose(speak_with(model, rules, seed=4).patches, first)


def test_speech_may_begin_without_a_voice(model: SpeechModel) -> None:
    prompt = speak_prompt(model.text_tokenizer, "Hi")
    rules = Rules(min_patches=2, max_patches=2)
    spoken = speak(model, prompt, None, noise=SeededNoise(1), rules=rules, options=QUICK)
    assert spoken.patches.shape == (2, 5, 64)


def test_understanding_ends_at_the_end_token_or_at_the_limit(model: SpeechModel) -> None:
    prompt = understanding_prompt(model.text_tokenizer, NUM_FRAMES // 5)
    ended = understand(with_first_token(model, model.text_tokenizer.end_id), prompt, [latents()])
    assert (ended.token_ids, ended.text, ended.ended) == ((model.text_tokenizer.end_id,), "", True)
    letter = model.text_tokenizer.encode("a")[0]
    limited = understand(with_first_token(model, letter), prompt, [latents()], max_tokens=4)
    assert (limited.text, limited.ended) == ("aaaa", False)


def test_text_alone_and_several_recordings_are_understood(model: SpeechModel) -> None:
    tokenizer = model.text_tokenizer
    alone = chat_prompt(tokenizer, [Message(Role.HUMAN, ("Hello",))])
    assert understand(model, alone, [], max_tokens=2).token_ids
    both = chat_prompt(tokenizer, [Message(Role.HUMAN, (AudioClip(2), AudioClip(3)))], audio_router=True)
    clips = [latents(1, 10), latents(2, 17)]
    embedded = model.embed_prompt(both, clips, None)
    for span, clip in zip(both.audio_spans, clips, strict=True):
        own = embedded[span.start : span.start + span.num_patches]
        torch.testing.assert_close(own, model.embed_latents(clip), atol=1e-5, rtol=1e-5)
    assert int(model.audio_mask(both).sum()) == 5
    assert understand(model, both, clips, max_tokens=2).token_ids


def test_recordings_that_do_not_fit_their_prompt_are_refused(model: SpeechModel) -> None:
    prompt = understanding_prompt(model.text_tokenizer, 4)
    with pytest.raises(InvalidInputError, match="has 12 frames, its place in the prompt needs 20"):
        understand(model, prompt, [latents(1, 12)])
    with pytest.raises(InvalidInputError, match="room for 1 recordings, 0 are given"):
        understand(model, prompt, [])


def test_many_sequences_prefill_and_step_together_as_each_alone(model: SpeechModel) -> None:
    tokenizer = model.text_tokenizer
    prompts = [
        understanding_prompt(tokenizer, 6),
        speak_prompt(tokenizer, "hello", prompt_text="Hi.", num_patches=3),
        edit_prompt(tokenizer, "denoise the audio", 2, reasoning=True),
        speak_prompt(tokenizer, "no voice"),
    ]
    clips = [[latents(1)], [latents(2)], [latents(3)], []]
    states = [model.new_state() for _ in prompts]
    hidden = model.prefill(prompts, clips, states)
    patches = torch.stack([latents(seed, 5) for seed in range(4)])
    after = model.step(model.embed_patches(patches, states), states)
    for row in range(4):
        state = [model.new_state()]
        alone = model.prefill([prompts[row]], [clips[row]], state)
        torch.testing.assert_close(hidden[row : row + 1], alone, atol=1e-4, rtol=1e-4)
        stepped = model.step(model.embed_patches(patches[row : row + 1], state), state)
        torch.testing.assert_close(after[row : row + 1], stepped, atol=1e-4, rtol=1e-4)
        assert states[row].num_positions == len(prompts[row]) + 1
