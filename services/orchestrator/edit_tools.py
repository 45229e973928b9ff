"""The editing library as the pipelines use it. All waveforms are 16 kHz mono, `(num_samples,)`."""

from __future__ import annotations

from dataclasses import replace
from typing import Protocol

from services.orchestrator.domain import Floats
from services.orchestrator.following import Place
from uniaudio.audio.limits import MODEL_SAMPLE_RATE
from uniaudio.audio.samples import Samples
from uniaudio.editing import checks, exact, lead, splice, windowed
from uniaudio.editing.checks import Check
from uniaudio.editing.exact import ExactEdit
from uniaudio.editing.plan import EditEngine, Plan
from uniaudio.editing.splice import Splice
from uniaudio.editing.target import Resolution
from uniaudio.editing.windowed import WindowedEdit

_MEASURED_SAMPLES = 60 * MODEL_SAMPLE_RATE


class EditTools(Protocol):
    """What is done to waveforms without a model. Called in worker threads."""

    def apply_exact(self, plan: Plan, waveform: Floats) -> ExactEdit:
        """The edit by signal processing."""
        ...

    def apply_exact_windowed(self, plan: Plan, samples: Samples) -> WindowedEdit:
        """The same, in bounded memory."""
        ...

    def measure(self, plan: Plan, source: Samples, result: Samples) -> tuple[Check, ...]:
        """What can be measured about a result."""
        ...

    def samples_before(self, source: Floats, resolution: Resolution) -> int:
        """How much of the source surely comes before the edit."""
        ...

    def copy_untouched(self, source: Floats, spoken: Floats, resolution: Resolution | None) -> Splice:
        """The source with what changed in `spoken` put into it, cross-faded.

        `resolution` says where in the words the edit lies, where that is known.
        """
        ...

    def put_in(self, source: Floats, spoken: Floats, place: Place, new: Place) -> Splice:
        """The source with its `place` replaced by what `spoken` has at `new`, in samples."""
        ...

    def cut_out(self, source: Floats, place: Place) -> Splice:
        """The source without that place."""
        ...


class LibraryTools:
    """`uniaudio.editing`."""

    def apply_exact(self, plan: Plan, waveform: Floats) -> ExactEdit:
        return exact.apply_exact(waveform, plan.kind, plan.value)

    def apply_exact_windowed(self, plan: Plan, samples: Samples) -> WindowedEdit:
        return windowed.apply_exact_windowed(samples, plan.kind, plan.value)

    def measure(self, plan: Plan, source: Samples, result: Samples) -> tuple[Check, ...]:
        tolerances = checks.EXACT if plan.engine is EditEngine.EXACT else checks.MODEL
        measured = checks.check_edit(
            plan.kind, plan.value, _middle(source), _middle(result, len(result) / len(source)), tolerances
        )
        return tuple(_of_the_whole(check, plan, source, result, tolerances) for check in measured)

    def samples_before(self, source: Floats, resolution: Resolution) -> int:
        return lead.samples_before(source, resolution.source_fraction[0])

    def copy_untouched(self, source: Floats, spoken: Floats, resolution: Resolution | None) -> Splice:
        return splice.copy_untouched(source, spoken, resolution.source_fraction if resolution else None)

    def put_in(self, source: Floats, spoken: Floats, place: Place, new: Place) -> Splice:
        return splice.put_in(source, spoken, place, new)

    def cut_out(self, source: Floats, place: Place) -> Splice:
        return splice.cut_out(source, *place)


def _middle(waveform: Samples, scale: float = 1.0) -> Floats:
    """A minute from the middle, times `scale`: tracking the pitch of an hour takes minutes."""
    num_samples = round(_MEASURED_SAMPLES * scale)
    start = max(0, (len(waveform) - num_samples) // 2)
    return waveform[start : start + num_samples] if start else waveform[:]


def _of_the_whole(
    check: Check, plan: Plan, source: Samples, result: Samples, tolerances: checks.Tolerances
) -> Check:
    """What is quick to measure, over all of it; the rest says that it was not."""
    if check.name == "duration_ratio":
        return checks.check_duration(source, result, check.expected, tolerances.duration_ratio)
    if check.name == "volume_change":
        return checks.check_volume(source, result, plan.value, tolerances.decibels)
    if len(source) <= _MEASURED_SAMPLES:
        return check
    return replace(check, detail=f"{check.detail}, in a minute from the middle")
