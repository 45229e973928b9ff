"""What the report of an edit says about how its audio was made."""

from __future__ import annotations

from dataclasses import replace

from services.orchestrator.domain import EditOrder, EditReport
from services.orchestrator.outlet import Outlet
from services.orchestrator.provenance.hallmark import Hallmark, Making, Span
from uniaudio.audio.digest import audio_digest


def certified(
    report: EditReport, order: EditOrder, outlet: Outlet, hallmark: Hallmark, *, generated: tuple[Span, ...]
) -> EditReport:
    """The report with its provenance, once everything has left. `generated` are the seconds that the model made."""
    making = Making(
        action="edit",
        kind=report.plan.kind.name.lower(),
        text=order.instruction,
        generated=generated,
        model=report.model,
        seed=report.seed,
        source_sha256=audio_digest(order.audio.content),
        is_text_told=order.text_in_manifest,
    )
    return replace(report, provenance=hallmark.certify(making, outlet))
