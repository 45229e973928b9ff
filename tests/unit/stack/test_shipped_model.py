"""nano is found beside the packages; where it is missing, that is said."""

from __future__ import annotations

from pathlib import Path

import pytest

import uniaudio
from uniaudio.checkpoint import Checkpoint
from uniaudio.errors import StartupError
from uniaudio.stack.shipped_model import shipped_model


def test_the_model_that_ships_is_small_and_trained(root: Path) -> None:
    folder = shipped_model()
    assert folder == root / "models/nano"
    info = Checkpoint(folder).info
    assert (info.name, info.trained) == ("uniaudio-nano", True)
    sizes = [path.stat().st_size for path in folder.glob("*.safetensors")]
    assert max(sizes) < 16_000_000
    assert sum(sizes) <= 32_000_000
    assert (folder / "README.md").is_file()


def test_without_it_one_learns_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uniaudio, "__file__", str(tmp_path / "uniaudio/__init__.py"))
    with pytest.raises(StartupError, match="--model"):
        shipped_model()
