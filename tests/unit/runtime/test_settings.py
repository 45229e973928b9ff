"""Settings are typed, bounded, and refused with the variable, the value and what is allowed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from uniaudio.errors import StartupError
from uniaudio.runtime.settings import describe_settings, read_settings, setting


@dataclass(frozen=True, kw_only=True)
class Sample:
    model_dir: Path = setting("T_DIR", meaning="Directory of the checkpoint.")
    port: int = setting("T_PORT", 50061, "Port.", minimum=0, maximum=65535)
    wait: float = setting("T_WAIT", 2.5, "Seconds to wait.", minimum=0)
    fast: bool = setting("T_FAST", False, "Skip checks.")
    level: str = setting("T_LEVEL", "info", "Log level.", choices=("debug", "info"))
    name: str | None = setting("T_NAME", None, "A name.")


def test_defaults_hold_and_values_are_typed() -> None:
    settings = read_settings(Sample, {"T_DIR": "/x", "T_PORT": " 7 ", "T_FAST": "yes", "T_NAME": ""})
    assert settings == Sample(model_dir=Path("/x"), port=7, wait=2.5, fast=True, level="info", name=None)


@pytest.mark.parametrize(
    ("variable", "value", "allowed"),
    [
        ("T_PORT", "70000", "a whole number from 0 to 65535"),
        ("T_PORT", "abc", "a whole number from 0 to 65535"),
        ("T_PORT", "1.5", "a whole number from 0 to 65535"),
        ("T_WAIT", "-1", "a number, at least 0"),
        ("T_WAIT", "nan", "a number, at least 0"),
        ("T_WAIT", "inf", "a number, at least 0"),
        ("T_FAST", "maybe", "true or false"),
        ("T_LEVEL", "loud", "debug, info"),
    ],
)
def test_a_bad_value_is_refused_with_a_remedy(variable: str, value: str, allowed: str) -> None:
    with pytest.raises(StartupError) as caught:
        read_settings(Sample, {"T_DIR": "/x", variable: value})
    assert f"{variable}={value!r}" in caught.value.message
    assert allowed in caught.value.message
    assert caught.value.reason == "INVALID_SETTING"


def test_what_has_no_default_must_be_set() -> None:
    with pytest.raises(StartupError, match="T_DIR is not set; set it: Directory of the checkpoint"):
        read_settings(Sample, {})


def test_settings_describe_themselves() -> None:
    rows = {row.variable: row for row in describe_settings(Sample)}
    assert rows["T_DIR"].default == "(required)"
    assert (rows["T_PORT"].default, rows["T_PORT"].allowed) == ("50061", "a whole number from 0 to 65535")
    assert rows["T_FAST"].default == "false"
