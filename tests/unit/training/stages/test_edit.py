"""Edits: laid out as in inference, heavier where they are, learnt beside what is known already."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn.functional import one_hot

from tests.unit.training.fake_latents import (
    LATENT_DIM,
    PATCH,
    UNIFIED_DIM,
    FakeCorpus,
    FakeEdits,
    speech_modules,
    text_tokenizer,
)
from training.config import OptimizerConfig
from training.data.sequences import DrawConfig
from training.monitors.triplets import TripletWatch
from training.monitors.watched import WatchedLanguage
from training.objectives.flow_matching import FlowMatchingConfig
from training.objectives.speech import SpeechLossConfig, metrics_of
from training.stage import Evaluation, Share
from training.stages.edit import (
    EditConfig,
    EditStageConfig,
    EditTask,
    edit_batches,
    edit_cycle,
    edit_stage,
    frame_weights,
)
from training.stages.edit_evaluation import EditEvaluation, EditEvaluationConfig
from training.stages.language import LanguageConfig
from uniaudio.errors import InvalidInputError
from uniaudio.llm.config import PatchConfig
from uniaudio.llm.model import LanguageModel

TOKENIZER = text_tokenizer()
LOSS = SpeechLossConfig(flow=FlowMatchingConfig(num_draws=2))
CONFIG = EditStageConfig(
    language=LanguageConfig(loss=LOSS),
    draw=DrawConfig(flow=LOSS.flow),
    cycle=edit_cycle(edits=4, understanding=2, speech=2, edit_steps=2),
)


def test_plans_follow_each_step_of_edits() -> None:
    cycle = edit_cycle(edits=3, understanding=2, speech=1, plans=5, edit_steps=2, speech_steps=3)
    edited, spoken = [(("edit", 3),), (("plan", 5),)], [(("speech", 1),)]
    assert list(cycle) == [*edited * 2, (("understanding", 2),), *spoken * 3]


def test_frames_of_the_edit_weigh_more_with_a_margin() -> None:
    inserted, denoised = FakeEdits().entry(0), FakeEdits().entry(1)
    weights = frame_weights(inserted, EditConfig())
    assert weights is not None
    assert weights.tolist() == [1.0] * 18 + [3.0] * 12  # frames 21 to 28, three more on each side, to the end
    vanished = frame_weights(replace(inserted, target_region=(2, 2)), EditConfig())
    assert vanished is not None
    assert vanished.tolist() == [3.0] * 5 + [1.0] * 25
    assert frame_weights(denoised, EditConfig()) is None


def test_a_plan_names_the_source_first_and_the_target_second() -> None:
    task, edits = EditTask(FakeEdits(), TOKENIZER, 0), FakeEdits()
    seen = set()
    for number in range(4):
        planned = task.plan(number)
        source, target = (read() for read in planned.readers)
        index = next(i for i in range(4) if np.array_equal(source.mean, edits.source(i).mean))
        assert np.array_equal(target.mean, edits.target(index).mean)
        entry, sequence = edits.entry(index), planned.sequence
        assert sequence.first_target == entry.source_frames // PATCH
        assert sequence.num_targets == entry.target_frames // PATCH
        text = TOKENIZER.decode(sequence.token_ids)
        assert entry.instruction in text
        assert ("<answer>" in text) is bool(entry.plan_text)
        assert f"{entry.plan_text}<gen_audio>" in text
        seen.add(index)
    assert seen == set(range(4))


def test_letters_are_named_where_word_times_are_known() -> None:
    task = EditTask(FakeEdits(), TOKENIZER, 0)
    sequences = {len(s.letters): s for s in (task.plan(number).sequence for number in range(4))}
    spoken, unknown = sequences[6], sequences[4]
    assert "".join(TOKENIZER.decode([i]) if i >= 0 else "." for i in spoken.letters) == "h...so"
    assert set(unknown.letters) == {-1}


def test_kinds_can_be_chosen() -> None:
    task = EditTask(FakeEdits(), TOKENIZER, 0, EditConfig(kinds=("denoise",)))
    assert all("denoise" in TOKENIZER.decode(task.plan(n).sequence.token_ids) for n in range(4))
    with pytest.raises(InvalidInputError, match="no examples"):
        EditTask(FakeEdits(), TOKENIZER, 0, EditConfig(kinds=("sing",)))


def test_latents_of_two_tokenizers_are_refused() -> None:
    with pytest.raises(InvalidInputError, match="one tokenizer"):
        edit_batches(FakeEdits(), FakeCorpus(latent_dim=9), TOKENIZER, CONFIG, 0)


def test_the_edited_region_counts_more() -> None:
    modules = speech_modules()
    values = []
    for weight in (1.0, 3.0):
        config = replace(CONFIG, edit=EditConfig(region_weight=weight, kinds=("insert",)))
        stage = edit_stage(
            modules,
            edit_batches(FakeEdits(), FakeCorpus(), TOKENIZER, config, 0),
            config,
            OptimizerConfig(learning_rate=1e-3),
        )
        values.append(float(stage.loss("model", stage.batch(0, Share()), 0).metrics["edit/flow"]))
    # Twelve of thirty frames weigh three: by and large 1.8 times the loss.
    assert 1.5 < values[1] / values[0] < 2.1


def test_it_learns_plans_and_keeps_the_other_tasks() -> None:
    modules = speech_modules()
    batches = edit_batches(FakeEdits(), FakeCorpus(), TOKENIZER, CONFIG, 0)
    stage = edit_stage(modules, batches, CONFIG, OptimizerConfig(learning_rate=1e-2))
    trained = [p for module in stage.modules.values() for p in module.parameters() if p.requires_grad]
    optimizer = torch.optim.Adam(trained, lr=1e-2)
    seen: dict[str, list[float]] = {}
    for step in range(48):
        loss = stage.loss("model", stage.batch(step, Share()), step)
        optimizer.zero_grad()
        loss.value.backward()
        optimizer.step()
        for name, value in metrics_of(loss).items():
            seen.setdefault(name, []).append(value)
    for name in ("edit/text", "edit/flow", "edit/stop", "understanding/text", "speech/flow"):
        assert np.mean(seen[name][-3:]) < np.mean(seen[name][:3]), name


class OpensSpeech(LanguageModel):
    """Whatever it reads, it writes `<gen_audio>`."""

    def logits(self, hidden: Tensor) -> Tensor:
        chosen = torch.full((len(hidden),), TOKENIZER.gen_audio_id)
        return one_hot(chosen, self.config.vocab_size).float()


def test_a_look_makes_edits_as_inference_does() -> None:
    modules = speech_modules()
    modules = replace(modules, language=OpensSpeech(modules.language.config))
    with torch.no_grad():
        modules.stop_head.bias[0] = 20.0  # never ends by itself
    batches = edit_batches(FakeEdits(), FakeCorpus(), TOKENIZER, CONFIG, 1)
    evaluation = EditEvaluation(
        modules,
        TOKENIZER,
        FakeEdits(),
        batches,
        LOSS,
        patches=PatchConfig(latent_dim=LATENT_DIM, unified_dim=UNIFIED_DIM),
        config=EditEvaluationConfig(num_loss_steps=2, num_edits=2, num_recordings=1),
        decode=lambda latents: latents.numpy().flatten(),
    )

    def other(step: int) -> Evaluation:
        return Evaluation(metrics={"understanding/wer": 0.5, "step": float(step)})

    stage = edit_stage(
        modules, batches, CONFIG, OptimizerConfig(learning_rate=1e-2), evaluators=(evaluation, other)
    )
    look = stage.evaluate(3)
    assert {"edit/flow", "edit/text", "edit/own_wer"} <= set(look.metrics)
    assert (look.metrics["step"], look.metrics["understanding/wer"]) == (3, 0.5)
    assert (look.metrics["edit/speaks"], look.metrics["edit/plan_right"]) == (1, 0)
    # Both sources have four patches, so both speeches go on to the limit of thirty.
    assert look.metrics["edit/length"] == pytest.approx((150 / 30 + 150 / 20) / 2)
    (samples,) = look.audio.values()
    assert len(samples) == 30 * PATCH * LATENT_DIM


def test_cut_edits_are_judged_for_the_watch_on_triplets() -> None:
    modules, watch = speech_modules(), TripletWatch(least=1)
    evaluation = EditEvaluation(
        modules,
        TOKENIZER,
        FakeEdits(),
        edit_batches(FakeEdits(), FakeCorpus(), TOKENIZER, CONFIG, 1),
        LOSS,
        config=EditEvaluationConfig(num_loss_steps=1, num_edits=0, num_cut=2),
        watch=watch,
    )
    stage = edit_stage(
        modules,
        edit_batches(FakeEdits(), FakeCorpus(), TOKENIZER, CONFIG, 0),
        CONFIG,
        OptimizerConfig(learning_rate=1e-2),
        evaluators=(evaluation,),
    )
    with torch.no_grad():
        modules.language.lm_head.weight.zero_()  # never speaks, so no edit is right
        look = WatchedLanguage(stage, watches=(watch,)).evaluate(7)
    assert look.metrics["triplets/misaligned"] == 0.5
    assert look.metrics["triplets/accuracy_aligned"] == look.metrics["triplets/accuracy_misaligned"] == 0
    assert look.metrics["signature/misaligned_triplets"] == 0
    assert "signature/misaligned_triplets" in look.figures


def test_a_model_that_does_not_speak_is_told_so() -> None:
    modules = speech_modules()
    evaluation = EditEvaluation(
        modules,
        TOKENIZER,
        FakeEdits(),
        edit_batches(FakeEdits(), FakeCorpus(), TOKENIZER, CONFIG, 1),
        LOSS,
        config=EditEvaluationConfig(num_loss_steps=1, num_edits=1),
    )
    with torch.no_grad():
        modules.language.lm_head.weight.zero_()  # always token 0, never speech
        look = evaluation(0)
    assert look.metrics["edit/speaks"] == 0
    assert look.metrics["edit/plan_right"] == 0
    assert "edit/own_wer" not in look.metrics
