"""The editing library behind the pipelines: numbers as asked, and minutes of checking never for an hour of sound."""

from __future__ import annotations

import numpy as np
import pytest

from services.orchestrator.edit_tools import LibraryTools
from tests.fakes_speech import Floats
from uniaudio.editing.checks import Verdict
from uniaudio.editing.grammar import parse_instruction
from uniaudio.editing.plan import EditEngine


def voice(seconds: float) -> Floats:
    """A buzz of 150 Hz that comes and goes, as syllables do."""
    times = np.arange(int(seconds * 16_000)) / 16_000
    buzz = sum(np.sin(2 * np.pi * 150 * harmonic * times) / harmonic for harmonic in range(1, 12))
    return (0.1 * buzz * (1.2 + np.sin(2 * np.pi * 3 * times))).astype(np.float32)


@pytest.mark.parametrize(
    ("instruction", "seconds"),
    [
        ("adjusts the speed to 1.25", 3.0),
        ("adjusts the speed to 1.25", 70.0),
        ("shifts the pitch by 3 steps", 3.0),
        ("adjusts the volume to 0.5", 3.0),
    ],
)
def test_exact_edits_are_measured_as_asked(instruction: str, seconds: float) -> None:
    plan = parse_instruction(instruction).with_engine(EditEngine.EXACT)
    tools, source = LibraryTools(), voice(seconds)
    exact = tools.apply_exact(plan, source)
    checks = tools.measure(plan, source, exact.waveform)
    assert [check.verdict for check in checks] == [Verdict.PASSED] * 2, checks
    duration = next(check for check in checks if check.name == "duration_ratio")
    assert duration.measured == len(exact.waveform) / len(source)
    if seconds > 60:
        assert checks[1].detail.endswith("in a minute from the middle")


def test_untouched_sound_is_copied() -> None:
    rng = np.random.default_rng(0)
    noise = np.repeat(rng.uniform(0.05, 1.0, 40), 1_600).astype(np.float32)
    source = voice(4.0) * noise
    spliced = LibraryTools().copy_untouched(source, source.copy(), None)
    assert spliced.untouched_copied
    assert len(spliced.waveform) == len(source)
