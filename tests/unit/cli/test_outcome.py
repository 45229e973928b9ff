"""Every error ends a command with a documented code and a message on standard error."""

from __future__ import annotations

import json

import pytest
import typer

from uniaudio import errors
from uniaudio.cli.outcome import exit_code_of, reported, warn
from uniaudio.runtime.status import all_error_classes

CODES = {
    errors.InvalidInputError: 3,
    errors.InvalidAudioError: 3,
    errors.LimitExceededError: 3,
    errors.UnknownInstructionError: 3,
    errors.UnavailableError: 4,
    errors.QueueFullError: 4,
    errors.DeadlineError: 4,
    errors.CheckpointError: 1,
    errors.ModelOutputError: 1,
    errors.CancelledByCallerError: 1,
    errors.StartupError: 1,
}


@pytest.mark.parametrize("error_class", list(all_error_classes()))
def test_every_error_has_its_code(error_class: type[errors.UniaudioError]) -> None:
    codes = (CODES[parent] for parent in error_class.__mro__ if parent in CODES)
    assert exit_code_of(error_class("why")) == next(codes, 1)


def test_message_goes_to_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit) as caught, reported():
        raise errors.InvalidAudioError("no sound in it")
    assert caught.value.exit_code == 3
    captured = capsys.readouterr()
    assert "no sound in it" in captured.err
    assert captured.out == ""


def test_errors_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit), reported(as_json=True):
        raise errors.LimitExceededError("too long", value=3, limit=2)
    told = json.loads(capsys.readouterr().err)["error"]
    assert told == {
        "reason": "LIMIT_EXCEEDED",
        "message": "too long",
        "metadata": {"value": "3", "limit": "2"},
    }


@pytest.mark.parametrize(("error", "code"), [(KeyboardInterrupt(), 130), (PermissionError(13, "denied"), 1)])
def test_other_ends(error: BaseException, code: int, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit) as caught, reported():
        raise error
    assert caught.value.exit_code == code
    assert capsys.readouterr().err


def test_our_own_mistakes_are_not_hidden() -> None:
    with pytest.raises(ZeroDivisionError), reported():
        _ = 1 / 0


def test_warnings_come_once(capsys: pytest.CaptureFixture[str]) -> None:
    warn(["random weights", "", "random weights"])
    assert capsys.readouterr().err.count("random weights") == 1
