"""Models that judge, plugged in by path. One that is absent gives no number, never another one's.

Every judge says who it is (`card`) and under which name its numbers go: numbers of different judges never
share a name.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from uniaudio.errors import CheckpointError
from uniaudio.evaluation.normalize import Language
from uniaudio.file_digest import sha256_of_files


@dataclass(frozen=True, kw_only=True)
class ModelCard:
    """Who judged: `weights_sha256` is of the weights' bytes; `floors` are its own errors on true recordings."""

    role: str
    metric: str
    name: str
    revision: str
    weights_sha256: str
    floors: dict[str, float] = field(default_factory=dict)

    def describe(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)


class TextJudge(Protocol):
    """Hears words. Numbers go under `wer_<suffix>` and its kin."""

    card: ModelCard
    suffix: str
    languages: frozenset[Language]

    def hear(self, path: Path, language: Language) -> str:
        """What the recording says."""


class VoiceJudge(Protocol):
    """Hears voices. Numbers go under `sim_<suffix>`."""

    card: ModelCard
    suffix: str

    def embed(self, path: Path) -> NDArray[np.float32]:
        """A unit vector; the product of two is the likeness of their voices."""


class NoiseJudge(Protocol):
    """Hears how clean speech is: DNSMOS P.835."""

    card: ModelCard

    def rate(self, path: Path) -> dict[str, float]:
        """`dnsmos_sig`, `dnsmos_bak` and `dnsmos_ovrl`, 1 to 5."""


@dataclass(frozen=True, kw_only=True)
class JudgePaths:
    """Where judges lie; None leaves one out."""

    recognizer: Path | None = None
    speaker: Path | None = None
    whisper: Path | None = None
    paraformer: Path | None = None
    wavlm: Path | None = None
    dnsmos: Path | None = None


@dataclass(frozen=True, kw_only=True)
class Judges:
    """Who is there to judge."""

    texts: tuple[TextJudge, ...] = ()
    voices: tuple[VoiceJudge, ...] = ()
    noise: NoiseJudge | None = None

    def hearing(self, language: Language) -> list[TextJudge]:
        """The judges of words in a language."""
        return [judge for judge in self.texts if language in judge.languages]

    def cards(self) -> Iterator[ModelCard]:
        """Every judge's card."""
        yield from (judge.card for judge in self.texts)
        yield from (judge.card for judge in self.voices)
        if self.noise is not None:
            yield self.noise.card


NO_TEXT_JUDGE = (
    "no recogniser of this language: give --recognizer, --whisper (English) or --paraformer (Mandarin)"
)
NO_VOICE_JUDGE = "no speaker encoder: give --speaker, or --wavlm for the published one"
NO_NOISE_JUDGE = "no DNSMOS: install speechmos and onnxruntime, or give --dnsmos"


def load_judges(paths: JudgePaths) -> Judges:
    """Every judge whose path is given, and DNSMOS where its package is installed.

    Raises CheckpointError for a path that holds no such model, StartupError for a missing package.
    """
    from uniaudio.evaluation import judges_external, judges_own
    from uniaudio.evaluation.dnsmos import find_dnsmos

    texts: list[TextJudge] = []
    voices: list[VoiceJudge] = []
    if paths.recognizer is not None:
        texts.append(judges_own.OwnTextJudge(paths.recognizer))
    if paths.whisper is not None:
        texts.append(judges_external.WhisperJudge(paths.whisper))
    if paths.paraformer is not None:
        texts.append(judges_external.ParaformerJudge(paths.paraformer))
    if paths.speaker is not None:
        voices.append(judges_own.OwnVoiceJudge(paths.speaker))
    if paths.wavlm is not None:
        from uniaudio.evaluation.judge_wavlm import WavLmJudge

        voices.append(WavLmJudge(paths.wavlm))
    return Judges(texts=tuple(texts), voices=tuple(voices), noise=find_dnsmos(paths.dnsmos))


def hash_weights(path: Path) -> str:
    """SHA-256 over a weights file, or over every file of a folder in order of name."""
    if not path.exists():
        raise CheckpointError(f"{path} does not exist: give the path of the model's weights", path=path)
    files = [path] if path.is_file() else sorted(file for file in path.rglob("*") if file.is_file())
    return sha256_of_files(files)
