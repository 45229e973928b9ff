"""The recogniser and the speaker encoder of our own, as judges."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from uniaudio.evaluation.judge_folder import WEIGHTS
from uniaudio.evaluation.judges import ModelCard, hash_weights
from uniaudio.evaluation.normalize import Language
from uniaudio.evaluation.recognizer import Recognizer
from uniaudio.evaluation.recordings import read_recording
from uniaudio.evaluation.speaker import SpeakerEncoder


class OwnTextJudge:
    """`wer_inhouse`: English of the synthetic corpus's words, nothing else."""

    suffix = "inhouse"
    languages: frozenset[Language] = frozenset({"en"})

    def __init__(self, folder: Path) -> None:
        self._recognizer = Recognizer.load(folder)
        digest = hash_weights(folder / WEIGHTS)
        self.card = ModelCard(
            role="recogniser",
            metric="wer_inhouse",
            name="uniaudio in-house recogniser",
            revision=digest[:12],
            weights_sha256=digest,
            floors=dict(self._recognizer.floors),
        )

    def hear(self, path: Path, language: Language) -> str:
        """What the recording says, lower case."""
        return self._recognizer.transcribe([torch.from_numpy(read_recording(path))])[0]


class OwnVoiceJudge:
    """`sim_inhouse`, and the right voice among ten."""

    suffix = "inhouse"

    def __init__(self, folder: Path) -> None:
        self._encoder = SpeakerEncoder.load(folder)
        digest = hash_weights(folder / WEIGHTS)
        self.card = ModelCard(
            role="speaker encoder",
            metric="sim_inhouse",
            name="uniaudio in-house speaker encoder",
            revision=digest[:12],
            weights_sha256=digest,
            floors={f"accuracy/{name}": value for name, value in self._encoder.accuracy.items()},
        )

    def embed(self, path: Path) -> NDArray[np.float32]:
        """A unit vector `(128,)`."""
        vector: NDArray[np.float32] = self._encoder.embed([torch.from_numpy(read_recording(path))])[0].numpy()
        return vector
