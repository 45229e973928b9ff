"""How training fails, by name: what is seen, why, and what to do. Words for console, metrics and plots."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(frozen=True, kw_only=True)
class Signature:
    """One way to fail. `key` names its metric, `signature/<key>`, which is 1 while it shows."""

    key: str
    title: str
    seen: str
    cause: str
    remedy: str

    @property
    def metric(self) -> str:
        """Name of the metric."""
        return f"signature/{self.key}"


@dataclass(frozen=True, kw_only=True)
class Alert:
    """A signature that shows at `step`, with the numbers that say so."""

    signature: Signature
    step: int
    evidence: str

    @property
    def text(self) -> str:
        """Everything in words, for a log line, a caption or a report."""
        named = self.signature
        return f"{named.title} at step {self.step}: {self.evidence}. {named.cause} {named.remedy}"


class Watch(Protocol):
    """Collects what one signature is told by; `training.monitors.board` asks it."""

    @property
    def signature(self) -> Signature:
        """What it looks for."""

    def alert(self) -> Alert | None:
        """The signature as it shows now."""

    def metrics(self) -> Mapping[str, float]:
        """The numbers behind it; empty until there are any."""

    def figure(self) -> bytes | None:
        """A picture of them, PNG, with the verdict in words; None until there is something to show."""

    def state(self) -> dict[str, Any]:
        """What must survive a restart; plain values and tensors."""

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Takes back what `state` gave."""


REPRESENTATION_DRIFT = Signature(
    key="representation_drift",
    title="Representation drift",
    seen="Understanding gets worse while generation gets better.",
    cause="The unified representation is being bent toward what generation needs, most often because the "
    "semantic module was unfrozen too early or learns too fast.",
    remedy="Freeze the semantic module until the last stage, lower its rate, or give understanding more steps.",
)
INCOMPLETE_DISTILLATION = Signature(
    key="incomplete_distillation",
    title="Incomplete distillation",
    seen="The unified stage (S2) hardly converges, and its semantic module began far from the teacher.",
    cause="S2 aligns what the semantic module learnt from its teacher; what distillation (S1) left out, it has "
    "to find through a frozen language model, which is slow.",
    remedy="Stop S2, go back to S1 until the held-out MSE is well below its gate of 0.1, then start S2 again.",
)
MISALIGNED_TRIPLETS = Signature(
    key="misaligned_triplets",
    title="Misaligned triplets",
    seen="Edits are right less often where the word boundaries of their triplets are off.",
    cause="Where a cut lies beside the word, the target teaches to clip or to keep what should go.",
    remedy="Check the aligner on a sample (over 95 % of boundaries within 20 ms), drop triplets beyond it, and "
    "build them again.",
)
COSTLY_POOLING = Signature(
    key="costly_pooling",
    title="Costly pooling",
    seen="Understanding is worse with five frames a patch than with one.",
    cause="The mean over a patch takes away what the language model would need to tell short sounds apart.",
    remedy="Train longer with the pooled input, widen the projection, or use a smaller patch and pay in length.",
)
UNSTABLE_ROUTING = Signature(
    key="unstable_routing",
    title="Unstable routing",
    seen="Some experts get far more positions than others, or their shares keep changing.",
    cause="Routers have not settled, or collapse onto a few experts; the others then stop learning.",
    remedy="Raise the rate of the balancing bias, lower the learning rate, or warm up longer.",
)
SIGNATURES = (
    REPRESENTATION_DRIFT,
    INCOMPLETE_DISTILLATION,
    MISALIGNED_TRIPLETS,
    COSTLY_POOLING,
    UNSTABLE_ROUTING,
)
"""Every signature that is watched."""
