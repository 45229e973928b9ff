"""The letter ear: alone or in company the same, kept beside a checkpoint, refused where it is broken."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from uniaudio.errors import CheckpointError, InvalidInputError
from uniaudio.tokenizer.ear import CONFIG_FILE, WEIGHTS_FILE, EarConfig, LetterEar, load_ear, save_ear

SMALL = EarConfig(num_channels=3, alphabet=" ab", width=8, hidden=12, num_blocks=2, kernel_size=5)


def small_ear() -> LetterEar:
    torch.manual_seed(0)
    return LetterEar(SMALL).eval()


def test_rows_are_distributions_over_no_letter_and_the_alphabet() -> None:
    out = small_ear().hear(torch.randn(7, 6))
    assert out.shape == (7, 4)
    torch.testing.assert_close(out.exp().sum(-1), torch.ones(7))


def test_a_recording_is_heard_alike_alone_and_beside_a_longer_one() -> None:
    ear, short, long = small_ear(), torch.randn(6, 6), torch.randn(11, 6)
    both = ear(torch.nn.utils.rnn.pad_sequence([short, long], batch_first=True), torch.tensor([6, 11]))
    torch.testing.assert_close(both[0, :6], ear.hear(short))
    torch.testing.assert_close(both[1], ear.hear(long))


def test_channels_beyond_the_first_change_nothing() -> None:
    ear, latents = small_ear(), torch.randn(5, 6)
    others = torch.cat((latents[:, :3], torch.randn(5, 3)), 1)
    assert torch.equal(ear.hear(latents), ear.hear(others))


def test_it_comes_back_from_beside_a_checkpoint(tmp_path: Path) -> None:
    assert load_ear(tmp_path) is None
    ear, latents = small_ear(), torch.randn(9, 6)
    save_ear(tmp_path, ear, {"run": "a run"})
    again = load_ear(tmp_path)
    assert again is not None
    assert again.config == SMALL
    torch.testing.assert_close(again.hear(latents), ear.hear(latents), atol=0.05, rtol=0.05)  # in bfloat16


@pytest.mark.parametrize("name", [CONFIG_FILE, WEIGHTS_FILE])
@pytest.mark.parametrize("content", [b"", b"{}", b"nonsense"])
def test_broken_files_are_refused_by_name(tmp_path: Path, name: str, content: bytes) -> None:
    save_ear(tmp_path, small_ear(), {})
    (tmp_path / name).write_bytes(content)
    with pytest.raises(CheckpointError, match="ear"):
        load_ear(tmp_path)


def test_missing_weights_are_refused(tmp_path: Path) -> None:
    save_ear(tmp_path, small_ear(), {})
    (tmp_path / WEIGHTS_FILE).unlink()
    with pytest.raises(CheckpointError, match=r"take ear\.json and ear\.safetensors of one release"):
        load_ear(tmp_path)


@pytest.mark.parametrize("change", [{"kernel_size": 4}, {"width": 0}, {"alphabet": "aa"}, {"alphabet": ""}])
def test_impossible_sizes_are_refused(change: dict[str, object]) -> None:
    with pytest.raises(InvalidInputError):
        replace(SMALL, **change)  # type: ignore[arg-type]
