"""The WebSocket: a conversation, and what does not begin one."""

from __future__ import annotations

import json

import pytest
from websockets.sync.client import connect

from tests.fakes_server import NUM_SAMPLES, FakeServices


def test_a_live_conversation(fake: FakeServices, address: str) -> None:
    with connect(address.replace("http", "ws") + "/v1/audio/live") as socket:
        socket.send(json.dumps({"type": "start", "sample_rate": 16000, "language": "en"}))
        socket.send(bytes(3200))
        assert json.loads(socket.recv(10))["text"] == "heard 3200"
        socket.send(json.dumps({"type": "speak", "text": "hello", "seed": 3}))
        assert json.loads(socket.recv(10))["type"] == "speech.start"
        sound = socket.recv(10) + socket.recv(10)
        assert len(sound) == 2 * NUM_SAMPLES
        assert json.loads(socket.recv(10))["report"]["seed"] == "3"
        socket.send(json.dumps({"type": "stop"}))
        last = json.loads(socket.recv(10))
        assert (last["text"], last["final"]) == ("all 3200", True)
        assert json.loads(socket.recv(10)) == {"type": "end"}


@pytest.mark.parametrize("first", ["{}", '{"type": "start", "sample_rate": 1}', "no json"])
def test_a_live_conversation_begins_with_start(address: str, first: str) -> None:
    with connect(address.replace("http", "ws") + "/v1/audio/live") as socket:
        socket.send(first)
        told = json.loads(socket.recv(10))
        assert (told["type"], told["error"]["code"]) == ("error", "bad_message")


def test_who_leaves_after_stop_ends_the_work(fake: FakeServices, address: str) -> None:
    fake.wait_after_first_piece = lambda _context: fake.cancelled.wait(10)
    with connect(address.replace("http", "ws") + "/v1/audio/live") as socket:
        socket.send(json.dumps({"type": "start"}))
        socket.send(json.dumps({"type": "speak", "text": "hello"}))
        assert json.loads(socket.recv(10))["type"] == "speech.start"
        assert isinstance(socket.recv(10), bytes)
        socket.send(json.dumps({"type": "stop"}))
    assert fake.cancelled.wait(10)


def test_nothing_follows_stop(address: str, fake: FakeServices) -> None:
    fake.wait_after_first_piece = lambda _context: fake.cancelled.wait(10)
    with connect(address.replace("http", "ws") + "/v1/audio/live") as socket:
        socket.send(json.dumps({"type": "start"}))
        socket.send(json.dumps({"type": "speak", "text": "hello"}))
        socket.send(json.dumps({"type": "stop"}))
        socket.send(json.dumps({"type": "speak", "text": "more"}))
        told = socket.recv(10)
        while isinstance(told, bytes) or json.loads(told)["type"] != "error":
            told = socket.recv(10)
    error = json.loads(told)["error"]
    assert (error["code"], "something followed stop" in error["message"]) == ("bad_message", True)
