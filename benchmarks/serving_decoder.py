"""How long the tokenizer's decoder takes for speech, in one process: the model's own time, which no service adds."""

from __future__ import annotations

import statistics
import time
from pathlib import Path

import torch

from benchmarks.precision_parts import load_tokenizer
from benchmarks.serving_doors import FRAME_RATE

PATCH_FRAMES = 5
NUM_REPEATS = 20


def decoder_seconds(model: Path, num_streams: int, audio_seconds: float) -> float:
    """Median time for so many streams at once, so long each, patch by patch as a service is sent them."""
    tokenizer = load_tokenizer(model, "float32")
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
