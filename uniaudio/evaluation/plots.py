"""Pictures of reports and of TensorBoard: drawings as PNG, sound as WebP; no window, no global state of matplotlib."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from uniaudio.evaluation.results import Table, unit_of

_DPI = 100
_WEBP_QUALITY = 70
_SMALL = (4.6, 1.7)  # inches
_WINDOW_SECONDS, _HOP_SECONDS = 0.025, 0.005
_RANGE_DB = 70.0


def render(figure: Figure) -> bytes:
    """The figure as PNG bytes."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=_DPI)
    return buffer.getvalue()


def axes(width: float = 7.0, height: float = 3.2) -> tuple[Figure, Axes]:
    """An empty figure of `width` x `height` inches with one pair of axes."""
    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.subplots()


def lines(
    curves: Mapping[str, tuple[Sequence[float], Sequence[float]]],
    *,
    x: str,
    y: str,
    limit: float | None = None,
    logarithmic: bool = False,
) -> bytes:
    """Curves by name, each `(xs, ys)`; `limit` is drawn as a dashed line."""
    figure, plot = axes()
    for name, (xs, ys) in curves.items():
        plot.plot(xs, ys, label=name, linewidth=1.4)
    if limit is not None:
        plot.axhline(limit, color="black", linestyle="--", linewidth=1, label=f"limit {limit:g}")
    if logarithmic:
        plot.set_yscale("log")
    plot.set_xlabel(x)
    plot.set_ylabel(y)
    plot.grid(alpha=0.3)
    if curves:
        plot.legend(fontsize="small")
    return render(figure)


def spectrogram(
    waveform: NDArray[np.float32],
    sample_rate: int,
    regions: Sequence[tuple[float, float]] = (),
    *,
    seconds: float | None = None,
) -> bytes:
    """Decibels over time and frequency of `waveform` `(num_samples,)`; `regions` (seconds) are framed.

    With `seconds` the axis of time is that long, so that pictures side by side have the same scale.
    """
    length = len(waveform) / sample_rate
    decibels = _decibels(waveform, sample_rate)
    loudest = float(decibels.max())
    figure, plot = axes(*_SMALL)
    plot.imshow(
        decibels, origin="lower", aspect="auto", cmap="magma", vmin=loudest - _RANGE_DB, vmax=loudest,
        extent=(0.0, length, 0.0, sample_rate / 2000), interpolation="nearest",
    )  # fmt: skip
    plot.set_xlim(0, length if seconds is None else seconds)
    plot.set_facecolor("#e8e8e8")
    for start, end in regions:
        for edge in (start, end):
            plot.axvline(edge, color="cyan", linewidth=1)
        plot.axvspan(start, end, color="cyan", alpha=0.15)
    plot.tick_params(labelsize=7)
    plot.set_ylabel("kHz", fontsize=7)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="webp", dpi=_DPI, pil_kwargs={"quality": _WEBP_QUALITY})
    return buffer.getvalue()


def _decibels(waveform: NDArray[np.float32], sample_rate: int) -> NDArray[np.float32]:
    """`(num_frequencies, num_frames)`."""
    window, hop = round(_WINDOW_SECONDS * sample_rate), max(1, round(_HOP_SECONDS * sample_rate))
    padded = np.pad(np.asarray(waveform, np.float32), (window // 2, window))
    frames = np.lib.stride_tricks.sliding_window_view(padded, window)[::hop]
    transform_size = 1 << (window - 1).bit_length()
    power = np.abs(np.fft.rfft(frames * np.hanning(window).astype(np.float32), transform_size)) ** 2
    return np.asarray(10 * np.log10(power.T + 1e-9), np.float32)


def bars(table: Table) -> bytes | None:
    """The percentages of a table, one group of bars per metric; None where it has none."""
    metrics = [
        name for name in table.metrics
        if unit_of(name).unit == " %" and any(row.values.get(name) is not None for row in table.rows)
    ]  # fmt: skip
    rows = [row for row in table.rows if any(row.values.get(name) is not None for name in metrics)]
    if not metrics or len(rows) < 2:
        return None
    figure, plot = axes(6.4, 0.5 + 0.16 * len(metrics) * (len(rows) + 1.5))
    height = 0.8 / len(rows)
    for number, row in enumerate(rows):
        values = [100 * (row.values.get(name) or 0.0) for name in metrics]
        places = np.arange(len(metrics)) + (number - (len(rows) - 1) / 2) * height
        plot.barh(places, values, height=0.9 * height, label=row.label)
    plot.set_yticks(np.arange(len(metrics)), metrics)
    plot.invert_yaxis()
    plot.tick_params(labelsize=8)
    plot.set_xlabel("%", fontsize=8)
    plot.grid(axis="x", alpha=0.3)
    figure.legend(fontsize=7, loc="outside upper right", ncols=len(rows))
    return render(figure)


def spread(values: Sequence[float], label: str) -> bytes:
    """How a metric is spread over the items, sorted; shows whether a few items make the mean."""
    figure, plot = axes(*_SMALL)
    plot.plot(np.arange(1, len(values) + 1), sorted(values), marker=".", markersize=3, linewidth=1)
    plot.set_xlabel("items, sorted", fontsize=7)
    plot.set_ylabel(label, fontsize=7)
    plot.tick_params(labelsize=7)
    plot.grid(alpha=0.3)
    return render(figure)
