"""The small teacher: a Whisper-shaped encoder that hears no further than the frame it describes.

Whisper itself hears the whole recording, which a causal student cannot match exactly; this one is as causal
as the semantic module that learns from it, so the distance between them can fall to what the latents lack.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu, layer_norm, pad

from training.objectives.whisper_mel import slaney_filters
from uniaudio.errors import InvalidInputError
from uniaudio.nn.rope import rotary_tables
from uniaudio.tokenizer.semantic import SemanticBlock, SemanticModule

_WINDOW, _WINDOW_HOP = 400, 160
_FLOOR = 1e-6
_ROPE_BASE = 10000.0


@dataclass(frozen=True, kw_only=True)
class TeacherConfig:
    """Sizes of the small teacher; `dim` is the unified width of the student."""

    dim: int = 256
    num_layers: int = 4
    num_heads: int = 4
    num_mels: int = 80
    hop_length: int = 320

    def __post_init__(self) -> None:
        if self.dim % (2 * self.num_heads):
            raise InvalidInputError(
                f"dim {self.dim} does not give {self.num_heads} heads of even width; choose a multiple of "
                f"{2 * self.num_heads}"
            )
        if self.hop_length % _WINDOW_HOP:
            raise InvalidInputError(f"hop_length {self.hop_length} must be a multiple of {_WINDOW_HOP}")


class TeacherEncoder(nn.Module):
    """Waveforms `(B, num_samples)` at 16 kHz to features `(B, T, dim)`, float32.

    Each feature has mean 0 and variance 1 over its coordinates, so a distance means the same for every
    teacher; feature t depends on samples before `(t + 1) * hop_length` alone.
    """

    def __init__(self, config: TeacherConfig) -> None:
        super().__init__()
        self.config = config
        per_frame = config.hop_length // _WINDOW_HOP
        self.input = nn.Linear(per_frame * config.num_mels, config.dim)
        self.expansion = nn.Linear(config.dim, config.dim)
        self.blocks = nn.ModuleList(
            SemanticBlock(config.dim, config.num_heads) for _ in range(config.num_layers)
        )

    @property
    def output_dim(self) -> int:
        """Width of a feature."""
        return self.config.dim

    def forward(self, waveform: Tensor) -> Tensor:
        mel = causal_log_mel(waveform, self.config.num_mels, self.config.hop_length)
        num_items, num_frames, _ = mel.shape
        positions = torch.arange(num_frames, device=mel.device).repeat(num_items)
        tables = rotary_tables(positions, self.config.dim // self.config.num_heads, _ROPE_BASE)
        x = self.expansion(gelu(self.input(mel.flatten(0, 1))))
        for block in self.blocks:
            x = block(x, tables, [num_frames] * num_items, None)
        return layer_norm(x.float(), (self.config.dim,)).view(num_items, num_frames, -1)


@torch.no_grad()
def initialise_from_teacher(semantic: SemanticModule, teacher: TeacherEncoder) -> None:
    """Copies the teacher's first blocks, as many as the student has; the rest of it stays as it is.

    With equally many, the student has only to find the input of the first block in its latents. Raises
    InvalidInputError where widths or heads differ, or the teacher has fewer blocks.
    """
    config = teacher.config
    found = (semantic.norm.weight.shape[0], semantic.head_dim)
    if found != (config.dim, config.dim // config.num_heads) or len(semantic.blocks) > config.num_layers:
        raise InvalidInputError(
            f"a semantic module of {len(semantic.blocks)} blocks, width {found[0]} and head width {found[1]} cannot "
            f"begin as a teacher of {config.num_layers}, {config.dim} and {config.dim // config.num_heads}; give "
            "the teacher the student's width and heads, and at least as many layers"
        )
    for ours, theirs in zip(semantic.blocks, teacher.blocks, strict=False):
        ours.load_state_dict(theirs.state_dict())


def causal_log_mel(waveform: Tensor, num_mels: int, hop_length: int) -> Tensor:
    """Log-mel `(B, T, windows * num_mels)`: the windows of 25 ms that end within each frame, every 10 ms.

    The last frame is filled up with silence.
    """
    num_frames = -(-waveform.shape[-1] // hop_length)
    before, after = _WINDOW - _WINDOW_HOP, num_frames * hop_length - waveform.shape[-1]
    # In bfloat16 a filter's sum would be heard as steps.
    with torch.autocast(waveform.device.type, enabled=False):
        windows = pad(waveform.float(), (before, after)).unfold(-1, _WINDOW, _WINDOW_HOP)
        shaped = windows * torch.hann_window(_WINDOW, device=waveform.device)
        power = torch.fft.rfft(shaped).abs().square()
        logs = (power @ slaney_filters(num_mels, _WINDOW).to(power).T).clamp(min=_FLOOR).log10()
    out: Tensor = ((logs + 4) / 4).reshape(waveform.shape[0], num_frames, -1)
    return out
