"""The recogniser of our own: a small character CTC network that judges where no other is at hand.

It shares no weights with what it judges, and knows the words of the synthetic corpus only. Its numbers are
called `wer_inhouse`, and never stand beside those of Whisper or Paraformer (evaluation 4.5).
"""

from __future__ import annotations

import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from uniaudio.evaluation.judge_folder import read_judge, write_judge
from uniaudio.evaluation.mel_net import MelNet, MelNetConfig, log_mel, pad
from uniaudio.text.distance import edit_distance

ALPHABET = " '" + string.ascii_lowercase
BLANK = len(ALPHABET)
_KIND = "uniaudio-recognizer"


class RecognizerNet(nn.Module):
    """Log-mel `(B, T, num_mels)` to log-probabilities `(B, T', len(ALPHABET) + 1)`, blank last."""

    def __init__(self, config: MelNetConfig) -> None:
        super().__init__()
        self.config = config
        self.trunk = MelNet(config)
        self.exit = nn.Linear(config.width, len(ALPHABET) + 1)

    def forward(self, features: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        rows, lengths = self.trunk(features, lengths)
        return self.exit(rows).float().log_softmax(-1), lengths


def to_labels(text: str) -> list[int]:
    """The characters of a text as labels; what the alphabet lacks is a space, runs of spaces are one."""
    known = "".join(letter if letter in ALPHABET else " " for letter in text.lower())
    return [ALPHABET.index(letter) for letter in " ".join(known.split())]


def greedy_texts(log_probabilities: Tensor, lengths: Tensor) -> list[str]:
    """The best label of every row, repeats merged and blanks left out; one text per item."""
    best = log_probabilities.argmax(-1)
    texts = []
    for labels, length in zip(best, lengths.tolist(), strict=True):
        merged = torch.unique_consecutive(labels[:length]).tolist()
        texts.append(" ".join("".join(ALPHABET[label] for label in merged if label != BLANK).split()))
    return texts


@dataclass(frozen=True, kw_only=True)
class Recognizer:
    """A trained network; `floors` are its own word error rates on true recordings, by kind of edit."""

    net: RecognizerNet
    vocabulary: frozenset[str] = frozenset()
    floors: Mapping[str, float] = field(default_factory=dict)

    @classmethod
    def load(cls, folder: Path) -> Recognizer:
        """The recogniser of a folder; CheckpointError for another model or missing weights."""
        config, weights = read_judge(folder, _KIND)
        net = RecognizerNet(MelNetConfig(**config["net"]))
        net.load_state_dict(weights)
        return cls(net=net.eval(), vocabulary=frozenset(config["vocabulary"]), floors=dict(config["floors"]))

    def save(self, folder: Path, about: Mapping[str, Any]) -> Path:
        """Writes `config.json` and `model.safetensors`; `about` says how it was trained."""
        described = {"vocabulary": sorted(self.vocabulary), "floors": dict(self.floors), "about": dict(about)}
        return write_judge(folder, _KIND, self.net, self.net.config, described)

    @torch.inference_mode()
    def transcribe(self, waveforms: Sequence[Tensor], *, snap: bool = False) -> list[str]:
        """What 16 kHz recordings `(num_samples,)` say, lower case; `snap` takes the nearest known words."""
        features, lengths = pad([log_mel(waveform, self.net.config.num_mels) for waveform in waveforms])
        texts = greedy_texts(*self.net(features, lengths))
        return [snap_words(text, self.vocabulary) for text in texts] if snap else texts


def snap_words(text: str, vocabulary: frozenset[str]) -> str:
    """The text with unknown words replaced by the only known word within a third of their letters."""
    return " ".join(word if word in vocabulary else _nearest(word, vocabulary) for word in text.split())


def _nearest(word: str, vocabulary: frozenset[str]) -> str:
    reach = max(1, len(word) // 3)
    near = [known for known in vocabulary if abs(len(known) - len(word)) <= reach]
    distances = sorted((edit_distance(word, known), known) for known in near)
    distances = [entry for entry in distances if entry[0] <= reach]
    if not distances or (len(distances) > 1 and distances[0][0] == distances[1][0]):
        return word
    return distances[0][1]
