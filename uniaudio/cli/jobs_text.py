"""Jobs and items in words, for tables and lines."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from google.protobuf.timestamp_pb2 import Timestamp

    from uniaudio.client import EditJob, EditJobItem

COLOURS = {"queued": "dim", "running": "cyan", "succeeded": "green", "failed": "red", "cancelled": "yellow"}
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


def job_line(job: EditJob) -> str:
    """A job in one line: how far it is, and how many items ended how."""
    from uniaudio.client import state_of

    counts = job.counts
    parts = [f"{counts.succeeded} of {counts.total} done"]
    parts += [f"{counts.failed} failed"] if counts.failed else []
    parts += [f"{counts.cancelled} cancelled"] if counts.cancelled else []
    return f"{job.job_id} {state_of(job)}, {', '.join(parts)}"


def item_name(item: EditJobItem) -> str:
    """What a person knows an item by: its label, or its recording."""
    label = "".join(
        letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in item.spec.label
    )
    return label or item.spec.recording_id[:12]


def item_detail(item: EditJobItem) -> str:
    """What there is to say about an item where it stands now."""
    from uniaudio.client import state_of

    state = state_of(item)
    if state == "failed":
        return item.error.message
    if state == "succeeded":
        seconds = f"{item.result.audio_seconds:.2f} s"
        return f"{seconds}: {'; '.join(_done(item))}" if item.reports else seconds
    if state == "running":
        chain = f"edit {item.step + 1} of {len(item.spec.edits)}: " if len(item.spec.edits) > 1 else ""
        return f"{chain}{item.progress.stage or 'beginning'}"
    if item.HasField("error"):
        return f"again at {clock(item.retry_time)}, after: {item.error.message}"
    return "; ".join(step.instruction for step in item.spec.edits)


def item_fraction(item: EditJobItem) -> float:
    """How far an item is over its whole chain, 0 to 1."""
    from uniaudio.client import state_of

    return 1.0 if state_of(item) == "succeeded" else item.progress.fraction


def clock(moment: Timestamp, *, day: bool = False) -> str:
    """A time where this machine is."""
    local = datetime.fromtimestamp(moment.seconds, tz=UTC).astimezone()
    return f"{local:%Y-%m-%d %H:%M:%S}" if day else f"{local:%H:%M:%S}"


def parse_time(text: str, option: str) -> datetime:
    """A time as a person writes it: so long ago ("30m", "2h", "7d"), or a date and time, here unless it has a zone."""
    number, unit = text[:-1], text[-1:]
    if number.isdecimal() and unit in _UNITS:
        return datetime.now(UTC) - _ago(int(number) * _UNITS[unit], text, option)
    try:
        return datetime.fromisoformat(text).astimezone()
    except (ValueError, OverflowError) as error:
        raise typer.BadParameter(
            f'{text!r} is no time; write "30m", "2h", "7d" or "2026-01-31 12:00".', param_hint=option
        ) from error


def parse_seconds(text: str, option: str) -> float:
    """A length of time as a person writes it: "90s", "30m", "2h" or "7d"."""
    number, unit = text[:-1], text[-1:]
    if not number.isdecimal() or unit not in _UNITS:
        raise typer.BadParameter(
            f'{text!r} is no length of time; write "90s", "30m", "2h" or "7d".', param_hint=option
        )
    return _ago(int(number) * _UNITS[unit], text, option).total_seconds()


def _ago(seconds: int, text: str, option: str) -> timedelta:
    if seconds > 3650 * 86_400:
        raise typer.BadParameter(f"{text!r} is more than ten years.", param_hint=option)
    return timedelta(seconds=seconds)


def _done(item: EditJobItem) -> list[str]:
    return [report.plan.summary or report.plan.instruction for report in item.reports]
