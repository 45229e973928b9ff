"""How long the tokenizer's decoder takes for speech, in one process: the model's own time, which no service adds."""

from __future__ import annotations

import statistics
import time
from pathlib import Path

import torch

from uniaudio.checkpoint import Checkpoint
from uniaudio.nn.native.packed import Precision
from uniaudio.tokenizer import AudioTokenizer
from uniaudio.tokenizer.packed import pack_tokenizer

PATCH_FRAMES, FRAME_RATE = 5, 50
NUM_REPEATS = 20


def decoder_seconds(model: Path, num_streams: int, audio_seconds: float) -> float:
    """Median time for so many streams at once, so long each, patch by patch as a service is sent them."""
    tokenizer = AudioTokenizer.from_checkpoint(Checkpoint(model), parts=("decoder",))
    pack_tokenizer(tokenizer, Precision.FLOAT32)
    latents = [torch.randn(PATCH_FRAMES, tokenizer.latent_dim) for _ in range(num_streams)]
    num_patches = round(audio_seconds * FRAME_RATE / PATCH_FRAMES)
    taken = []
    for _ in range(NUM_REPEATS):
        began = time.perf_counter()
        states = [tokenizer.new_decoder_state() for _ in range(num_streams)]
        for number in range(num_patches):
            tokenizer.decode_stream(latents, states, [number == num_patches - 1] * num_streams)
        taken.append(time.perf_counter() - began)
    return statistics.median(taken)
