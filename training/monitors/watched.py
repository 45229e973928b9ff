"""A language stage with its watches: routing after every step, drift and what evaluators feed at every look."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import nn

from training.data.step_batches import StepBatch
from training.monitors.board import Board
from training.monitors.drift import DriftWatch
from training.monitors.routing import RoutingMonitor
from training.monitors.signatures import Watch
from training.stage import Evaluation, Player, Share, StepLoss
from training.stages.language import LanguageStage

_UNDERSTANDING = ("understanding/wer", "understanding/text")
_GENERATION = "speech/flow"


class WatchedLanguage:
    """The stage as it is, and besides `routing/...`, `drift/...`, `signature/...` and their figures.

    Routing is watched where the stage counts it (`LanguageConfig.balance`; a rate of 0 only counts).
    `watches` are shown beside; the stage's evaluators feed them.
    """

    def __init__(
        self, stage: LanguageStage, *, routing: RoutingMonitor | None = None, watches: Sequence[Watch] = ()
    ) -> None:
        self.stage = stage
        self.routing = (routing or RoutingMonitor()) if stage.balance else None
        self.drift = DriftWatch()
        self.board = Board(*([self.routing] if self.routing else []), self.drift, *watches)

    @property
    def modules(self) -> Mapping[str, nn.Module]:
        """The stage's."""
        return self.stage.modules

    @property
    def players(self) -> Sequence[Player]:
        """The stage's."""
        return self.stage.players

    def batch(self, step: int, share: Share) -> StepBatch:
        """The stage's."""
        return self.stage.batch(step, share)

    def loss(self, player: str, batch: StepBatch, step: int) -> StepLoss:
        """The stage's."""
        return self.stage.loss(player, batch, step)

    def after_step(self, step: int) -> Mapping[str, float]:
        """The stage's numbers and the watches'."""
        numbers = dict(self.stage.after_step(step))
        if self.routing is not None and self.stage.balance is not None:
            self.routing.add(step, self.stage.balance.tokens_per_expert)
        return {**numbers, **self.board.metrics()}

    def evaluate(self, step: int) -> Evaluation:
        """The stage's look; its understanding and its generation are compared with earlier looks."""
        look = self.stage.evaluate(step)
        error = next((look.metrics[name] for name in _UNDERSTANDING if name in look.metrics), None)
        if error is not None and _GENERATION in look.metrics:
            flow = look.metrics[_GENERATION]
            self.drift.add(step, understanding_error=error, generation_error=flow)
        watched = self.board.look()
        return Evaluation(
            metrics={**look.metrics, **watched.metrics},
            audio=look.audio,
            figures={**look.figures, **watched.figures},
            sample_rate=look.sample_rate,
        )

    def state(self) -> Mapping[str, Any]:
        """The stage's, and what the watches have seen."""
        return {"stage": self.stage.state(), "board": self.board.state()}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Takes back what `state` gave."""
        self.stage.load_state(state["stage"])
        self.board.load_state(state["board"])
