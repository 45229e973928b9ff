"""What nano aims at, beside what was measured."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from uniaudio.evaluation.results import AimRow, Table, Value, unit_of


@dataclass(frozen=True, kw_only=True)
class Aim:
    """`table` and `metric` say where the value stands; `at_least` or `at_most` what it should be.

    A metric that ends in an underscore is of the first judge that measured it. `against_copy` compares
    with the row of the unedited recordings instead of a number.
    """

    what: str
    table: str
    metric: str
    at_least: float | None = None
    at_most: float | None = None
    against_copy: bool = False
    remark: str = ""


_WORDS = ("deletion", "insertion", "substitution")
AIMS: tuple[Aim, ...] = (
    Aim(
        what="tokenizer, held-out voices: PESQ-wb", table="reconstruction, held-out voices", metric="pesq_wb",
        at_least=2.7, remark="3.0 is better",
    ),
    Aim(
        what="tokenizer, held-out voices: STOI", table="reconstruction, held-out voices", metric="stoi",
        at_least=0.95,
    ),
    Aim(
        what="tokenizer, real recordings (never trained on): STOI", table="reconstruction, real recordings",
        metric="stoi", at_least=0.85,
    ),
    Aim(what="transcription: WER", table="transcription", metric="wer_system/micro", at_most=0.05),
    Aim(what="TTS: WER of its speech", table="speaking", metric="wer_", at_most=0.10),
    Aim(what="TTS: right voice chosen among 10", table="speaking", metric="right_voice_", at_least=0.90),
    *(
        aim
        for task in _WORDS
        for aim in (
            Aim(what=f"{task}: clean ACC", table=task, metric="acc_", at_least=0.80),
            Aim(what=f"{task}: WER outside the edit", table=task, metric="outside_wer_", at_most=0.10),
        )
    ),
    Aim(what="speed: RDE", table="speed", metric="rde", at_most=0.08),
    Aim(what="volume: RAE", table="volume", metric="rae", at_most=0.08),
    Aim(what="denoise at 5 dB: PESQ gain", table="denoise at 5 dB", metric="pesq_gain", at_least=0.3),
    Aim(
        what="denoise at 5 dB: WER", table="denoise at 5 dB", metric="wer_", against_copy=True,
        remark="not worse than the input",
    ),
)  # fmt: skip


def judge_aims(tables: Sequence[Table], aims: Sequence[Aim] = AIMS) -> list[AimRow]:
    """Every aim: met, missed, or not measured and why. Word errors are micro averages."""
    return [_judge(aim, tables) for aim in aims]


def _judge(aim: Aim, tables: Sequence[Table]) -> AimRow:
    found = [table for table in tables if table.title == aim.table]
    if not found:
        return AimRow(
            what=aim.what, aim=_asked(aim), value="–", met=None, reason="the test set has no such rows"
        )
    for table in found:
        metric = _column(aim, table)
        value = table.rows[0].values.get(metric)
        if value is None:
            continue
        shown = unit_of(metric).show(value)
        if aim.against_copy:
            limit = table.rows[1].values.get(metric)
            met = None if limit is None else value <= limit
            return AimRow(
                what=aim.what, aim=f"≤ {unit_of(metric).show(limit)} ({aim.remark})", value=shown, met=met
            )
        return AimRow(what=aim.what, aim=_asked(aim), value=shown, met=_is_met(aim, value))
    reasons = [reason for table in found for reason in table.rows[0].reasons.values()]
    return AimRow(
        what=aim.what,
        aim=_asked(aim),
        value="–",
        met=None,
        reason=reasons[0] if reasons else "nothing scored",
    )


def _column(aim: Aim, table: Table) -> str:
    if not aim.metric.endswith("_"):
        return aim.metric
    mine = [name for name in table.metrics if name.startswith(aim.metric)]
    micro = [name for name in mine if name.endswith("/micro")]
    return (micro or mine or [aim.metric])[0]


def _is_met(aim: Aim, value: float) -> bool:
    return (aim.at_least is None or value >= aim.at_least) and (aim.at_most is None or value <= aim.at_most)


def _asked(aim: Aim) -> str:
    show: Callable[[Value], str] = unit_of(aim.metric).show
    sign, limit = ("≥", aim.at_least) if aim.at_least is not None else ("≤", aim.at_most)
    asked = f"{sign} {show(limit)}" if limit is not None else aim.remark
    return f"{asked} ({aim.remark})" if aim.remark and limit is not None else asked
