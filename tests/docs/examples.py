"""Finds the commands and code of a Markdown file. CONTRIBUTING.md tells writers the convention."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

# Blocks that show something and are not meant to be run.
SHOWN_ONLY = {"text", "mermaid", "json", "yaml", "proto"}
RUN = {"sh", "console", "python"}
_FENCE = re.compile(
    r"^(?P<indent> *)```(?P<language>\S*)[^\n]*\n(?P<body>.*?)^(?P=indent)```", re.DOTALL | re.MULTILINE
)


@dataclass(frozen=True)
class Example:
    """One fenced block."""

    path: Path
    line: int
    language: str
    body: str

    def __str__(self) -> str:
        return f"{self.path.name}:{self.line}"


@dataclass(frozen=True)
class Command:
    """A command of a `sh` or `console` block, with the output that the page shows for it (None: none)."""

    text: str
    output: str | None


def find_examples(path: Path) -> Iterator[Example]:
    """Every fenced block of the page, in order."""
    text = path.read_text(encoding="utf-8")
    for match in _FENCE.finditer(text):
        indent = match["indent"]
        lines = [line.removeprefix(indent) for line in match["body"].splitlines()]
        yield Example(path, text[: match.start()].count("\n") + 1, match["language"], "\n".join(lines))


def read_commands(example: Example) -> list[Command]:
    """`sh`: each line a command. `console`: lines after "$ " are commands, what follows is their output.

    A line that ends with a backslash goes on in the next one.
    """
    if example.language == "sh":
        lines = re.sub(r"\\\n\s*", "", example.body).splitlines()
        return [Command(line, None) for line in lines if line.strip() and not line.startswith("#")]
    commands: list[Command] = []
    for part in re.split(r"^\$ ", example.body, flags=re.MULTILINE)[1:]:
        joined = re.sub(r"\\\n\s*(?:> )?", "", part)
        text, _, output = joined.partition("\n")
        commands.append(Command(text, output.strip() or None))
    return commands


def matches(shown: str, actual: str) -> bool:
    """Whether the output is what the page shows; `...` stands for anything, runs of blanks are one."""
    parts = [re.escape(" ".join(part.split())) for part in shown.split("...")]
    return (
        re.fullmatch(r"\s*" + ".*".join(parts).replace(r"\ ", r"\s+") + r"\s*", " ".join(actual.split()))
        is not None
    )
