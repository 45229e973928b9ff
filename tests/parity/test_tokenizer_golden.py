"""The audio tokenizer against the published model's numbers (goldens 01, 02, 03 and 11).

Tolerances are those that the goldens' README suggests.
"""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from uniaudio.audio.sinc import resample_sinc
from uniaudio.checkpoint import Checkpoint
from uniaudio.tokenizer import AudioTokenizer

EMBEDDING = {"atol": 1e-4, "rtol": 0.0}
WAVEFORM = {"atol": 1e-5, "rtol": 0.0}

Golden = dict[str, torch.Tensor]


@pytest.fixture(scope="module")
def folder(shared_dir: Path) -> Path:
    return shared_dir / "golden" / "tiny-a"


@pytest.fixture(scope="module")
def tokenizer(folder: Path) -> AudioTokenizer:
    return AudioTokenizer.from_checkpoint(Checkpoint(folder / "checkpoint"))


@pytest.fixture(scope="module")
def encoded(folder: Path) -> Golden:
    return load_file(folder / "golden" / "01_vae_encode.safetensors")


@pytest.fixture(scope="module")
def embedded(folder: Path) -> Golden:
    return load_file(folder / "golden" / "02_unified_embedding.safetensors")


@pytest.fixture(scope="module")
def decoded(folder: Path) -> Golden:
    return load_file(folder / "golden" / "03_vae_decode.safetensors")


@pytest.mark.parametrize("name", ["asr", "prompt", "edit"])
def test_encode_every_stage(tokenizer: AudioTokenizer, encoded: Golden, name: str) -> None:
    def golden(tensor: str) -> torch.Tensor:
        return encoded[f"{name}.{tensor}"]

    waveform = golden("waveform_16k")
    assert tokenizer.num_frames(waveform.shape[1]) == golden("frame_num").item()
    frames = tokenizer.encoder.cut(waveform)[0]
    embedded = tokenizer.encoder.embed(frames)
    torch.testing.assert_close(embedded[None], golden("proj_in"), **EMBEDDING)
    hidden = tokenizer.encoder.backbone(embedded, [len(frames)])
    torch.testing.assert_close(hidden[None], golden("backbone_out"), **EMBEDDING)
    scale = tokenizer.encoder.output(hidden)[:, tokenizer.latent_dim :]
    torch.testing.assert_close(scale[None], golden("posterior_scale"), **EMBEDDING)
    posterior = tokenizer.encode(waveform)
    torch.testing.assert_close(posterior.mean, golden("posterior_mean"), **EMBEDDING)
    torch.testing.assert_close(posterior.std, golden("posterior_std"), **EMBEDDING)
    latents = posterior.sample(golden("noise").transpose(1, 2))
    torch.testing.assert_close(latents, golden("latent"), **EMBEDDING)


def test_encode_a_batch(tokenizer: AudioTokenizer, encoded: Golden) -> None:
    posterior = tokenizer.encode(encoded["batch.waveform"])
    latents = posterior.sample(encoded["batch.noise"].transpose(1, 2))
    torch.testing.assert_close(latents, encoded["batch.latent"], **EMBEDDING)
    lengths = encoded["batch.waveform_length"].tolist()
    assert [tokenizer.num_frames(length) for length in lengths] == encoded["batch.frame_num"].tolist()


def test_encode_as_a_stream(tokenizer: AudioTokenizer, encoded: Golden) -> None:
    waveform, state, means = encoded["asr.waveform_16k"][0], tokenizer.new_encoder_state(), []
    chunks = waveform.split(1234)
    for index, chunk in enumerate(chunks):
        last = index == len(chunks) - 1
        means.append(tokenizer.encode_stream([chunk], [state], [last])[0].mean)
    torch.testing.assert_close(torch.cat(means), encoded["asr.posterior_mean"][0], **EMBEDDING)


@pytest.mark.parametrize(
    ("golden", "sizes"),
    [("unified_full", None), ("unified_chunked", "chunk_sizes"), ("unified_irregular", "irregular_sizes")],
)
def test_unified_embeddings(
    tokenizer: AudioTokenizer, embedded: Golden, golden: str, sizes: str | None
) -> None:
    latents, cache = embedded["latent"][0], tokenizer.semantic.new_cache()
    chunks = [len(latents)] if sizes is None else embedded[sizes].tolist()
    pieces = [tokenizer.semantic(piece, [len(piece)], [cache]) for piece in latents.split(chunks)]
    torch.testing.assert_close(torch.cat(pieces)[None], embedded[golden], **EMBEDDING)


def test_inside_the_semantic_module(tokenizer: AudioTokenizer, embedded: Golden) -> None:
    latents, cache = embedded["latent"][0], tokenizer.semantic.new_cache()
    before = tokenizer.semantic.embed(latents)
    torch.testing.assert_close(before[None], embedded["pre_semantic"], **EMBEDDING)
    tokenizer.semantic(latents, [len(latents)], [cache])
    for index, layer in enumerate(cache.layers):
        assert layer.keys is not None
        assert layer.values is not None
        keys, values = layer.keys[None, :, : layer.length], layer.values[None, :, : layer.length]
        torch.testing.assert_close(keys, embedded[f"cache.key.{index}"], **EMBEDDING)
        torch.testing.assert_close(values, embedded[f"cache.value.{index}"], **EMBEDDING)


def test_decode_whole(tokenizer: AudioTokenizer, decoded: Golden) -> None:
    latents = decoded["latent"]
    hidden = tokenizer.decoder.hidden(latents[0], [latents.shape[1]])
    torch.testing.assert_close(hidden[None], decoded["decoder_hidden"], **EMBEDDING)
    torch.testing.assert_close(tokenizer.decode(latents), decoded["waveform_offline"][0], **WAVEFORM)


def test_decode_as_a_stream(tokenizer: AudioTokenizer, decoded: Golden) -> None:
    state, pieces = tokenizer.new_decoder_state(), []
    chunks = decoded["latent"][0].split(decoded["chunk_sizes"].tolist())
    for index, chunk in enumerate(chunks):
        last = index == len(chunks) - 1
        pieces.append(tokenizer.decode_stream([chunk], [state], [last])[0])
        torch.testing.assert_close(
            state.overlap.audio[None], decoded["stream.audio_buffer"][index], **WAVEFORM
        )
        expected = decoded["stream.window_buffer"][index]
        torch.testing.assert_close(state.overlap.envelope[None], expected, **WAVEFORM)
    assert [len(piece) for piece in pieces] == decoded["stream.chunk_lengths"].tolist()
    torch.testing.assert_close(torch.cat(pieces), decoded["stream.waveform"][0, 0], **WAVEFORM)


def test_decode_in_irregular_chunks(tokenizer: AudioTokenizer, decoded: Golden) -> None:
    state = tokenizer.new_decoder_state()
    chunks = decoded["latent"][0].split(decoded["irregular.chunk_sizes"].tolist())
    pieces = [
        tokenizer.decode_stream([chunk], [state], [index == len(chunks) - 1])[0]
        for index, chunk in enumerate(chunks)
    ]
    assert [len(piece) for piece in pieces] == decoded["irregular.chunk_lengths"].tolist()
    torch.testing.assert_close(torch.cat(pieces), decoded["irregular.waveform"][0, 0], **WAVEFORM)


def test_decode_without_a_last_chunk(tokenizer: AudioTokenizer, decoded: Golden) -> None:
    state = tokenizer.new_decoder_state()
    chunks = decoded["latent"][0].split(decoded["chunk_sizes"].tolist())
    pieces = [tokenizer.decode_stream([chunk], [state], [False])[0] for chunk in chunks]
    assert [len(piece) for piece in pieces] == decoded["nolast.chunk_lengths"].tolist()
    waveform = torch.cat(pieces)
    torch.testing.assert_close(waveform, decoded["waveform_offline"][0, 0, : len(waveform)], **WAVEFORM)


@pytest.mark.parametrize("rate", [8000, 22050, 24000, 44100, 48000])
def test_resample(folder: Path, rate: int) -> None:
    golden = load_file(folder / "golden" / "11_resample.safetensors")
    out = resample_sinc(golden[f"noise_{rate}.in"].numpy(), rate, 16000)
    torch.testing.assert_close(torch.from_numpy(out), golden[f"noise_{rate}.out_16000"], atol=1e-6, rtol=0)


def test_resample_the_voice_prompt(folder: Path) -> None:
    golden = load_file(folder / "golden" / "11_resample.safetensors")
    out = resample_sinc(golden["prompt_24k"].numpy(), 24000, 16000)
    torch.testing.assert_close(torch.from_numpy(out), golden["prompt_16k"], atol=1e-6, rtol=0)
