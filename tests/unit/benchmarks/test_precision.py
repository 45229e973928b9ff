"""Precisions are compared on the same inputs, by measures that are zero where nothing differs."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks.precision import measure
from benchmarks.precision_parts import forced_logits, load_model, read_held_out
from benchmarks.precision_tables import Table, divergence, equal_share, snr_db, words_of
from tests.unit.evaluation.ears import Ear
from uniaudio.engine import procedure
from uniaudio.errors import InvalidInputError
from uniaudio.evaluation.recordings import write_recording
from uniaudio.evaluation.suites.synthetic_data import SpeechRow, write_speech
from uniaudio.llm.prompt import understanding_prompt
from uniaudio.nn.native.library import kernels_reason

needs_kernels = pytest.mark.skipif(kernels_reason() is not None, reason=str(kernels_reason()))


def write_test_set(folder: Path, num_rows: int = 2) -> Path:
    """Noises of one voice that say a word each."""
    rng = np.random.default_rng(0)
    rows = []
    for number in range(num_rows):
        samples = rng.uniform(-0.2, 0.2, 8000).astype(np.float32)
        path = write_recording(folder / f"{number}.wav", samples)
        rows.append(SpeechRow(id=str(number), audio=path, text=f"word {number}", speaker="one"))
    write_speech(folder, rows)
    return folder


class Deaf(Ear):
    def hear(self, path: Path, language: str) -> str:
        return "word"


@needs_kernels
def test_every_precision_has_its_row(random_checkpoint: Path, tmp_path: Path) -> None:
    report = measure(
        random_checkpoint, write_test_set(tmp_path), Deaf(), precisions=["bfloat16", "int8"], limit=None
    )
    language, tokenizer = report.tables
    assert [row[0] for row in language.rows] == ["float32", "bfloat16", "int8"]
    assert [row[0] for row in tokenizer.rows] == ["float32", "bfloat16"]
    for table in report.tables:
        assert {len(row) for row in table.rows} == {len(table.heads)}
        assert not any("nan" in cell for row in table.rows for cell in row)
    heard = language.heads.index("speech's WER")
    assert [row[heard] for row in language.rows] == ["50.00 %"] * 3
    assert "2 recordings of 4 words, 2 sentences" in report.notes[0]
    assert "50.00 %" in report.notes[1]


@needs_kernels
def test_without_a_recogniser_nobody_hears_the_speech(random_checkpoint: Path, tmp_path: Path) -> None:
    report = measure(random_checkpoint, write_test_set(tmp_path), None, precisions=[], limit=1)
    [row] = report.tables[0].rows
    assert row[report.tables[0].heads.index("speech's WER")] == "–"
    assert len(report.notes) == 1


@needs_kernels
def test_forced_logits_are_those_that_the_model_chose_from(random_checkpoint: Path) -> None:
    model = load_model(random_checkpoint, "float32")
    latents = torch.randn(50, model.latent_dim, generator=torch.Generator().manual_seed(1))
    prompt = understanding_prompt(model.text_tokenizer, 10)
    reply = model.text_tokenizer.encode("word")
    told = replace(prompt, token_ids=(*prompt.token_ids, *reply[:-1]))
    logits = forced_logits(model, latents, "word")
    chosen = procedure.understand(model, told, [latents], max_tokens=1, keep_logits=True)
    assert chosen.logits is not None
    assert len(logits) == len(reply) + 1
    torch.testing.assert_close(logits[-2:-1], chosen.logits)


def test_a_test_set_is_taken_evenly(tmp_path: Path) -> None:
    held_out = read_held_out(write_test_set(tmp_path, 6), 3)
    assert [row.id for row in held_out.recordings] == ["0", "2", "4"]
    assert len(held_out.sentences) == 3
    assert len(read_held_out(tmp_path, 100).recordings) == 6


def test_a_folder_without_recordings_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="name a folder that"):
        read_held_out(tmp_path, None)


def test_divergence() -> None:
    exact = torch.tensor([[0.5, 0.5], [0.25, 0.75]]).log()
    same = divergence([exact], [exact + 3])  # logits are known up to a constant
    assert same.mean == pytest.approx(0, abs=1e-9)
    assert same.same_choice == 1
    far = divergence([exact], [torch.tensor([[0.25, 0.75], [0.75, 0.25]]).log()])
    one, two = 0.5 * math.log(2) + 0.5 * math.log(2 / 3), 0.25 * math.log(1 / 3) + 0.75 * math.log(3)
    assert far.mean == pytest.approx((one + two) / 2, rel=1e-5)
    assert far.p99 == pytest.approx(one + 0.99 * (two - one), rel=1e-5)
    assert far.same_choice == 0


def test_signal_to_noise() -> None:
    signal = np.array([3.0, 4.0])
    assert snr_db([(signal, signal)]) == math.inf
    assert snr_db([(signal, signal), (signal, signal + [0.5, 0])]) == pytest.approx(10 * math.log10(200))
    assert snr_db([]) is None


def test_replies_are_compared_as_callers_get_them() -> None:
    words = words_of(["English\tone two", "English\tthree<|endoftext|>"])
    assert words == ["one two", "three"]
    assert equal_share(words, ["one two", "four"]) == 0.5


def test_a_table_is_markdown() -> None:
    assert list(Table(["a", "b"], [["1", "2"]]).markdown()) == ["| a | b |", "|---|---|", "| 1 | 2 |"]
