"""A person's path on one machine: `uniaudio up`, the commands on a recording, Ctrl-C, nothing left behind."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import time
import wave
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.stack import Stack, start_stack
from uniaudio.stack.processes import descendants

pytestmark = [pytest.mark.stack, pytest.mark.timeout(300)]

RATE = 16000
SECONDS = 2.4
NOTICE = "synthetic English"  # of nano, the model that ships


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two syllables of a gliding, buzzing tone through three resonances: as speech-like as arithmetic gets."""
    time_s = np.arange(int(SECONDS * RATE)) / RATE
    pitch = 120 + 30 * np.sin(2 * np.pi * 0.6 * time_s)
    phase = np.cumsum(pitch) / RATE
    voice = np.zeros_like(time_s)
    for number in range(1, 30):
        frequency = number * 120
        gain = sum(1 / (1 + ((frequency - formant) / 120) ** 2) for formant in (500, 1500, 2500))
        voice += gain * np.sin(2 * np.pi * number * phase)
    loudness = np.clip(np.sin(2 * np.pi * time_s / 1.2), 0, None) ** 0.5
    samples = 0.2 * voice / np.abs(voice).max() * loudness
    path = tmp_path_factory.mktemp("recording") / "speech.wav"
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes((samples * 32767).astype("<i2").tobytes())
    return path


def uniaudio(
    stack: Stack, *arguments: object, stdin: bytes | None = None, code: int = 0
) -> subprocess.CompletedProcess[bytes]:
    """A command as a person types it, against `stack`."""
    done = subprocess.run(
        [sys.executable, "-m", "uniaudio.cli", *map(str, arguments)],
        input=stdin,
        capture_output=True,
        env={**os.environ, **stack.environment},
        timeout=120,
        check=False,
    )
    assert done.returncode == code, done.stderr.decode()
    return done


def read_wav(content: bytes) -> np.ndarray:
    """The samples of a mono 16-bit file at the model's rate, from -1 to 1."""
    with wave.open(io.BytesIO(content)) as file:
        assert (file.getnchannels(), file.getframerate()) == (1, RATE)
        return np.frombuffer(file.readframes(file.getnframes()), "<i2") / 32768


def decibels(samples: np.ndarray) -> float:
    return float(10 * np.log10(np.mean(samples**2)))


def test_info_says_which_model_answers(stack: Stack) -> None:
    done = uniaudio(stack, "info", "--json")
    told = json.loads(done.stdout)
    assert told["model"]["name"] == told["tokenizer"]["name"] == "uniaudio-nano"
    assert told["model"]["trained"] is True
    assert NOTICE in done.stderr.decode()


def test_transcribe(stack: Stack, recording: Path) -> None:
    done = uniaudio(stack, "transcribe", recording, "--language", "English", "--json")
    answer = json.loads(done.stdout)
    assert answer["audio_seconds"] == pytest.approx(SECONDS, abs=0.01)
    assert answer["language"] == "English"
    assert NOTICE in done.stderr.decode()


def test_speak_is_the_same_again_with_the_same_seed(stack: Stack, tmp_path: Path) -> None:
    first, second = tmp_path / "1.wav", tmp_path / "2.wav"
    for path in (first, second):
        uniaudio(stack, "speak", "Hello there.", "-o", path, "--seed", 7)
    samples = read_wav(first.read_bytes())
    assert len(samples) > 0
    assert first.read_bytes() == second.read_bytes()


def test_speak_in_the_voice_of_a_recording(stack: Stack, recording: Path, tmp_path: Path) -> None:
    arguments = (
        "speak",
        "Hi",
        "--voice",
        recording,
        "--voice-text",
        "a",
        "-o",
        tmp_path / "a.flac",
        "--json",
    )
    report = json.loads(uniaudio(stack, *arguments).stdout)
    assert report["audio_seconds"] > 0
    assert (tmp_path / "a.flac").read_bytes().startswith(b"fLaC")


def test_exact_edits_do_what_was_asked(stack: Stack, recording: Path, tmp_path: Path) -> None:
    source = read_wav(recording.read_bytes())
    faster = tmp_path / "faster.wav"
    done = uniaudio(stack, "edit", recording, "make it 1.5 times faster", "-o", faster, "--json")
    report = json.loads(done.stdout)
    assert {check["verdict"] for check in report["checks"]} == {"CHECK_VERDICT_PASSED"}
    assert len(read_wav(faster.read_bytes())) == round(len(source) / 1.5)
    quieter = uniaudio(stack, "edit", recording, "halve the volume", "-o", "-").stdout
    assert decibels(read_wav(quieter)) - decibels(source) == pytest.approx(-6.02, abs=0.05)


def test_model_edit_makes_sound_and_says_what_it_is_worth(
    stack: Stack, recording: Path, tmp_path: Path
) -> None:
    done = uniaudio(
        stack, "edit", recording, "remove the background noise", "-o", tmp_path / "a.wav", "--seed", 1
    )
    assert len(read_wav((tmp_path / "a.wav").read_bytes())) > 0
    assert NOTICE in done.stderr.decode()


def test_latents_there_and_back(stack: Stack, recording: Path, tmp_path: Path) -> None:
    for name in ("a.npy", "a.safetensors"):
        uniaudio(stack, "encode", recording, "-o", tmp_path / name)
        uniaudio(stack, "decode", tmp_path / name, "-o", tmp_path / "b.wav")
        assert len(read_wav((tmp_path / "b.wav").read_bytes())) == SECONDS * RATE
    assert np.load(tmp_path / "a.npy").shape == (SECONDS * 50, 64)


def test_commands_make_a_pipe(stack: Stack, recording: Path) -> None:
    slower = uniaudio(
        stack, "edit", "-", "slow it down to half speed", "-o", "-", stdin=recording.read_bytes()
    )
    latents = uniaudio(stack, "encode", "-", "-o", "-", stdin=slower.stdout)
    sound = uniaudio(stack, "decode", "-", "-o", "-", "--format", "ogg", stdin=latents.stdout)
    answer = json.loads(uniaudio(stack, "transcribe", "-", "--json", stdin=sound.stdout).stdout)
    assert answer["audio_seconds"] == pytest.approx(2 * SECONDS, abs=0.05)


def test_what_is_refused_names_the_reason(stack: Stack, tmp_path: Path) -> None:
    bad = tmp_path / "bad.wav"
    bad.write_bytes(b"RIFF\xff\xff\xff\x7fWAVEfmt nonsense")
    done = uniaudio(stack, "transcribe", bad, "--json", code=3)
    assert json.loads(done.stderr)["error"]["reason"] == "INVALID_AUDIO"
    uniaudio(stack, "info")


@pytest.fixture
def own_stack(tmp_path: Path, free_port: Callable[[], int]) -> Iterator[Stack]:
    """A stack of its own with an empty cache and a temporary folder that nobody else uses."""
    for name in ("tmp", "cache"):
        (tmp_path / name).mkdir()
    environment = {"TMPDIR": str(tmp_path / "tmp"), "UNIAUDIO_CACHE_DIR": str(tmp_path / "cache")}
    started = start_stack(tmp_path, free_port, environment, ["--tokenizer-backend", "local", "--json"])
    yield started
    started.stop()


def test_from_start_to_ctrl_c(own_stack: Stack, tmp_path: Path) -> None:
    ready = wait_for_ready_line(own_stack)
    assert ready["orchestrator"] == own_stack.address
    assert ready["model"]["trained"] is True
    assert ready["memory_bytes"] > 0
    uniaudio(own_stack, "info")
    refusal = start_again(own_stack, tmp_path)
    assert f"already running at {own_stack.address} (process {own_stack.process.pid})" in refusal
    pids = descendants(own_stack.process.pid)
    assert len(pids) >= 8  # three guards, three services, tritonserver, its stub
    own_stack.process.send_signal(signal.SIGINT)
    assert own_stack.process.wait(60) == 0
    assert [pid for pid in pids if Path(f"/proc/{pid}").exists()] == []
    assert list((tmp_path / "tmp").iterdir()) == []
    assert list((tmp_path / "cache").iterdir()) == []
    assert own_stack.leftovers() == []


def wait_for_ready_line(stack: Stack) -> dict[str, object]:
    """What `uniaudio up --json` says when everything answered its warm-up request."""
    until = time.monotonic() + 200
    while time.monotonic() < until:
        for line in stack.log.read_text().splitlines():
            if line.startswith('{"event": "ready"'):
                ready: dict[str, object] = json.loads(line)
                return ready
        assert stack.process.poll() is None, stack.tail()
        time.sleep(0.2)
    raise AssertionError(stack.tail())


def start_again(stack: Stack, folder: Path) -> str:
    """The message of a second `uniaudio up` on the same ports."""
    environment = {f"UNIAUDIO_{name}": str(port) for name, port in stack.ports.items()}
    second = subprocess.run(
        [sys.executable, "-m", "uniaudio.cli", "up", "--json"],
        capture_output=True,
        env={**os.environ, **environment, "UNIAUDIO_CACHE_DIR": str(folder / "cache")},
        timeout=60,
        check=False,
    )
    assert second.returncode == 1
    message: str = json.loads(second.stderr)["error"]["message"]
    return message
