"""Peak memory of loading a multi-gigabyte checkpoint of the released layout, in a fresh process.

Writes a random one (sharded, bfloat16) into a temporary folder, loads everything the LLM service
holds, and the audio tokenizer, in child processes, and prints a table of stored size against peak:

    python benchmarks/load_memory.py --gib 3
"""

from __future__ import annotations

import argparse
import json
import math
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

from uniaudio.checkpoint import Checkpoint
from uniaudio.checkpoint_layout import tensor_shapes
from uniaudio.engine.speech_model import SpeechModel
from uniaudio.random_model import default_config, write_random_checkpoint
from uniaudio.random_vocabulary import train_text_tokenizer
from uniaudio.tokenizer import AudioTokenizer

GIB = 2**30
_SHARD_BYTES = 1 * GIB
_ALLOWED_EXTRA = 1 * GIB


def released_like_config(gib: float) -> dict[str, Any]:
    """The released widths with as many language model layers as the size allows."""
    vocabulary = train_text_tokenizer().get_vocab(with_added_tokens=True)
    config = default_config(126_464, vocabulary)
    backbone = {"hidden_size": 896, "intermediate_size": 4864, "num_attention_heads": 14}
    backbone |= {"num_hidden_layers": 4, "num_key_value_heads": 2}
    audio = config["audio_tokenizer_config"]
    audio["enc_kwargs"]["backbone"] |= backbone
    audio["dec_kwargs"]["backbone"] |= backbone
    audio["semantic_module_kwargs"]["whisper_encoder"] = {"n_state": 1280, "n_head": 20, "n_layer": 4}
    config["ditar_config"] |= {"hidden_size": 1024, "depth": 8, "num_heads": 16}
    config["llm_config"] |= {"hidden_size": 2048, "num_attention_heads": 16, "num_key_value_heads": 4}
    config["llm_config"] |= {"num_experts": 64, "num_experts_per_tok": 6, "num_shared_experts": 2}
    config["llm_config"] |= {"moe_intermediate_size": 1408, "num_hidden_layers": 1}
    sizes = []
    for num_layers in (1, 2):
        config["llm_config"]["num_hidden_layers"] = num_layers
        sizes.append(2 * sum(math.prod(shape) for shape in tensor_shapes(config).values()))
    extra = (gib * GIB - sizes[0]) / (sizes[1] - sizes[0])
    config["llm_config"]["num_hidden_layers"] = 1 + max(0, math.ceil(extra))
    return config


def load_and_measure(what: str, directory: str, dtype_name: str) -> dict[str, float]:
    """Runs in the child: loads, and reads the peak that the kernel recorded for this process."""
    torch.set_num_threads(2)
    dtype = getattr(torch, dtype_name)
    before = _peak_bytes()
    started = time.perf_counter()
    checkpoint = Checkpoint(directory)
    if what == "llm":
        speech = SpeechModel.from_checkpoint(checkpoint, dtype=dtype)
        modules = [speech.language_model, speech.pooling, speech.flow_head, speech.stop_head, speech.semantic]
    else:
        modules = [AudioTokenizer.from_checkpoint(checkpoint, dtype=dtype)]
    seconds = time.perf_counter() - started
    peak = _peak_bytes()
    tensors = {id(t): t.nbytes for m in modules for t in (*m.parameters(), *m.buffers())}
    return {"before": before, "peak": peak, "size": sum(tensors.values()), "seconds": seconds}


def _peak_bytes() -> int:
    """Largest resident size of this program so far; `ru_maxrss` would count what started it as well."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024


def _main() -> int:
    parser = argparse.ArgumentParser(description="Peak memory of loading a large checkpoint.")
    parser.add_argument("--gib", type=float, default=3.0, help="stored size of the checkpoint")
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        print(json.dumps(load_and_measure(*arguments.child)))
        return 0
    return _measure_all(arguments.gib)


def _measure_all(gib: float) -> int:
    failures = 0
    with tempfile.TemporaryDirectory() as directory:
        config = released_like_config(gib)
        write_random_checkpoint(directory, config=config, dtype=torch.bfloat16, max_shard_bytes=_SHARD_BYTES)
        checkpoint = Checkpoint(directory)
        shards = len(list(Path(directory).glob("*.safetensors")))
        layers = config["llm_config"]["num_hidden_layers"]
        print(
            f"checkpoint: {checkpoint.size_bytes / GIB:.2f} GiB in {shards} shards, bfloat16, {layers} LLM layers\n"
        )
        print(
            "| what | dtype | weights GiB | peak GiB | peak - weights GiB | of which before loading | seconds |"
        )
        print("|---|---|---|---|---|---|---|")
        for what, dtype in (
            ("llm", "bfloat16"),
            ("llm", "float32"),
            ("tokenizer", "bfloat16"),
            ("tokenizer", "float32"),
        ):
            row = _run_child(what, directory, dtype)
            extra = row["peak"] - row["size"]
            failures += extra > _ALLOWED_EXTRA
            cells = [row["size"] / GIB, row["peak"] / GIB, extra / GIB, row["before"] / GIB, row["seconds"]]
            print(f"| {what} | {dtype} | " + " | ".join(f"{cell:.2f}" for cell in cells) + " |")
    print(f"\nallowed: weights + {_ALLOWED_EXTRA / GIB:.0f} GiB; rows above it: {failures}")
    return 1 if failures else 0


def _run_child(what: str, directory: str, dtype: str) -> dict[str, float]:
    command = [sys.executable, __file__, "--child", what, directory, dtype]
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).resolve().parent.parent)}
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=1800, env=environment)
    measured: dict[str, float] = json.loads(done.stdout)
    return measured


if __name__ == "__main__":
    sys.exit(_main())
