"""Writes the table of values into the chart's README: `python -m tools.chart_values`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

CHART = Path(__file__).resolve().parents[1] / "deploy/helm/uniaudio"
BEGIN, END = "<!-- values: python -m tools.chart_values -->", "<!-- end of values -->"


def main() -> None:
    """Brings the README's table to what schema and values say."""
    readme = CHART / "README.md"
    readme.write_text(with_table(readme.read_text()))


def with_table(readme: str) -> str:
    """The README with the table of now between its two marks."""
    before, _, rest = readme.partition(BEGIN)
    _, mark, after = rest.partition(END)
    if not mark:
        raise ValueError(f"the README lacks {BEGIN} or {END}; put both where the table belongs")
    return f"{before}{BEGIN}\n{_table()}{END}{after}"


def _table() -> str:
    schema = json.loads((CHART / "values.schema.json").read_text())
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    lines = ["| value | default | meaning |", "|---|---|---|"]
    lines += [
        f"| `{path}` | {_shown(default)} | {meaning} |" for path, default, meaning in _rows(schema, values)
    ]
    return "\n".join(lines) + "\n"


def _rows(
    schema: dict[str, Any], values: dict[str, Any], path: str = ""
) -> Iterator[tuple[str, object, str]]:
    """Path, default and meaning of every value, in the order of values.yaml."""
    for name, default in values.items():
        described = schema["properties"][name]
        if "properties" in described:
            yield from _rows(described, default, f"{path}{name}.")
        else:
            yield f"{path}{name}", default, _meaning(described)


def _meaning(described: dict[str, Any]) -> str:
    choices = ", ".join(f"`{choice}`" for choice in described.get("enum", []) if choice)
    text = str(described["description"]).replace("|", "\\|")
    return f"{text} One of {choices}." if choices else text


def _shown(default: object) -> str:
    return "" if default in ("", [], {}) else f"`{json.dumps(default)}`"


if __name__ == "__main__":
    main()
