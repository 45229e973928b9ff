"""Latents of whole utterances for the stages above the acoustic one, without work on padding."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from training.stages.speech_batch import pack
from uniaudio.tokenizer.model import AudioTokenizer
from uniaudio.tokenizer.posterior import Posterior


def encode_packed(tokenizer: AudioTokenizer, waveform: Tensor, lengths: Sequence[int]) -> Posterior:
    """The posterior `(sum(lengths), latent_dim)` of padded waveforms `(B, num_samples)`."""
    frames = pack(tokenizer.encoder.cut(waveform), lengths)
    return Posterior.from_parameters(tokenizer.encoder(frames, lengths))
