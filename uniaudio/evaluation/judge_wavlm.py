"""`sim_wavlm`: the published speaker embedding, WavLM-large hidden states into ECAPA-TDNN (evaluation 1.1)."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from uniaudio.errors import CheckpointError
from uniaudio.evaluation.judges import ModelCard, hash_weights
from uniaudio.evaluation.recordings import read_recording
from uniaudio.evaluation.wavlm import WavLm, WavLmConfig

EMBEDDING_DIM = 256
_CHANNELS, _POOLED, _BOTTLENECK, _SCALE = 512, 1536, 128, 8
_TRUNK = "feature_extract.model."


class SpeakerEmbedding(nn.Module):
    """A 16 kHz waveform `(num_samples,)` to a vector `(256,)`; parameters under the published names."""

    def __init__(self, config: WavLmConfig, channels: int = _CHANNELS, pooled: int = _POOLED) -> None:
        super().__init__()
        self.trunk = WavLm(config)
        self.feature_weight = nn.Parameter(torch.zeros(config.num_layers + 1))
        self.layer1 = _ConvNorm(config.dim, channels, 5)
        self.layer2, self.layer3, self.layer4 = (_Block(channels, dilation) for dilation in (2, 3, 4))
        self.conv = nn.Conv1d(3 * channels, pooled, 1)
        self.pooling = _AttentiveStatistics(pooled)
        self.bn = nn.BatchNorm1d(2 * pooled)
        self.linear = nn.Linear(2 * pooled, EMBEDDING_DIM)

    def forward(self, waveform: Tensor) -> Tensor:
        states = self.trunk(waveform)
        weights = self.feature_weight.softmax(0)
        features = (weights[:, None, None] * states).sum(0).T[None] + 1e-6  # (1, dim, T)
        features = nn.functional.instance_norm(features)
        second = self.layer2(self.layer1(features))
        third = self.layer3(second)
        fourth = self.layer4(third)
        joined = nn.functional.relu(self.conv(torch.cat([second, third, fourth], 1)))
        vector: Tensor = self.linear(self.bn(self.pooling(joined)))[0]
        return vector

    def load_published(self, weights: Mapping[str, Tensor]) -> None:
        """Takes the published weights; CheckpointError names the first that is missing or has another shape.

        Weights that the embedding does not use (the trunk's mask embedding, training's classifier) are
        passed over.
        """
        renamed = {name.replace(_TRUNK, "trunk."): value for name, value in weights.items()}
        own = self.state_dict()
        for name, value in own.items():
            if name.endswith("num_batches_tracked"):
                continue
            found = renamed.get(name)
            if found is None or found.shape != value.shape:
                shape = "missing" if found is None else f"of shape {tuple(found.shape)}"
                raise CheckpointError(
                    f"{name.replace('trunk.', _TRUNK)} is {shape}, {tuple(value.shape)} is needed: give the "
                    "WavLM-large checkpoint that was fine-tuned for speaker verification"
                )
        self.load_state_dict({name: renamed.get(name, value) for name, value in own.items()})


class WavLmJudge:
    """Whole clips, no trimming; the cosine of two vectors is their likeness."""

    suffix = "wavlm"

    def __init__(self, path: Path, config: WavLmConfig | None = None) -> None:
        digest = hash_weights(path)
        try:
            # Weights only: a checkpoint may not run code.
            stored = torch.load(path, map_location="cpu", weights_only=True)
        except (pickle.UnpicklingError, RuntimeError, EOFError) as error:
            raise CheckpointError(
                f"{path} is no torch checkpoint of plain weights: {error}", path=path
            ) from error
        if not isinstance(stored, dict) or not isinstance(stored.get("model"), dict):
            raise CheckpointError(f"{path} has no entry 'model': give wavlm_large_finetune.pth", path=path)
        self._net = SpeakerEmbedding(config or WavLmConfig()).eval()
        self._net.load_published(stored["model"])
        self.card = ModelCard(
            role="speaker encoder",
            metric="sim_wavlm",
            name=f"WavLM + ECAPA-TDNN ({path.name})",
            revision=digest[:12],
            weights_sha256=digest,
        )

    @torch.inference_mode()
    def embed(self, path: Path) -> NDArray[np.float32]:
        """A unit vector `(256,)`."""
        vector = self._net(torch.from_numpy(read_recording(path)))
        unit: NDArray[np.float32] = nn.functional.normalize(vector, dim=0).numpy()
        return unit


class _ConvNorm(nn.Module):
    def __init__(self, in_channels: int, out_channels: int, kernel: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv1d(in_channels, out_channels, kernel, padding=kernel // 2)
        self.bn = nn.BatchNorm1d(out_channels)

    def forward(self, x: Tensor) -> Tensor:
        normalised: Tensor = self.bn(nn.functional.relu(self.conv(x)))
        return normalised


class _Block(nn.Module):
    """Squeeze-and-excitation around a Res2Net convolution; the names are those of the published weights."""

    def __init__(self, channels: int, dilation: int) -> None:
        super().__init__()
        self.Conv1dReluBn1 = _ConvNorm(channels, channels)
        self.Res2Conv1dReluBn = _Res2(channels, dilation)
        self.Conv1dReluBn2 = _ConvNorm(channels, channels)
        self.SE_Connect = _Excitation(channels)

    def forward(self, x: Tensor) -> Tensor:
        changed: Tensor = self.SE_Connect(self.Conv1dReluBn2(self.Res2Conv1dReluBn(self.Conv1dReluBn1(x))))
        return x + changed


class _Res2(nn.Module):
    """Eighths of the channels, each convolved with what the one before gave; the last passes through."""

    def __init__(self, channels: int, dilation: int) -> None:
        super().__init__()
        width = channels // _SCALE
        self.width = width
        self.convs = nn.ModuleList(
            nn.Conv1d(width, width, 3, padding=dilation, dilation=dilation) for _ in range(_SCALE - 1)
        )
        self.bns = nn.ModuleList(nn.BatchNorm1d(width) for _ in range(_SCALE - 1))

    def forward(self, x: Tensor) -> Tensor:
        *parts, last = torch.split(x, self.width, 1)
        done: list[Tensor] = []
        for part, convolution, norm in zip(parts, self.convs, self.bns, strict=True):
            part = part + done[-1] if done else part
            done.append(norm(nn.functional.relu(convolution(part))))
        return torch.cat([*done, last], 1)


class _Excitation(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.linear1 = nn.Linear(channels, _BOTTLENECK)
        self.linear2 = nn.Linear(_BOTTLENECK, channels)

    def forward(self, x: Tensor) -> Tensor:
        gates = self.linear2(nn.functional.relu(self.linear1(x.mean(-1)))).sigmoid()
        excited: Tensor = x * gates[..., None]
        return excited


class _AttentiveStatistics(nn.Module):
    """Mean and spread over time `(B, C, T)` to `(B, 2 C)`, frames weighted per channel."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.linear1 = nn.Conv1d(channels, _BOTTLENECK, 1)
        self.linear2 = nn.Conv1d(_BOTTLENECK, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        weights = self.linear2(self.linear1(x).tanh()).softmax(-1)
        mean = (weights * x).sum(-1)
        spread = ((weights * x.square()).sum(-1) - mean.square()).clamp_min(1e-9).sqrt()
        return torch.cat([mean, spread], 1)
