"""Does pooling five frames into a position cost understanding? The same run with one and with five."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from training.monitors.figures import curve, finish, panels
from training.monitors.signatures import COSTLY_POOLING, Alert, Signature
from uniaudio.errors import InvalidInputError

_COLOURS = ("tab:blue", "tab:orange", "tab:green", "tab:red")


class PoolingWatch:
    """Alarms when the understanding error at the larger patch is clearly above that at the smaller.

    Clearly: by more than the part `cost` of it and by more than `least`, after the same number of steps. Not
    `ready`, while neither model understands enough to be compared, it gives no alarm.
    """

    signature: Signature = COSTLY_POOLING

    def __init__(
        self, patch_sizes: tuple[int, int] = (1, 5), *, cost: float = 0.1, least: float = 0.005
    ) -> None:
        self.patch_sizes, self.cost, self.least = patch_sizes, cost, least
        self.ready = True
        self._curves: dict[int, list[tuple[int, float]]] = {size: [] for size in patch_sizes}

    def add(self, step: int, patch_size: int, understanding_error: float) -> None:
        """One look at the run with this patch size; steps of both runs are compared where both were looked at."""
        if patch_size not in self._curves:
            raise InvalidInputError(f"patch_size is {patch_size}; watched are {self.patch_sizes}")
        self._curves[patch_size].append((step, understanding_error))

    def alert(self) -> Alert | None:
        pair = self._latest_pair()
        if pair is None or not self.ready:
            return None
        step, small, large = pair
        if large - small <= max(self.cost * small, self.least):
            return None
        evidence = (
            f"the understanding error is {large:.4g} with {self.patch_sizes[1]} frames a patch and {small:.4g} "
            f"with {self.patch_sizes[0]}"
        )
        return Alert(signature=self.signature, step=step, evidence=evidence)

    def metrics(self) -> Mapping[str, float]:
        """The last error of each patch size, and what the larger costs, as a part of the smaller's."""
        numbers = {f"pooling/patch_{size}": curve[-1][1] for size, curve in self._curves.items() if curve}
        pair = self._latest_pair()
        if pair is not None:
            numbers["pooling/cost"] = (pair[2] - pair[1]) / max(pair[1], 1e-9)
        return numbers

    def figure(self) -> bytes | None:
        if not any(self._curves.values()):
            return None
        figure, (left,) = panels()
        for (size, looks), colour in zip(self._curves.items(), _COLOURS, strict=False):
            curve(
                left,
                [step for step, _ in looks],
                [value for _, value in looks],
                "understanding error",
                colour,
            )
            left.lines[-1].set_label(f"patch of {size}")
        left.yaxis.label.set_color("black")
        left.legend(fontsize="small")
        return finish(figure, self.signature, self.alert())

    def state(self) -> dict[str, Any]:
        return {str(size): [list(look) for look in looks] for size, looks in self._curves.items()}

    def load_state(self, state: Mapping[str, Any]) -> None:
        for size in self._curves:
            self._curves[size] = [(int(step), float(value)) for step, value in state.get(str(size), [])]

    def _latest_pair(self) -> tuple[int, float, float] | None:
        small, large = (dict(self._curves[size]) for size in self.patch_sizes)
        common = small.keys() & large.keys()
        if not common:
            return None
        step = max(common)
        return step, small[step], large[step]
