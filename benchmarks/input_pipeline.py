"""How fast the two input pipelines make batches on one thread: times real time of the audio that comes out.

Makes recordings in a temporary folder, loads all of them in batches of 16 by each pipeline, three times, and prints
a table of the best:

    taskset -c 0 env OMP_NUM_THREADS=1 python benchmarks/input_pipeline.py
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import soundfile
import torch

from training.data.dali import DaliLoader
from training.data.manifest import Manifest, Row
from training.data.pipeline import BatchLoader, Cut, Noise, load_batch
from training.data.shards import shard_rows

_BATCH = 16
_ROUNDS = 3


def make_recordings(folder: Path, kind: str, sample_rate: int, count: int) -> list[Row]:
    """Speech-like lengths, 2 to 6 s, of low-passed noise."""
    rng = np.random.default_rng(0)
    rows = []
    for number in range(count):
        num_samples = int(rng.uniform(2, 6) * sample_rate)
        waveform = np.convolve(rng.standard_normal(num_samples), np.hanning(9) / 20, "same")
        path = folder / f"{kind}-{sample_rate}-{number}.{kind}"
        soundfile.write(path, waveform, sample_rate)
        row = Row(
            id=path.stem, audio=path, sample_rate=sample_rate, num_samples=num_samples, corpus="b", split="b"
        )
        rows.append(replace(row, num_samples=soundfile.info(path).frames))
    return rows


def measure(loader: BatchLoader, rows: Sequence[Row], plan: Sequence[Cut]) -> float:
    """Seconds of audio a second of processor time, the best of a few rounds after one to warm up."""
    best = 0.0
    for _ in range(1 + _ROUNDS):
        began, num_samples = time.process_time(), 0
        for first in range(0, len(rows), _BATCH):
            batch = loader(rows[first : first + _BATCH], plan[first : first + _BATCH])
            num_samples += int(batch.lengths.sum())
        best = max(best, num_samples / 16000 / (time.process_time() - began))
    return best


def cases(folder: Path, count: int) -> dict[str, tuple[list[Row], list[Cut]]]:
    """What is measured, by name."""
    wav16, wav24 = (make_recordings(folder, "wav", rate, count) for rate in (16000, 24000))
    flac44 = make_recordings(folder, "flac", 44100, count)
    ogg24 = make_recordings(folder, "ogg", 24000, count)
    shard_rows(wav24, folder / "shards", resample=True)
    sharded = list(Manifest(folder / "shards" / "manifest.jsonl"))
    whole, crop = [Cut()] * count, [Cut(start_frame=20, num_frames=50)] * count
    noisy = [Cut(noise=Noise(row=row, snr_db=10.0)) for row in reversed(wav16)]
    return {
        "wav 16 kHz": (wav16, whole),
        "wav 24 kHz, resampled": (wav24, whole),
        "flac 44.1 kHz, resampled": (flac44, whole),
        "ogg 24 kHz, resampled": (ogg24, whole),
        "shards of flac 16 kHz": (sharded, whole),
        "wav 24 kHz, resampled, 1 s of each": (wav24, crop),
        "flac 44.1 kHz, resampled, 1 s of each": (flac44, crop),
        "wav 24 kHz, resampled, noise mixed in": (wav24, noisy),
    }


def main() -> None:
    """Measures and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=160, help="recordings of each kind")
    count = parser.parse_args().count
    torch.set_num_threads(1)
    dali = DaliLoader(max_items=_BATCH, num_threads=1)
    print("| what | soundfile + soxr | DALI |\n|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for name, (rows, plan) in cases(Path(folder), count).items():
            plain, other = measure(load_batch, rows, plan), measure(dali, rows, plan)
            print(f"| {name} | {plain:.0f} | {other:.0f} |", flush=True)


if __name__ == "__main__":
    main()
