"""The golden of the project's own making still holds, and verification notices what it must notice."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from uniaudio.errors import InvalidInputError
from uniaudio.nn.native.library import kernels_reason
from uniaudio.verify import Row, Verdict, VerifyReport, record, verify
from uniaudio.verify.golden import NewGolden
from uniaudio.verify.materials import Materials
from uniaudio.verify.tokenizer_checks import check_encode

FOLDER = Path(__file__).resolve().parent / "golden_own"


@pytest.fixture(scope="module")
def report() -> VerifyReport:
    return verify(FOLDER)


def test_every_tensor_and_text_is_within_its_tolerance(report: VerifyReport) -> None:
    assert report.bad_rows == ()
    assert report.passed


@pytest.mark.skipif(kernels_reason() is not None, reason=str(kernels_reason()))
def test_the_kernels_are_within_the_same_tolerances(report: VerifyReport) -> None:
    by_kernels = verify(FOLDER, use_kernels=True)
    assert by_kernels.bad_rows == ()
    assert len(by_kernels.rows) == len(report.rows)


def test_every_tensor_has_a_row_and_nearly_all_are_compared(report: VerifyReport) -> None:
    rows = {(row.golden, row.name): row for row in report.rows}
    for path in (FOLDER / "golden").glob("*.safetensors"):
        for name in load_file(path):
            assert rows[path.stem, name].verdict in (Verdict.OK, Verdict.GIVEN)
    assert sum(row.verdict is Verdict.OK for row in report.rows) > 250
    assert {row.golden for row in report.rows} == {path.stem for path in (FOLDER / "golden").iterdir()}


def test_the_golden_holds_every_way_a_generation_can_end() -> None:
    ends = set()
    for name in ("07_understanding", "08_tts", "09_edit"):
        document = json.loads((FOLDER / "golden" / f"{name}.json").read_text("utf-8"))
        ends |= {(name, case["stopped_by"]) for case in document.values()}
    assert ends == {
        ("07_understanding", "eos"),
        ("07_understanding", "max_new_tokens"),
        ("08_tts", "stop_head"),
        ("08_tts", "num_iter"),
        ("09_edit", "stop_head"),
    }


def test_the_window_that_the_golden_was_made_with_is_found(report: VerifyReport) -> None:
    assert "attention window: 33 keys (nominal 32)" in report.notes


@torch.no_grad()
def test_a_golden_made_with_the_other_published_window_is_found_too(folder: Path) -> None:
    """The reference sees one key less on a processor, in every layer."""
    shutil.copytree(FOLDER / "audio", folder / "audio")
    golden = NewGolden("01_vae_encode", ("asr",))
    check_encode(golden, Materials(folder, window_keys=32))
    golden.save(folder / "golden")
    report = verify(folder)
    assert report.passed
    assert "attention window: 32 keys (nominal 32)" in report.notes
    assert not verify(folder, window_keys=33).passed


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy with one small golden, to be spoiled."""
    (tmp_path / "golden").mkdir()
    shutil.copytree(FOLDER / "checkpoint", tmp_path / "checkpoint")
    shutil.copy(FOLDER / "golden" / "06_linear_pooling.safetensors", tmp_path / "golden")
    return tmp_path


def spoil(folder: Path, **tensors: torch.Tensor) -> None:
    path = folder / "golden" / "06_linear_pooling.safetensors"
    save_file(load_file(path) | tensors, path)


def test_a_value_outside_its_tolerance_is_a_miss(folder: Path) -> None:
    output = load_file(folder / "golden" / "06_linear_pooling.safetensors")["output"]
    output[0, 0, 0] += 0.01
    spoil(folder, output=output)
    rows = {row.name: row for row in verify(folder).rows}
    assert rows["output"].verdict is Verdict.MISS
    assert rows["output"].difference == pytest.approx(0.01, rel=1e-2)
    assert rows["stop.logits"].verdict is Verdict.OK


def test_another_shape_is_a_miss(folder: Path) -> None:
    spoil(folder, **{"stop.logits": torch.zeros(1, 1, 3)})
    report = verify(folder)
    assert [row.name for row in report.bad_rows] == ["stop.logits"]
    assert "shape" in report.bad_rows[0].detail


def test_nan_is_a_miss(folder: Path) -> None:
    spoil(folder, **{"stop.logits": torch.full((1, 1, 2), float("nan"))})
    assert [row.name for row in verify(folder).bad_rows] == ["stop.logits"]


def test_an_unknown_tensor_fails(folder: Path) -> None:
    spoil(folder, surprise=torch.zeros(1))
    report = verify(folder)
    assert not report.passed
    assert [(row.name, row.verdict) for row in report.bad_rows] == [("surprise", Verdict.UNKNOWN)]


def test_a_missing_input_fails_that_golden_only(folder: Path) -> None:
    path = folder / "golden" / "06_linear_pooling.safetensors"
    save_file({"output": load_file(path)["output"]}, path)
    shutil.copy(FOLDER / "golden" / "12_text_normalization.json", folder / "golden")
    report = verify(folder)
    assert {row.golden for row in report.bad_rows} == {"06_linear_pooling"}
    assert any("input is not in" in row.detail for row in report.bad_rows)


@pytest.mark.parametrize("name", ["13_surprise.json", "06_linear_pooling.npz"])
def test_an_unknown_file_fails(folder: Path, name: str) -> None:
    (folder / "golden" / name).write_text("{}")
    assert not verify(folder).passed


def test_a_broken_file_is_a_row(folder: Path) -> None:
    (folder / "golden" / "05_flow_head.safetensors").write_bytes(b"no tensors")
    assert [row.golden for row in verify(folder).bad_rows] == ["05_flow_head"]


def test_rows_are_told_as_they_are_found_and_absent_goldens_are_noted(folder: Path) -> None:
    told: list[Row] = []
    report = verify(folder, on_row=told.append)
    assert tuple(told) == report.rows
    assert report.passed
    assert any(note.startswith("not in this folder: 01_vae_encode") for note in report.notes)
    assert "06_linear_pooling: 2 of 2 compared are ok" in report.summary()


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="holds no goldens"):
        verify(tmp_path)


def test_goldens_are_never_overwritten() -> None:
    with pytest.raises(InvalidInputError, match="never overwritten"):
        record(FOLDER)


def test_recording_again_gives_the_same_inputs_and_passes(tmp_path: Path) -> None:
    """On this machine the outputs are equal too; elsewhere they are within their tolerances."""
    again = record(FOLDER / "checkpoint", tmp_path / "again", seed=11)
    for path in (FOLDER / "audio").iterdir():
        assert (again / "audio" / path.name).read_bytes() == path.read_bytes()
    before = load_file(FOLDER / "golden" / "09_edit.safetensors")
    after = load_file(again / "golden" / "09_edit.safetensors")
    for name in (
        "edit_cot.noise.posterior",
        "edit_cot.noise.init",
        "edit_cot.noise.step",
        "edit_cot.input_ids",
    ):
        assert torch.equal(before[name], after[name])
    assert {path.name for path in (again / "golden").iterdir()} == {
        path.name for path in (FOLDER / "golden").iterdir()
    }
