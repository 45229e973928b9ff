"""A checkpoint folder in the released layout as modules to train on: the inverse of `training.release.export`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from uniaudio.checkpoint import Checkpoint
from uniaudio.engine.speech_model import SpeechModel
from uniaudio.llm.config import PatchConfig
from uniaudio.llm.text_tokenizer import TextTokenizer
from uniaudio.tokenizer import AudioTokenizer


@dataclass(frozen=True, kw_only=True)
class Release:
    """The modules of a checkpoint by the names that stages use, and what its prompts need.

    `modules` holds `llm`, `flow_head`, `stop_head`, `pooling`, `semantic`, `encoder` and `decoder`.
    `semantic` is the decoder's neighbour: its `projection` is the decoder's own first layer.
    """

    checkpoint: Checkpoint
    modules: Mapping[str, nn.Module]
    tokenizer: AudioTokenizer
    text_tokenizer: TextTokenizer
    patch_config: PatchConfig


def load_release(
    folder: Path | str, *, dtype: torch.dtype = torch.float32, device: str | torch.device = "cpu"
) -> Release:
    """Loads a folder for tuning; CheckpointError names what is missing or disagrees.

    As in the published fine-tuning (8.2), encoder and decoder are frozen, the layer that the semantic
    module shares with the decoder is too, and everything else requires gradients.
    """
    checkpoint = Checkpoint(folder)
    model = SpeechModel.from_checkpoint(checkpoint, dtype=dtype, device=device)
    tokenizer = AudioTokenizer.from_checkpoint(checkpoint, dtype=dtype, device=device)
    semantic = tokenizer.semantic.requires_grad_(True)
    semantic.projection.requires_grad_(False)
    trained: dict[str, nn.Module] = {
        "llm": model.language_model,
        "flow_head": model.flow_head,
        "stop_head": model.stop_head,
        "pooling": model.pooling,
        "semantic": semantic,
    }
    for module in trained.values():
        module.train()
    return Release(
        checkpoint=checkpoint,
        modules={**trained, "encoder": tokenizer.encoder, "decoder": tokenizer.decoder},
        tokenizer=tokenizer,
        text_tokenizer=model.text_tokenizer,
        patch_config=model.patch_config,
    )
