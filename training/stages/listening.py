"""Scores of reconstructed speech for evaluations during training."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np


def reconstruction_scores(
    references: Sequence[np.ndarray], outputs: Sequence[np.ndarray], sample_rate: int
) -> dict[str, float]:
    """Mean PESQ-wb and STOI; recordings that a measure refuses are left out and counted.

    Without the `evaluation` extra the scores are absent, never invented.
    """
    try:
        from pesq import PesqError, pesq
        from pystoi import stoi
    except ImportError:
        return {}
    quality, intelligibility, refused = [], [], 0
    for reference, output in zip(references, outputs, strict=True):
        try:
            quality.append(pesq(sample_rate, reference, output, "wb"))
            with warnings.catch_warnings():
                warnings.simplefilter("error", RuntimeWarning)
                intelligibility.append(stoi(reference, output, sample_rate))
        except (PesqError, RuntimeWarning):
            refused += 1
    scores = {"refused": float(refused)}
    if quality and intelligibility:
        scores |= {"pesq_wb": float(np.mean(quality)), "stoi": float(np.mean(intelligibility))}
    return scores
