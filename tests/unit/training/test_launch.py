"""The launcher starts ranks as torchrun would, and tells by its exit code whether to start it again."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from pathlib import Path

import pytest

from training.exit_codes import AGAIN, DONE, FAILED, REFUSED, WRONG_USAGE
from training.launch import LocalRanks, Patience, launch
from uniaudio.stack.stop_signals import StopSignals

# Each rank writes its environment, then ends with the code that the plan has for it and its start.
RANK = """
import json, os, pathlib, signal, sys, time
folder, plan = pathlib.Path(sys.argv[1]), json.loads(sys.argv[2])
rank = os.environ["RANK"]
start = len(list(folder.glob(f"{rank}-*")))
names = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
(folder / f"{rank}-{start}").write_text(json.dumps({name: os.environ[name] for name in names}))
code = plan[rank][min(start, len(plan[rank]) - 1)]
if code == "wait":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(75))
    (folder / "waiting").touch()
    time.sleep(60)
if code == "killed":
    os.kill(os.getpid(), signal.SIGKILL)
sys.exit(code)
"""


QUICK = Patience(poll=0.01, restart=0.01, save=20.0, peer=0.3)


def run(folder: Path, plan: dict[str, list[object]], ranks: LocalRanks, max_restarts: int = 3) -> int:
    command = [sys.executable, "-S", "-c", RANK, str(folder), json.dumps(plan)]
    with StopSignals() as stop:
        return launch(command, ranks, stop, QUICK, max_restarts=max_restarts)


def starts(folder: Path, rank: int) -> int:
    return len(list(folder.glob(f"{rank}-*")))


def test_ranks_are_told_who_they_are(tmp_path: Path) -> None:
    ranks = LocalRanks(machines=3, machine=1, count=2, address="job-0.job", port=29501)
    assert run(tmp_path, {"2": [0], "3": [0]}, ranks) == DONE
    told = json.loads((tmp_path / "3-0").read_text())
    assert told == {
        "RANK": "3",
        "LOCAL_RANK": "1",
        "WORLD_SIZE": "6",
        "MASTER_ADDR": "job-0.job",
        "MASTER_PORT": "29501",
    }


@pytest.mark.parametrize("lost", [1, AGAIN, "killed"])
def test_lost_ranks_are_started_again_together(tmp_path: Path, lost: object) -> None:
    assert run(tmp_path, {"0": [0, lost, 0], "1": [lost, 0, 0]}, LocalRanks(count=2)) == DONE
    assert (starts(tmp_path, 0), starts(tmp_path, 1)) == (3, 3)


def test_a_rank_whose_peer_is_gone_is_not_waited_for(tmp_path: Path) -> None:
    assert run(tmp_path, {"0": ["wait", 0], "1": ["killed", 0]}, LocalRanks(count=2)) == DONE


@pytest.mark.parametrize("code", [WRONG_USAGE, REFUSED])
def test_what_a_person_must_change_ends_it_at_once(tmp_path: Path, code: int) -> None:
    assert run(tmp_path, {"0": [code], "1": [1]}, LocalRanks(count=2)) == code
    assert starts(tmp_path, 0) == 1


def test_restarts_have_a_budget(tmp_path: Path) -> None:
    assert run(tmp_path, {"0": [1]}, LocalRanks(), max_restarts=2) == FAILED
    assert starts(tmp_path, 0) == 3


def test_a_signal_goes_on_to_the_ranks_and_ends_it(tmp_path: Path) -> None:
    command = [sys.executable, "-S", "-c", RANK, str(tmp_path), json.dumps({"0": ["wait"]})]

    def signal_once_it_waits() -> None:
        while not (tmp_path / "waiting").exists():
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGTERM)

    with StopSignals() as stop:
        threading.Thread(target=signal_once_it_waits, daemon=True).start()
        assert launch(command, LocalRanks(), stop, QUICK, max_restarts=3) == AGAIN
    assert starts(tmp_path, 0) == 1
