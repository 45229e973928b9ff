"""Which sequences a step practises, and the share of one rank: a pure function of seed and step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from training.data.sequences import DrawConfig, SequenceBatch, draw_sequence, pack
from training.data.tasks import PlannedSequence, SequenceTask
from training.stage import Share, item_generator
from uniaudio.errors import InvalidInputError

_DRAW = 1  # the stream of noise and times

Turn = tuple[tuple[str, int], ...]
"""Tasks of one step, each with its number of sequences."""


def task_cycle(ratio: int, *, understanding: int, speech: int) -> tuple[Turn, ...]:
    """One step of understanding, then `ratio` steps of speech, with so many sequences each (8.2)."""
    return ((("understanding", understanding),), *[(("speech", speech),)] * ratio)


@dataclass(frozen=True, kw_only=True)
class StepTotals:
    """What the losses of the whole step are divided by."""

    labels: int
    flow_values: int
    utterances: int
    targets: int


@dataclass(frozen=True, kw_only=True)
class StepBatch:
    """A share of a step; `tasks` names what the step practises."""

    tasks: str
    totals: StepTotals
    sequences: SequenceBatch


class StepBatches:
    """Batches of several tasks that take turns."""

    def __init__(
        self,
        tasks: Mapping[str, SequenceTask],
        cycle: Sequence[Turn],
        *,
        seed: int,
        latent_dim: int,
        draw: DrawConfig,
    ) -> None:
        unknown = {name for turn in cycle for name, _ in turn} - set(tasks)
        if unknown or not cycle:
            raise InvalidInputError(
                f"the cycle of tasks names {sorted(unknown) or 'nothing'}; there are {sorted(tasks)}"
            )
        self._tasks, self._cycle, self._seed = tasks, tuple(cycle), seed
        self._latent_dim, self._draw = latent_dim, draw

    def plan(self, step: int) -> list[PlannedSequence]:
        """All sequences of a step, in order, without their frames."""
        turns, place = divmod(step, len(self._cycle))
        planned: list[PlannedSequence] = []
        for at, (name, count) in enumerate(self._cycle[place]):
            in_cycle = sum(n for turn in self._cycle for other, n in turn if other == name)
            earlier = [entry for turn in self._cycle[:place] for entry in turn] + list(
                self._cycle[place][:at]
            )
            first = turns * in_cycle + sum(n for other, n in earlier if other == name)
            planned += [self._tasks[name].plan(first + offset) for offset in range(count)]
        return planned

    def batch(self, step: int, share: Share) -> StepBatch:
        """The share's sequences of a step, with everything random drawn."""
        planned = self.plan(step)
        mine = share.of(list(enumerate(planned)))
        if not mine:
            raise InvalidInputError(
                f"step {step} has {len(planned)} sequences for {share.count} shares; give each at least one"
            )
        drawn = [
            draw_sequence(
                item.sequence,
                [read() for read in item.readers],
                item_generator(self._seed, step, index, _DRAW),
                self._draw,
            )
            for index, item in mine
        ]
        turn = self._cycle[step % len(self._cycle)]
        tasks = "+".join(name for name, count in turn if count)
        return StepBatch(tasks=tasks, totals=self._totals(planned), sequences=pack(drawn))

    def _totals(self, planned: Sequence[PlannedSequence]) -> StepTotals:
        sequences = [item.sequence for item in planned]
        speaking = [s.num_targets for s in sequences if s.num_targets]
        flow, patch_size = self._draw.flow, self._draw.patch_size
        return StepTotals(
            labels=sum(len(s.labels) for s in sequences),
            flow_values=sum(flow.num_values(count, patch_size, self._latent_dim) for count in speaking),
            utterances=len(speaking),
            targets=sum(speaking),
        )
