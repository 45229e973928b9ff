"""What tells generated speech from recorded: waveforms folded by several periods, and several spectrograms.

The published configs name both kinds (`hifi_gan_disc_kwargs`, `spec_disc_kwargs`) and publish no sizes
(model specification 8.1); the defaults here are those of the small model.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import leaky_relu, pad
from torch.nn.utils.parametrizations import weight_norm

from uniaudio.config_fields import ConfigFields
from uniaudio.errors import CheckpointError

_SLOPE = 0.1
# Magnitudes as heard rather than as measured: otherwise only the loudest bins would matter.
_COMPRESSION = 0.3
_FLOOR = 1e-5


@dataclass(frozen=True, kw_only=True)
class DiscriminatorConfig:
    """Sizes of all discriminators; every period and every transform length makes one.

    Widths begin at `*_channels` and grow by `*_growth` a layer, to at most `*_max_channels`.
    """

    periods: tuple[int, ...] = (2, 3, 5, 7, 11)
    period_channels: int = 16
    period_growth: int = 2
    period_max_channels: int = 128
    fft_sizes: tuple[int, ...] = (256, 512, 1024)
    spectrum_channels: int = 16
    spectrum_growth: int = 2
    spectrum_max_channels: int = 64
    num_layers: int = 4

    def __post_init__(self) -> None:
        if not self.periods and not self.fft_sizes:
            raise CheckpointError("no discriminators: give at least one of periods and fft_sizes")
        if min(self.periods, default=2) < 2 or min(self.fft_sizes, default=16) < 16:
            raise CheckpointError(
                f"periods {self.periods} must be from 2, fft_sizes {self.fft_sizes} from 16 on"
            )

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> DiscriminatorConfig:
        """Reads the fields of an `audio_tokenizer_config` that mean the same here; others are tolerated.

        CheckpointError names a known field with a value that is none.
        """
        period = ConfigFields(config.get("hifi_gan_disc_kwargs") or {}, "hifi_gan_disc_kwargs")
        spectrum = ConfigFields(config.get("spec_disc_kwargs") or {}, "spec_disc_kwargs")
        transforms = ConfigFields(spectrum.values.get("stft_params") or {}, "spec_disc_kwargs.stft_params")
        return cls(
            periods=_integers(period, "periods", cls.periods),
            period_channels=period.integer("channels", cls.period_channels),
            period_growth=period.integer("channel_increasing_factor", cls.period_growth),
            period_max_channels=period.integer("max_downsample_channels", cls.period_max_channels),
            fft_sizes=_integers(transforms, "fft_sizes", cls.fft_sizes),
            spectrum_channels=spectrum.integer("channels", cls.spectrum_channels),
            spectrum_max_channels=spectrum.integer("max_downsample_channels", cls.spectrum_max_channels),
        )


@dataclass(frozen=True)
class Judgement:
    """What one discriminator made of a batch: `score` `(B, ...)`, high for recorded, and its `features`."""

    score: Tensor
    features: tuple[Tensor, ...]


class PeriodDiscriminator(nn.Module):
    """Folds the waveform into rows of `period` samples and looks along the columns."""

    def __init__(self, period: int, config: DiscriminatorConfig) -> None:
        super().__init__()
        self.period = period
        widths = _widths(
            config.num_layers, config.period_channels, config.period_growth, config.period_max_channels
        )
        self.layers = nn.ModuleList(
            weight_norm(nn.Conv2d(before, after, (5, 1), stride=(3, 1), padding=(2, 0)))
            for before, after in zip((1, *widths), widths, strict=False)
        )
        self.score = weight_norm(nn.Conv2d(widths[-1], 1, (3, 1), padding=(1, 0)))

    def forward(self, waveform: Tensor) -> Judgement:
        """Judges `(B, num_samples)`."""
        missing = -waveform.shape[-1] % self.period
        rows = torch.unflatten(pad(waveform[:, None], (0, missing), mode="reflect"), -1, (-1, self.period))
        return _judge(rows, self.layers, self.score)


class SpectrumDiscriminator(nn.Module):
    """Looks at the compressed magnitudes of one short-time transform with a quarter of it as hop."""

    def __init__(self, fft_size: int, config: DiscriminatorConfig) -> None:
        super().__init__()
        self.fft_size = fft_size
        widths = _widths(
            config.num_layers, config.spectrum_channels, config.spectrum_growth, config.spectrum_max_channels
        )
        self.layers = nn.ModuleList(
            weight_norm(nn.Conv2d(before, after, (5, 3), stride=(3, 1), padding=(2, 1)))
            for before, after in zip((1, *widths), widths, strict=False)
        )
        self.score = weight_norm(nn.Conv2d(widths[-1], 1, 3, padding=1))
        self.register_buffer("window", torch.hann_window(fft_size, device="cpu"), persistent=False)
        self.window: Tensor

    def forward(self, waveform: Tensor) -> Judgement:
        """Judges `(B, num_samples)`."""
        spectrum = torch.stft(
            waveform.float(), self.fft_size, self.fft_size // 4, window=self.window, return_complex=True
        )
        magnitude = spectrum.abs().clamp(min=_FLOOR) ** _COMPRESSION
        return _judge(magnitude[:, None], self.layers, self.score)


class Discriminators(nn.Module):
    """All of them, each with its own opinion of `(B, num_samples)`."""

    def __init__(self, config: DiscriminatorConfig) -> None:
        super().__init__()
        self.config = config
        self.members = nn.ModuleList(
            [PeriodDiscriminator(period, config) for period in config.periods]
            + [SpectrumDiscriminator(size, config) for size in config.fft_sizes]
        )
        # A quarter faster on a CPU than channels first, and the same numbers.
        self.to(memory_format=torch.channels_last)
        self.min_samples = max([size // 2 + 1 for size in config.fft_sizes] + list(config.periods))

    def forward(self, waveform: Tensor) -> list[Judgement]:
        return [member(waveform) for member in self.members]


def _judge(x: Tensor, layers: nn.ModuleList, score: nn.Module) -> Judgement:
    features = []
    for layer in layers:
        x = leaky_relu(layer(x), _SLOPE)
        features.append(x)
    return Judgement(score(x), tuple(features))


def _widths(num_layers: int, first: int, growth: int, largest: int) -> tuple[int, ...]:
    return tuple(min(first * growth**layer, largest) for layer in range(num_layers))


def _integers(fields: ConfigFields, name: str, default: tuple[int, ...]) -> tuple[int, ...]:
    value = fields.values.get(name)
    if value is None:
        return default
    if not isinstance(value, list | tuple) or not all(type(item) is int and item > 0 for item in value):
        raise CheckpointError(
            f"config.json: {fields.path}.{name} is {value!r}; a list of positive whole numbers is needed"
        )
    return tuple(value)
