"""Recordings that manifests name, as the tokenizer's stages take them: decoded and mixed a batch at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import torch
from torch.nn.functional import pad

from training.config import BuildContext
from training.data.manifest import Manifest
from training.data.pipeline import HOP_LENGTH, AudioBatch, BatchLoader, Cut, Noise, Stretch, load_batch
from training.data.utterance import Span
from training.data.window import resampled_length
from uniaudio.audio.limits import MODEL_SAMPLE_RATE

_PIECE = 32  # items that are decoded at once


@dataclass(frozen=True, kw_only=True)
class NoiseMixing:
    """How often noise is mixed in, and how far below the speech."""

    share: float = 0.5
    snr_db: tuple[float, float] = (0.0, 30.0)


class RecordedCorpus:
    """The rows of a manifest; `noises` are mixed in by `mixing`, where and which by (seed, item, stretch)."""

    def __init__(
        self,
        manifest: Manifest,
        loader: BatchLoader,
        *,
        noises: Manifest | None = None,
        mixing: NoiseMixing | None = None,
        seed: int = 0,
    ) -> None:
        self._manifest, self._loader, self._seed = manifest, loader, seed
        self._noises, self._mixing = noises, mixing or NoiseMixing()
        self._lengths = manifest.lengths(MODEL_SAMPLE_RATE)

    def __len__(self) -> int:
        return len(self._manifest)

    def text(self, index: int) -> str:
        """The transcript as it stands in the manifest."""
        return self._manifest[index].text

    def num_samples(self, index: int) -> int:
        """Length at 16 kHz, without reading the manifest again."""
        return int(self._lengths[index])

    def phones(self, index: int) -> tuple[Span, ...]:
        """None: manifests do not tell them."""
        return ()

    def load(self, stretches: Sequence[Stretch]) -> AudioBatch:
        """Whole frames: a stretch may begin up to a frame earlier and end up to a frame later than asked."""
        rows = [self._manifest[stretch.index] for stretch in stretches]
        plan = [self._cut(stretch) for stretch in stretches]
        pieces = [
            self._loader(rows[first : first + _PIECE], plan[first : first + _PIECE])
            for first in range(0, len(rows), _PIECE)
        ]
        return _joined(pieces)

    def _cut(self, stretch: Stretch) -> Cut:
        first = stretch.start // HOP_LENGTH
        end = None if stretch.stop is None else -(-stretch.stop // HOP_LENGTH)
        count = None if end is None else end - first
        return Cut(start_frame=first, num_frames=count, noise=self._noise(stretch))

    def _noise(self, stretch: Stretch) -> Noise | None:
        if self._noises is None or stretch.number is None:
            return None
        rng = np.random.default_rng([self._seed, stretch.number, stretch.index])
        if rng.random() >= self._mixing.share:
            return None
        row = self._noises[int(rng.integers(len(self._noises)))]
        snr_db = float(rng.uniform(*self._mixing.snr_db))
        return Noise(row=row, snr_db=snr_db, start_sample=int(rng.integers(max(1, resampled_length(row)))))


def _joined(pieces: Sequence[AudioBatch]) -> AudioBatch:
    """The batches as one, padded to the longest."""
    if not pieces:
        return AudioBatch(torch.zeros(0, 0), torch.zeros(0, dtype=torch.int64))
    longest = max(piece.waveforms.shape[1] for piece in pieces)
    waveforms = [pad(piece.waveforms, (0, longest - piece.waveforms.shape[1])) for piece in pieces]
    return AudioBatch(torch.cat(waveforms), torch.cat([piece.lengths for piece in pieces]))


@dataclass(frozen=True, kw_only=True)
class RecordedCorpora:
    """Manifests in a folder of the work folder's data: `train.jsonl`, `dev.jsonl`, perhaps `noise.jsonl`.

    Noise is mixed into what is trained on. `pipeline` "dali" decodes on `num_threads` threads, and on a GPU does
    all else there; "plain" gives the same (to 1.3e-4) without DALI.
    """

    folder: str
    pipeline: Literal["dali", "plain"] = "dali"
    num_threads: int = 4
    mixing: NoiseMixing = field(default_factory=NoiseMixing)

    def open(self, context: BuildContext, split: str) -> RecordedCorpus:
        """The split; InvalidInputError where its manifest is missing."""
        folder = context.data / self.folder
        noise = folder / "noise.jsonl"
        return RecordedCorpus(
            Manifest(folder / f"{split}.jsonl"),
            self._loader(context.device),
            noises=Manifest(noise) if split == "train" and noise.is_file() else None,
            mixing=self.mixing,
            seed=context.seed,
        )

    def _loader(self, device: str) -> BatchLoader:
        if self.pipeline == "plain":
            return load_batch
        # Only runs on recordings need it, and importing it takes seconds.
        from training.data.dali import DaliLoader

        return DaliLoader(max_items=_PIECE, device=device, num_threads=self.num_threads)
