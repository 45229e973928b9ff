"""How fast the engine runs the true 16.8 B shape on a GPU, beside its plain modules and beside the memory's limit.

    python -m benchmarks.engine_gpu --table out.md
    python -m benchmarks.engine_gpu --device cpu --size small      # does it run at all

Random weights in bfloat16, made on the device. The plain modules run one stream, as the published code does.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor, nn

from benchmarks.engine_parts import (
    VOICE_PATCHES,
    first_patch_seconds,
    first_patch_waits,
    speech_step,
    text_step,
    weights_met,
)
from benchmarks.hardware import processor
from training.recipes.ming16b_sizes import FLOW_HEAD, LANGUAGE_MODEL, TOKENIZER
from uniaudio.checkpoint import CheckpointInfo
from uniaudio.checkpoint_writer import write_text_tokenizer
from uniaudio.engine.engine import Engine
from uniaudio.engine.paged_model import PagedSpeechModel
from uniaudio.engine.request import EngineConfig
from uniaudio.engine.speech_model import AnySpeechModel, SpeechModel
from uniaudio.llm.config import PatchConfig
from uniaudio.llm.flow_head import FlowHead, StopHead
from uniaudio.llm.model import LanguageModel
from uniaudio.llm.patching import LinearPooling
from uniaudio.llm.text_tokenizer import TextTokenizer
from uniaudio.random_vocabulary import train_text_tokenizer
from uniaudio.tokenizer.semantic import SemanticModule

M = TypeVar("M", bound=nn.Module)
PATCH_SECONDS = 0.1
_SMALL = {
    "language": replace(
        LANGUAGE_MODEL, hidden_size=256, num_layers=2, vocab_size=2048, num_experts=8, top_k=2
    ),
    "flow": replace(FLOW_HEAD, condition_dim=256, hidden_size=128, depth=2, num_heads=2),
    "tokenizer": replace(TOKENIZER, unified_dim=128, num_semantic_layers=2, num_semantic_heads=2),
}
_TRUE = {"language": LANGUAGE_MODEL, "flow": FLOW_HEAD, "tokenizer": TOKENIZER}


def random_model(device: torch.device, size: str) -> SpeechModel:
    """A model of random weights, in bfloat16; the text tokenizer is a small one."""
    sizes = _TRUE if size == "true" else _SMALL
    language, flow, tokenizer = sizes["language"], sizes["flow"], sizes["tokenizer"]
    with tempfile.TemporaryDirectory() as folder, torch.device("meta"):
        write_text_tokenizer(Path(folder), train_text_tokenizer())
        projection = nn.Linear(tokenizer.latent_dim, tokenizer.decoder.hidden_size)
        return SpeechModel(
            language_model=_filled(LanguageModel(language), device),
            pooling=_filled(LinearPooling(tokenizer.unified_dim, language.hidden_size, 5), device),
            flow_head=_filled(FlowHead(flow), device),
            stop_head=_filled(StopHead(language.hidden_size), device),
            semantic=_filled(
                SemanticModule(
                    projection,
                    tokenizer.unified_dim,
                    tokenizer.num_semantic_layers,
                    tokenizer.num_semantic_heads,
                ),
                device,
            ),
            text_tokenizer=TextTokenizer.from_directory(Path(folder)),
            patch_config=PatchConfig(latent_dim=tokenizer.latent_dim),
            info=CheckpointInfo(name="random", revision="", trained=False, notice=""),
        )


def _filled(module: M, device: torch.device) -> M:
    module = module.to(torch.bfloat16).to_empty(device=device).requires_grad_(False)
    for name, parameter in module.named_parameters():
        is_norm = parameter.ndim == 1 and "norm" in name and name.endswith("weight")
        if is_norm:
            parameter.fill_(1.0)
        else:
            parameter.normal_(0, 0.02)
    return module


@dataclass(frozen=True)
class Timing:
    """Milliseconds of single steps."""

    times: list[float]

    @property
    def median(self) -> float:
        return statistics.median(self.times)

    @property
    def p99(self) -> float:
        return sorted(self.times)[min(int(len(self.times) * 0.99), len(self.times) - 1)]


def timed(step: Callable[[], None], device: torch.device, seconds: float) -> Timing:
    """Steps until so many seconds have passed; the first ones record graphs."""
    for _ in range(3):
        step()
    _wait(device)
    times = []
    end = time.monotonic() + seconds
    while time.monotonic() < end or len(times) < 5:
        began = time.perf_counter()
        step()
        _wait(device)
        times.append(1000 * (time.perf_counter() - began))
    return Timing(times)


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize()


def bandwidth(device: torch.device) -> float:
    """Bytes per second of reading a large tensor, the best of some readings."""
    memory = torch.ones(500_000_000 if device.type == "cuda" else 50_000_000, device=device)
    best = float("inf")
    for _ in range(6):
        began = time.perf_counter()
        memory.sum()
        _wait(device)
        best = min(best, time.perf_counter() - began)
    return memory.numel() * 4 / best


def bytes_of_step(model: SpeechModel, count: int, num_steps: int) -> tuple[float, float]:
    """What a step of text and one of speech must read, a weight of bfloat16 each time that it is used."""
    read = weights_met(model, count)
    head = model.language_model.config.vocab_size * model.hidden_size
    flow = num_steps * _size(model.flow_head.blocks)
    return 2 * (read + head), 2 * (read + _size(model.semantic) + flow)


def _size(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def rows(
    plain: SpeechModel, paged: PagedSpeechModel, options: argparse.Namespace, speed: float
) -> Iterator[str]:
    """The table, a row for each kind of step and number of streams."""
    yield "| step | streams | ms p50 / p99 | of all, a second | plain modules, ms | ratio | limit, ms |"
    yield "|---|---|---|---|---|---|---|"
    makers: dict[str, Callable[[AnySpeechModel, int], Callable[[], None]]] = {
        "text": text_step,
        "speech": speech_step,
    }
    for index, (what, maker) in enumerate(makers.items()):
        alone = timed(maker(plain, 1), paged.device, options.seconds)
        for count in options.streams:
            found = timed(maker(paged, count), paged.device, options.seconds)
            limit = 1000 * bytes_of_step(plain, count, 10)[index] / speed
            each = 1000 * count / found.median
            rate = f"{each:.0f} tokens" if what == "text" else f"{each * PATCH_SECONDS:.1f} s of audio"
            ratio = count * alone.median / found.median
            yield (
                f"| {what} | {count} | {found.median:.2f} / {found.p99:.2f} | {rate} "
                f"| {alone.median:.1f} | **{ratio:.1f}×** | {limit:.2f} |"
            )


def first_audio(model: PagedSpeechModel) -> str:
    """Milliseconds until the first patch: a new voice, the same again, and known with a new text."""
    engine = Engine(model, EngineConfig())
    voice: Tensor = torch.randn(VOICE_PATCHES * model.patch_size, model.latent_dim)
    first_patch_seconds(engine, "Graphs are recorded.", voice, "first")
    waits = first_patch_waits(engine, voice)
    engine.close()
    return "First patch, ms (new text, the same again, another text): " + ", ".join(
        f"{1000 * wait:.0f}" for wait in waits
    )


def report(options: argparse.Namespace) -> Iterator[str]:
    """Line by line."""
    device = torch.device(options.device)
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else processor()
    yield (
        f"{name}, torch {torch.__version__}, {time.strftime('%Y-%m-%d')}, "
        f"`python -m benchmarks.engine_gpu {' '.join(sys.argv[1:])}`"
    )
    yield ""
    speed = bandwidth(device)
    yield f"Memory is read at {speed / 1e9:.0f} GB/s; the limit is what that allows."
    yield ""
    plain = random_model(device, options.size)
    paged = PagedSpeechModel.of(plain, max_positions=options.max_positions)
    yield from rows(plain, paged, options, speed)
    yield ""
    yield first_audio(paged)
    if device.type == "cuda":
        yield f"Peak memory: {torch.cuda.max_memory_allocated() / 2**30:.1f} GiB."


def arguments() -> argparse.Namespace:
    """What the command line says."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--size", choices=("true", "small"), default="true")
    parser.add_argument("--streams", type=int, nargs="+", default=[1, 8, 32])
    parser.add_argument("--seconds", type=float, default=5.0, help="of each row")
    parser.add_argument("--max-positions", type=int, default=32_768)
    parser.add_argument("--table", type=Path, help="also write the table there")
    return parser.parse_args()


def main() -> None:
    """Measures, prints."""
    options = arguments()
    told = []
    with torch.no_grad():  # the engine steps in a thread of its own, where inference tensors could not change
        for line in report(options):
            print(line, flush=True)
            told.append(line)
    if options.table:
        options.table.write_text("\n".join(told) + "\n")


if __name__ == "__main__":
    main()
