"""The editing library as the pipelines use it. All waveforms are 16 kHz mono, `(num_samples,)`."""

from __future__ import annotations

from typing import Protocol

from services.orchestrator.domain import Floats
from uniaudio.editing import checks, exact, splice
from uniaudio.editing.checks import Check
from uniaudio.editing.exact import ExactEdit
from uniaudio.editing.plan import EditEngine, Plan
from uniaudio.editing.splice import Splice
from uniaudio.editing.target import Resolution


class EditTools(Protocol):
    """What is done to waveforms without a model. Called in worker threads."""

    def apply_exact(self, plan: Plan, waveform: Floats) -> ExactEdit:
        """The edit by signal processing."""
        ...

    def measure(self, plan: Plan, source: Floats, result: Floats) -> tuple[Check, ...]:
        """What can be measured about a result."""
        ...

    def copy_untouched(self, source: Floats, spoken: Floats, resolution: Resolution | None) -> Splice:
        """The source with what changed in `spoken` put into it, cross-faded.

        `resolution` says where in the words the edit lies, where that is known.
        """
        ...


class LibraryTools:
    """`uniaudio.editing`."""

    def apply_exact(self, plan: Plan, waveform: Floats) -> ExactEdit:
        return exact.apply_exact(waveform, plan.kind, plan.value)

    def measure(self, plan: Plan, source: Floats, result: Floats) -> tuple[Check, ...]:
        tolerances = checks.EXACT if plan.engine is EditEngine.EXACT else checks.MODEL
        return tuple(checks.check_edit(plan.kind, plan.value, source, result, tolerances))

    def copy_untouched(self, source: Floats, spoken: Floats, resolution: Resolution | None) -> Splice:
        return splice.copy_untouched(source, spoken, resolution.source_fraction if resolution else None)
