"""Pictures of watches: what was measured, and underneath the verdict in words."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from training.monitors.signatures import Alert, Signature
from uniaudio.evaluation.plots import render

_WIDTH, _PLOT_HEIGHT, _TEXT_HEIGHT = 8.0, 3.4, 0.75
_CHARACTERS = 120


def panels(count: int = 1) -> tuple[Figure, list[Axes]]:
    """A figure with `count` plots side by side."""
    figure = Figure(figsize=(_WIDTH, _PLOT_HEIGHT + _TEXT_HEIGHT), layout="constrained")
    return figure, list(figure.subplots(1, count, squeeze=False)[0])


def finish(figure: Figure, signature: Signature, alert: Alert | None) -> bytes:
    """Writes title and verdict on the figure, and gives it as PNG."""
    colour = "firebrick" if alert else "black"
    verdict = f"ALARM: {alert.text}" if alert else f"No sign of it. Watched for: {signature.seen}"
    figure.suptitle(signature.title + (" (alarm)" if alert else ""), color=colour)
    figure.supxlabel(textwrap.fill(verdict, _CHARACTERS), fontsize=8, color=colour, x=0.01, ha="left")
    return render(figure)


def curve(
    axes: Axes, steps: Sequence[int], values: Sequence[float], y: str, colour: str = "tab:blue"
) -> None:
    """One line over steps, its points marked where they are few."""
    axes.plot(
        steps, values, color=colour, linewidth=1.4, marker="o" if len(steps) < 40 else None, markersize=3
    )
    axes.set_xlabel("step")
    axes.set_ylabel(y, color=colour)
    axes.grid(alpha=0.3)
