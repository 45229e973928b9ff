"""The trunk of both judges of our own: log-mel, strided convolutions, residual depthwise blocks.

No recurrence and no attention: it must train in minutes on a processor. What it sees is normalised per
recording, so that level and channel cancel.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from uniaudio.errors import InvalidInputError
from uniaudio.nn.depthwise import DepthwiseBlock

SAMPLE_RATE = 16_000
HOP_LENGTH = 160
_WINDOW = 400
_FFT = 512
_LOWEST_HZ, _HIGHEST_HZ = 60.0, 7800.0
_FLOOR_DB = 70.0  # what lies so far under the loudest band is silence


@dataclass(frozen=True, kw_only=True)
class MelNetConfig:
    """Sizes of the trunk; it gives one row of `width` for every `stride` frames of 10 ms."""

    num_mels: int = 64
    width: int = 208
    hidden: int = 416
    num_blocks: int = 6
    kernel_size: int = 11
    stride: int = 2

    def __post_init__(self) -> None:
        for name in ("num_mels", "width", "hidden", "num_blocks", "kernel_size", "stride"):
            if getattr(self, name) < 1:
                raise InvalidInputError(f"{name} is {getattr(self, name)}; it must be at least 1")
        if self.kernel_size % 2 == 0:
            raise InvalidInputError(f"kernel_size is {self.kernel_size}; an odd one is needed")


def log_mel(waveform: Tensor, num_mels: int, hop_length: int = HOP_LENGTH) -> Tensor:
    """Normalised log-mel `(num_samples // hop_length + 1, num_mels)` of 16 kHz `(num_samples,)`.

    Another `hop_length` reads the same recording slower or faster, its pitch unchanged.
    """
    spectrum = torch.stft(
        waveform.float(), _FFT, hop_length, _WINDOW, torch.hann_window(_WINDOW, device=waveform.device),
        center=True, pad_mode="constant", return_complex=True,
    )  # fmt: skip
    power = spectrum.abs().square().T @ _mel_bands(num_mels).to(waveform.device)
    floor = power.max().clamp_min(1e-10) * 10 ** (-_FLOOR_DB / 10)
    level = (power + floor).log()
    centred = level - level.mean(0)
    return centred / centred.std().clamp_min(1e-3)


def pad(features: list[Tensor]) -> tuple[Tensor, Tensor]:
    """Features `(T, num_mels)` side by side `(B, max T, num_mels)`, and their lengths `(B,)`."""
    lengths = torch.tensor([len(item) for item in features])
    return nn.utils.rnn.pad_sequence(features, batch_first=True), lengths


class MelNet(nn.Module):
    """Features `(B, T, num_mels)` of `lengths` `(B,)` to rows `(B, ceil(T / stride), width)` and their lengths.

    A recording gives the same rows alone or beside longer ones.
    """

    def __init__(self, config: MelNetConfig) -> None:
        super().__init__()
        self.config = config
        self.entry = nn.Conv1d(config.num_mels, config.width, 5, config.stride, padding=2)
        self.blocks = nn.ModuleList(
            DepthwiseBlock(config.width, config.hidden, config.kernel_size) for _ in range(config.num_blocks)
        )
        self.norm = nn.LayerNorm(config.width)

    def forward(self, features: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        x = nn.functional.gelu(self.entry(features.transpose(1, 2)))
        lengths = -(-lengths // self.config.stride)
        mask = (torch.arange(x.shape[-1], device=x.device) < lengths[:, None].to(x.device))[:, None]
        for block in self.blocks:
            x = block(x * mask)
        return self.norm(x.transpose(1, 2)), lengths


@functools.cache
def _mel_bands(num_mels: int) -> Tensor:
    """Triangles on the mel scale, `(_FFT // 2 + 1, num_mels)`."""
    low, high = (1127 * torch.log1p(torch.tensor(hertz / 700)) for hertz in (_LOWEST_HZ, _HIGHEST_HZ))
    edges = 700 * (torch.exp(torch.linspace(float(low), float(high), num_mels + 2) / 1127) - 1)
    frequencies = torch.arange(_FFT // 2 + 1)[:, None] * (SAMPLE_RATE / _FFT)
    left, centre, right = edges[:-2], edges[1:-1], edges[2:]
    rising = (frequencies - left) / (centre - left)
    falling = (right - frequencies) / (right - centre)
    return torch.minimum(rising, falling).clamp_min(0.0)
