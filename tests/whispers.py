"""A small Whisper on disk."""

from __future__ import annotations

from pathlib import Path

import torch

from training.objectives.whisper_encoder import WhisperConfig, WhisperEncoder
from training.objectives.whisper_weights import openai_key


def save_whisper(path: Path, config: WhisperConfig) -> WhisperEncoder:
    """Random weights in a file as openai-whisper saves it."""
    whisper = WhisperEncoder(config)
    dims = {
        "n_mels": config.num_mels,
        "n_audio_ctx": config.num_positions,
        "n_audio_state": config.dim,
        "n_audio_head": config.num_heads,
        "n_audio_layer": config.num_layers,
    }
    weights = {openai_key(name): value for name, value in whisper.state_dict().items()}
    torch.save({"dims": dims, "model_state_dict": weights}, path)
    return whisper
