"""The stage sees what inference sees, adds up over shares, learns, and leaves alone what is frozen."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.unit.training.fake_latents import (
    LATENT_DIM,
    PATCH,
    UNIFIED_DIM,
    FakeCorpus,
    posterior,
    speech_modules,
    text_tokenizer,
)
from tests.unit.training.stages.shares import assert_shares_add_up
from training.config import OptimizerConfig
from training.data.sequences import (
    DrawConfig,
    SequenceBatch,
    TrainingSequence,
    draw_sequence,
    edit_sequence,
    pack,
    speech_sequence,
    understanding_sequence,
)
from training.data.step_batches import StepBatch, StepBatches, StepTotals, task_cycle
from training.data.tasks import SpeechTask, UnderstandingTask
from training.objectives.flow_matching import FlowMatchingConfig
from training.objectives.own_past import reading_own
from training.objectives.router_balance import RouterBalanceConfig
from training.objectives.speech import SpeechLossConfig, SpeechModules, hidden_states, metrics_of, speech_loss
from training.stage import Share
from training.stages.language import LanguageConfig, LanguageStage
from training.stages.language_evaluation import LanguageEvaluation, LanguageEvaluationConfig, speech_model
from uniaudio.engine.speech_model import SpeechModel
from uniaudio.errors import InvalidInputError
from uniaudio.llm.config import PatchConfig
from uniaudio.llm.prompt import edit_prompt, speak_prompt, understanding_prompt

TOKENIZER = text_tokenizer()
FLOW = FlowMatchingConfig(num_draws=2, patch_fraction=0.5)
PATCHES = PatchConfig(latent_dim=LATENT_DIM, unified_dim=UNIFIED_DIM)


def stage_of(modules: SpeechModules, *, seed: int = 0, **config: Any) -> LanguageStage:
    loss = SpeechLossConfig(
        flow=FLOW,
        auxiliary=config.pop("auxiliary", "none"),
        letters_weight=config.pop("letters_weight", 0.0),
    )
    return LanguageStage(
        modules,
        batches(seed),
        LanguageConfig(loss=loss, **config),
        OptimizerConfig(learning_rate=1e-2),
    )


def batches(seed: int = 0) -> StepBatches:
    corpus = FakeCorpus()
    tasks = {
        "understanding": UnderstandingTask(corpus, TOKENIZER, seed),
        "speech": SpeechTask(corpus, TOKENIZER, seed),
    }
    cycle = task_cycle(1, understanding=4, speech=4)
    return StepBatches(tasks, cycle, seed=seed, latent_dim=LATENT_DIM, draw=DrawConfig(flow=FLOW))


def alone_and_in_company(sequence: TrainingSequence, latents: np.ndarray) -> tuple[SequenceBatch, int]:
    """The sequence packed behind another one; where it starts."""
    other = speech_sequence(TOKENIZER, text="noise", num_patches=2)
    draw = DrawConfig(flow=FLOW)
    rng = np.random.default_rng(0)
    exact = replace(posterior(0, len(latents)), mean=latents, std=np.zeros_like(latents))
    first = draw_sequence(other, [posterior(9, 2 * PATCH)], rng, draw)
    return pack([first, draw_sequence(sequence, [exact], rng, draw)]), len(other)


def generated(model: SpeechModel, hidden: Tensor, state: Any, patches: Tensor) -> Tensor:
    """Hidden states while those patches are fed one by one, as the engine feeds what it makes."""
    fed = [model.step(model.embed_patches(patch[None], [state]), [state]) for patch in patches]
    return torch.cat((hidden, *fed))


@torch.no_grad()
def test_speech_is_conditioned_as_in_inference() -> None:
    modules, latents = speech_modules(), posterior(3, 7 * PATCH).mean
    model = speech_model(modules, TOKENIZER, PATCHES)
    sequence = speech_sequence(
        TOKENIZER, text="she sang", num_patches=4, prompt_text="he went", num_prompt_patches=3
    )
    batch, start = alone_and_in_company(sequence, latents)
    trained = hidden_states(modules, batch).hidden[start:]
    prompt = speak_prompt(TOKENIZER, "she sang", prompt_text="he went", num_patches=3)
    state, patches = model.new_state(), torch.from_numpy(latents).view(-1, PATCH, LATENT_DIM)
    hidden = model.prefill([prompt], [[torch.from_numpy(latents[: 3 * PATCH])]], [state])
    served = generated(model, hidden, state, patches[3:])
    consumed = batch.patch_positions[batch.target_patches][2:] - start
    # Target 3 is the first one that inference makes: its condition is the prompt's last hidden state.
    torch.testing.assert_close(trained[consumed[3:] - 1], served[:-1], atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(trained[consumed[-1]], served[-1], atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(
        modules.stop_head(trained[consumed[3:]]), model.stop_logits(served[1:]), atol=1e-5, rtol=1e-4
    )


@torch.no_grad()
@pytest.mark.parametrize("plan", ["", "<cot_text>he <edit></edit>home</cot_text>"])
def test_edits_are_conditioned_as_in_inference(plan: str) -> None:
    modules, latents = speech_modules(), posterior(3, 6 * PATCH).mean
    model = speech_model(modules, TOKENIZER, PATCHES)
    sequence = edit_sequence(
        TOKENIZER, instruction="delete 'went'", plan_text=plan, num_source_patches=3, num_target_patches=3
    )
    batch, start = alone_and_in_company(sequence, latents)
    trained = hidden_states(modules, batch).hidden[start:]
    prompt = edit_prompt(TOKENIZER, "delete 'went'", 3, reasoning=bool(plan))
    state, patches = model.new_state(), torch.from_numpy(latents).view(-1, PATCH, LATENT_DIM)
    hidden = model.prefill([prompt], [[torch.from_numpy(latents[: 3 * PATCH])]], [state])
    written = [*TOKENIZER.encode(plan), TOKENIZER.gen_audio_id]
    text_states = [hidden]
    for token in written:
        hidden = model.step(model.embed_tokens(torch.tensor([token])), [state])
        text_states.append(hidden)
    logits = modules.language.logits(trained)[[at - 1 for at in sequence.labels]]
    torch.testing.assert_close(logits, model.logits(torch.cat(text_states[:-1])), atol=1e-5, rtol=1e-4)
    served = generated(model, hidden, state, patches[3:])
    consumed = batch.patch_positions[batch.target_patches][2:] - start
    torch.testing.assert_close(trained[consumed - 1], served[:-1], atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(trained[consumed[-1]], served[-1], atol=1e-5, rtol=1e-4)


@torch.no_grad()
def test_understanding_reads_as_in_inference() -> None:
    modules, latents = speech_modules(), posterior(3, 4 * PATCH).mean
    model = speech_model(modules, TOKENIZER, PATCHES)
    sequence = understanding_sequence(TOKENIZER, text="he went", language="English", num_patches=4)
    batch, start = alone_and_in_company(sequence, latents)
    trained = hidden_states(modules, batch).hidden[start:]
    state = model.new_state()
    hidden = model.prefill([understanding_prompt(TOKENIZER, 4)], [[torch.from_numpy(latents)]], [state])
    fed = [model.step(model.embed_tokens(token[None]), [state]) for token in batch.labels[:-1]]
    positions = [at - 1 for at in sequence.labels]
    torch.testing.assert_close(trained[positions], torch.cat((hidden, *fed)), atol=1e-5, rtol=1e-4)


def own_batch(is_read: list[bool]) -> SequenceBatch:
    """Two texts spoken in three and four patches, the marked ones of them read as the model makes them."""
    rng, draw = np.random.default_rng(0), DrawConfig(flow=FLOW, own_share=1.0)
    spoken = [
        draw_sequence(
            speech_sequence(TOKENIZER, text="she sang", num_patches=num),
            [posterior(num, num * PATCH)],
            rng,
            draw,
        )
        for num in (3, 4)
    ]
    batch = pack(spoken)
    assert batch.own is not None
    return replace(batch, own=replace(batch.own, is_read=torch.tensor(is_read)))


@torch.no_grad()
def test_what_is_read_of_its_own_is_made_from_the_recording() -> None:
    modules = speech_modules()
    batch = own_batch([False, True, False, True, False, False, True])
    recorded = hidden_states(modules, batch)
    conditions = recorded.hidden[batch.patch_positions[batch.target_patches] - 1]
    read = reading_own(modules.flow_head, batch, conditions)
    before, after = (b.read_latents.view(-1, PATCH, LATENT_DIM) for b in (batch, read))
    changed = [index for index in range(7) if not torch.equal(before[index], after[index])]
    assert changed == [1, 3, 6]
    alone = own_batch([False, True, False, False, False, False, False])
    one = reading_own(modules.flow_head, alone, conditions).read_latents.view(-1, PATCH, LATENT_DIM)
    torch.testing.assert_close(one[1], after[1])
    assert batch.flow is not None
    assert read.flow is not None
    follows = torch.cat((torch.zeros_like(after[:1]), after[:2], torch.zeros_like(after[:1]), after[3:6]))
    torch.testing.assert_close(read.flow.history, follows[batch.chosen])
    torch.testing.assert_close(read.flow.latents, batch.flow.latents)


def test_reading_nothing_of_its_own_changes_nothing() -> None:
    modules = speech_modules()
    batch = own_batch([False] * 7)
    totals = StepTotals(labels=0, flow_values=100, utterances=2, targets=7)
    losses = [
        speech_loss(
            modules,
            StepBatch(tasks="speech", totals=totals, sequences=sequences),
            SpeechLossConfig(flow=FLOW),
        ).value
        for sequences in (batch, replace(batch, own=None))
    ]
    torch.testing.assert_close(*losses)


def test_gradients_see_the_same_numbers() -> None:
    modules = speech_modules()
    batch = batches().batch(1, Share()).sequences
    trained = hidden_states(modules, batch).hidden
    with torch.no_grad():
        served = hidden_states(modules, batch).hidden
    torch.testing.assert_close(trained.detach(), served, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("auxiliary", ["none", "latents", "unified"])
def test_shares_add_up_to_the_step(auxiliary: str) -> None:
    width = {"none": 0, "latents": LATENT_DIM, "unified": UNIFIED_DIM}[auxiliary]
    stage = stage_of(speech_modules(auxiliary_width=width), auxiliary=auxiliary)
    for step in (0, 1):
        assert_shares_add_up(stage, "model", step, count=2, atol=1e-5, rtol=1e-4)


def test_letters_of_shares_add_up_and_are_counted() -> None:
    stage, step = stage_of(speech_modules(), letters_weight=0.5), 1
    assert_shares_add_up(stage, "model", step, count=2, atol=1e-5, rtol=1e-4)
    metrics = stage.loss("model", stage.batch(step, Share()), step).metrics
    assert metrics["speech/letters_right/count"] > 0
    assert metrics["speech/letters"] > 0


def test_speech_without_word_times_has_no_letters_to_tell() -> None:
    stage = stage_of(speech_modules(), letters_weight=0.5)
    batch = stage.batch(1, Share())
    mute = replace(batch.sequences, letters=torch.full_like(batch.sequences.letters, -1))
    loss = stage.loss("model", replace(batch, sequences=mute), 1)
    assert torch.isfinite(loss.value)
    assert "speech/letters_right" not in metrics_of(loss)


def test_it_learns_both_tasks() -> None:
    modules = speech_modules(auxiliary_width=UNIFIED_DIM)
    stage = stage_of(modules, auxiliary="unified", balance=RouterBalanceConfig())
    trained = [p for module in stage.modules.values() for p in module.parameters() if p.requires_grad]
    optimizer = torch.optim.Adam(trained, lr=1e-2)
    seen: dict[str, list[float]] = {}
    for step in range(40):
        loss = stage.loss("model", stage.batch(step, Share()), step)
        optimizer.zero_grad()
        loss.value.backward()
        optimizer.step()
        assert stage.after_step(step)["routing/overload"] >= 0
        for name, value in metrics_of(loss).items():
            seen.setdefault(name, []).append(value)
    first = {name: float(np.mean(values[:5])) for name, values in seen.items()}
    last = {name: float(np.mean(values[-5:])) for name, values in seen.items()}
    assert last["understanding/text"] < 0.5 * first["understanding/text"]
    assert last["understanding/right"] > first["understanding/right"]
    assert last["speech/flow"] < first["speech/flow"]
    assert last["speech/stop"] < first["speech/stop"]
    assert last["speech/auxiliary"] < first["speech/auxiliary"]


def test_the_semantic_module_is_frozen_until_it_is_not() -> None:
    for trained in (False, True):
        modules = speech_modules()
        stage = stage_of(modules, train_semantic=trained)
        stage.loss("model", stage.batch(1, Share()), 1).value.backward()
        assert modules.semantic.projection.weight.grad is None
        for parameter in modules.semantic.blocks.parameters():
            assert (parameter.grad is not None) is trained
        assert modules.flow_head.output.weight.grad is not None


def test_biases_survive_a_restart() -> None:
    modules = speech_modules()
    stage = stage_of(modules, balance=RouterBalanceConfig(rate=0.1))
    stage.loss("model", stage.batch(0, Share()), 0)
    stage.after_step(0)
    again = stage_of(speech_modules(), balance=RouterBalanceConfig(rate=0.1))
    again.load_state(stage.state())
    batch = stage.batch(1, Share())
    assert torch.equal(stage.loss("model", batch, 1).value, again.loss("model", batch, 1).value)


def test_an_auxiliary_layer_and_its_loss_come_together() -> None:
    with pytest.raises(InvalidInputError, match="auxiliary"):
        stage_of(speech_modules(), auxiliary="latents")


def test_a_look_has_losses_words_and_audio() -> None:
    modules = speech_modules()
    loss = SpeechLossConfig(flow=FLOW)
    evaluation = LanguageEvaluation(
        modules,
        TOKENIZER,
        FakeCorpus(),
        batches(seed=1),
        loss,
        config=LanguageEvaluationConfig(num_loss_steps=2, num_transcripts=2, num_sentences=1),
        decode=lambda latents: latents.numpy().flatten(),
    )
    with torch.no_grad():
        torch.nn.init.constant_(modules.stop_head.bias, 0.0)
        modules.stop_head.bias[0] = 20.0
        look = evaluation(0)
        assert look.metrics == evaluation(7).metrics
    assert {"understanding/text", "understanding/wer", "speech/flow", "speech/own_wer"} <= set(look.metrics)
    (name,) = look.audio
    assert FakeCorpus().text(0) in name
    assert len(look.audio[name]) % (PATCH * LATENT_DIM) == 0
