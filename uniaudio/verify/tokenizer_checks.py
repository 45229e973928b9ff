"""Goldens 01 to 03: the audio tokenizer."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from uniaudio.verify.golden import Golden, normal
from uniaudio.verify.materials import Materials
from uniaudio.verify.report import ENCODED, WAVEFORM

_PATCH = 5


def check_encode(golden: Golden, materials: Materials) -> None:
    """01: waveform to posterior to latents, with what lies between."""
    for case in golden.cases("waveform_16k"):
        _check_encoded(golden, materials, case)
    if golden.wants("batch.waveform"):
        _check_batch(golden, materials)


def _check_encoded(golden: Golden, materials: Materials, case: str) -> None:
    if materials.has_audio(case):
        waveform = materials.audio(case)
        golden.check(f"{case}.waveform_16k", waveform[None], WAVEFORM)
    else:
        waveform = golden.given(f"{case}.waveform_16k", lambda _: torch.zeros(1, 0))[0]
    tokenizer, encoder = materials.tokenizer, materials.tokenizer.encoder
    embedded = encoder.embed(encoder.cut(waveform))
    hidden = encoder.backbone(embedded, [len(embedded)])
    parameters = encoder.output(hidden)
    golden.check(f"{case}.proj_in", embedded[None], ENCODED)
    golden.check(f"{case}.backbone_out", hidden[None], ENCODED)
    golden.check(f"{case}.posterior_scale", parameters[None, :, tokenizer.latent_dim :], ENCODED)
    posterior = tokenizer.encode(waveform[None])
    golden.check(f"{case}.posterior_mean", posterior.mean, ENCODED)
    golden.check(f"{case}.posterior_std", posterior.std, ENCODED)
    num_frames = materials.num_frames(waveform)
    golden.check(f"{case}.frame_num", torch.tensor([num_frames], dtype=torch.int32))
    noise = golden.given(f"{case}.noise", normal(1, tokenizer.latent_dim, num_frames))
    latents = posterior.sample(noise.transpose(1, 2))
    golden.check(f"{case}.latent", latents, ENCODED)
    materials.latents[case] = latents


def _check_batch(golden: Golden, materials: Materials) -> None:
    """Two recordings of different lengths together, the shorter one padded with zeros."""
    tokenizer = materials.tokenizer
    waveform = golden.given("batch.waveform", lambda _: _padded_pair(materials))
    lengths = golden.given("batch.waveform_length", lambda _: (waveform != 0).long().cumsum(1).argmax(1) + 1)
    frames = [tokenizer.num_frames(int(length)) for length in lengths]
    golden.check("batch.frame_num", torch.tensor(frames, dtype=torch.int32))
    shape = (len(waveform), tokenizer.latent_dim, materials.num_frames(waveform))
    noise = golden.given("batch.noise", normal(*shape))
    golden.check("batch.latent", tokenizer.encode(waveform).sample(noise.transpose(1, 2)), ENCODED)


def _padded_pair(materials: Materials) -> Tensor:
    first, second = materials.audio("asr"), materials.audio("prompt")
    kept = first.shape[0] // 2 + 11
    return torch.stack((first[:kept], torch.nn.functional.pad(second[: kept // 2], (0, kept - kept // 2))))


def check_unify(golden: Golden, materials: Materials) -> None:
    """02: latents to unified embeddings, at once and in chunks with a cache."""
    semantic = materials.tokenizer.semantic
    if "asr" in materials.latents:
        golden.check("latent", materials.latents["asr"], ENCODED)
    latents = golden.given("latent", lambda _: materials.latents["asr"])[0]
    num_frames = len(latents)
    golden.check("pre_semantic", semantic.embed(latents)[None], ENCODED)
    golden.check("unified_full", semantic(latents, [num_frames])[None], ENCODED)
    for output, sizes in (("unified_chunked", "chunk_sizes"), ("unified_irregular", "irregular_sizes")):
        cache = semantic.new_cache()
        chunks = golden.given(sizes, lambda _, name=sizes: _chunk_sizes(num_frames, name))  # type: ignore[misc]
        parts = [semantic(chunk, [len(chunk)], [cache]) for chunk in torch.split(latents, chunks.tolist())]
        golden.check(output, torch.cat(parts)[None], ENCODED)
        if sizes == "chunk_sizes":
            for index, layer in enumerate(cache.layers):
                assert layer.keys is not None
                assert layer.values is not None
                golden.check(f"cache.key.{index}", layer.keys[None, :, : layer.length], ENCODED)
                golden.check(f"cache.value.{index}", layer.values[None, :, : layer.length], ENCODED)


def check_decode(golden: Golden, materials: Materials) -> None:
    """03: latents to waveform, offline and streamed."""
    tokenizer = materials.tokenizer
    if "edit" in materials.latents:
        golden.check("latent", materials.latents["edit"], ENCODED)
    latents = golden.given("latent", lambda _: materials.latents["edit"])
    num_frames = latents.shape[1]
    hidden = tokenizer.decoder.hidden(latents[0], [num_frames])
    golden.check("decoder_hidden", hidden[None], ENCODED)
    golden.check("waveform_offline", tokenizer.decode(latents)[None], WAVEFORM)
    sizes = golden.given("chunk_sizes", lambda _: _chunk_sizes(num_frames, "chunk_sizes"))
    irregular = golden.given("irregular.chunk_sizes", lambda _: _chunk_sizes(num_frames, "irregular"))
    state = tokenizer.new_decoder_state()
    pieces, audio, envelope = [], [], []
    chunks = torch.split(latents[0], sizes.tolist())
    for index, chunk in enumerate(chunks):
        pieces += tokenizer.decode_stream([chunk], [state], [index == len(chunks) - 1])
        audio.append(state.overlap.audio[None])
        envelope.append(state.overlap.envelope[None])
    golden.check("stream.waveform", torch.cat(pieces)[None, None], WAVEFORM)
    golden.check("stream.chunk_lengths", _lengths(pieces))
    golden.check("stream.audio_buffer", torch.stack(audio), WAVEFORM)
    golden.check("stream.window_buffer", torch.stack(envelope), WAVEFORM)
    pieces = stream_waveform(materials, torch.split(latents[0], irregular.tolist()), flush=True)
    golden.check("irregular.waveform", torch.cat(pieces)[None, None], WAVEFORM)
    golden.check("irregular.chunk_lengths", _lengths(pieces))
    golden.check("nolast.chunk_lengths", _lengths(stream_waveform(materials, chunks, flush=False)))


def stream_waveform(materials: Materials, chunks: Sequence[Tensor], *, flush: bool) -> list[Tensor]:
    """Streamed samples of each chunk `(T_i, C)`; without `flush` the stream is left open."""
    tokenizer = materials.tokenizer
    state = tokenizer.new_decoder_state()
    pieces: list[Tensor] = []
    for index, chunk in enumerate(chunks):
        pieces += tokenizer.decode_stream([chunk], [state], [flush and index == len(chunks) - 1])
    return pieces


def _lengths(pieces: Sequence[Tensor]) -> Tensor:
    return torch.tensor([len(piece) for piece in pieces])


def _chunk_sizes(num_frames: int, name: str) -> Tensor:
    """Patches and a rest; or irregular sizes, one frame among them."""
    wanted = [_PATCH] * num_frames if name == "chunk_sizes" else [3, 1, 7, 11, num_frames]
    sizes: list[int] = []
    for size in wanted:
        if left := num_frames - sum(sizes):
            sizes.append(min(size, left))
    return torch.tensor(sizes)
