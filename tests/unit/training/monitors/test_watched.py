"""The watched stage trains as the stage does, and says more about it."""

from __future__ import annotations

import torch

from tests.unit.training.fake_latents import LATENT_DIM, FakeCorpus, speech_modules, text_tokenizer
from training.config import OptimizerConfig
from training.data.sequences import DrawConfig
from training.data.step_batches import StepBatches, task_cycle
from training.data.tasks import SpeechTask, UnderstandingTask
from training.monitors.routing import RoutingMonitor
from training.monitors.watched import WatchedLanguage
from training.objectives.flow_matching import FlowMatchingConfig
from training.objectives.router_balance import RouterBalanceConfig
from training.objectives.speech import SpeechLossConfig
from training.stage import Evaluation, Share
from training.stages.language import LanguageConfig, LanguageStage

FLOW = FlowMatchingConfig()


class Falling:
    """An evaluator whose understanding gets worse look by look, and whose speech gets better."""

    def __init__(self) -> None:
        self.looks = 0

    def __call__(self, step: int) -> Evaluation:
        self.looks += 1
        return Evaluation(
            metrics={"understanding/wer": 0.1 * self.looks, "speech/flow": 1.5 - 0.1 * self.looks}
        )


def watched(
    *, balance: RouterBalanceConfig | None = None, evaluator: Falling | None = None
) -> WatchedLanguage:
    corpus, text = FakeCorpus(), text_tokenizer()
    batches = StepBatches(
        {"understanding": UnderstandingTask(corpus, text, 0), "speech": SpeechTask(corpus, text, 0)},
        task_cycle(1, understanding=2, speech=2),
        seed=0,
        latent_dim=LATENT_DIM,
        draw=DrawConfig(flow=FLOW),
    )
    config = LanguageConfig(loss=SpeechLossConfig(flow=FLOW), balance=balance)
    stage = LanguageStage(speech_modules(), batches, config, OptimizerConfig(learning_rate=1e-2), evaluator)
    return WatchedLanguage(stage, routing=RoutingMonitor(window_steps=4, num_blocks=2))


def step(stage: WatchedLanguage, number: int) -> dict[str, float]:
    stage.loss("model", stage.batch(number, Share()), number)
    return dict(stage.after_step(number))


def test_routing_is_watched_step_by_step() -> None:
    stage = watched(balance=RouterBalanceConfig(rate=0.0))
    metrics = [step(stage, number) for number in range(4)]
    assert "routing/variance" not in metrics[0]
    assert metrics[3]["routing/variance"] > 0
    assert metrics[3]["signature/unstable_routing"] in (0.0, 1.0)
    assert "signature/unstable_routing" in stage.evaluate(4).figures


def test_drift_is_watched_look_by_look_and_across_a_restart() -> None:
    evaluator = Falling()
    stage = watched(evaluator=evaluator)
    assert [stage.evaluate(look).metrics["signature/representation_drift"] for look in range(2)] == [0.0, 0.0]
    again = watched(evaluator=evaluator)
    again.load_state(stage.state())
    look = again.evaluate(2)
    assert look.metrics["signature/representation_drift"] == 1.0
    assert look.metrics["understanding/wer"] > 0
    assert "signature/representation_drift" in look.figures


def test_the_stage_itself_is_left_as_it_was() -> None:
    stage = watched()
    assert stage.modules.keys() == stage.stage.modules.keys()
    assert [player.name for player in stage.players] == ["model"]
    assert "signature/unstable_routing" not in step(stage, 0)
    own = stage.stage.batch(1, Share()).sequences.token_ids
    assert torch.equal(stage.batch(1, Share()).sequences.token_ids, own)
