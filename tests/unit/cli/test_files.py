"""Formats follow the file's ending; inputs are never overwritten; a file appears whole or not at all."""

from __future__ import annotations

import io
import wave
from pathlib import Path

import pytest
import typer

from tests.fakes_server import wav_header
from uniaudio.cli.files import check_output, choose_format, existing_file, read_recording, writing


@pytest.mark.parametrize(
    ("output", "asked", "chosen"),
    [
        ("a.wav", None, "wav"),
        ("a.FLAC", None, "flac"),
        ("dir.x/a.oga", None, "ogg"),
        ("a.mp3", None, "mp3"),
        ("a.raw", None, "pcm"),
        ("-", None, "wav"),
        ("-", "flac", "flac"),
        ("a.wav", "ogg", "ogg"),
        ("no-ending", "pcm", "pcm"),
    ],
)
def test_format(output: str, asked: str | None, chosen: str) -> None:
    assert choose_format(output, asked) == chosen


@pytest.mark.parametrize(("output", "asked"), [("a.aiff", None), ("a", None), ("a.wav", "aiff")])
def test_unknown_format_is_wrong_usage(output: str, asked: str | None) -> None:
    with pytest.raises(typer.BadParameter, match="wav"):
        choose_format(output, asked)


def test_output_is_never_an_input(tmp_path: Path) -> None:
    source = tmp_path / "a.wav"
    source.write_bytes(b"RIFF")
    (tmp_path / "link.wav").symlink_to(source)
    check_output(str(tmp_path / "b.wav"), [str(source)], as_json=False)
    check_output(str(tmp_path / "b.wav"), ["-"], as_json=False)
    for name in ("a.wav", "link.wav"):
        with pytest.raises(typer.BadParameter, match="is the input"):
            check_output(str(tmp_path / name), [str(source)], as_json=False)


def test_impossible_outputs(tmp_path: Path) -> None:
    with pytest.raises(typer.BadParameter, match="folder"):
        check_output(str(tmp_path), [], as_json=False)
    with pytest.raises(typer.BadParameter, match="make it first"):
        check_output(str(tmp_path / "none" / "a.wav"), [], as_json=False)
    with pytest.raises(typer.BadParameter, match="--json"):
        check_output("-", [], as_json=True)


def test_inputs_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(typer.BadParameter, match="no file"):
        existing_file(str(tmp_path / "none.wav"))
    with pytest.raises(typer.BadParameter, match="folder"):
        existing_file(str(tmp_path))


def test_raw_samples_carry_their_rate(tmp_path: Path) -> None:
    path = tmp_path / "a.raw"
    path.write_bytes(bytes(20))
    message = read_recording(str(path), 8000)
    assert (message.format.sample_rate, len(message.content)) == (8000, 20)  # type: ignore[union-attr]


def test_file_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(b"before")

    def fail_half_way() -> None:
        with writing(str(path)) as file:
            file.write(b"half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail_half_way()
    assert path.read_bytes() == b"before"
    with writing(str(path)) as file:
        file.write(b"whole")
    assert path.read_bytes() == b"whole"
    assert [found.name for found in tmp_path.iterdir()] == ["a.bin"]


def test_streamed_wav_is_completed(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    with writing(str(path), is_wav=True) as file:
        file.write(wav_header(16000))
        file.write(bytes(320))
    with wave.open(io.BytesIO(path.read_bytes())) as read:
        assert read.getnframes() == 160


def test_devices_are_written_as_they_are() -> None:
    with writing("/dev/null", is_wav=True) as file:
        file.write(b"gone")
    assert Path("/dev/null").is_char_device()
