"""The encoder: waveform frames to the posterior's parameters, whole or as a stream (2.1)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from uniaudio.audio.framing import padded_length
from uniaudio.nn.attention import SequenceCache
from uniaudio.tokenizer.backbone import Backbone
from uniaudio.tokenizer.config import TokenizerConfig


@dataclass
class EncoderState:
    """What a stream remembers between chunks: samples that fill no frame yet, and the cache."""

    cache: SequenceCache
    pending: Tensor = field(default_factory=lambda: torch.zeros(0))
    ended: bool = False


class Encoder(nn.Module):
    """Packed frames `(N, input_dim)` to posterior parameters `(N, 2 * latent_dim)`."""

    def __init__(self, config: TokenizerConfig, window_keys: int | None = None) -> None:
        super().__init__()
        dim = config.encoder.hidden_size
        self.input_dim, self.hop_length = config.input_dim, config.hop_length
        self.frame_projection = nn.Linear(config.input_dim, dim, bias=False)
        self.input = nn.Linear(dim, dim)
        self.backbone = Backbone(config.encoder, window_keys)
        self.output = nn.Linear(dim, 2 * config.latent_dim)

    def new_state(self) -> EncoderState:
        """State of a stream that has seen nothing."""
        return EncoderState(self.backbone.new_cache())

    def embed(self, frames: Tensor) -> Tensor:
        """Input of the backbone: two linear layers with nothing between them."""
        frames = frames.to(self.frame_projection.weight.dtype)
        out: Tensor = self.input(self.frame_projection(frames))
        return out

    def forward(
        self, frames: Tensor, lengths: Sequence[int], caches: Sequence[SequenceCache] | None = None
    ) -> Tensor:
        """Parameters of the posterior; each sequence continues its cache, which is extended."""
        out: Tensor = self.output(self.backbone(self.embed(frames), lengths, caches))
        return out

    def cut(self, waveform: Tensor) -> Tensor:
        """Frames `(..., num_frames, input_dim)` of a whole waveform, the last one padded with zeros."""
        num_samples = waveform.shape[-1]
        if num_samples == 0:
            return waveform.new_zeros(*waveform.shape[:-1], 0, self.input_dim)
        missing = padded_length(num_samples, self.hop_length, self.input_dim) - num_samples
        padded = pad(waveform, (0, missing))
        return padded.unfold(-1, self.input_dim, self.hop_length)

    def cut_stream(self, waveform: Tensor, state: EncoderState, last: bool) -> Tensor:
        """Frames that the stream can give after these samples; the rest waits in the state.

        Whole waveform or any chunks of it: together the same frames.
        """
        held = torch.cat((state.pending.to(waveform), waveform))
        state.ended = last
        if last:
            state.pending = held[:0]
            return self.cut(held)
        # A frame may reach beyond the next one's start, or stop short of it.
        reach = max(self.input_dim, self.hop_length)
        num_frames = max(0, (held.shape[0] - reach) // self.hop_length + 1)
        state.pending = held[num_frames * self.hop_length :].clone()
        if num_frames == 0:
            return held.new_zeros(0, self.input_dim)
        return held[: (num_frames - 1) * self.hop_length + reach].unfold(0, self.input_dim, self.hop_length)[
            :num_frames
        ]
