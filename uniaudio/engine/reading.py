"""The reading half of a step: pieces of many sequences through semantic module and language model."""

from __future__ import annotations

from collections.abc import Sequence as SequenceOf

import torch
from torch import Tensor

from uniaudio.engine.running import Piece, RunningState, next_piece
from uniaudio.engine.speech_model import AnySpeechModel


def read_pieces(model: AnySpeechModel, states: SequenceOf[RunningState], shares: SequenceOf[int]) -> Tensor:
    """Hidden states `(B, H)` of every sequence's last position read, from one pass of each model.

    Each sequence reads at most its share; a sequence's row means something once all of it is read.
    """
    pieces = [next_piece(state, share) for state, share in zip(states, shares, strict=True)]
    lengths = [piece.end - piece.start for piece in pieces]
    embeddings = torch.empty(sum(lengths), model.hidden_size, device=model.device, dtype=model.input_dtype)
    ends = torch.tensor(lengths).cumsum(0)
    starts = (ends - torch.tensor(lengths)).tolist()
    _embed_text(model, pieces, starts, embeddings)
    audio_rows = _embed_audio(model, states, pieces, starts, embeddings)
    mask = None
    if any(piece.marks_audio and piece.audio_rows for piece in pieces):
        mask = torch.zeros(len(embeddings), dtype=torch.bool, device=model.device)
        mask[audio_rows] = True
    caches = [state.model.language for state in states]
    hidden: Tensor = model.language_model(embeddings, lengths, caches, mask)
    for state, piece in zip(states, pieces, strict=True):
        state.num_read = piece.end
    return hidden[(ends - 1).to(hidden.device)]


def _embed_text(
    model: AnySpeechModel, pieces: SequenceOf[Piece], starts: SequenceOf[int], embeddings: Tensor
) -> None:
    token_ids = [token_id for piece in pieces for token_id in piece.token_ids]
    if token_ids:
        rows = [start + row for piece, start in zip(pieces, starts, strict=True) for row in piece.text_rows]
        embeddings[rows] = model.embed_tokens(torch.tensor(token_ids)).to(embeddings.dtype)


def _embed_audio(
    model: AnySpeechModel,
    states: SequenceOf[RunningState],
    pieces: SequenceOf[Piece],
    starts: SequenceOf[int],
    embeddings: Tensor,
) -> list[int]:
    """Fills in the patches' embeddings; the rows that the audio router serves."""
    rows: list[int] = []  # in the order in which `_hear` gives embeddings
    marked: list[int] = []
    wanted = []
    for state, piece, start in zip(states, pieces, starts, strict=True):
        if not piece.audio_rows:
            continue
        own = [start + row for row in piece.audio_rows]
        rows += own
        marked += own if piece.marks_audio else []
        wanted.append((state, piece.patches))
    if rows:
        embeddings[rows] = torch.cat(_hear(model, wanted)).to(embeddings.dtype)
    return marked


def _hear(model: AnySpeechModel, wanted: SequenceOf[tuple[RunningState, range]]) -> list[Tensor]:
    """Embeddings `(n, H)` of the wanted patches of each sequence, which the semantic module continues.

    What an earlier sequence heard of the same recording is taken as it is.
    """
    size = model.patch_size
    known = [
        state.heard.embeddings[patches.start : patches.stop] if state.heard is not None else None
        for state, patches in wanted
    ]
    first_new = [
        patches.start + (0 if old is None else len(old))
        for (_, patches), old in zip(wanted, known, strict=True)
    ]
    to_hear = [
        (state, first, patches.stop)
        for (state, patches), first in zip(wanted, first_new, strict=True)
        if first < patches.stop
    ]
    fresh = iter(_embed_frames(model, to_hear, size))
    out = []
    for (state, patches), old, first in zip(wanted, known, first_new, strict=True):
        parts = [] if old is None else [old]
        if first < patches.stop:
            new = next(fresh)
            parts.append(new)
            if state.heard is None and state.content:
                state.embeddings.append(new[: max(state.prompt.num_audio_patches - first, 0)])
        out.append(torch.cat(parts))
    return out


def _embed_frames(
    model: AnySpeechModel, to_hear: SequenceOf[tuple[RunningState, int, int]], size: int
) -> list[Tensor]:
    """Embeddings of patches `[first, end)` of each sequence, in one pass."""
    if not to_hear:
        return []
    frames = [state.frames(state.num_heard, end * size) for state, _, end in to_hear]
    lengths = [len(part) for part in frames]
    latents = torch.cat([part.to(model.device, model.input_dtype) for part in frames])
    unified: Tensor = model.semantic(latents, lengths, [state.model.semantic for state, _, _ in to_hear])
    kept = []
    for part, (state, first, end) in zip(torch.split(unified, lengths), to_hear, strict=True):
        kept.append(part[first * size - state.num_heard :])
        state.num_heard = end * size
    pooled: Tensor = model.pooling(torch.cat(kept))
    return list(torch.split(pooled, [end - first for _, first, end in to_hear]))
