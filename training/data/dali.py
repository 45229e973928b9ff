"""The input pipeline in NVIDIA DALI: the same batches as `training.data.pipeline`, decoded by many threads.

The only place that imports DALI. Its resampler is another one, so waveforms differ: measured on noise below
7 kHz at a peak of 0.3, by at most 1.3e-4 (-69 to -72 dB) from 8, 11.025, 22.05 and 44.1 kHz, 3.5e-5 (-83 dB)
from 24 kHz, 1e-7 from 48 kHz and 16 kHz. Within 25 ms of an end they differ by more where a stretch begins
or ends in the middle of a sound, since there each filter rings in its own way.

On a GPU ("cuda") files are decoded by the host, everything after that runs on the device. That branch needs
a GPU and was not run by the tests of this repository.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from nvidia.dali import fn, math
from nvidia.dali.pipeline import Pipeline, pipeline_def
from nvidia.dali.types import DALIDataType
from torch.utils.dlpack import from_dlpack

from training.data.manifest import Row
from training.data.pipeline import AudioBatch, Cut, load_batch, windows
from training.data.recording import check_recording, opened, recording_bytes
from training.data.window import MAX_REPEATS, MAX_SECONDS, Window
from uniaudio.audio.limits import MODEL_SAMPLE_RATE
from uniaudio.errors import InvalidAudioError, InvalidInputError, LimitExceededError

_QUALITY = 50.0  # of the resampler; 20 would differ by 4e-2 at 8 kHz
_DOUBLINGS = MAX_REPEATS.bit_length() - 1
_NOTHING = np.zeros(1, np.uint8)
# Where in the numbers of an item its window stands: starts and extents over (time, channel), then
# `num_available`, `skip` and `count`.
_START, _EXTENT, _AVAILABLE, _SKIP, _COUNT, _END = slice(0, 2), slice(2, 4), 4, 5, 6, 7
_Numbers = NDArray[np.int32]


class DaliLoader:
    """Loads batches of at most `max_items` items; for one thread at a time.

    `device` "cuda", or "cuda:1", gives batches that lie on that GPU.
    """

    def __init__(self, *, max_items: int, device: str = "cpu", num_threads: int = 1) -> None:
        self._max_items = max_items
        self._device = torch.device(device)
        self._num_threads = num_threads
        self._pipeline: Pipeline | None = None

    def __call__(self, rows: Sequence[Row], plan: Sequence[Cut]) -> AudioBatch:
        """The batch of these items, as `training.data.pipeline.load_batch` gives it, with its errors.

        MP3 and recordings above ten minutes are refused: make shards of such a corpus first.
        """
        if len(rows) > self._max_items:
            raise LimitExceededError(
                f"{len(rows)} items in a batch, the loader was made for {self._max_items}; raise max_items"
            )
        feeds = _feeds(rows, plan)
        try:
            return self._run(feeds)
        except RuntimeError as error:
            self._pipeline = None  # it cannot be run again
            load_batch(rows, plan)  # which tells the recording that cannot be decoded
            raise InvalidAudioError(
                f"DALI cannot decode the batch: {error}; convert the recordings"
            ) from error

    def _run(self, feeds: dict[str, list[NDArray[Any]]]) -> AudioBatch:
        if self._pipeline is None:
            self._pipeline = _built(self._max_items, self._device, self._num_threads)
        for name, values in feeds.items():
            self._pipeline.feed_input(name, values)  # type: ignore[no-untyped-call]
        waveforms, lengths = (from_dlpack(output.as_tensor()) for output in self._pipeline.run())
        # Copies, since DALI reuses the memory of its outputs.
        return AudioBatch(waveforms.clone(), lengths[:, 0].clone())


def _built(max_items: int, device: torch.device, num_threads: int) -> Pipeline:
    built: Pipeline = _graph(
        device.type == "cuda",
        batch_size=max_items,
        num_threads=num_threads,
        # Not the current one, which every thread has for itself.
        device_id=None if device.type == "cpu" else device.index or 0,
        prefetch_queue_depth=1,
        enable_conditionals=True,
    )
    built.build()  # type: ignore[no-untyped-call]
    return built


@pipeline_def
def _graph(on_gpu: bool) -> tuple[Any, Any]:
    numbers = _input("numbers", DALIDataType.INT32)
    waveform = _stretch(_input("encoded", DALIDataType.UINT8), numbers, on_gpu, loops=False)
    noise_numbers, factor = _input("noise_numbers", DALIDataType.INT32), _input("factor", DALIDataType.FLOAT)
    noise_encoded = _input("noise_encoded", DALIDataType.UINT8)
    if noise_numbers[_COUNT] > 0:
        noise = _stretch(noise_encoded, noise_numbers, on_gpu, loops=True)
        noise_rms = fn.reductions.rms(noise)
        gain = fn.reductions.rms(waveform) / math.max(noise_rms, 1e-20) * factor[0]
        mixed = waveform + gain * noise * (noise_rms > 0)
    else:
        mixed = waveform
    return fn.pad(mixed, axes=[0]), fn.cast(numbers[_COUNT:_END], dtype=DALIDataType.INT64)


def _input(name: str, dtype: DALIDataType) -> Any:
    return fn.external_source(name=name, dtype=dtype, ndim=1)


def _stretch(encoded: Any, numbers: Any, on_gpu: bool, *, loops: bool) -> Any:
    """The stretch `(count,)` at 16 kHz; what `loops` begins again where it ends."""
    waveform, sample_rate = fn.decoders.audio(encoded, dtype=DALIDataType.FLOAT)
    waveform = fn.slice(waveform, start=numbers[_START], shape=numbers[_EXTENT], axes=[0, 1])
    if on_gpu:
        waveform = waveform.gpu()
    waveform = fn.reductions.mean(waveform, axes=[1])
    if sample_rate != float(MODEL_SAMPLE_RATE):
        waveform = fn.audio_resample(
            waveform, in_rate=sample_rate, out_rate=float(MODEL_SAMPLE_RATE), quality=_QUALITY
        )
    if loops:
        waveform = _repeated(waveform, numbers)
    return fn.slice(waveform, start=numbers[_SKIP:_COUNT], shape=numbers[_COUNT:_END], axes=[0])


def _repeated(waveform: Any, numbers: Any) -> Any:
    """The samples that count, doubled until the stretch lies in them."""
    waveform = fn.slice(waveform, start=[0], shape=numbers[_AVAILABLE:_SKIP], axes=[0])
    for doubling in range(_DOUBLINGS):
        if numbers[_AVAILABLE] * 2**doubling < numbers[_SKIP] + numbers[_COUNT]:
            waveform = fn.cat(waveform, waveform)
    return waveform


def _feeds(rows: Sequence[Row], plan: Sequence[Cut]) -> dict[str, list[NDArray[Any]]]:
    """What goes into the pipeline, everything checked that it would stumble over."""
    names = ("encoded", "numbers", "noise_encoded", "noise_numbers", "factor")
    feeds: dict[str, list[NDArray[Any]]] = {name: [] for name in names}
    for row, cut, (window, noise_window) in zip(rows, plan, windows(rows, plan), strict=True):
        encoded, numbers = _source(row, window)
        noise_encoded, noise_numbers, factor = _NOTHING, np.zeros(_END, np.int32), 0.0
        if cut.noise is not None and noise_window is not None:
            noise_encoded, noise_numbers = _source(cut.noise.row, noise_window)
            factor = 10 ** (-cut.noise.snr_db / 20)
        values: tuple[NDArray[Any], ...] = (
            encoded,
            numbers,
            noise_encoded,
            noise_numbers,
            np.array([factor], np.float32),
        )
        for name, value in zip(names, values, strict=True):
            feeds[name].append(value)
    return feeds


def _source(row: Row, window: Window) -> tuple[NDArray[np.uint8], _Numbers]:
    content = recording_bytes(row.audio, row.member)
    num_channels = _check(row, content)
    first, count = (0, num_channels) if row.channel is None else (row.channel, 1)
    numbers = [window.source_start, first, window.source_count, count]
    numbers += [window.num_available, window.skip, window.count]
    return np.frombuffer(content, np.uint8), np.array(numbers, np.int32)


def _check(row: Row, content: bytes) -> int:
    """How many channels the recording has, where it is one that DALI decodes and the row describes."""
    with opened(io.BytesIO(content), row.place) as file:
        check_recording(row, file)
        if file.format == "MP3":
            raise InvalidInputError(
                f"{row.place} is MP3, which DALI does not decode; cut the corpus into shards with "
                "`python -m training.data.shards`, which writes FLAC"
            )
        seconds, num_channels = file.frames / file.samplerate, file.channels
    if seconds > MAX_SECONDS:
        raise LimitExceededError(
            f"{row.place} lasts {seconds:.0f} s and DALI decodes all of it, the limit is {MAX_SECONDS:g} s; cut the "
            "corpus into shards with `python -m training.data.shards`"
        )
    return int(num_channels)
