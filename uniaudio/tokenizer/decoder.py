"""The low-level decoder: latents to waveform, whole or as a stream (model specification 2.6, 2.8)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor, nn

from uniaudio.nn.attention import SequenceCache
from uniaudio.tokenizer.backbone import Backbone
from uniaudio.tokenizer.config import TokenizerConfig
from uniaudio.tokenizer.istft_head import IstftHead, OverlapState


@dataclass
class DecoderState:
    """What a stream remembers between chunks: the backbone's cache and the head's overlap."""

    cache: SequenceCache
    overlap: OverlapState
    ended: bool = False


class Decoder(nn.Module):
    """Latents to waveform; the semantic module takes no part. `projection` is shared with it."""

    def __init__(
        self, config: TokenizerConfig, projection: nn.Linear, window_keys: int | None = None
    ) -> None:
        super().__init__()
        self.projection = projection
        self.backbone = Backbone(config.decoder, window_keys)
        self.head = IstftHead(config.decoder.hidden_size, config.hop_length)

    def new_state(self) -> DecoderState:
        """State of a stream that has seen nothing."""
        return DecoderState(self.backbone.new_cache(), self.head.new_state())

    def hidden(
        self, latents: Tensor, lengths: Sequence[int], caches: Sequence[SequenceCache] | None = None
    ) -> Tensor:
        """Input of the waveform head for packed latents `(N, latent_dim)`, `(N, h)`."""
        projected = self.projection(latents.to(self.projection.weight.dtype))
        out: Tensor = self.backbone(projected, lengths, caches)
        return out

    def forward(self, latents: Tensor) -> Tensor:
        """Whole waveforms `(B, hop_length * T)` for `(B, T, latent_dim)`."""
        num_items, num_frames, _ = latents.shape
        hidden = self.hidden(latents.flatten(0, 1), [num_frames] * num_items)
        out: Tensor = self.head(hidden.view(num_items, num_frames, -1))
        return out

    def stream(
        self, latents: Tensor, lengths: Sequence[int], states: Sequence[DecoderState], last: Sequence[bool]
    ) -> list[Tensor]:
        """What each stream can emit after its new packed latents; the states are advanced."""
        hidden = self.hidden(latents, lengths, [state.cache for state in states])
        for state, is_last in zip(states, last, strict=True):
            state.ended = is_last
        return self.head.stream(hidden, lengths, [state.overlap for state in states], last)
