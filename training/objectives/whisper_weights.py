"""Reads Whisper's encoder from disk: an openai-whisper file, or a Hugging Face folder, of any size."""

from __future__ import annotations

import pickle
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from training.objectives.whisper_encoder import WhisperConfig, WhisperEncoder
from uniaudio.checkpoint import Checkpoint, load_parameters, read_json
from uniaudio.config_fields import ConfigFields
from uniaudio.errors import CheckpointError

_BLOCK = re.compile(r"blocks\.(\d+)\.(.+)")
# Our names, and how the two layouts begin theirs. The first that begins a name replaces it.
_OPENAI = (
    ("first_convolution.", "conv1."),
    ("second_convolution.", "conv2."),
    ("position_embeddings", "positional_embedding"),
    ("norm.", "ln_post."),
)
_OPENAI_BLOCK = (
    ("attention_norm.", "attn_ln."),
    ("attention.", "attn."),
    ("feed_forward_norm.", "mlp_ln."),
    ("expand.", "mlp.0."),
    ("contract.", "mlp.2."),
)
_HUGGING_FACE = (
    ("first_convolution.", "conv1."),
    ("second_convolution.", "conv2."),
    ("position_embeddings", "embed_positions.weight"),
    ("norm.", "layer_norm."),
)
_HUGGING_FACE_BLOCK = (
    ("attention_norm.", "self_attn_layer_norm."),
    ("attention.query.", "self_attn.q_proj."),
    ("attention.key.", "self_attn.k_proj."),
    ("attention.value.", "self_attn.v_proj."),
    ("attention.out.", "self_attn.out_proj."),
    ("feed_forward_norm.", "final_layer_norm."),
    ("expand.", "fc1."),
    ("contract.", "fc2."),
)


def load_whisper_encoder(
    path: Path | str, *, dtype: torch.dtype = torch.float32, device: str | torch.device = "cpu"
) -> WhisperEncoder:
    """The encoder of a local Whisper, frozen.

    Args:
        path: a `.pt` file as openai-whisper saves it, or a folder with `config.json` and safetensors.

    Raises CheckpointError that names what is missing or does not fit.
    """
    path = Path(path)
    encoder = _from_folder(path, dtype, device) if path.is_dir() else _from_file(path, dtype, device)
    return encoder.requires_grad_(False).eval()


def whisper_config(path: Path | str) -> WhisperConfig:
    """The sizes of a local Whisper's encoder; nothing but headers is read."""
    path = Path(path)
    if path.is_dir():
        fields = ConfigFields(read_json(path / "config.json"))
        fields.refuse_unless("activation_function", ("gelu",))
        return WhisperConfig(
            num_mels=fields.integer("num_mel_bins", 80),
            dim=fields.integer("d_model"),
            num_heads=fields.integer("encoder_attention_heads"),
            num_layers=fields.integer("encoder_layers"),
            num_positions=fields.integer("max_source_positions", 1500),
        )
    fields = ConfigFields(_read_openai(path)[0], "dims")
    return WhisperConfig(
        num_mels=fields.integer("n_mels"),
        dim=fields.integer("n_audio_state"),
        num_heads=fields.integer("n_audio_head"),
        num_layers=fields.integer("n_audio_layer"),
        num_positions=fields.integer("n_audio_ctx"),
    )


def openai_key(name: str) -> str:
    """The key, in openai-whisper's `model_state_dict`, of a parameter of `WhisperEncoder`."""
    return "encoder." + _renamed(name, _OPENAI, "blocks", _OPENAI_BLOCK)


def hugging_face_key(name: str) -> str:
    """The key, in a folder of safetensors, of a parameter of `WhisperEncoder`; a bare encoder has no prefix."""
    return "model.encoder." + _renamed(name, _HUGGING_FACE, "layers", _HUGGING_FACE_BLOCK)


def _renamed(
    name: str, names: tuple[tuple[str, str], ...], blocks: str, inside: tuple[tuple[str, str], ...]
) -> str:
    numbered = _BLOCK.fullmatch(name)
    head, rest, table = "", name, names
    if numbered is not None:
        head, rest, table = f"{blocks}.{numbered.group(1)}.", numbered.group(2), inside
    for ours, theirs in table:
        if rest.startswith(ours):
            return head + theirs + rest.removeprefix(ours)
    raise ValueError(f"{name} has no published name")


def _from_folder(path: Path, dtype: torch.dtype, device: str | torch.device) -> WhisperEncoder:
    checkpoint = Checkpoint(path)
    prefix = next(
        (p for p in ("model.encoder.", "encoder.", "") if p + "conv1.weight" in checkpoint), "model.encoder."
    )
    with torch.device("meta"):
        encoder = WhisperEncoder(whisper_config(path))
    load_parameters(
        encoder,
        checkpoint,
        lambda name: prefix + hugging_face_key(name).removeprefix("model.encoder."),
        dtype=dtype,
        device=device,
    )
    return encoder


def _from_file(path: Path, dtype: torch.dtype, device: str | torch.device) -> WhisperEncoder:
    _, weights = _read_openai(path)
    with torch.device("meta"):
        encoder = WhisperEncoder(whisper_config(path))
    state = {}
    for name, expected in encoder.state_dict().items():
        key = openai_key(name)
        found = weights.get(key)
        if found is None or found.shape != expected.shape:
            shape = "missing" if found is None else f"of shape {tuple(found.shape)}"
            raise CheckpointError(f"{path}: {key} is {shape}; {tuple(expected.shape)} is needed", key=key)
        state[name] = found.to(device, dtype)
    encoder.load_state_dict(state, assign=True)
    return encoder


def _read_openai(path: Path) -> tuple[Mapping[str, Any], Mapping[str, Tensor]]:
    try:
        stored = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except OSError as error:
        raise CheckpointError(f"cannot read {path}: {error.strerror}", path=path) from error
    except (RuntimeError, pickle.UnpicklingError, ValueError, EOFError) as error:
        raise CheckpointError(f"{path} is not a file that torch saved; fetch it again", path=path) from error
    if not isinstance(stored, dict) or not {"dims", "model_state_dict"} <= stored.keys():
        raise CheckpointError(
            f"{path} holds no 'dims' and 'model_state_dict': give a file as openai-whisper saves it, or a "
            "Hugging Face folder",
            path=path,
        )
    return stored["dims"], stored["model_state_dict"]
