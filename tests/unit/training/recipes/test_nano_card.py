"""The model card takes its figures from a suite's result."""

from __future__ import annotations

import json

import pytest

from training.recipes.nano_card import BEGIN, END, put_measured
from uniaudio.errors import InvalidInputError
from uniaudio.evaluation.results import AimRow, Row, SuiteResult, Table, coverage_row

RESULT = SuiteResult(
    suite="synthetic",
    settings={},
    models=[],
    tables=[
        Table(
            title="transcription",
            metrics=["wer_system/micro", "pesq_wb"],
            rows=[
                Row(label="system", values={"wer_system/micro": 0.031}, num_scored=9, num_expected=10),
                coverage_row(9, 10),
            ],
            scoring="clean",
            notes=["floor: another recogniser"],
        )
    ],
    items=[],
    aims=[
        AimRow(what="transcription: WER", aim="≤ 5.00 %", value="3.10 %", met=True),
        AimRow(
            what="speed: RDE", aim="≤ 8.00 %", value="–", met=None, reason="the test set has no such rows"
        ),
    ],
)


def test_figures_replace_what_stood_between_the_marks() -> None:
    result = json.loads(json.dumps(RESULT.as_dict()))
    card = put_measured(f"# nano\n\n{BEGIN}\nold figures\n{END}\n\n## Limits\n", result)
    assert card.splitlines() == [
        "# nano",
        "",
        BEGIN,
        "| what | aim | reached | |",
        "|---|---|---|---|",
        "| transcription: WER | ≤ 5.00 % | 3.10 % | met |",
        "| speed: RDE | ≤ 8.00 % | – | not measured: the test set has no such rows |",
        "",
        "### transcription (clean scoring)",
        "",
        "| row | wer_system/micro | scored |",
        "|---|---|---|",
        "| system | 3.10 % | 9 of 10 |",
        "",
        "floor: another recogniser",
        END,
        "",
        "## Limits",
    ]
    assert put_measured(card, result) == card


def test_a_card_without_marks_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="measured: begin"):
        put_measured(f"{END} {BEGIN}", RESULT.as_dict())
