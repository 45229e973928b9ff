"""The report holds everything, shows the worst first, and needs nothing but itself."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.unit.evaluation.ears import Ear
from uniaudio.evaluation.aims import Aim, judge_aims
from uniaudio.evaluation.results import (
    AimRow,
    Item,
    Row,
    SuiteResult,
    Table,
    coverage_row,
    empty_row,
    unit_of,
)
from uniaudio.evaluation.suite_report import write_html, write_json


@pytest.fixture
def result(tmp_path: Path) -> SuiteResult:
    ear = Ear()
    audio = {role: ear.say(tmp_path / f"{role}.wav", role) for role in ("source", "target", "output")}
    items = [
        Item(
            id=f"item-{number}", task="deletion", badness=float(number), audio=dict(audio) if number else {},
            texts={"asked for": "the cat <sat>", "heard (inhouse)": "the hat"},
            values={"acc_inhouse": 0.0, "outside_wer_inhouse": number / 3}, regions={"source": (0.2, 0.4)},
        )
        for number in range(3)
    ]  # fmt: skip
    values = {"acc_inhouse": 0.25, "wer_inhouse/macro": 0.125}
    rows = [
        Row(
            label="system", values=values, num_scored=2, num_expected=3, reasons={"sim": "no speaker encoder"}
        ),
        Row(label="copy", values=values, num_scored=3, num_expected=3, reasons={"sim": "no speaker encoder"}),
        empty_row("splice oracle", 3, "no word times"),
        coverage_row(2, 3),
    ]
    table = Table(title="deletion", metrics=list(values), rows=rows, scoring="clean", notes=["a note"])
    aims = [
        AimRow(what="deletion: clean ACC", aim="≥ 80 %", value="25 %", met=False),
        AimRow(what="speed", aim="≤ 8 %", value="–", met=None, reason="no such rows"),
    ]
    models = [
        {"role": "recogniser", "metric": "wer_inhouse", "name": "ours", "revision": "abc",
         "weights_sha256": "f" * 64, "floors": {"plain": 0.012}}
    ]  # fmt: skip
    return SuiteResult(
        suite="synthetic", settings={"limit": 3}, models=models, tables=[table], items=items, aims=aims
    )


def test_html(result: SuiteResult, tmp_path: Path) -> None:
    page = write_html(result, tmp_path / "out" / "report.html", items_per_task=2).read_text()
    shown = re.findall(r"<h3[^>]*>(item-\d)", page)
    assert shown == ["item-2", "item-1"], "worst first, as many as asked for"
    assert page.count("<audio") == page.count("data:audio/flac;base64,") == 6
    assert not re.findall(r'(?:src|href)="(?!data:)', page)
    for part in (
        "missed",
        "not measured",
        "no such rows",
        "clean",
        "25.00 %",
        "plain 1.2 %",
        "coverage 66.67 %",
        "a note",
    ):
        assert part in page, part
    assert "sim (system, copy): no speaker encoder" in page
    assert "the cat &lt;sat&gt;" in page
    assert re.search(r"<mark>hat</mark>\s+<mark>\[sat\]</mark>", page)
    assert "item-0" in page, "every item has its line"


def test_json(result: SuiteResult, tmp_path: Path) -> None:
    told = json.loads(write_json(result, tmp_path / "result.json").read_text())
    assert len(told["items"]) == 3
    assert told["items"][1]["audio"]["source"].endswith("source.wav")
    assert told["tables"][0]["rows"][0]["values"]["acc_inhouse"] == 0.25
    assert told["aims"][1]["verdict"] == "not measured"
    assert told["models"][0]["weights_sha256"] == "f" * 64


def test_units() -> None:
    assert unit_of("outside_wer_inhouse/micro").show(0.125) == "12.50 %"
    assert unit_of("pesq_wb").show(2.714) == "2.71"
    assert unit_of("delay").show(0.0025) == "2.5 ms"
    assert unit_of("sim_inhouse").show(None) == "–"


def test_an_aim_is_met_at_its_limit(result: SuiteResult) -> None:
    (table,) = result.tables
    at_limit = Aim(what="a", table="deletion", metric="acc_", at_least=0.25)
    above = Aim(what="b", table="deletion", metric="wer_", at_most=0.1)
    copied = Aim(what="c", table="deletion", metric="wer_inhouse/macro", against_copy=True)
    absent = Aim(what="d", table="nowhere", metric="x", at_least=1)
    found = judge_aims([table], [at_limit, above, copied, absent])
    assert [row.verdict for row in found] == ["met", "missed", "met", "not measured"]
