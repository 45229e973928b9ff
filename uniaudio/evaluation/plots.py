"""Pictures of the report, as WebP bytes: spectrograms, and bars of what may be compared."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from uniaudio.evaluation.results import Table, unit_of

_RATE = 16_000
_WINDOW, _HOP, _FFT = 400, 80, 512
_RANGE_DB = 70.0


def spectrogram(
    waveform: NDArray[np.float32], seconds: float, region: tuple[float, float] | None = None
) -> bytes:
    """Decibels over time and frequency of 16 kHz `(num_samples,)`, on an axis of `seconds`; a region is framed."""
    padded = np.pad(waveform, (_WINDOW // 2, _WINDOW))
    frames = np.lib.stride_tricks.sliding_window_view(padded, _WINDOW)[::_HOP]
    power = np.abs(np.fft.rfft(frames * np.hanning(_WINDOW).astype(np.float32), _FFT)) ** 2
    decibels = 10 * np.log10(power.T + 1e-9)
    loudest = float(decibels.max())
    figure = Figure(figsize=(4.6, 1.7), layout="constrained")
    plot = figure.subplots()
    plot.imshow(
        decibels, origin="lower", aspect="auto", cmap="magma", vmin=loudest - _RANGE_DB, vmax=loudest,
        extent=(0.0, len(waveform) / _RATE, 0.0, _RATE / 2000), interpolation="nearest",
    )  # fmt: skip
    plot.set_xlim(0, seconds)
    plot.set_facecolor("#e8e8e8")
    if region is not None:
        for edge in region:
            plot.axvline(edge, color="cyan", linewidth=1)
    plot.tick_params(labelsize=7)
    plot.set_ylabel("kHz", fontsize=7)
    return _encoded(figure)


def bars(table: Table) -> bytes | None:
    """The percentages of a table, one group of bars per metric; None where it has none."""
    metrics = [
        name for name in table.metrics
        if unit_of(name).unit == " %" and any(row.values.get(name) is not None for row in table.rows)
    ]  # fmt: skip
    rows = [row for row in table.rows if any(row.values.get(name) is not None for name in metrics)]
    if not metrics or len(rows) < 2:
        return None
    figure = Figure(figsize=(6.4, 0.5 + 0.16 * len(metrics) * (len(rows) + 1.5)), layout="constrained")
    plot = figure.subplots()
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
    return _encoded(figure)


def spread(values: Sequence[float], label: str) -> bytes:
    """How a metric is spread over the items, sorted; shows whether a few items make the mean."""
    figure = Figure(figsize=(4.6, 1.7), layout="constrained")
    plot = figure.subplots()
    plot.plot(np.arange(1, len(values) + 1), sorted(values), marker=".", markersize=3, linewidth=1)
    plot.set_xlabel("items, sorted", fontsize=7)
    plot.set_ylabel(label, fontsize=7)
    plot.tick_params(labelsize=7)
    plot.grid(alpha=0.3)
    return _encoded(figure)


def _encoded(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="webp", dpi=100, pil_kwargs={"quality": 70})
    return buffer.getvalue()
