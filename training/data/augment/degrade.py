"""A clean recording as the world might give it: what tokenizer and recognisers are hardened with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.data.augment.codecs import CODECS, transcode
from training.data.augment.mix import lower_together, mix_at_snr
from training.data.augment.noise import NOISES, babble
from training.data.augment.reverb import reverberate

Waveform = NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class Degradation:
    """How often each thing happens, and how strong it may be; zeros give the recording back."""

    reverb: float = 0.3
    noise: float = 0.6
    codec: float = 0.3
    gain: float = 0.8
    snr_db: tuple[float, float] = (0.0, 30.0)
    gain_db: tuple[float, float] = (-18.0, 6.0)


def degrade(
    waveform: Waveform,
    rng: np.random.Generator,
    how: Degradation | None = None,
    voices: Sequence[Waveform] = (),
) -> Waveform:
    """The 16 kHz waveform `(num_samples,)` in a room, in noise, at another level, and through a codec.

    Length and place of every sound stay. With `voices` the noise may be their babble. A silent waveform
    is returned as it is.
    """
    how = how or Degradation()
    if waveform.size == 0 or not waveform.any():
        return waveform
    wanted = rng.random(4) < (how.reverb, how.noise, how.gain, how.codec)
    degraded = reverberate(waveform, rng) if wanted[0] else waveform
    if wanted[1]:
        degraded = mix_at_snr(degraded, draw_noise(waveform.size, rng, voices), rng.uniform(*how.snr_db))
    if wanted[2]:
        degraded = degraded * np.float32(10 ** (rng.uniform(*how.gain_db) / 20))
    (degraded,) = lower_together(degraded)
    if wanted[3]:
        degraded = transcode(degraded, str(rng.choice(sorted(CODECS))), rng.random())
    return np.clip(degraded, -1.0, 1.0)


def draw_noise(num_samples: int, rng: np.random.Generator, voices: Sequence[Waveform] = ()) -> Waveform:
    """Any of the noises, babble among them where there are voices."""
    names = [*sorted(NOISES), *(["babble"] if voices else [])]
    name = str(rng.choice(names))
    return babble(num_samples, rng, voices) if name == "babble" else NOISES[name](num_samples, rng)
