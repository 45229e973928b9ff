"""Prometheus's own tool on the chart's rules: what it computes and fires, minute by minute."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from tests.built_tool import built_tool

Groups = list[dict[str, Any]]


@cache
def promtool() -> str:
    """Its path; the test is skipped where it is not installed."""
    return built_tool("promtool", "install Prometheus (Debian: apt-get install prometheus)")


@dataclass(frozen=True)
class Case:
    """Series by minute in promtool's notation, and whether the alert fires at that minute."""

    series: dict[str, str]
    minute: int
    fires: bool


def check_rules(groups: Groups, folder: Path) -> None:
    """Fails where Prometheus would refuse them."""
    _run("check", "rules", str(_write(folder / "rules.yml", {"groups": groups})))


def check_alert(groups: Groups, alert: str, cases: Sequence[Case], folder: Path) -> None:
    """Fails where the alert does otherwise than a case says."""
    rules = _write(folder / "rules.yml", {"groups": groups})
    tests = [_test(alert, case) for case in cases]
    _run("test", "rules", str(_write(folder / "test.yml", {"rule_files": [rules.name], "tests": tests})))


def check_value(query: str, series: Mapping[str, float], value: float, folder: Path) -> None:
    """Fails where a query gives another number, of series that have these values for an hour."""
    test = {
        "interval": "1m",
        "input_series": [{"series": name, "values": f"{number}x60"} for name, number in series.items()],
        "promql_expr_test": [
            {"expr": query, "eval_time": "30m", "exp_samples": [{"labels": "{}", "value": value}]}
        ],
    }
    _run("test", "rules", str(_write(folder / "test.yml", {"tests": [test]})))


def _test(alert: str, case: Case) -> dict[str, Any]:
    firing = f'ALERTS{{alertname="{alert}",alertstate="firing"}}'
    return {
        "interval": "1m",
        "input_series": [{"series": name, "values": values} for name, values in case.series.items()],
        "promql_expr_test": [
            {
                "expr": f"count({firing}) or vector(0)",
                "eval_time": f"{case.minute}m",
                "exp_samples": [{"labels": "{}", "value": int(case.fires)}],
            }
        ],
    }


def _write(path: Path, content: dict[str, Any]) -> Path:
    path.write_text(json.dumps(content))  # YAML, too
    return path


def _run(*arguments: str) -> None:
    result = subprocess.run([promtool(), *arguments], capture_output=True, text=True, timeout=60, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
