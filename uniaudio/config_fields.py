"""Typed reads from a checkpoint's `config.json`; a wrong field is refused by its full path."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from uniaudio.errors import CheckpointError


class ConfigFields:
    """One object of a config and its path. A field that is null counts as absent."""

    def __init__(self, values: Mapping[str, Any], path: str = "") -> None:
        self.values = values
        self.path = path

    def section(self, name: str) -> ConfigFields:
        """The object under `name`."""
        value = self.values.get(name)
        if not isinstance(value, Mapping):
            raise CheckpointError(f"config.json: {self._at(name)} is {value!r}; an object is needed")
        return ConfigFields(value, self._at(name))

    def integer(self, name: str, default: int | None = None, minimum: int = 1) -> int:
        """A whole number of at least `minimum`."""
        value = self._value(name, default)
        if isinstance(value, bool) or not isinstance(value, int) or value < minimum:
            raise CheckpointError(
                f"config.json: {self._at(name)} is {value!r}; a whole number from {minimum} on is needed"
            )
        return value

    def number(self, name: str, default: float | None = None) -> float:
        """A positive number."""
        value = self._value(name, default)
        if isinstance(value, bool) or not isinstance(value, int | float) or not value > 0:
            raise CheckpointError(f"config.json: {self._at(name)} is {value!r}; a positive number is needed")
        return float(value)

    def flag(self, name: str, default: bool) -> bool:
        """True or false."""
        value = self._value(name, default)
        if not isinstance(value, bool):
            raise CheckpointError(f"config.json: {self._at(name)} is {value!r}; true or false is needed")
        return value

    def refuse_unless(self, name: str, supported: tuple[Any, ...]) -> None:
        """Refuses a field that is there with a value that would change the numbers."""
        value = self.values.get(name)
        if value is not None and value not in supported:
            raise CheckpointError(
                f"config.json: {self._at(name)} is {value!r}; supported: {', '.join(map(repr, supported))}"
            )

    def _value(self, name: str, default: Any) -> Any:
        value = self.values.get(name)
        return default if value is None else value

    def _at(self, name: str) -> str:
        return f"{self.path}.{name}" if self.path else name
