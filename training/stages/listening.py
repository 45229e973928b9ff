"""Scores of reconstructed speech for evaluations during training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.util import find_spec

import numpy as np
from numpy.typing import NDArray

from uniaudio.evaluation.signals import Measured, pesq_wideband, stoi

Waveform = NDArray[np.float32]
_MEASURES = {"pesq": ("pesq_wb", pesq_wideband), "pystoi": ("stoi", stoi)}


def reconstruction_scores(references: Sequence[Waveform], outputs: Sequence[Waveform]) -> Mapping[str, float]:
    """Mean PESQ-wb and STOI at 16 kHz; what a measure refuses is left out and counted.

    A measure whose package (extra `evaluation`) is not installed is absent, never invented.
    """
    scores: dict[str, float] = {}
    for package, (name, measure) in _MEASURES.items():
        if find_spec(package) is None:
            continue
        found: list[Measured] = [measure(r, o) for r, o in zip(references, outputs, strict=True)]
        values = [one.value for one in found if one.value is not None]
        scores[f"{name}/refused"] = float(len(found) - len(values))
        if values:
            scores[name] = float(np.mean(values))
    return scores
