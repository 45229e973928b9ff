"""templates/NOTES.txt: what is open or kept nowhere is said, and no more."""

from __future__ import annotations

from tests.chart.render import JOBS, render_notes

COMPLETE = {
    "model": {"existingClaim": "weights"},
    "jobs": JOBS,
    "provenance": {"keysSecret": "keys"},
    "auth": {"tokensSecret": "tokens"},
}
REMEDIES = ("model.existingClaim", "jobs.database.secret", "provenance.keysSecret", "auth.tokensSecret")


def test_a_bare_installation_is_told_what_it_lacks() -> None:
    notes = render_notes({"orchestrator": {"replicas": 2}})
    assert not [value for value in REMEDIES if value not in notes]
    assert "do not know each" in notes
    assert "port-forward service/trial-orchestrator 50051" in notes


def test_scaling_by_numbers_that_nobody_sends_is_told() -> None:
    scaled = {"llm": {"autoscaling": {"by": "hpa"}}}
    assert "nothing sends it" in render_notes(scaled)
    assert "nothing sends it" not in render_notes({})
    collected = render_notes({**scaled, "collector": {"enabled": True}})
    assert "nothing sends it" not in collected
    assert "trial-collector:9464" in collected


def test_a_complete_one_is_told_what_to_do_next_alone() -> None:
    notes = render_notes(COMPLETE)
    assert "uniaudio info" in notes
    assert not [value for value in REMEDIES if value in notes]
