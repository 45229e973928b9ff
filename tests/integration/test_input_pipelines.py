"""The plain and the DALI input pipeline give the same batches, and refuse the same things.

The DALI one is run on the CPU; its GPU branch runs here only where there is a GPU.
"""

import json

import numpy as np
import pytest
import soundfile
import soxr
import torch

from training.data.manifest import Manifest, Row
from training.data.pipeline import HOP_LENGTH, Cut, Noise, load_batch, load_utterance
from training.data.shard_index import index_path
from training.data.shards import shard_rows
from uniaudio.errors import InvalidAudioError, InvalidInputError, LimitExceededError

DEVICES = ["cpu", "cuda"] if torch.cuda.is_available() else ["cpu"]
FORMATS = {"wav": "FLOAT", "flac": "PCM_24", "ogg": "VORBIS"}
TOLERANCE = 2e-4  # the resamplers differ by up to 1.3e-4, see training.data.dali


def band_limited(sample_rate, seconds, channels, seed):
    """Noise in a band that no resampler touches, silent at both ends, where they differ: `(num_samples, channels)`."""
    rng = np.random.default_rng(seed)
    num_samples = int(sample_rate * seconds)
    frequencies = np.fft.rfftfreq(num_samples, 1 / sample_rate)
    kept = (frequencies > 60) & (frequencies < min(7000, 0.38 * sample_rate))
    spectrum = rng.standard_normal((channels, len(frequencies))) + 1j * rng.standard_normal(
        (channels, len(frequencies))
    )
    waveform = np.fft.irfft(spectrum * kept, num_samples).T
    fade = np.clip(
        np.minimum(np.arange(num_samples), np.arange(num_samples)[::-1]) / (0.05 * sample_rate), 0, 1
    )
    return 0.3 * waveform / np.abs(waveform).max() * np.sin(fade * np.pi / 2)[:, None] ** 2


def recording(folder, name="a", kind="wav", sample_rate=16000, seconds=1.3, channels=1, seed=0, **changes):
    path = folder / f"{name}.{kind}"
    soundfile.write(
        path, band_limited(sample_rate, seconds, channels, seed), sample_rate, subtype=FORMATS[kind]
    )
    values = {
        "id": name,
        "audio": path,
        "sample_rate": sample_rate,
        "num_samples": soundfile.info(path).frames,
    }
    return Row(**(values | {"corpus": "c", "split": "s"} | changes))


@pytest.fixture(scope="module")
def dali():
    pytest.importorskip("nvidia.dali")
    from training.data.dali import DaliLoader

    return DaliLoader


@pytest.fixture(scope="module", params=DEVICES)
def loader(request, dali):
    return dali(max_items=8, device=request.param)


def assert_equal_batches(loader, rows, plan, edge=0):
    plain, other = load_batch(rows, plan), loader(rows, plan)
    assert other.lengths.tolist() == plain.lengths.tolist()
    assert other.waveforms.shape == plain.waveforms.shape
    assert other.waveforms.dtype == plain.waveforms.dtype
    difference = (other.waveforms.cpu() - plain.waveforms).abs()
    assert difference[:, edge : difference.shape[1] - edge].max().item() < TOLERANCE
    return plain


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("channels", [1, 2])
def test_rates_of_every_format_come_out_the_same(tmp_path, loader, kind, channels):
    rates = (8000, 16000, 22050, 24000, 44100, 48000)
    rows = [recording(tmp_path, str(rate), kind, rate, channels=channels, seed=rate) for rate in rates]
    batch = assert_equal_batches(loader, rows, [Cut()] * len(rows))
    assert batch.lengths.tolist() == [20800] * len(rows)
    for index, row in enumerate(rows):
        samples, rate = soundfile.read(row.audio, dtype="float32", always_2d=True)
        whole = soxr.resample(samples.mean(axis=1), rate, 16000)[:20800]
        assert np.allclose(batch.waveforms[index], whole, atol=1e-6)


@pytest.mark.parametrize("sample_rate", [11025, 16000, 44100, 48000])
def test_a_crop_is_the_stretch_of_the_whole(tmp_path, loader, sample_rate):
    row = recording(tmp_path, sample_rate=sample_rate, seconds=2.0)
    whole = load_batch([row], [Cut()]).waveforms[0]
    plan = [
        Cut(start_frame=0, num_frames=20),
        Cut(start_frame=31, num_frames=33),
        Cut(start_frame=90, num_frames=50),
    ]
    batch = assert_equal_batches(loader, [row] * 3, plan)
    assert batch.lengths.tolist() == [20 * HOP_LENGTH, 33 * HOP_LENGTH, 10 * HOP_LENGTH]
    for waveform, length, cut in zip(batch.waveforms, batch.lengths, plan, strict=True):
        start = cut.start_frame * HOP_LENGTH
        assert np.allclose(waveform[:length], whole[start : start + length], atol=1e-4)
        assert not waveform[length:].any()


def test_segments_and_channels_are_cut_out_of_long_recordings(tmp_path, loader):
    part = {"start_sample": 21000, "num_samples": 24000}
    rows = [
        recording(tmp_path, "m", sample_rate=48000, channels=3, seconds=2.5, channel=c, **part)
        for c in (None, 0, 2)
    ]
    batch = assert_equal_batches(loader, rows, [Cut()] * 3, edge=400)
    samples, _ = soundfile.read(rows[0].audio)
    middle = slice(2000, 6000)
    for index, mono in enumerate([samples.mean(axis=1), samples[:, 0], samples[:, 2]]):
        expected = soxr.resample(mono, 48000, 16000)[21000 // 3 :]
        assert np.allclose(batch.waveforms[index][middle], expected[middle], atol=1e-4)


@pytest.mark.parametrize(("seconds", "start"), [(3.0, 4000), (0.4, 0), (0.4, 100000), (0.05, 11)])
def test_noise_lies_at_the_asked_ratio_and_repeats_where_it_is_short(tmp_path, loader, seconds, start):
    rows = [recording(tmp_path, "a"), recording(tmp_path, "b", "flac", 24000, 0.9)]
    noise = recording(tmp_path, "n", "ogg", 16000, seconds, 2, seed=5)
    plan = [Cut(noise=Noise(row=noise, snr_db=5.0, start_sample=start)), Cut()]
    batch = assert_equal_batches(loader, rows, plan)
    clean = load_batch(rows, [Cut(), Cut()])
    added = (batch.waveforms - clean.waveforms)[0]
    ratio = 10 * torch.log10(clean.waveforms[0].square().mean() / added.square().mean())
    assert ratio.item() == pytest.approx(5.0, abs=1e-3)
    assert not (batch.waveforms - clean.waveforms)[1].any()
    period = soundfile.info(noise.audio).frames
    if period < len(added):
        assert np.allclose(added[period:], added[:-period], atol=1e-5)


def test_silence_takes_and_gives_no_noise(tmp_path, loader):
    speech, silent = recording(tmp_path, "a"), recording(tmp_path, "z")
    soundfile.write(silent.audio, np.zeros(silent.num_samples), 16000, subtype="FLOAT")
    plan = [Cut(noise=Noise(row=silent, snr_db=0.0)), Cut(noise=Noise(row=speech, snr_db=0.0))]
    batch = assert_equal_batches(loader, [speech, silent], plan)
    assert torch.equal(batch.waveforms[0], load_batch([speech], [Cut()]).waveforms[0])
    assert not batch.waveforms[1].any()


def test_batches_of_any_size_follow_each_other(tmp_path, loader):
    rows = [recording(tmp_path, str(n), seconds=0.2 + 0.1 * n, seed=n) for n in range(5)]
    for size in (5, 1, 3):
        assert_equal_batches(loader, rows[:size], [Cut()] * size)


def both(loader):
    return [load_batch, loader]


def refused(loader, error, told, rows, plan):
    for load in both(loader):
        with pytest.raises(error, match=told):
            load(rows, plan)


def test_what_cannot_be_read_is_named(tmp_path, loader):
    good = recording(tmp_path)
    missing = recording(tmp_path, "m")
    missing.audio.unlink()
    refused(
        loader,
        InvalidAudioError,
        r"m\.wav.* cannot be read|m\.wav is no recording",
        [good, missing],
        [Cut()] * 2,
    )
    broken = recording(tmp_path, "b")
    broken.audio.write_bytes(b"RIFF" + b"x" * 100)
    refused(loader, InvalidAudioError, r"b\.wav is no recording that can be read", [broken], [Cut()])
    longer = recording(tmp_path, "l", num_samples=99999)
    refused(loader, InvalidAudioError, r"'l' ends at 99999; restore", [longer], [Cut()])
    slower = recording(tmp_path, "s")
    soundfile.write(slower.audio, np.zeros(99999), 8000)
    refused(loader, InvalidAudioError, r"has 8000 Hz, the manifest says 16000", [slower], [Cut()])
    refused(
        loader, InvalidAudioError, r"1 channels, .* channel 3", [recording(tmp_path, "c", channel=3)], [Cut()]
    )
    assert_equal_batches(loader, [good], [Cut()])


def test_a_recording_that_is_cut_off_is_an_error_and_the_next_batch_works(tmp_path, loader):
    row = recording(tmp_path, "f", "flac", seconds=3.0)
    row.audio.write_bytes(row.audio.read_bytes()[:30000])
    refused(loader, InvalidAudioError, r"f\.flac can be read up to sample \d+, .* restore", [row], [Cut()])
    assert_equal_batches(loader, [recording(tmp_path)], [Cut()])


def test_impossible_plans_are_refused(tmp_path, loader):
    row, noise = recording(tmp_path), recording(tmp_path, "n", seconds=0.01)
    refused(loader, InvalidInputError, "1 rows and 2 cuts", [row], [Cut()] * 2)
    refused(loader, InvalidInputError, "holds nothing of 'a', which has 20800", [row], [Cut(start_frame=65)])
    refused(loader, InvalidInputError, "holds nothing", [row], [Cut(num_frames=0)])
    long = recording(tmp_path, "x", num_samples=16000 * 601)
    refused(loader, LimitExceededError, "601.0 s of 'x' are asked for, the limit is 600", [long], [Cut()])
    refused(loader, InvalidInputError, "repeated 32 times", [row], [Cut(noise=Noise(row=noise, snr_db=0))])
    with pytest.raises(InvalidInputError, match="snr_db is nan"):
        Noise(row=row, snr_db=float("nan"))


def test_dali_refuses_what_it_cannot_decode(tmp_path, loader):
    row = recording(tmp_path)
    path = tmp_path / "a.mp3"
    soundfile.write(path, np.zeros(16000), 16000)
    mp3 = Row(id="m", audio=path, sample_rate=16000, num_samples=16000, corpus="c", split="s")
    assert load_batch([mp3], [Cut()]).lengths.tolist() == [16000]
    with pytest.raises(InvalidInputError, match=r"MP3.*training.data.shards"):
        loader([mp3], [Cut()])
    with pytest.raises(LimitExceededError, match="9 items in a batch, the loader was made for 8"):
        loader([row] * 9, [Cut()] * 9)


def test_a_row_becomes_an_utterance(tmp_path):
    words = (("one", 0.0, 0.5), ("two", 0.5, 1.25))
    row = recording(
        tmp_path, sample_rate=24000, text="One two.", language="English", speaker="7", words=words
    )
    utterance = load_utterance(row)
    assert (utterance.sample_rate, len(utterance.waveform), utterance.voice.name) == (16000, 20800, "7")
    assert [(span.label, span.start, span.end) for span in utterance.words] == [
        ("one", 0, 8000),
        ("two", 8000, 20000),
    ]


def test_shards_give_the_same_batches_and_dali_reads_them_as_they_are(tmp_path, dali):
    rows = [recording(tmp_path, str(n), sample_rate=24000, seconds=0.5 + 0.1 * n, seed=n) for n in range(3)]
    shard_rows(rows, tmp_path / "s")
    packed = list(Manifest(tmp_path / "s" / "manifest.jsonl"))
    batch = assert_equal_batches(dali(max_items=3), packed, [Cut()] * 3)
    assert (batch.waveforms - load_batch(rows, [Cut()] * 3).waveforms).abs().max() < 1e-4

    from nvidia.dali import fn, pipeline_def

    @pipeline_def(batch_size=3, num_threads=1, device_id=None)
    def reader():
        shard = str(packed[0].audio)
        paths = {"paths": shard, "index_paths": str(index_path(packed[0].audio))}
        audio, text = fn.readers.webdataset(**paths, ext=["flac", "json"], missing_component_behavior="error")
        return fn.decoders.audio(audio)[0], text

    built = reader()
    built.build()
    audio, texts = built.run()
    for index, row in enumerate(packed):
        assert audio.at(index).shape == (row.num_samples, 1)
        assert json.loads(texts.at(index).tobytes())["id"] == row.id
