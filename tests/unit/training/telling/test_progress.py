"""The line tells step, losses, rate and time left, on a terminal and in a log."""

from __future__ import annotations

from io import StringIO

import pytest
import structlog
from rich.console import Console

from training.telling.progress import LiveLine, LogLines, duration_text, progress_for

VALUES = {
    "generator/loss": 1.25,
    "discriminator/loss": 0.5,
    "gradient_norm": 3.0,
    "generator/audio_seconds_per_second": 41.5,
    "steps_per_second": 2.0,
}


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(45, "45 s"), (720, "12 min"), (12000, "3 h 20 min"), (7170, "2 h 0 min"), (500000, "5.8 days")],
)
def test_durations_read_as_people_say_them(seconds: float, text: str) -> None:
    assert duration_text(seconds) == text


def test_a_terminal_has_a_live_line() -> None:
    screen = StringIO()
    console = Console(file=screen, force_terminal=True, width=160, color_system=None)
    progress = progress_for("toy", 400, console)
    assert isinstance(progress, LiveLine)
    with progress:
        progress.report(100, VALUES)
        progress.tell("evaluated", step=100)
    text = screen.getvalue()
    for part in ("toy", "100/400", "generator/loss 1.25", "discriminator/loss 0.5", "41.5", "2 min left"):
        assert part in text
    assert "evaluated step=100" in text


def test_elsewhere_there_are_log_lines() -> None:
    progress = progress_for("toy", 400, Console(file=StringIO()))
    assert isinstance(progress, LogLines)
    with structlog.testing.capture_logs() as lines, progress:
        progress.report(100, VALUES)
    (line,) = lines
    assert line["step"] == 100
    assert line["left"] == "2 min"
    assert line["generator/loss"] == 1.25
    assert line["generator/audio_seconds_per_second"] == 41.5
