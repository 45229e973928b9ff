"""Editing with stand-ins for the neighbours: models that think, and models that follow."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from services.orchestrator.clients import Edit, Follow, Generated, Speak, Task, TextMade, Understand
from services.orchestrator.domain import AudioBytes, EditItem, EditOrder, EditReport, Recording, Sampling
from services.orchestrator.edit import Editor
from services.orchestrator.transcribe import Transcriber
from tests.fakes_speech import (
    NAMING,
    FakeLanguageModel,
    FakeTokenizer,
    FakeTools,
    Floats,
    Script,
    even_letters,
    noise_patches,
    tone,
)
from uniaudio.audio.encode import encode_audio
from uniaudio.audio.formats import AudioEncoding, AudioFormat
from uniaudio.editing.plan import Plan

COT = "<cot_text>the old <edit><framePatch></edit> dog</cot_text>"


def recording(waveform: Floats) -> Recording:
    return Recording(content=encode_audio(waveform, AudioFormat(encoding=AudioEncoding.WAV)))


def thinking(reasoning: str = COT, heard: str = "English\tthe old dog", seconds: float = 2.0) -> Script:
    """A model that writes its reasoning, if it has to, then speaks."""

    def script(task: Task, latents: Floats | None, sampling: Sampling) -> list[Generated]:
        if isinstance(task, Understand):
            return [TextMade(heard)]
        assert isinstance(task, Edit)
        words = [TextMade(reasoning)] if task.reasoning else []
        written = [] if task.mark else [*words, TextMade("<gen_audio>")]
        return [
            *written,
            *noise_patches(int(10 * seconds), (sampling.seed or 0) % 2**32),
        ]

    return script


def editor(model: FakeLanguageModel, tokenizer: FakeTokenizer | None = None) -> Editor:
    tokenizer = tokenizer or FakeTokenizer()
    return Editor(tokenizer, model, Transcriber(tokenizer, model), FakeTools())


async def edit(
    model: FakeLanguageModel, instruction: str, **order: object
) -> tuple[list[EditItem], EditReport]:
    order = {"audio": recording(tone(2.0)), **order}
    items = [item async for item in editor(model).edit(EditOrder(instruction=instruction, **order))]  # type: ignore[arg-type]
    assert isinstance(items[0], Plan)
    report = items[-1]
    assert isinstance(report, EditReport)
    return items, report


def sound(items: list[EditItem]) -> Floats:
    """The 16-bit PCM of an answer."""
    content = b"".join(item.content for item in items if isinstance(item, AudioBytes))
    return np.frombuffer(content, "<i2") / np.float32(32768)


def following(
    heard: str = "English\tthe old dog", follow: Callable[[Follow, Floats], list[Generated]] = even_letters
) -> FakeLanguageModel:
    """A model that names letters, and hears them in a recording as `follow` says."""

    def script(task: Task, latents: Floats | None, sampling: Sampling) -> list[Generated]:
        if isinstance(task, Follow):
            assert latents is not None
            return follow(task, latents)
        if isinstance(task, Speak):
            return list(noise_patches(20, (sampling.seed or 0) % 2**32))
        return thinking(heard=heard)(task, latents, sampling)

    return FakeLanguageModel(script, served=NAMING)
