"""Recordings of like lengths for one batch, so that little of it is padding."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


class ByLength:
    """Recordings in the order of their lengths; a batch is drawn among the `neighbourhood`, a share of all of them."""

    def __init__(self, lengths: Sequence[int], neighbourhood: float) -> None:
        self._order = np.argsort(lengths, kind="stable")
        self._neighbourhood = neighbourhood

    def draw(self, centre: float, rng: np.random.Generator) -> int:
        """The index of a recording near `centre`, from 0 for the shortest to 1."""
        place = centre + self._neighbourhood * rng.uniform(-0.5, 0.5)
        count = len(self._order)
        return int(self._order[int(np.clip(place * count, 0, count - 1))])
