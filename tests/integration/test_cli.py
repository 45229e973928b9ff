"""The commands against both services, faked on a loopback port: output, files, pipes, JSON, exit codes."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import wave
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from tests.fakes_server import LATENT_DIM, NUM_SAMPLES, FakeServices, serve, tone
from uniaudio.cli.app import app
from uniaudio.errors import InvalidAudioError, QueueFullError
from uniaudio.v1 import audio_pb2

RANDOM = "The weights are random"


@pytest.fixture
def fake() -> Iterator[FakeServices]:
    with serve(FakeServices()) as services:
        yield services


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    path = tmp_path / "in.wav"
    path.write_bytes(wav_file())
    return path


def wav_file() -> bytes:
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16000)
        file.writeframes((tone() * 32767).astype("<i2").tobytes())
    return buffer.getvalue()


def run(fake: FakeServices, *arguments: object, stdin: bytes | None = None) -> Result:
    environment = {"UNIAUDIO_SERVER": fake.address}
    return CliRunner().invoke(app, [str(argument) for argument in arguments], input=stdin, env=environment)


def num_frames(content: bytes) -> int:
    with wave.open(io.BytesIO(content)) as file:
        return file.getnframes()


def test_transcribe(fake: FakeServices, recording: Path) -> None:
    result = run(
        fake, "transcribe", recording, "--language", "English", "--context", "Ming", "--context", "Uni"
    )
    assert result.exit_code == 0, result.stderr
    assert result.stdout == "hello there\n"
    assert RANDOM in result.stderr
    assert list(fake.requests[0].context_phrases) == ["Ming", "Uni"]


def test_transcribe_tells_where_the_model_was_cut_off(fake: FakeServices, recording: Path) -> None:
    result = run(fake, "transcribe", recording, "--context", "without end")
    assert "cut off while it read 0.00 - 0.20 s" in result.stderr
    assert "cut off" not in run(fake, "transcribe", recording).stderr


def test_transcribe_with_times(fake: FakeServices, recording: Path) -> None:
    assert run(fake, "transcribe", recording, "--times").stdout == "[0.00 - 0.20] hello there\n"


def test_transcribe_from_a_pipe_as_json(fake: FakeServices) -> None:
    result = run(fake, "transcribe", "-", "--json", stdin=wav_file())
    answer = json.loads(result.stdout)
    assert (answer["text"], answer["model"]["trained"]) == ("hello there", False)
    assert fake.requests[0].audio.content == wav_file()


def test_transcribe_raw_samples(fake: FakeServices) -> None:
    assert run(fake, "transcribe", "-", "--pcm-rate", 8000, stdin=bytes(1600)).exit_code == 0
    assert fake.requests[0].audio.format.sample_rate == 8000


def test_live(fake: FakeServices) -> None:
    result = run(fake, "transcribe", "-", "--live", "--pcm-rate", 16000, stdin=bytes(8000))
    assert result.stdout.splitlines()[-1] == "all 8000"
    assert run(fake, "transcribe", "x.wav", "--live").exit_code == 2


@pytest.mark.parametrize(("name", "encoding"), [("a.wav", "WAV"), ("a.flac", "FLAC"), ("a.mp3", "MP3")])
def test_speak_writes_the_format_of_the_ending(
    fake: FakeServices, tmp_path: Path, name: str, encoding: str
) -> None:
    result = run(fake, "speak", "hi", "-o", tmp_path / name, "--seed", 7, "--rate", 24000)
    assert result.exit_code == 0, result.stderr
    assert result.stdout == ""
    assert RANDOM in result.stderr
    request = fake.requests[0]
    assert request.output_format.encoding == audio_pb2.AudioEncoding.Value(f"AUDIO_ENCODING_{encoding}")
    assert (request.sampling.seed, request.output_format.sample_rate) == (7, 24000)
    if encoding == "WAV":
        assert num_frames((tmp_path / name).read_bytes()) == NUM_SAMPLES


def test_speak_through_pipes(fake: FakeServices) -> None:
    result = run(fake, "speak", "-", "-o", "-", "--format", "pcm", stdin=b"hi there")
    assert result.exit_code == 0, result.stderr
    assert len(result.stdout_bytes) == 2 * NUM_SAMPLES
    assert fake.requests[0].text == "hi there"
    assert not fake.requests[0].sampling.HasField("seed")


def test_speak_in_a_voice(fake: FakeServices, recording: Path, tmp_path: Path) -> None:
    result = run(
        fake, "speak", "hi", "--voice", recording, "--voice-text", "a", "-o", tmp_path / "o.wav", "--json"
    )
    assert json.loads(result.stdout)["spoken_text"] == "hi"
    assert fake.requests[0].prompt_audio.content == wav_file()
    assert fake.requests[0].prompt_text == "a"


def test_edit_writes_and_reports(fake: FakeServices, recording: Path, tmp_path: Path) -> None:
    result = run(fake, "edit", recording, "twice as fast", "-o", tmp_path / "out.wav")
    assert result.exit_code == 0, result.stderr
    assert num_frames((tmp_path / "out.wav").read_bytes()) == NUM_SAMPLES
    for part in ("Twice as fast, same pitch. (exact)", "length 0.500 ×, asked 0.500", "passed", RANDOM):
        assert part in result.stderr


def test_edit_plan_alone(fake: FakeServices, recording: Path) -> None:
    result = run(fake, "edit", recording, "twice as fast", "--plan")
    assert "Twice as fast" in result.stdout
    result = run(fake, "edit", recording, "twice as fast", "--plan", "--json")
    assert json.loads(result.stdout)["value"] == 2.0
    assert fake.requests[0].validate_only


def test_edit_between_pipes(fake: FakeServices) -> None:
    result = run(fake, "edit", "-", "twice as fast", "-o", "-", stdin=wav_file())
    assert result.exit_code == 0
    assert result.stdout_bytes.startswith(b"RIFF")


def test_encode_and_decode(fake: FakeServices, recording: Path, tmp_path: Path) -> None:
    for name in ("a.npy", "a.safetensors"):
        result = run(fake, "encode", recording, "-o", tmp_path / name, "--json")
        assert result.exit_code == 0, result.stderr
        assert json.loads(result.stdout)["num_frames"] == NUM_SAMPLES // 320
        result = run(fake, "decode", tmp_path / name, "-o", tmp_path / "b.wav")
        assert result.exit_code == 0, result.stderr
        assert num_frames((tmp_path / "b.wav").read_bytes()) == NUM_SAMPLES
        assert RANDOM in result.stderr
    assert np.load(tmp_path / "a.npy").shape == (NUM_SAMPLES // 320, LATENT_DIM)


def test_latents_through_pipes(fake: FakeServices) -> None:
    encoded = run(fake, "encode", "-", "-o", "-", stdin=wav_file())
    assert encoded.exit_code == 0, encoded.stderr
    decoded = run(fake, "decode", "-", "-o", "-", "-f", "flac", stdin=encoded.stdout_bytes)
    assert decoded.stdout_bytes.startswith(b"fLaC")


def test_latents_of_another_model_are_told(fake: FakeServices, recording: Path, tmp_path: Path) -> None:
    run(fake, "encode", recording, "-o", tmp_path / "a.safetensors")
    fake.model.revision = "ffffffffffff"
    try:
        result = run(fake, "decode", tmp_path / "a.safetensors", "-o", tmp_path / "b.wav")
    finally:
        fake.model.revision = "0123456789ab"
    assert result.exit_code == 0
    assert "ffffffffffff" in result.stderr


@pytest.mark.parametrize("content", [b"", b"nonsense", b"\x93NUMPY", b"\x02\0\0\0\0\0\0\0{}"])
def test_latents_that_cannot_be_read(fake: FakeServices, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.npy").write_bytes(content)
    result = run(fake, "decode", tmp_path / "a.npy", "-o", tmp_path / "b.wav")
    assert result.exit_code == 3
    assert "uniaudio encode" in result.stderr or "encode the recording" in result.stderr
    assert not (tmp_path / "b.wav").exists()


def test_info(fake: FakeServices) -> None:
    result = run(fake, "info")
    assert result.exit_code == 0
    for part in ("fake-model", "random weights", "9.9.9", fake.address, "3600 s"):
        assert part in result.stdout
    assert RANDOM in result.stderr
    told = json.loads(run(fake, "info", "--json").stdout)
    assert (told["version"], told["model"]["trained"]) == ("9.9.9", False)


def test_refused_input_is_three(fake: FakeServices, recording: Path, tmp_path: Path) -> None:
    fake.failures["Edit"] = [InvalidAudioError("no sound in it")]
    result = run(fake, "edit", recording, "faster", "-o", tmp_path / "out.wav")
    assert (result.exit_code, "no sound" in result.stderr) == (3, True)
    assert not (tmp_path / "out.wav").exists()
    assert run(fake, "edit", recording, "faster", "-o", tmp_path / "out.wav").exit_code == 0


def test_busy_and_away_are_four(fake: FakeServices, recording: Path) -> None:
    fake.failures["Transcribe"] = [QueueFullError("64 wait already")]
    assert run(fake, "transcribe", recording).exit_code == 4
    result = CliRunner().invoke(app, ["info", "--server", "127.0.0.1:1", "--timeout", "5"])
    assert result.exit_code == 4
    assert "uniaudio up" in result.stderr


def test_wrong_usage_is_two(fake: FakeServices, recording: Path, tmp_path: Path) -> None:
    for arguments in (
        ("transcribe", tmp_path / "none.wav"),
        ("edit", recording, "faster"),
        ("edit", recording, "faster", "-o", recording),
        ("speak", "hi", "-o", tmp_path / "a.aiff"),
        ("encode", recording, "-o", tmp_path / "a.txt"),
        ("speak", "hi", "-o", "-", "--json"),
        ("verify", tmp_path / "none"),
        ("up", "--tokenizer-backend", "cloud"),
        ("sing",),
    ):
        assert run(fake, *arguments).exit_code == 2, arguments
    assert recording.read_bytes() == wav_file()


def test_help_loads_no_library() -> None:
    heavy = {"torch", "grpc", "numpy", "google.protobuf", "ray", "soundfile"}
    code = f"import sys, uniaudio.cli.app; print(sorted({heavy!r} & set(sys.modules)))"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert loaded.stdout.strip() == "[]"


def test_completion_is_offered() -> None:
    result = CliRunner().invoke(app, [], prog_name="uniaudio", env={"_UNIAUDIO_COMPLETE": "source_bash"})
    assert "uniaudio" in result.stdout


def test_reader_who_leaves_ends_the_command_quietly(fake: FakeServices) -> None:
    command = [sys.executable, "-m", "uniaudio.cli", "speak", "hi", "-o", "-", "--server", fake.address]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert b"Traceback" not in process.stderr.read()
        assert process.wait(timeout=60) == 1
