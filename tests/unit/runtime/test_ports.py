"""Ports for what is bound later: none that the system gives away meanwhile."""

from __future__ import annotations

import random
import socket
from pathlib import Path

import pytest

from uniaudio.errors import StartupError
from uniaudio.runtime.ports import free_port

_EPHEMERAL = Path("/proc/sys/net/ipv4/ip_local_port_range")


@pytest.mark.skipif(not _EPHEMERAL.exists(), reason="this system does not tell its range of ephemeral ports")
def test_no_outgoing_connection_can_take_it() -> None:
    first, last = map(int, _EPHEMERAL.read_text().split())
    assert all(not first <= free_port() <= last for _ in range(50))


def test_it_can_be_bound() -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", free_port()))


def test_a_seed_set_for_the_model_does_not_choose_it() -> None:
    random.seed(1)
    first = [free_port() for _ in range(3)]
    random.seed(1)
    assert [free_port() for _ in range(3)] != first


def test_an_address_of_another_machine_is_told() -> None:
    with pytest.raises(StartupError, match=r"no free port on 192\.0\.2\.1"):
        free_port("192.0.2.1")
