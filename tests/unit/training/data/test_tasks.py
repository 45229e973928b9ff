"""Tasks go through their corpus, pair utterances of one voice, and steps are functions of seed and number."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.unit.training.fake_latents import LATENT_DIM, PATCH, FakeCorpus, text_tokenizer
from training.data.sequences import DrawConfig
from training.data.step_batches import StepBatches, task_cycle
from training.data.tasks import EpochOrder, SpeechConfig, SpeechTask, UnderstandingTask, letters_spoken
from training.data.utterance import Span
from training.objectives.flow_matching import FlowMatchingConfig
from training.stage import Share
from uniaudio.errors import InvalidInputError

TOKENIZER = text_tokenizer()


def batches(seed: int = 0) -> StepBatches:
    corpus = FakeCorpus()
    tasks = {
        "understanding": UnderstandingTask(corpus, TOKENIZER, seed),
        "speech": SpeechTask(corpus, TOKENIZER, seed),
    }
    draw = DrawConfig(flow=FlowMatchingConfig(num_draws=2), input_noise=0.1)
    cycle = task_cycle(3, understanding=4, speech=6)
    return StepBatches(tasks, cycle, seed=seed, latent_dim=LATENT_DIM, draw=draw)


def test_an_epoch_has_every_item_once_and_the_next_another_order() -> None:
    order = EpochOrder(0, 20, "x")
    epochs = [[order.item(20 * epoch + n) for n in range(20)] for epoch in range(2)]
    assert all(sorted(epoch) == list(range(20)) for epoch in epochs)
    assert epochs[0] != epochs[1]
    assert order.item(7) == epochs[0][7]


def test_prompts_are_other_utterances_of_the_voice() -> None:
    corpus = FakeCorpus()
    task = SpeechTask(corpus, TOKENIZER, 0, SpeechConfig(continuation=1.0, sentence_case=0.0))
    for number in range(12):
        planned = task.plan(number)
        prompt, spoken = (read() for read in planned.readers)
        whole = [corpus.posterior(i).mean for i in range(6)]
        first = next(i for i, mean in enumerate(whole) if np.array_equal(mean, prompt.mean))
        second = next(i for i, mean in enumerate(whole) if np.array_equal(mean, spoken.mean))
        assert first != second
        assert corpus.voice(first) == corpus.voice(second)
        assert len(prompt.mean) + len(spoken.mean) == PATCH * planned.sequence.num_patches
        text = TOKENIZER.decode(planned.sequence.token_ids)
        assert corpus.text(first) + corpus.text(second) in text


def test_long_prompts_end_with_a_word() -> None:
    corpus = FakeCorpus()
    task = SpeechTask(
        corpus, TOKENIZER, 0, SpeechConfig(continuation=1.0, sentence_case=0.0, max_prompt_frames=12)
    )
    cut = [task.plan(number) for number in range(12)]
    for planned in cut:
        if len(planned.readers) == 2:
            prompt = planned.readers[0]()
            assert len(prompt.mean) <= 15
            assert len(prompt.mean) % PATCH == 0
    assert any(len(planned.readers) == 2 for planned in cut)


def test_tasks_take_turns_and_none_is_passed_over() -> None:
    source = batches()
    steps = [source.batch(step, Share()) for step in range(8)]
    assert [batch.tasks for batch in steps] == ["understanding", "speech", "speech", "speech"] * 2
    heard = [planned.readers[0] for step in (0, 4) for planned in source.plan(step)]
    indices = [reader.args[0] for reader in heard]  # type: ignore[attr-defined]
    assert sorted(indices[:6]) == list(range(6))


def test_a_step_is_a_function_of_the_seed_and_shares_have_its_items_and_noise() -> None:
    whole, again = batches().batch(1, Share()), batches().batch(1, Share())
    assert whole.sequences.flow is not None
    assert again.sequences.flow is not None
    assert torch.equal(whole.sequences.flow.noise, again.sequences.flow.noise)
    assert not torch.equal(whole.sequences.token_ids, batches(seed=1).batch(1, Share()).sequences.token_ids)
    parts = [batches().batch(1, Share(index=i, count=2)) for i in range(2)]
    assert all(part.totals == whole.totals for part in parts)
    assert sum(len(part.sequences.token_ids) for part in parts) == len(whole.sequences.token_ids)
    first = parts[0].sequences.flow
    assert first is not None
    count = parts[0].sequences.target_counts[0]
    assert torch.equal(first.noise[:, :count], whole.sequences.flow.noise[:, :count])
    assert whole.totals.flow_values == whole.sequences.flow.noise.numel()


def test_impossible_divisions_are_refused() -> None:
    with pytest.raises(InvalidInputError, match="6 sequences for 7 shares"):
        batches().batch(1, Share(index=6, count=7))
    with pytest.raises(InvalidInputError, match="sing"):
        StepBatches({}, [(("sing", 1),)], seed=0, latent_dim=4, draw=DrawConfig(flow=FlowMatchingConfig()))
    with pytest.raises(InvalidInputError, match="no examples"):
        UnderstandingTask(FakeCorpus(size=0), TOKENIZER, 0)


def test_a_patch_speaks_the_letter_at_its_middle() -> None:
    words = (Span("of", 0, 400), Span("the", 0, 400), Span("cat", 500, 800))
    assert letters_spoken(words, 10, 100) == ["o", " ", "t", "e", "", "c", "a", "t", "", ""]


def test_letters_go_with_the_patches_of_prompt_and_text() -> None:
    task = SpeechTask(FakeCorpus(), TOKENIZER, 0, SpeechConfig(continuation=1.0))
    sequence = task.plan(0).sequence
    assert len(sequence.letters) == sequence.num_targets
    assert any(letter >= 0 for letter in sequence.letters)
