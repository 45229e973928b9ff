"""The board says once, in words, that a signature shows, and once that it is gone."""

from __future__ import annotations

from structlog.testing import capture_logs

from training.monitors.board import Board
from training.monitors.drift import DriftWatch
from training.monitors.pooling import PoolingWatch
from training.monitors.signatures import SIGNATURES


def test_a_signature_is_told_when_it_comes_and_when_it_goes() -> None:
    watch = PoolingWatch()
    board = Board(watch, DriftWatch())
    assert board.metrics() == {"signature/costly_pooling": 0.0, "signature/representation_drift": 0.0}
    watch.add(100, 1, 0.05)
    watch.add(100, 5, 0.09)
    with capture_logs() as lines:
        assert board.metrics()["signature/costly_pooling"] == 1.0
        board.metrics()
    assert [line["log_level"] for line in lines] == ["warning"]
    assert lines[0]["event"].startswith("Costly pooling at step 100: the understanding error is 0.09")
    watch.add(200, 1, 0.05)
    watch.add(200, 5, 0.05)
    with capture_logs() as lines:
        assert board.metrics()["signature/costly_pooling"] == 0.0
    assert [line["event"] for line in lines] == ["Costly pooling shows no more"]


def test_a_look_has_the_pictures_of_those_that_have_seen_something() -> None:
    watch = PoolingWatch()
    watch.add(100, 1, 0.05)
    look = Board(watch, DriftWatch()).look()
    assert look.figures.keys() == {"signature/costly_pooling"}
    assert look.metrics["pooling/patch_1"] == 0.05


def test_a_restart_keeps_what_every_watch_has_seen() -> None:
    watch, again = PoolingWatch(), PoolingWatch()
    watch.add(100, 1, 0.05)
    Board(again, DriftWatch()).load_state(Board(watch).state())
    assert again.metrics() == watch.metrics()


def test_every_signature_says_what_is_seen_why_and_what_to_do() -> None:
    assert len({signature.key for signature in SIGNATURES}) == 5
    for signature in SIGNATURES:
        for words in (signature.seen, signature.cause, signature.remedy):
            assert words.endswith(".")
