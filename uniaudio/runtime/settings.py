"""Settings from the environment: a frozen dataclass whose fields carry name, meaning, default and bounds.

A field reads `port: int = setting("UNIAUDIO_TOKENIZER_PORT", 50061, "Port.", minimum=0, maximum=65535)`;
`read_settings(Settings)` then fills the dataclass, and `describe_settings(Settings)` lists its variables.
"""

from __future__ import annotations

import argparse
import dataclasses
import math
import os
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Protocol, TypeVar

from uniaudio.errors import StartupError

_TRUE = frozenset({"1", "true", "yes", "on"})
_FALSE = frozenset({"0", "false", "no", "off"})
_KEY = "uniaudio.setting"


class DataclassType(Protocol):
    """Any dataclass."""

    __dataclass_fields__: ClassVar[dict[str, Any]]


SettingsT = TypeVar("SettingsT", bound=DataclassType)


@dataclass(frozen=True, kw_only=True)
class Setting:
    """One environment variable: what it means and which values it takes."""

    variable: str
    meaning: str
    minimum: float | None = None
    maximum: float | None = None
    choices: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class SettingRow:
    """One line of a settings table, for help texts and READMEs."""

    variable: str
    default: str
    meaning: str
    allowed: str


def setting(
    variable: str,
    default: Any = dataclasses.MISSING,
    meaning: str = "",
    *,
    minimum: float | None = None,
    maximum: float | None = None,
    choices: tuple[str, ...] = (),
) -> Any:
    """A dataclass field read from `variable`; without a default it must be set."""
    described = Setting(variable=variable, meaning=meaning, minimum=minimum, maximum=maximum, choices=choices)
    return dataclasses.field(default=default, metadata={_KEY: described})


def read_settings(cls: type[SettingsT], environ: Mapping[str, str] | None = None) -> SettingsT:
    """`cls` filled from the environment; an empty variable counts as not set.

    Raises StartupError naming the variable, its value and what is allowed.
    """
    environ = os.environ if environ is None else environ
    hints = typing.get_type_hints(cls)
    values: dict[str, Any] = {}
    for field in dataclasses.fields(cls):
        described: Setting = field.metadata[_KEY]
        text = environ.get(described.variable, "").strip()
        if text:
            values[field.name] = _parse(text, hints[field.name], described)
        elif field.default is dataclasses.MISSING:
            raise StartupError(
                f"{described.variable} is not set; set it: {described.meaning}",
                reason="MISSING_SETTING",
                variable=described.variable,
            )
    return cls(**values)


def describe_settings(cls: type[DataclassType]) -> list[SettingRow]:
    """One row per setting of `cls`, in order."""
    hints = typing.get_type_hints(cls)
    rows = []
    for field in dataclasses.fields(cls):
        described: Setting = field.metadata[_KEY]
        default = "(required)" if field.default is dataclasses.MISSING else _as_text(field.default)
        kind, _ = _kind(hints[field.name])
        rows.append(
            SettingRow(
                variable=described.variable,
                default=default,
                meaning=described.meaning,
                allowed=_allowed(kind, described),
            )
        )
    return rows


def settings_parser(prog: str, description: str, *classes: type[DataclassType]) -> argparse.ArgumentParser:
    """A command's parser whose help lists the settings of all `classes`: variable, meaning and default."""
    rows = [row for cls in classes for row in describe_settings(cls)]
    width = max(len(row.variable) for row in rows)
    lines = (f"  {row.variable:{width}} {row.meaning} [{row.default}]" for row in rows)
    return argparse.ArgumentParser(
        prog=prog,
        description=description,
        epilog="environment:\n" + "\n".join(lines),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def _kind(hint: Any) -> tuple[type, bool]:
    """The plain type of a field, and whether it may be None."""
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        inner = [arg for arg in typing.get_args(hint) if arg is not type(None)]
        return inner[0], True
    return hint, False


def _parse(text: str, hint: Any, described: Setting) -> Any:
    kind, _ = _kind(hint)
    value: Any
    try:
        value = _convert(text, kind)
    except ValueError as error:
        raise _refusal(text, kind, described) from error
    if described.choices and value not in described.choices:
        raise _refusal(text, kind, described)
    if isinstance(value, (int, float)) and not _within(value, described):
        raise _refusal(text, kind, described)
    return value


def _convert(text: str, kind: type) -> Any:
    if kind is bool:
        if text.lower() in _TRUE | _FALSE:
            return text.lower() in _TRUE
        raise ValueError(text)
    if kind in (int, float, str):
        return kind(text)
    if kind is Path:
        return Path(text).expanduser()
    raise TypeError(f"a setting cannot have the type {kind!r}")


def _within(value: float, described: Setting) -> bool:
    if not math.isfinite(value):
        return False
    if described.minimum is not None and value < described.minimum:
        return False
    return described.maximum is None or value <= described.maximum


def _refusal(text: str, kind: type, described: Setting) -> StartupError:
    allowed = _allowed(kind, described)
    return StartupError(
        f"{described.variable}={text!r} is not allowed; allowed: {allowed} ({described.meaning})",
        reason="INVALID_SETTING",
        variable=described.variable,
        value=text,
        allowed=allowed,
    )


def _allowed(kind: type, described: Setting) -> str:
    if described.choices:
        return ", ".join(described.choices)
    if kind is bool:
        return "true or false"
    noun = {int: "a whole number", float: "a number", Path: "a path"}.get(kind, "text")
    low, high = described.minimum, described.maximum
    if low is not None and high is not None:
        return f"{noun} from {low:g} to {high:g}"
    if low is not None:
        return f"{noun}, at least {low:g}"
    if high is not None:
        return f"{noun}, at most {high:g}"
    return noun


def _as_text(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value)
