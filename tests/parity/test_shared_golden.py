"""Everything that the reference computed with its small random model, we compute too."""

from __future__ import annotations

from pathlib import Path

import pytest

from uniaudio.nn.native.library import kernels_reason
from uniaudio.verify import Verdict, verify


@pytest.mark.parametrize("use_kernels", [False, True])
def test_every_tensor_and_text_of_the_reference_is_matched(shared_dir: Path, use_kernels: bool) -> None:
    if use_kernels and kernels_reason() is not None:
        pytest.skip(str(kernels_reason()))
    folders = sorted(path.parent for path in (shared_dir / "golden").glob("*/golden"))
    assert folders
    for folder in folders:
        report = verify(folder, use_kernels=use_kernels)
        assert report.bad_rows == (), report.summary()
        assert len({row.golden for row in report.rows if row.verdict is Verdict.OK}) == 12
