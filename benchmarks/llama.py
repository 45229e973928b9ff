"""Text decode beside llama.cpp, on the same weights, in the same process, in turns.

    pip install llama-cpp-python gguf
    python -m benchmarks.llama --threads 2 --streams 1 16

Both read a prompt of every stream, and then make a token of every stream a step and look for the likeliest. First it
is shown that they compute the same: by their logits in float32.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import llama_cpp as llama
import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.engine_parts import PROMPT_POSITIONS
from benchmarks.hardware import processor
from benchmarks.llama_gguf import write_gguf
from uniaudio.checkpoint import Checkpoint
from uniaudio.engine.packed_model import PackedSpeechModel
from uniaudio.engine.speech_model import SpeechModel
from uniaudio.nn.native.packed import Precision
from uniaudio.nn.native.threads import take_threads_from_torch
from uniaudio.random_model import write_random_checkpoint

PRECISIONS = ("float32", "bfloat16", "int8")
LONGEST = 4096
_SETTLE_SECONDS = 0.02  # after which the other's idle threads sleep
_IN_A_ROW = 5
_SEED = 4242
Ids = NDArray[np.int32]
Floats = NDArray[np.float32]
Step = Callable[[Ids], Floats]
"""The next token of every stream; logits `(streams, V)` of those after it."""


class Llama:
    """One model of llama.cpp and what it remembers of `count` streams."""

    def __init__(self, path: Path, count: int, threads: int, precision: str) -> None:
        self._model = llama.llama_model_load_from_file(str(path).encode(), llama.llama_model_default_params())
        settings = llama.llama_context_default_params()
        settings.n_ctx, settings.n_seq_max = LONGEST * count, count
        settings.n_batch = settings.n_ubatch = max(PROMPT_POSITIONS, count)
        settings.n_threads = settings.n_threads_batch = threads
        if precision == "float32":  # of keys and values; otherwise they are float16
            settings.type_k = settings.type_v = llama.GGML_TYPE_F32
        self._context = llama.llama_init_from_model(self._model, settings)
        if not (self._model and self._context):
            raise SystemExit(f"llama.cpp does not take {path}")
        self._num_tokens = llama.llama_vocab_n_tokens(llama.llama_model_get_vocab(self._model))
        self._positions = [0] * count
        self._batch = llama.llama_batch_init(settings.n_batch, 0, 1)

    def read(self, stream: int, ids: Ids) -> Floats:
        """Reads a prompt; logits `(n, V)` after each of its tokens."""
        return self._run([(stream, int(token)) for token in ids])

    def step(self, ids: Ids) -> Floats:
        return self._run([(stream, int(token)) for stream, token in enumerate(ids)])

    def _run(self, rows: Sequence[tuple[int, int]]) -> Floats:
        batch = self._batch
        batch.n_tokens = len(rows)
        for place, (stream, token) in enumerate(rows):
            batch.token[place], batch.pos[place] = token, self._positions[stream]
            batch.n_seq_id[place], batch.seq_id[place][0], batch.logits[place] = 1, stream, 1
            self._positions[stream] += 1
        if code := llama.llama_decode(self._context, batch):
            raise SystemExit(f"llama_decode ended with {code}")
        pointer = llama.llama_get_logits(self._context)
        return np.ctypeslib.as_array(pointer, (len(rows), self._num_tokens))


class Ours:
    """One packed model and what it remembers of `count` streams."""

    def __init__(self, model: PackedSpeechModel, count: int) -> None:
        self._model = model
        self._states = [model.new_state() for _ in range(count)]

    def read(self, stream: int, ids: Ids) -> Floats:
        state = self._states[stream]
        hidden = self._model.language_model(self._embedded(ids), [len(ids)], [state.language])
        return self._model.logits(hidden).numpy()

    def step(self, ids: Ids) -> Floats:
        return self._model.logits(self._model.step(self._embedded(ids), self._states)).numpy()

    def _embedded(self, ids: Ids) -> torch.Tensor:
        return self._model.embed_tokens(torch.from_numpy(ids).long())


@dataclass(frozen=True)
class Row:
    """Tokens a second of all streams, by both."""

    precision: str
    num_streams: int
    ours: float
    theirs: float

    def __str__(self) -> str:
        cells = (self.num_streams, self.precision, f"{self.ours:.1f}", f"{self.theirs:.1f}")
        return f"| {' | '.join(map(str, cells))} | **{self.ours / self.theirs:.2f}×** |"


def measure(ours: Ours, theirs: Llama, count: int, precision: str, seconds: float, vocabulary: int) -> Row:
    """Steps of both in turns; medians."""
    prompts = np.random.default_rng(_SEED).integers(0, vocabulary, (count, PROMPT_POSITIONS), np.int32)
    for stream, prompt in enumerate(prompts):
        ours.read(stream, prompt)
        theirs.read(stream, prompt)
    times: dict[str, list[float]] = {"ours": [], "theirs": []}
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for name, step in (("ours", ours.step), ("theirs", theirs.step)):
            time.sleep(_SETTLE_SECONDS)
            times[name] += _times(step, prompts[:, 0])
    rates = {name: count / statistics.median(found) for name, found in times.items()}
    return Row(precision, count, **rates)


def _times(step: Step, ids: Ids) -> list[float]:
    found = []
    for number in range(_IN_A_ROW + 1):
        began = time.perf_counter()
        step(ids).argmax(-1)
        if number:  # the first wakes threads up
            found.append(time.perf_counter() - began)
    return found


def difference(ours: Ours, theirs: Llama, vocabulary: int) -> tuple[float, float]:
    """Of the logits after each token of a prompt: the median of their largest differences, and how often both have
    the same largest one. (The maximum would tell of routers alone, whose near ties fall one way or the other.)"""
    ids = np.random.default_rng(1).integers(0, vocabulary, PROMPT_POSITIONS, np.int32)
    found, wanted = theirs.read(0, ids), ours.read(0, ids)
    same = float((found.argmax(-1) == wanted.argmax(-1)).mean())
    return float(np.median(np.abs(found - wanted).max(-1))), same


def lines(options: argparse.Namespace, folder: Path) -> Iterator[str]:
    """The report, line by line."""
    config = json.loads(options.config.read_text())
    write_random_checkpoint(folder / "model", _SEED, config=config)
    plain = SpeechModel.from_checkpoint(Checkpoint(folder / "model"))
    vocabulary = plain.language_model.config.vocab_size
    yield (
        f"{processor()}, {options.threads} threads, llama-cpp-python {llama.__version__}, torch {torch.__version__}, "
        f"{time.strftime('%Y-%m-%d')}, `python -m benchmarks.llama {' '.join(sys.argv[1:])}`"
    )
    yield ""
    rows = []
    for precision in options.precisions:
        path = folder / f"{precision}.gguf"
        write_gguf(plain.language_model, path, precision, LONGEST)
        packed = PackedSpeechModel.pack(plain, Precision[precision.upper()])
        if precision == "float32":
            apart, same = difference(Ours(packed, 1), Llama(path, 1, options.threads, precision), vocabulary)
            yield (
                f"The same weights: in float32 the logits after a token lie {apart:.1e} apart at most (median), "
                f"and the likeliest token is the same after {100 * same:.0f} % of {PROMPT_POSITIONS}."
            )
            yield ""
        for count in options.streams:
            theirs = Llama(path, count, options.threads, precision)
            rows.append(measure(Ours(packed, count), theirs, count, precision, options.seconds, vocabulary))
    yield "| streams | weights | uniaudio, tokens/s | llama.cpp, tokens/s | ratio |"
    yield "|---|---|---|---|---|"
    yield from map(str, rows)


def arguments() -> argparse.Namespace:
    """What the command line says."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--config", type=Path, default=Path(__file__).with_name("engine_mid.json"))
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--streams", type=int, nargs="+", default=[1, 8, 16])
    parser.add_argument("--precisions", nargs="+", choices=PRECISIONS, default=PRECISIONS)
    parser.add_argument("--seconds", type=float, default=5.0, help="of each row")
    return parser.parse_args()


def main() -> None:
    """Measures, prints."""
    options = arguments()
    torch.set_num_threads(options.threads)
    take_threads_from_torch()
    silence = llama.llama_log_callback(lambda _level, _text, _data: None)
    llama.llama_log_set(silence, ctypes.c_void_p(0))
    llama.llama_backend_init()
    with tempfile.TemporaryDirectory() as folder, torch.inference_mode():
        for line in lines(options, Path(folder)):
            print(line)


if __name__ == "__main__":
    main()
