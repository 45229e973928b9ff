"""The waveform head: magnitude and phase of every frame, inverse transform, overlap-add (2.7, 2.8).

It always computes in float32: a phase in bfloat16 is audible.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

_MAX_MAGNITUDE = 100.0
_FRAMES_PER_WINDOW = 4


@dataclass
class OverlapState:
    """What a stream's next samples overlap with: `(win - hop)` un-normalised samples and envelope.

    `num_leading` samples are still to be dropped from the front of what comes next.
    """

    audio: Tensor
    envelope: Tensor
    num_leading: int


class IstftHead(nn.Module):
    """Hidden states `(..., num_frames, h)` to `hop_length * num_frames` samples."""

    def __init__(self, dim: int, hop_length: int) -> None:
        super().__init__()
        self.hop_length = hop_length
        self.window_length = _FRAMES_PER_WINDOW * hop_length
        self.overlap_length = self.window_length - hop_length
        # What "same" padding cuts at each end; 30 ms in the release.
        self.edge_length = self.overlap_length // 2
        self.out = nn.Linear(dim, self.window_length + 2)
        # On the CPU even under the meta device, where it would load torch's compiler (1 s).
        window = torch.hann_window(self.window_length, periodic=True, device="cpu")
        self.register_buffer("window", window)
        self.window: Tensor

    def new_state(self) -> OverlapState:
        """State of a stream that has emitted nothing."""
        silence = torch.zeros(self.overlap_length, device=self.window.device)
        return OverlapState(silence, silence.clone(), self.edge_length)

    def forward(self, hidden: Tensor) -> Tensor:
        """The whole waveform `(..., hop_length * num_frames)`, float32, not clamped."""
        frames = self.windowed_frames(hidden)
        audio = self._overlap_add(frames)
        envelope = self._envelope(frames.shape[-2])
        kept = slice(self.edge_length, self.edge_length + self.hop_length * frames.shape[-2])
        return audio[..., kept] / envelope[kept]

    def stream(
        self, hidden: Tensor, lengths: Sequence[int], states: Sequence[OverlapState], last: Sequence[bool]
    ) -> list[Tensor]:
        """What each stream can emit after its new packed frames; `last` adds the final half overlap.

        Any chunk lengths, none included, together give the samples of one call over everything.
        """
        frames = self.windowed_frames(hidden)
        if len(lengths) > 1 and lengths[0] > 0 and len(set(lengths)) == 1:
            return self._continue_together(frames.view(len(lengths), lengths[0], -1), states, last)
        pieces = torch.split(frames, list(lengths))
        return [
            self._continue(frames, state, is_last)
            for frames, state, is_last in zip(pieces, states, last, strict=True)
        ]

    def windowed_frames(self, hidden: Tensor) -> Tensor:
        """Each frame's window of samples before overlap-add, `(..., num_frames, window_length)`."""
        log_magnitude, phase = self.project(hidden.float()).chunk(2, dim=-1)
        spectrum = torch.polar(log_magnitude.exp().clamp(max=_MAX_MAGNITUDE), phase)
        frames: Tensor = torch.fft.irfft(spectrum, n=self.window_length) * self.window
        return frames

    def project(self, hidden: Tensor) -> Tensor:
        """Log magnitudes and phases `(..., window_length + 2)`."""
        out: Tensor = self.out(hidden)
        return out

    def _continue_together(
        self, frames: Tensor, states: Sequence[OverlapState], last: Sequence[bool]
    ) -> list[Tensor]:
        """`_continue` for streams with equally many new frames, `(B, num_frames, window_length)`."""
        num_new = self.hop_length * frames.shape[1]
        audio = self._overlap_add(frames)
        envelope = self._envelope(frames.shape[1]).repeat(len(states), 1)
        audio[:, : self.overlap_length] += torch.stack([state.audio for state in states])
        envelope[:, : self.overlap_length] += torch.stack([state.envelope for state in states])
        left = audio[:, num_new:].clone(), envelope[:, num_new:].clone()
        samples = audio / envelope
        out = []
        for index, (state, is_last) in enumerate(zip(states, last, strict=True)):
            state.audio, state.envelope = left[0][index], left[1][index]
            end = num_new + self.edge_length if is_last else num_new
            start = min(state.num_leading, end)
            state.num_leading -= start
            out.append(samples[index, start:end])
        return out

    def _continue(self, frames: Tensor, state: OverlapState, last: bool) -> Tensor:
        num_new = self.hop_length * frames.shape[0]
        audio, envelope = self._overlap_add(frames), self._envelope(frames.shape[0])
        audio[: self.overlap_length] += state.audio
        envelope[: self.overlap_length] += state.envelope
        state.audio, state.envelope = audio[num_new:].clone(), envelope[num_new:].clone()
        end = num_new + self.edge_length if last else num_new
        start = min(state.num_leading, end)
        state.num_leading -= start
        return audio[start:end] / envelope[start:end]

    def _envelope(self, num_frames: int) -> Tensor:
        return self._overlap_add(self.window.square().expand(num_frames, -1))

    def _overlap_add(self, frames: Tensor) -> Tensor:
        """Sum of the windows, each one hop later, `(..., hop * num_frames + overlap_length)`."""
        num_frames = frames.shape[-2]
        hops = torch.unflatten(frames, -1, (_FRAMES_PER_WINDOW, self.hop_length))
        total = frames.new_zeros(*frames.shape[:-2], num_frames + _FRAMES_PER_WINDOW - 1, self.hop_length)
        for delay in range(_FRAMES_PER_WINDOW):
            total[..., delay : delay + num_frames, :] += hops[..., delay, :]
        return total.flatten(-2)
