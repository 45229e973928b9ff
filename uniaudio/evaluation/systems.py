"""Who is evaluated: a running uniaudio, or a folder of outputs that any system left."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from uniaudio.client import Engine, SpeechClient, sampling
from uniaudio.errors import InvalidAudioError, QueueFullError, UnavailableError, UniaudioError
from uniaudio.evaluation.recordings import read_recording, write_recording
from uniaudio.whole_file import write_whole

Waveform = NDArray[np.float32]


class System(Protocol):
    """What a suite may ask of a system; waveforms are 16 kHz, `(num_samples,)`."""

    def describe(self) -> dict[str, Any]:
        """Name and revision of what answers."""

    def transcribe(self, source: Path, context: Sequence[str] = ()) -> str:
        """The words of a recording."""

    def speak(self, text: str, prompt: Path | None, prompt_text: str) -> Waveform:
        """A text in the voice of the prompt."""

    def edit(self, source: Path, instruction: str) -> Waveform:
        """A recording, changed."""

    def reconstruct(self, source: Path) -> Waveform:
        """A recording through the tokenizer and back."""


class RunningSystem:
    """A uniaudio that runs; the same seed for everything, so that a run can be repeated."""

    def __init__(
        self, client: SpeechClient, *, engine: Engine = "model", regenerate: bool = False, seed: int = 0
    ) -> None:
        self._client, self._engine, self._regenerate, self._seed = client, engine, regenerate, seed

    def describe(self) -> dict[str, Any]:
        """What the services say of themselves, and the options of the edits."""
        info = self._client.info()
        return {
            "version": info.version,
            "model": info.model.name,
            "revision": info.model.revision,
            "trained": info.model.trained,
            "tokenizer": info.tokenizer.name,
            "tokenizer_revision": info.tokenizer.revision,
            "engine": self._engine,
            "regenerate_untouched": self._regenerate,
            "seed": self._seed,
        }

    def transcribe(self, source: Path, context: Sequence[str] = ()) -> str:
        """The words of a recording."""
        return self._client.transcribe(source, context_phrases=context).text

    def speak(self, text: str, prompt: Path | None, prompt_text: str) -> Waveform:
        """A text in the voice of the prompt."""
        stream = self._client.synthesize(
            text, prompt_audio=prompt, prompt_text=prompt_text, sampling=sampling(seed=self._seed)
        )
        return stream.waveform()

    def edit(self, source: Path, instruction: str) -> Waveform:
        """A recording, changed by the engine that was chosen."""
        stream = self._client.edit(
            source,
            instruction,
            engine=self._engine,
            regenerate_untouched=self._regenerate,
            sampling=sampling(seed=self._seed),
        )
        return stream.waveform()

    def reconstruct(self, source: Path) -> Waveform:
        """A recording through the tokenizer service, by the posterior's mean."""
        waveform = read_recording(source)
        latents = self._client.encode(waveform, sample_rate=16_000)
        return self._client.decode(latents)[: len(waveform)]


@dataclass
class Outputs:
    """The outputs under evaluation, `<folder>/<key>.wav` or `.txt`.

    With a system, what is missing is made and kept, so that an interrupted run goes on; what it fails at
    is missing, with the reason in `failures`. Raises UnavailableError or QueueFullError when the system is
    away.
    """

    folder: Path
    system: System | None = None
    failures: dict[str, str] = field(default_factory=dict)

    def audio(self, key: str, make: Callable[[System], Waveform]) -> Path | None:
        """The recording, or None where there is none that can be read."""
        path = self.folder / f"{key}.wav"
        if not path.is_file():
            waveform = self._made(key, make)
            if waveform is None:
                return None
            write_recording(path, waveform)
        try:
            read_recording(path)
        except InvalidAudioError as error:
            self.failures[key] = error.message
            return None
        return path

    def text(self, key: str, make: Callable[[System], str]) -> str | None:
        """The text, or None where there is none."""
        path = self.folder / f"{key}.txt"
        if not path.is_file():
            text = self._made(key, make)
            if text is None:
                return None
            write_whole(path, text)
        return path.read_text(encoding="utf-8").strip()

    def _made(self, key: str, make: Callable[[System], Any]) -> Any:
        if self.system is None:
            self.failures[key] = "no output"
            return None
        try:
            return make(self.system)
        except (UnavailableError, QueueFullError):
            raise
        except UniaudioError as error:
            self.failures[key] = error.message
            return None
