"""What the watermark survives, what it costs in quality, and how often it is seen where there is none.

Speaks with espeak-ng and flite, takes further recordings from a folder where there is one, and prints tables:

    python benchmarks/watermark.py --recordings FOLDER
"""

from __future__ import annotations

import argparse
import io
import itertools
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from training.data.corpus import Speakers, draw_utterance
from uniaudio.audio.encode import encode_audio
from uniaudio.audio.files import decode_audio
from uniaudio.audio.formats import AudioEncoding, AudioFormat
from uniaudio.audio.limits import MODEL_SAMPLE_RATE
from uniaudio.audio.watermark import HOP_SAMPLES, Marker, WatermarkKey, embed
from uniaudio.audio.watermark_detector import detect, find_mark, spectral_contrast
from uniaudio.evaluation.signals import pesq_wideband, stoi

Floats = NDArray[np.float32]

KEY, PAYLOAD = WatermarkKey(b"the benchmark's own key"), 0xA5C3
LENGTHS = (0.5, 1.0, 2.0, 3.0, 5.0)
LEVELS = (1e-1, 1e-2, 1e-3, 1e-4, 1e-5)
PESQ_SECONDS = 10.0
SPEED_ROUNDS = 3


def through(encoding: AudioEncoding, rate: int = MODEL_SAMPLE_RATE) -> Callable[[Floats], Floats]:
    """Written in that encoding at that rate, and read again."""
    written = AudioFormat(encoding=encoding, sample_rate=rate)
    return lambda waveform: decode_audio(encode_audio(waveform, written))


def mp3(rate: int, kilobits: int) -> Callable[[Floats], Floats]:
    """Written as MP3 of that constant rate, and read again."""
    # The library takes the bitrate as a place between the format's highest and lowest.
    low, high = (32, 320) if rate >= 32_000 else (8, 160)
    level = (high - kilobits) / (high - low)

    def change(waveform: Floats) -> Floats:
        samples, file = soxr.resample(waveform, MODEL_SAMPLE_RATE, rate), io.BytesIO()
        soundfile.write(file, samples, rate, format="MP3", bitrate_mode="CONSTANT", compression_level=level)
        seconds = len(waveform) / MODEL_SAMPLE_RATE
        written = 8 * len(file.getvalue()) / seconds / 1000
        if seconds > 1 and not 0.9 * kilobits < written < 1.15 * kilobits:
            raise ValueError(f"the file has {written:.0f} kbit/s, not {kilobits}")
        return decode_audio(file.getvalue())

    return change


def resampled(*rates: int) -> Callable[[Floats], Floats]:
    """From 16 kHz through these rates and back."""

    def change(waveform: Floats) -> Floats:
        steps = (MODEL_SAMPLE_RATE, *rates, MODEL_SAMPLE_RATE)
        for before, after in itertools.pairwise(steps):
            waveform = np.asarray(soxr.resample(waveform, before, after), np.float32)
        return waveform

    return change


def noisy(decibels: float) -> Callable[[Floats], Floats]:
    """With white noise so far below the sound."""

    def change(waveform: Floats) -> Floats:
        noise = np.random.default_rng(0).standard_normal(len(waveform)).astype(np.float32)
        return waveform + noise * np.float32(np.std(waveform) * 10 ** (-decibels / 20))

    return change


CHANGES: dict[str, Callable[[Floats], Floats]] = {
    "nothing": lambda waveform: waveform,
    "WAV, 16 bits": through(AudioEncoding.WAV),
    "FLAC": through(AudioEncoding.FLAC),
    "MP3, 64 kbit/s": mp3(16_000, 64),
    "MP3, 64 kbit/s at 44.1 kHz": mp3(44_100, 64),
    "MP3, 32 kbit/s": mp3(16_000, 32),
    "OGG Vorbis": through(AudioEncoding.OGG),
    "16 to 44.1 to 16 kHz": resampled(44_100),
    "16 to 22.05 to 16 kHz": resampled(22_050),
    "16 to 8 to 16 kHz": resampled(8_000),
    "8 kHz, then MP3, 64 kbit/s": lambda waveform: mp3(16_000, 64)(resampled(8_000)(waveform)),
    "a tenth of the volume": lambda waveform: np.float32(0.1) * waveform,
    "white noise, 40 dB below": noisy(40),
    "white noise, 30 dB below": noisy(30),
    "white noise, 20 dB below": noisy(20),
}


def spoken(count: int, seconds: float, seed: int) -> list[Floats]:
    """So many synthetic recordings of at least that length."""
    recordings: list[Floats] = []
    with Speakers() as speakers:
        index = 0
        for _ in range(count):
            parts: list[Floats] = []
            while sum(map(len, parts)) < seconds * MODEL_SAMPLE_RATE:
                parts.append(draw_utterance(speakers, seed, "test", index).waveform)
                index += 1
            recordings.append(np.concatenate(parts).astype(np.float32))
    return recordings


def read_folder(folder: Path) -> list[Floats]:
    """The recordings of a folder that last 3 s or more; none where there is no folder."""
    found = [decode_audio(path.read_bytes()) for path in sorted(folder.glob("*.wav"))]
    return [waveform for waveform in found if len(waveform) >= 3 * MODEL_SAMPLE_RATE]


def print_quality(groups: dict[str, list[Floats]]) -> None:
    """The table of what the mark costs."""
    print("\n| recordings | how many | PESQ loss, mean | largest | STOI, mean |\n|---|---|---|---|---|")
    length = round(PESQ_SECONDS * MODEL_SAMPLE_RATE)
    for name, waveforms in groups.items():
        losses, clear = [], []
        for waveform in waveforms:
            before = waveform[:length]
            after = embed(before, KEY, payload=PAYLOAD)
            losses.append(pesq_wideband(before, before).value - pesq_wideband(before, after).value)
            clear.append(stoi(before, after).value)
        print(
            f"| {name} | {len(losses)} | {np.mean(losses):.3f} | {np.max(losses):.3f} | {np.mean(clear):.4f} |",
            flush=True,
        )


def print_survival(waveforms: Sequence[Floats]) -> None:
    """The table of what is found in crops of marked recordings, by what happened to them."""
    marked = [embed(waveform, KEY, payload=PAYLOAD) for waveform in waveforms]
    heads = " | ".join(f"{seconds:g} s" for seconds in LENGTHS)
    print(f"\n| what happened | {heads} | payload at {LENGTHS[-1]:g} s | wrong payloads |")
    print("|---" * (len(LENGTHS) + 3) + "|")
    for name, change in CHANGES.items():
        changed = [change(waveform) for waveform in marked]
        shares = []
        payloads: list[int | None] = []
        for seconds in LENGTHS:
            found = [detect(crop, KEY, expected=PAYLOAD) for crop in _crops(changed, seconds)]
            shares.append(f"{100 * np.mean([detection.is_marked for detection in found]):.1f} %")
            payloads = [detection.payload for detection in found]
        read = [payload for payload in payloads if payload is not None]
        wrong = sum(payload != PAYLOAD for payload in read)
        told = f"{100 * len(read) / len(payloads):.0f} %"
        print(f"| {name} | {' | '.join(shares)} | {told} | {wrong} |", flush=True)


def _crops(waveforms: Sequence[Floats], seconds: float) -> list[Floats]:
    """Of each recording a crop around its middle, begun where no grid begins, and loud enough to be speech."""
    length = round(seconds * MODEL_SAMPLE_RATE)
    crops = []
    for index, waveform in enumerate(waveforms):
        room = len(waveform) - length
        if room >= 0:
            starts = np.random.default_rng(index).integers(0, room + 1, 8)
            crops.append(max((waveform[start : start + length] for start in starts), key=np.std))
    return crops


def print_false_alarms(waveforms: Sequence[Floats], num_trials: int) -> None:
    """The table of unmarked windows that look marked, beside the bound that is told for them."""
    length, step = round(1.024 * MODEL_SAMPLE_RATE / HOP_SAMPLES), 16
    contrasts = []
    for waveform in waveforms:
        contrast = spectral_contrast(waveform)
        contrasts += [contrast[start : start + length] for start in range(0, len(contrast) - length, step)]
    keys_each = -(-num_trials // len(contrasts))
    chances, scores = [], []
    for index, contrast in enumerate(contrasts):
        for number in range(keys_each):
            key = WatermarkKey((index * keys_each + number).to_bytes(16, "big"))
            found = find_mark(contrast, key, expected=PAYLOAD)
            chances.append(found.false_alarm_probability)
            scores.append(found.score)
    print(f"\n{len(contrasts)} windows of 1 s, {keys_each} fresh keys each: {len(chances)} trials; ", end="")
    print(
        f"largest score {max(scores):.2f}\n\n| told probability at most | trials seen | share |\n|---|---|---|"
    )
    for level in LEVELS:
        seen = int(np.sum(np.array(chances) <= level))
        print(f"| {level:g} | {seen} | {seen / len(chances):.1e} |")


def print_speed(waveform: Floats) -> None:
    """How many seconds of audio a second of one core marks and searches, whatever else the machine does."""
    seconds = len(waveform) / MODEL_SAMPLE_RATE
    print("\n| work | seconds of audio per second of one core |\n|---|---|")
    works: tuple[tuple[str, Callable[[], object]], ...] = (
        ("marking, in one piece", lambda: embed(waveform, KEY, payload=PAYLOAD)),
        ("marking, patch by patch (100 ms), as it is served", lambda: _mark_in_patches(waveform)),
        ("looking for the mark, expecting its payload", lambda: detect(waveform, KEY, expected=PAYLOAD)),
    )
    for name, work in works:
        spent = []
        for _ in range(SPEED_ROUNDS):
            began = time.process_time()
            work()
            spent.append(time.process_time() - began)
        print(f"| {name} | {seconds / np.median(spent):.0f} |")


def _mark_in_patches(waveform: Floats) -> list[Floats]:
    marker, step = Marker(KEY, payload=PAYLOAD), round(0.1 * MODEL_SAMPLE_RATE)
    pieces = [marker.feed(waveform[start : start + step]) for start in range(0, len(waveform), step)]
    return [*pieces, marker.finish()]


def main() -> None:
    """Prints all tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--recordings", type=Path, default=Path("recordings"), help="folder of WAV files")
    parser.add_argument("--spoken", type=int, default=60, help="synthetic recordings of 6 s")
    parser.add_argument("--trials", type=int, default=100_000, help="unmarked windows to look at")
    options = parser.parse_args()
    synthetic, others = spoken(options.spoken, 6.0, seed=1), read_folder(options.recordings)
    groups = {"synthetic (espeak-ng, flite)": synthetic, "recorded speech": others}
    print_quality({name: group for name, group in groups.items() if group})
    print_survival([*synthetic, *others])
    print_false_alarms([*spoken(options.spoken, 6.0, seed=2), *others], options.trials)
    print_speed(np.concatenate(synthetic))


if __name__ == "__main__":
    main()
