"""Recordings as posteriors: what the language model's stages read, and how they are encoded once for all."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from rich.progress import Progress
from torch import nn

from training.data.latent_folder import EditEntry, Halves, LatentFolder, LatentWriter, StoredPosterior
from training.data.utterance import Span, Utterance
from uniaudio.audio import framing
from uniaudio.tokenizer.posterior import Posterior

Floats = NDArray[np.float32]
_CORPUS_FORMAT = 1
_EDIT_FORMAT = 3  # since 2 an edit tells how far off its cuts are, since 3 when each word is spoken
_BATCH = 16


class LatentCorpus(Protocol):
    """Utterances as posteriors; everything but `posterior` is known without reading frames."""

    @property
    def latent_dim(self) -> int: ...

    def __len__(self) -> int: ...

    def num_frames(self, index: int) -> int:
        """Frames of the recording; a whole number of patches."""

    def text(self, index: int) -> str: ...

    def voice(self, index: int) -> str: ...

    def language(self, index: int) -> str: ...

    def words(self, index: int) -> tuple[Span, ...]:
        """Times of the words, in samples."""

    def posterior(self, index: int, num_frames: int | None = None) -> StoredPosterior:
        """The recording's frames, or the first `num_frames` of them."""


class EditLatents(Protocol):
    """Edits as pairs of posteriors."""

    @property
    def latent_dim(self) -> int: ...

    def __len__(self) -> int: ...

    def entry(self, index: int) -> EditEntry: ...

    def source(self, index: int) -> StoredPosterior: ...

    def target(self, index: int) -> StoredPosterior: ...


class EditRecording(Protocol):
    """An edit as it is recorded; `target_region` in seconds, the times of `target_words` in samples.

    `boundary_error_seconds` is how far off its worst cut is, None where nothing was cut.
    """

    @property
    def kind(self) -> str: ...

    @property
    def instruction(self) -> str: ...

    @property
    def plan_text(self) -> str: ...

    @property
    def source(self) -> Floats: ...

    @property
    def target(self) -> Floats: ...

    @property
    def source_text(self) -> str: ...

    @property
    def target_text(self) -> str: ...

    @property
    def target_region(self) -> tuple[float, float] | None: ...

    @property
    def boundary_error_seconds(self) -> float | None: ...

    @property
    def target_words(self) -> Sequence[Span]: ...


class Encoder(Protocol):
    """What the tokenizer is asked for here."""

    @property
    def latent_dim(self) -> int: ...

    @property
    def hop_length(self) -> int: ...

    @property
    def sample_rate(self) -> int: ...

    @property
    def encoder(self) -> nn.Module: ...

    def encode(self, waveform: torch.Tensor) -> Posterior: ...


class UtteranceSource(Protocol):
    """A corpus of recordings."""

    def __len__(self) -> int: ...

    def utterance(self, index: int) -> Utterance: ...


class EditSource(Protocol):
    """A set of recorded edits."""

    def __len__(self) -> int: ...

    def edit(self, index: int) -> EditRecording: ...


def encode_corpus(
    corpus: UtteranceSource,
    tokenizer: Encoder,
    folder: Path | str,
    *,
    patch_size: int = 5,
    quiet: bool = False,
) -> LatentFolder:
    """Encodes what is missing of a corpus and opens it; silence fills every recording's last patch."""

    def items(first: int) -> Iterator[_Item]:
        for index in range(first, len(corpus)):
            spoken = corpus.utterance(index)
            described = {
                "text": spoken.text,
                "voice": spoken.voice.name,
                "language": spoken.language,
                "words": [(span.label, span.start, span.end) for span in spoken.words],
            }
            yield _Item((spoken.waveform,), described)

    source = _Source(items, len(corpus), _CORPUS_FORMAT)
    return _build(source, tokenizer, Path(folder), patch_size, quiet)


def encode_edits(
    edits: EditSource, tokenizer: Encoder, folder: Path | str, *, patch_size: int = 5, quiet: bool = False
) -> LatentFolder:
    """Encodes what is missing of a set of edits, source and target of each, and opens it.

    Raises InvalidInputError for a folder of an older format, which tells nothing of boundary errors: read
    as unknown, they would leave `training.monitors.triplets` nothing to see, and nobody would be told.
    """
    frame_rate = tokenizer.sample_rate / tokenizer.hop_length

    def items(first: int) -> Iterator[_Item]:
        for index in range(first, len(edits)):
            edit = edits.edit(index)
            region = edit.target_region
            described = {
                "kind": edit.kind,
                "instruction": edit.instruction,
                "plan_text": edit.plan_text,
                "source_text": edit.source_text,
                "target_text": edit.target_text,
                "target_region": None if region is None else [round(edge * frame_rate) for edge in region],
                "boundary_error_seconds": edit.boundary_error_seconds,
                "target_words": [[word.label, word.start, word.end] for word in edit.target_words],
            }
            yield _Item((edit.source, edit.target), described)

    source = _Source(items, len(edits), _EDIT_FORMAT)
    return _build(source, tokenizer, Path(folder), patch_size, quiet)


@dataclass(frozen=True)
class _Item:
    waveforms: tuple[Floats, ...]
    described: Mapping[str, Any]


@dataclass(frozen=True)
class _Source:
    """`items(first)` gives the items in order, from the first missing one on; `format` is of their lines."""

    items: Callable[[int], Iterator[_Item]]
    count: int
    format: int


def _build(source: _Source, tokenizer: Encoder, folder: Path, patch_size: int, quiet: bool) -> LatentFolder:
    """Encodes what is missing, in order."""
    described = {
        "format": source.format,
        "count": source.count,
        "patch_size": patch_size,
        "encoder": _fingerprint(tokenizer.encoder),
    }
    writer = LatentWriter(folder, described, latent_dim=tokenizer.latent_dim)
    with writer, Progress(disable=quiet) as progress:
        bar = progress.add_task("encoding speech", total=source.count, completed=writer.count)
        for batch in _batches(source.items(writer.count)):
            writer.append([item.described for item in batch], _encode(batch, tokenizer, patch_size))
            progress.advance(bar, len(batch))
        writer.finish()
    return LatentFolder.open(folder)


def _batches(items: Iterator[_Item]) -> Iterator[list[_Item]]:
    while batch := list(islice(items, _BATCH)):
        yield batch


@torch.no_grad()
def _encode(batch: Sequence[_Item], tokenizer: Encoder, patch_size: int) -> list[list[Halves]]:
    """`(num_frames, 2 C)` of every waveform of every item; one batch, padded with zeros."""
    waveforms = [waveform for item in batch for waveform in item.waveforms]
    patch_samples = patch_size * tokenizer.hop_length
    patches = [framing.num_frames(len(waveform), patch_samples) for waveform in waveforms]
    device = next(tokenizer.encoder.parameters()).device
    padded = torch.zeros(len(waveforms), max(patches) * patch_samples)
    for row, waveform in zip(padded, waveforms, strict=True):
        row[: len(waveform)] = torch.from_numpy(waveform)
    posterior = tokenizer.encode(padded.to(device))
    rows = torch.cat((posterior.mean, posterior.std), -1).half().cpu().numpy()
    cut = iter([row[: count * patch_size] for row, count in zip(rows, patches, strict=True)])
    return [[next(cut) for _ in item.waveforms] for item in batch]


def _fingerprint(encoder: nn.Module) -> str:
    """What tells one encoder's latents from another's."""
    digest = hashlib.sha256()
    for name, value in sorted(encoder.state_dict().items()):
        digest.update(name.encode())
        digest.update(value.detach().float().cpu().numpy().tobytes())
    return digest.hexdigest()
