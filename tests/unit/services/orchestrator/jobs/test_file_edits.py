from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path

import pytest

from services.orchestrator.domain import AudioBytes, EditItem, EditOrder, EditReport, Recording, Sampling
from services.orchestrator.edit import Editor
from services.orchestrator.edit_tools import LibraryTools
from services.orchestrator.jobs import file_edits
from services.orchestrator.jobs.file_edits import editor_maker
from services.orchestrator.transcribe import Transcriber
from tests.fakes_speech import FakeLanguageModel, FakeTokenizer, reading, speech_like, tone
from uniaudio.audio.encode import encode_audio
from uniaudio.audio.formats import AudioEncoding, AudioFormat
from uniaudio.errors import InvalidAudioError

FLAC, WAV, FLOATS = (
    AudioFormat(encoding=encoding)
    for encoding in (AudioEncoding.FLAC, AudioEncoding.WAV, AudioEncoding.PCM_F32LE)
)
WORDS = "replace the words 'hello world' with 'good morning'"


async def taken(items: AsyncGenerator[EditItem, None]) -> tuple[bytes, EditReport]:
    content, report = b"", None
    async with aclosing(items):
        async for item in items:
            if isinstance(item, AudioBytes):
                content += item.content
            elif isinstance(item, EditReport):
                report = item
    assert report is not None
    return content, report


async def both(folder: Path, content: bytes, order: EditOrder) -> tuple[tuple[bytes, EditReport], ...]:
    """What a file's editor and a request's editor make of the same."""
    source = folder / "source"
    source.write_bytes(content)
    from_file = editor_maker(LibraryTools())(FakeTokenizer(), FakeLanguageModel(reading()))
    tokenizer, model = FakeTokenizer(), FakeLanguageModel(reading())
    at_once = Editor(tokenizer, model, Transcriber(tokenizer, model), LibraryTools())
    results = await taken(from_file.edit(source, order)), await taken(at_once.edit(_with(order, content)))
    assert source.read_bytes() == content
    return results


def _with(order: EditOrder, content: bytes) -> EditOrder:
    return replace(order, audio=replace(order.audio, content=content))


def order(instruction: str, **options: object) -> EditOrder:
    return EditOrder(audio=Recording(content=b""), instruction=instruction, output=FLOATS, **options)


@pytest.mark.parametrize("layout", [FLAC, WAV])
async def test_a_long_recording_is_edited_from_its_file(
    tmp_path: Path, layout: AudioFormat, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_edits, "_WHOLE_SECONDS", 5.0)
    content = encode_audio(tone(80.0, level=0.2), layout)
    (long, report), (whole, expected) = await both(tmp_path, content, order("make it 6 dB louder"))
    assert long == whole
    assert (report.checks[0].verdict, report.source_seconds) == (expected.checks[0].verdict, 80.0)


async def test_a_wav_of_open_length_is_read_to_its_end(tmp_path: Path) -> None:
    content = bytearray(encode_audio(tone(2.0), WAV))
    content[4:8] = content[40:44] = b"\xff" * 4
    (mapped, _), (whole, _) = await both(tmp_path, bytes(content), order("make it 6 dB quieter"))
    assert len(mapped) == 2 * 16_000 * 4
    assert mapped == whole


@pytest.mark.parametrize("throughout", [False, True])
async def test_words_of_a_long_recording_are_edited_in_their_window(tmp_path: Path, throughout: bool) -> None:
    content = encode_audio(speech_like(*[5.0] * 15), WAV)
    asked = order(WORDS, regenerate_untouched=throughout, sampling=Sampling(seed=3))
    (from_file, report), (whole, expected) = await both(tmp_path, content, asked)
    assert from_file == whole
    assert report.ranges == expected.ranges


async def test_what_is_no_recording_is_refused(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(b"no recording at all, whatever it says")
    editor = editor_maker(LibraryTools())(FakeTokenizer(), FakeLanguageModel(reading()))
    with pytest.raises(InvalidAudioError):
        await taken(editor.edit(source, order("make it 6 dB louder")))
