"""Pictures for reports and TensorBoard, as PNG bytes; no window system, no global state of matplotlib."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

_DPI = 100


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
    title: str = "",
) -> bytes:
    """Decibels over time and frequency of `waveform` `(num_samples,)`; `regions` (seconds) are framed."""
    window = round(0.025 * sample_rate)
    hop = max(1, round(0.005 * sample_rate))
    padded = np.pad(np.asarray(waveform, np.float32), (window // 2, window))
    frames = np.lib.stride_tricks.sliding_window_view(padded, window)[::hop]
    power = np.abs(np.fft.rfft(frames * np.hanning(window).astype(np.float32), 512)) ** 2
    decibels = 10 * np.log10(power.T + 1e-9)
    loudest = float(decibels.max())
    figure, plot = axes(5.0, 2.2)
    seconds = len(waveform) / sample_rate
    plot.imshow(
        decibels, origin="lower", aspect="auto", cmap="magma", vmin=loudest - 70, vmax=loudest,
        extent=(0.0, seconds, 0.0, sample_rate / 2000),
    )  # fmt: skip
    for start, end in regions:
        for edge in (start, end):
            plot.axvline(edge, color="cyan", linewidth=1)
        plot.axvspan(start, end, color="cyan", alpha=0.15)
    plot.set_xlabel("seconds")
    plot.set_ylabel("kHz")
    if title:
        plot.set_title(title, fontsize="small")
    return render(figure)
