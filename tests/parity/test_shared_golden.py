"""Everything that the reference computed with its small random model, we compute too."""

from __future__ import annotations

from pathlib import Path

from uniaudio.verify import Verdict, verify


def test_every_tensor_and_text_of_the_reference_is_matched(shared_dir: Path) -> None:
    folders = sorted(path.parent for path in (shared_dir / "golden").glob("*/golden"))
    assert folders
    for folder in folders:
        report = verify(folder)
        assert report.bad_rows == (), report.summary()
        assert len({row.golden for row in report.rows if row.verdict is Verdict.OK}) == 12
