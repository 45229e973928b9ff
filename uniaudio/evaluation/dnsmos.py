"""DNSMOS P.835: how clean speech is, without a reference (evaluation 1.4)."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uniaudio.evaluation.judges import ModelCard, hash_weights
from uniaudio.evaluation.packages import need
from uniaudio.evaluation.recordings import read_recording

_RATE = 16_000
_WINDOW_SECONDS = 9.01
_NAMES = ("dnsmos_sig", "dnsmos_bak", "dnsmos_ovrl")
_MAPPINGS = (
    (-0.08397278, 1.22083953, 0.0052439),
    (-0.13166888, 1.60915514, -0.39604546),
    (-0.06766283, 1.11546468, 0.04602535),
)
_MODEL = "sig_bak_ovr.onnx"


def windows(waveform: NDArray[np.float32]) -> Iterator[NDArray[np.float32]]:
    """Windows of 9.01 s every second of a 16 kHz waveform; a shorter one is doubled until it suffices."""
    length = int(_WINDOW_SECONDS * _RATE)
    while len(waveform) < length:
        waveform = np.concatenate([waveform, waveform])
    count = int(len(waveform) // _RATE - _WINDOW_SECONDS) + 1
    for number in range(count):
        window = waveform[number * _RATE : number * _RATE + length]
        if len(window) == length:
            yield window


def calibrate(raw: NDArray[np.float64]) -> NDArray[np.float64]:
    """Raw outputs `(3,)` on the scale of listeners."""
    return np.array([np.polyval(mapping, value) for mapping, value in zip(_MAPPINGS, raw, strict=True)])


def find_dnsmos(path: Path | None) -> DnsmosJudge | None:
    """The judge of `path`, or of the installed package `speechmos`; None without both."""
    if path is not None:
        return DnsmosJudge(path / _MODEL if path.is_dir() else path)
    found = importlib.util.find_spec("speechmos")
    if found is None or not found.submodule_search_locations:
        return None
    shipped = Path(found.submodule_search_locations[0]) / "dnsmos_models" / _MODEL
    if not shipped.is_file() or importlib.util.find_spec("onnxruntime") is None:
        return None
    return DnsmosJudge(shipped)


class DnsmosJudge:
    """`dnsmos_sig`, `dnsmos_bak`, `dnsmos_ovrl` by the standard P.835 model."""

    def __init__(self, model: Path) -> None:
        digest = hash_weights(model)
        runtime = need("onnxruntime", "pip install onnxruntime")
        self._session: Any = runtime.InferenceSession(str(model), providers=["CPUExecutionProvider"])
        self.card = ModelCard(
            role="noise judge",
            metric="dnsmos",
            name="DNSMOS P.835",
            revision=digest[:12],
            weights_sha256=digest,
        )

    def rate(self, path: Path) -> dict[str, float]:
        """The three scores of a recording, averaged over its windows."""
        return self.rate_waveform(read_recording(path))

    def rate_waveform(self, waveform: NDArray[np.float32]) -> dict[str, float]:
        """The three scores of a 16 kHz waveform `(num_samples,)`."""
        (entry,) = self._session.get_inputs()
        scores = [
            calibrate(np.asarray(self._session.run(None, {entry.name: window[None]})[0][0], np.float64))
            for window in windows(waveform.astype(np.float32))
        ]
        return {name: float(value) for name, value in zip(_NAMES, np.mean(scores, axis=0), strict=True)}
