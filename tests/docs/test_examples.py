"""The reader of documentation examples itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.docs.examples import Command, find_examples, matches, read_commands

PAGE = """
```sh
# a remark
uniaudio info
uniaudio speak "a b" \\
  -o x.wav
```

1. indented

   ```console
   $ uniaudio info
   server  127.0.0.1
   model   x
   $ true
   ```

```mermaid
graph LR
```
"""


def test_blocks_are_found_with_their_language_and_line(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(PAGE)
    shell, console, picture = find_examples(page)
    assert [block.language for block in (shell, console, picture)] == ["sh", "console", "mermaid"]
    assert (shell.line, console.line) == (2, 11)
    assert read_commands(shell) == [
        Command("uniaudio info", None),
        Command('uniaudio speak "a b" -o x.wav', None),
    ]
    assert read_commands(console) == [
        Command("uniaudio info", "server  127.0.0.1\nmodel   x"),
        Command("true", None),
    ]


@pytest.mark.parametrize(
    ("shown", "actual", "same"),
    [
        ("result 3.57 s", "result  3.57 s\n", True),
        ("result 3.57 s", "result 3.58 s", False),
        ("took ... s", "took 0.31 s", True),
        ("a\n...\nb", "a\nx\ny\nb", True),
        ("a\n...\nb", "a\nx\ny", False),
        ("(exact)", "exact", False),
    ],
)
def test_output_matches_up_to_blanks_and_dots(shown: str, actual: str, same: bool) -> None:
    assert matches(shown, actual) is same
