"""Any number of further speakers: espeak-ng's formants, pitch, breath and roughness, drawn at random.

A few dozen voices are learnt by heart (docs/nano-log.md); thousands leave a model nothing but to listen.
"""

from __future__ import annotations

import numpy as np

from training.data.utterance import Voice

_SEED = 20_261_127
_PREFIX = "drawn-"
_ACCENTS = ("gmw/en-US", "gmw/en", "gmw/en-GB-x-rp", "gmw/en-GB-scotland")


def drawn_voice(number: int) -> Voice:
    """Speaker `number`, the same one each time."""
    rng = np.random.default_rng([_SEED, number])
    return Voice(
        name=f"{_PREFIX}{number}",
        engine="espeak-ng",
        language=str(rng.choice(_ACCENTS)),
        variant=f"{_PREFIX}{number}",
        rate=int(rng.integers(135, 190)),
        pitch=int(rng.integers(35, 63)),
        pitch_range=int(rng.integers(42, 62)),
    )


def traits_of(variant: str) -> str:
    """What espeak-ng's variant file of a drawn voice says; empty for the variants that it has itself."""
    if not variant.startswith(_PREFIX):
        return ""
    rng = np.random.default_rng([_SEED, int(variant.removeprefix(_PREFIX)), 1])
    lines = ["language variant", f"name {variant}", _pitch(rng), *_formants(rng), *_manner(rng)]
    return "\n".join(lines) + "\n"


def _pitch(rng: np.random.Generator) -> str:
    low = float(np.exp(rng.uniform(np.log(65), np.log(230))))
    return f"pitch {low:.0f} {low * rng.uniform(1.2, 1.75):.0f}"


def _formants(rng: np.random.Generator) -> list[str]:
    """Frequency, height and width of each formant in percent: a head of one size, and its own shape."""
    size = rng.uniform(0.85, 1.25)
    lines = [f"formant 0 {rng.uniform(90, 112):.0f} {rng.uniform(70, 110):.0f} {rng.uniform(80, 160):.0f}"]
    for number in range(1, 9):
        shape = rng.normal(1.0, 0.07) * (rng.uniform(0.6, 1.0) if rng.random() < 0.1 else 1.0)
        frequency = 100 * np.clip(size * shape, 0.5, 1.5)
        lines.append(
            f"formant {number} {frequency:.0f} {rng.uniform(55, 140):.0f} {rng.uniform(60, 180):.0f}"
        )
    return lines


def _manner(rng: np.random.Generator) -> list[str]:
    lines = [f"consonants {rng.uniform(70, 150):.0f} {rng.uniform(70, 170):.0f}"]
    lines.append(f"voicing {rng.uniform(60, 180):.0f}")
    lines.append(f"roughness {rng.integers(0, 5)}")
    lines.append(f"flutter {rng.integers(0, 6)}")
    if rng.random() < 0.3:
        lines.append("breath " + " ".join(str(rng.integers(0, 5)) for _ in range(8)))
    if rng.random() < 0.2:
        lines.append(f"echo {rng.integers(30, 180)} {rng.integers(3, 15)}")
    if rng.random() < 0.5:
        lines.append(
            f"tone 600 {rng.integers(80, 180)} 1200 {rng.integers(60, 160)} 2400 {rng.integers(50, 140)}"
        )
    return lines
