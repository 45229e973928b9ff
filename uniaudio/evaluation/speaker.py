"""The speaker encoder of our own: one vector per recording, near for one voice and far for two.

It shares no weights with what it judges. Its numbers are called `sim_inhouse`, and never stand beside those
of other embeddings (evaluation 1.5, 4.5).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from uniaudio.evaluation.judge_folder import read_judge, write_judge
from uniaudio.evaluation.mel_net import MelNet, MelNetConfig, log_mel, pad

EMBEDDING_DIM = 128
SMALL = MelNetConfig(width=160, hidden=320, num_blocks=4, kernel_size=9, stride=2)
_KIND = "uniaudio-speaker-encoder"


class SpeakerNet(nn.Module):
    """Log-mel `(B, T, num_mels)` of `lengths` `(B,)` to unit vectors `(B, 128)`."""

    def __init__(self, config: MelNetConfig) -> None:
        super().__init__()
        self.config = config
        self.trunk = MelNet(config)
        self.attention = nn.Linear(config.width, config.width)
        self.exit = nn.Linear(2 * config.width, EMBEDDING_DIM)

    def forward(self, features: Tensor, lengths: Tensor) -> Tensor:
        rows, lengths = self.trunk(features, lengths)
        # A weighted mean and spread over time, the weights learned per channel.
        absent = torch.arange(rows.shape[1], device=rows.device) >= lengths[:, None].to(rows.device)
        scores = self.attention(rows).float().masked_fill(absent[..., None], float("-inf"))
        weights = scores.softmax(1)
        rows = rows.float().masked_fill(absent[..., None], 0.0)
        mean = (weights * rows).sum(1)
        spread = ((weights * rows.square()).sum(1) - mean.square()).clamp_min(1e-6).sqrt()
        return nn.functional.normalize(self.exit(torch.cat([mean, spread], -1)).float(), dim=-1)


@dataclass(frozen=True, kw_only=True)
class SpeakerEncoder:
    """A trained network; `accuracy` is how often it tells held-out voices apart, as its trainer measured."""

    net: SpeakerNet
    accuracy: Mapping[str, float] = field(default_factory=dict)

    @classmethod
    def load(cls, folder: Path) -> SpeakerEncoder:
        """The encoder of a folder; CheckpointError for another model or missing weights."""
        config, weights = read_judge(folder, _KIND)
        net = SpeakerNet(MelNetConfig(**config["net"]))
        net.load_state_dict(weights)
        return cls(net=net.eval(), accuracy=dict(config["accuracy"]))

    def save(self, folder: Path, about: Mapping[str, Any]) -> Path:
        """Writes `config.json` and `model.safetensors`; `about` says how it was trained."""
        described = {"accuracy": dict(self.accuracy), "about": dict(about)}
        return write_judge(folder, _KIND, self.net, self.net.config, described)

    @torch.inference_mode()
    def embed(self, waveforms: Sequence[Tensor]) -> Tensor:
        """Unit vectors `(B, 128)` of 16 kHz recordings `(num_samples,)`; their product is the likeness."""
        features, lengths = pad([log_mel(waveform, self.net.config.num_mels) for waveform in waveforms])
        vectors: Tensor = self.net(features, lengths)
        return vectors
