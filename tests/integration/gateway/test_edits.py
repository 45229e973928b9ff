"""Edits over HTTP in each form of answer; latents there and back."""

from __future__ import annotations

import base64

import httpx2 as httpx
import pytest

from tests.fakes_server import NUM_SAMPLES, FakeServices
from tests.gateway_house import WAV, error_of, events_of


def test_an_edit_streams_plan_audio_and_report(fake: FakeServices, http: httpx.Client) -> None:
    form = {"instruction": "make it twice as fast", "stream_format": "sse", "response_format": "pcm"}
    events = events_of(http.post("/v1/audio/edits", files={"file": ("a.wav", WAV)}, data=form))
    kinds = [event["type"] for event in events]
    assert kinds[0] == "edit.plan"
    assert kinds[-1] == "edit.done"
    assert "".join(e["delta"] for e in events if e["type"] == "edit.reasoning.delta") == "hello there"
    assert events[0]["plan"]["kind"] == "EDIT_KIND_SPEED"
    assert events[-1]["report"]["checks"][0]["measured"] == pytest.approx(0.5001)
    sound = b"".join(base64.b64decode(e["audio"]) for e in events if e["type"] == "edit.audio.delta")
    assert len(sound) == 2 * NUM_SAMPLES


def test_an_edit_as_bytes_as_json_and_as_a_plan(fake: FakeServices, http: httpx.Client) -> None:
    files, form = {"file": ("a.wav", WAV)}, {"instruction": "make it twice as fast"}
    sound = http.post("/v1/audio/edits", files=files, data=form)
    assert (sound.headers["content-type"], sound.content[:4]) == ("audio/wav", b"RIFF")
    whole = http.post("/v1/audio/edits", files=files, data={**form, "stream_format": "json"}).json()
    content = base64.b64decode(whole["audio"])
    assert int.from_bytes(content[40:44], "little") == 2 * NUM_SAMPLES  # its true length
    assert whole["report"]["result_seconds"] == pytest.approx(0.2)
    planned = http.post("/v1/audio/edits", files=files, data={**form, "validate_only": "true"}).json()
    assert planned["plan"]["summary"] == "Twice as fast, same pitch."


def test_latents_there_and_back(fake: FakeServices, http: httpx.Client) -> None:
    tokens = http.post("/v1/audio/tokens", files={"file": ("a.wav", WAV)}).json()
    assert (tokens["object"], tokens["num_frames"], tokens["latent_dim"]) == ("audio.tokens", 5, 4)
    sound = http.post("/v1/audio/tokens/decode", json={"tokens": tokens, "response_format": "pcm"})
    assert len(sound.content) == 2 * round(5 * 320 * 1.5)
    bad = http.post("/v1/audio/tokens/decode", json={"tokens": {**tokens, "num_frames": 6}})
    assert (bad.status_code, error_of(bad)["param"]) == (400, "tokens.data")
