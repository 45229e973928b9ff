"""The language model's stage: understanding and speech learnt together, in turns (8.2).

Large-scale training, annealing and full fine-tuning are this stage with other rates, another ratio of
turns, and, in the last, the semantic module trained as well.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from training.config import OptimizerConfig
from training.data.step_batches import StepBatch, StepBatches
from training.objectives.router_balance import RouterBalance, RouterBalanceConfig
from training.objectives.speech import SpeechLossConfig, SpeechModules, speech_loss
from training.stage import Evaluation, Player, Share, StepLoss
from uniaudio.errors import InvalidInputError


@dataclass(frozen=True, kw_only=True)
class LanguageConfig:
    """What is learnt and how; `balance` None leaves the routers alone."""

    loss: SpeechLossConfig
    balance: RouterBalanceConfig | None = None
    train_semantic: bool = False


class LanguageStage:
    """Trains everything between latents and latents on batches of any tasks.

    `evaluator` looks at the modules as an export would have them, without the routers' bias.
    """

    def __init__(
        self,
        modules: SpeechModules,
        batches: StepBatches,
        config: LanguageConfig,
        optimizer: OptimizerConfig,
        evaluator: Callable[[int], Evaluation] | None = None,
    ) -> None:
        if (modules.auxiliary is None) != (config.loss.auxiliary == "none"):
            raise InvalidInputError(
                f"the loss asks for auxiliary={config.loss.auxiliary!r}; make the layer by "
                "SpeechLossConfig.auxiliary_layer, and only then"
            )
        self._modules, self._batches, self._config = modules, batches, config
        self._optimizer, self._evaluator = optimizer, evaluator
        freeze_semantic(modules, trained=config.train_semantic)
        self.balance = RouterBalance(modules.language, config.balance) if config.balance else None

    @property
    def modules(self) -> Mapping[str, nn.Module]:
        """All modules; the semantic module belongs to the checkpoint even while it is frozen."""
        return self._modules.named()

    @property
    def players(self) -> Sequence[Player]:
        """One player: everything that requires gradients."""
        return (Player(name="model", modules=self.modules, optimizer=self._optimizer),)

    def batch(self, step: int, share: Share) -> StepBatch:
        """The share's sequences, packed, with everything random drawn."""
        return self._batches.batch(step, share)

    def loss(self, player: str, batch: StepBatch, step: int) -> StepLoss:
        """Flow, stop and text together."""
        return speech_loss(self._modules, batch, self._config.loss)

    def after_step(self, step: int) -> Mapping[str, float]:
        """Moves the routers' biases."""
        return self.balance.after_step(step) if self.balance else {}

    @torch.no_grad()
    def evaluate(self, step: int) -> Evaluation:
        """What the evaluator sees; nothing without one."""
        if self._evaluator is None:
            return Evaluation()
        if self.balance is None:
            return self._evaluator(step)
        with self.balance.without_bias():
            return self._evaluator(step)

    def state(self) -> Mapping[str, Any]:
        """The routers' biases."""
        return {"balance": self.balance.state()} if self.balance else {}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Takes back what `state` gave."""
        if self.balance:
            self.balance.load_state(state["balance"])


def freeze_semantic(modules: SpeechModules, *, trained: bool) -> None:
    """Freezes the semantic module; or all but its projection, which the waveform decoder shares (8.2)."""
    modules.semantic.requires_grad_(False)
    for part in (modules.semantic.expansion, modules.semantic.blocks, modules.semantic.norm):
        part.requires_grad_(trained)
