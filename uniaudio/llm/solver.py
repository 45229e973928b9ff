"""From noise to a patch: time grids and the stochastic Euler solver (model specification 4.3 to 4.6)."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from uniaudio.errors import InvalidInputError
from uniaudio.llm.flow_head import FlowHead, PatchConstants

DEFAULT_GUIDANCE_SCALE = 3.0
DEFAULT_NUM_STEPS = 10
DEFAULT_SIGMA = 0.25
DEFAULT_TEMPERATURE = 1.5
MAX_NUM_STEPS = 64

# Knots in units of 1/32: denser at the start, where the velocity turns fastest.
_KNOTS = {
    5: (0, 2, 4, 8, 16, 32),
    6: (0, 2, 4, 6, 8, 16, 32),
    7: (0, 2, 4, 6, 8, 16, 24, 32),
    10: (0, 2, 4, 6, 8, 12, 16, 20, 24, 28, 32),
    12: (0, 2, 4, 6, 8, 10, 12, 14, 16, 20, 24, 28, 32),
    16: (0, 1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 16, 20, 24, 28, 32),
}

Observer = Callable[[Tensor], None]


def time_grid(num_steps: int, sway: float = -1.0) -> list[float]:
    """The `num_steps + 1` flow times from 0 to 1, after the sway transform."""
    if not 1 <= num_steps <= MAX_NUM_STEPS:
        raise InvalidInputError(f"num_solver_steps is {num_steps}; it must lie between 1 and {MAX_NUM_STEPS}")
    knots = _KNOTS.get(num_steps)
    times = [k / 32 for k in knots] if knots else [i / num_steps for i in range(num_steps + 1)]
    return [t + sway * (math.cos(math.pi * t / 2) - 1 + t) for t in times]


@dataclass(frozen=True, kw_only=True)
class SolverOptions:
    """How patches are sampled.

    `guidance_scale` is g in `v_uncond + g * (v_cond - v_uncond)`. The publication writes
    `v_cond + s * (v_cond - v_uncond)`, so g = s + 1: its default s = 2 is g = 3, and g = 1 is the
    conditional velocity alone, in one evaluation. `temperature` 0 makes the solver deterministic.
    """

    guidance_scale: float = DEFAULT_GUIDANCE_SCALE
    num_steps: int = DEFAULT_NUM_STEPS
    sigma: float = DEFAULT_SIGMA
    temperature: float = DEFAULT_TEMPERATURE

    def __post_init__(self) -> None:
        if not 1 <= self.num_steps <= MAX_NUM_STEPS:
            raise InvalidInputError(
                f"num_solver_steps is {self.num_steps}; it must lie between 1 and {MAX_NUM_STEPS}"
            )
        for name in ("guidance_scale", "sigma", "temperature"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value >= 0):
                raise InvalidInputError(f"{name} is {value}; it must be a finite number of at least 0")

    @property
    def spread(self) -> float:
        """How much noise a step adds, but for the step's length."""
        return self.sigma * math.sqrt(self.temperature)

    @classmethod
    def from_published(cls, cfg: float, num_steps: int = DEFAULT_NUM_STEPS) -> SolverOptions:
        """Options for the publication's guidance weight s ("cfg")."""
        return cls(guidance_scale=cfg + 1.0, num_steps=num_steps)


@torch.no_grad()
def solve(
    head: FlowHead,
    condition: Tensor,
    history: Tensor,
    initial_noise: Tensor,
    step_noise: Tensor,
    options: SolverOptions | Sequence[SolverOptions] | None = None,
    observe: Observer | None = None,
) -> Tensor:
    """A patch `(B, P, C)`, float32, for every row.

    Args:
        condition: hidden states `(B, H)`.
        history: the patches before, `(B, P, C)`; zeros where there is none.
        initial_noise: standard normal `(B, P, C)`.
        step_noise: standard normal `(num_steps - 1, B, P, C)`; more steps are ignored.
        options: one for all rows, or one per row; rows of a call share `num_steps`.
        observe: called with the initial noise and with the state `(B, P, C)` after each step, before
            that step's noise is added; the last one is the result.
    """
    rows = options_per_row(options, condition.shape[0])
    num_steps, on = rows[0].num_steps, history.device
    guidance = [row.guidance_scale for row in rows]
    return solve_rows(
        head,
        condition,
        history,
        initial_noise,
        step_noise,
        None if all(scale == 1.0 for scale in guidance) else torch.tensor(guidance, device=on),
        torch.tensor([row.spread for row in rows], device=on),
        embedded_times(head, num_steps),
        observe,
    )


def embedded_times(head: FlowHead, num_steps: int) -> Tensor:
    """The head's embeddings `(num_steps, D)` of the times at which a solver's steps begin."""
    times = torch.tensor(time_grid(num_steps)[:-1], device=head.output.weight.device)
    out: Tensor = head.time_embedding(times)
    return out


def solve_rows(
    head: FlowHead,
    condition: Tensor,
    history: Tensor,
    initial_noise: Tensor,
    step_noise: Tensor,
    guidance: Tensor | None,
    spread: Tensor,
    times: Tensor,
    observe: Observer | None = None,
) -> Tensor:
    """What `solve` gives; everything lies on the device and nothing is read from it, so that a graph can hold it.

    Args:
        guidance: one scale `(B,)` a row; None where every one is 1.
        spread: `(B,)`, each row's `SolverOptions.spread`.
        times: what `embedded_times` gives.
    """
    spread = spread[:, None, None]
    if guidance is not None:
        condition = torch.cat((condition, torch.zeros_like(condition)))
        history = torch.cat((history, history))
    constants = head.constants(condition, history)
    x = initial_noise.float()
    if observe is not None:
        observe(x)
    for index, (now, after) in enumerate(pairwise(time_grid(len(times)))):
        x = x + (after - now) * _guided_velocity(head, x, times[index], constants, guidance)
        if observe is not None:
            observe(x)
        if index < len(times) - 1:
            x = x + spread * math.sqrt(after - now) * step_noise[index].float()
    return x


def _guided_velocity(
    head: FlowHead, x: Tensor, time_row: Tensor, constants: PatchConstants, guidance: Tensor | None
) -> Tensor:
    """`v_uncond + g * (v_cond - v_uncond)`, `(B, P, C)`; where every g is 1, one evaluation."""
    if guidance is None:
        return head.velocity_at(x, time_row, constants)
    conditional, unconditional = head.velocity_at(torch.cat((x, x)), time_row, constants).chunk(2)
    return unconditional + guidance[:, None, None] * (conditional - unconditional)


def velocity_pair(
    head: FlowHead, x: Tensor, flow_time: float, condition: Tensor, history: Tensor
) -> tuple[Tensor, Tensor]:
    """Conditional and unconditional velocity, `(B, P, C)` each, evaluated as one batch of 2 B."""
    both = head.velocity(
        torch.cat((x, x)),
        x.new_full((2 * x.shape[0],), flow_time),
        torch.cat((condition, torch.zeros_like(condition))),
        torch.cat((history, history)),
    )
    conditional, unconditional = both.chunk(2)
    return conditional, unconditional


def options_per_row(
    options: SolverOptions | Sequence[SolverOptions] | None, batch: int
) -> Sequence[SolverOptions]:
    """One for each of `batch` rows; ValueError if their number or their `num_steps` do not agree."""
    if options is None or isinstance(options, SolverOptions):
        return [options or SolverOptions()] * batch
    if len(options) != batch or len({row.num_steps for row in options}) != 1:
        raise ValueError(
            f"{batch} rows need {batch} options with one num_steps, got {[row.num_steps for row in options]}"
        )
    return options
