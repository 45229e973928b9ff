"""The guard before the real front door: who is let in, how far, how much, and what is written down."""

from __future__ import annotations

import asyncio
import json
import urllib.error
import urllib.request
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import pytest
import uvicorn
from google.rpc import error_details_pb2, status_pb2
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from services.gateway.app import create_app
from services.gateway.bounds import Bounds
from services.gateway.middleware import bearer_token
from services.gateway.neighbours import Neighbours
from services.orchestrator.clients import Generated, Task
from services.orchestrator.domain import Sampling
from tests.fakes_speech import FakeLanguageModel, Floats, reading, speech_like, tone
from tests.job_service_house import running_jobs
from tests.orchestrator_house import House, everything, live_requests, opened, refused, running_house, wav
from uniaudio.client import AsyncSpeechClient, EditItem, batch
from uniaudio.errors import InvalidInputError, QuotaExceededError, StartupError, UnavailableError
from uniaudio.runtime.guard.audit_log import AuditLog
from uniaudio.runtime.guard.audit_verify import verify_files
from uniaudio.runtime.guard.callers import current_caller
from uniaudio.runtime.guard.guard import Guard, TokenKinds
from uniaudio.runtime.guard.meter import AUDIO_UNIT, REQUEST_UNIT
from uniaudio.runtime.guard.quota import Quota, Quotas
from uniaudio.runtime.guard.quota_sqlite import SqliteCounters
from uniaudio.runtime.guard.roles import Role
from uniaudio.runtime.guard.settings import GuardSettings
from uniaudio.runtime.guard.token_file import TokenFile, create_token
from uniaudio.runtime.guard.wiring import make_guard
from uniaudio.runtime.ports import listening_socket
from uniaudio.v1 import speech_pb2

SECRET = "the words of a secret text"


@dataclass
class Guarded:
    """A house behind a guard, its tokens, and its audit log."""

    house: House
    tokens: dict[str, str]
    audit: Path

    def transcribe(self, token: str, **fields: Any) -> Any:
        request = speech_pb2.TranscribeRequest(**{"audio": wav(1.0), **fields})
        return self.house.stub.Transcribe(request, timeout=20, metadata=bearer(token))

    def records(self) -> list[dict[str, Any]]:
        records = [json.loads(line) for line in self.audit.read_bytes().splitlines()]
        return [record for record in records if record["kind"] == "call"]


def bearer(token: str) -> tuple[tuple[str, str], ...]:
    return (("authorization", f"Bearer {token}"),) if token else ()


@asynccontextmanager
async def guarded(folder: Path, *quotas: Quota) -> AsyncIterator[Guarded]:
    path = folder / "tokens.json"
    tokens = {
        "ann": create_token(path, "ann", (Role.SPEECH,))[0],
        "bob": create_token(path, "bob", (Role.SPEECH,))[0],
        "joe": create_token(path, "joe", (Role.JOBS,))[0],
        "old": create_token(path, "old", (Role.ADMIN,), days=-1)[0],
        "": "",
    }
    guard = Guard(
        authenticator=TokenKinds(TokenFile(path), None),
        quotas=Quotas(SqliteCounters(), quotas),
        audit=AuditLog(folder / "audit.log"),
    )
    async with running_house(guard) as house:
        yield Guarded(house, tokens, folder / "audit.log")
    await guard.close()
    verify_files([folder / "audit.log"])


def requests_a_minute(limit: int) -> Quota:
    return Quota(name="requests", unit=REQUEST_UNIT, limit=limit, window_seconds=60)


def audio_an_hour(seconds: int) -> Quota:
    return Quota(name="audio", unit=AUDIO_UNIT, limit=1000 * seconds, window_seconds=3600)


async def test_a_token_lets_in_and_names_its_caller(tmp_path: Path) -> None:
    async with guarded(tmp_path) as it:
        seen: list[str] = []
        answer = it.house.model.script

        def asked(task: Task, latents: Floats | None, sampling: Sampling) -> list[Generated]:
            seen.append(current_caller().name)
            return answer(task, latents, sampling)

        it.house.model.script = asked
        calls = [it.transcribe(it.tokens[name]) for name in ("ann", "bob", "ann")]
        assert [(await call).text for call in calls] == ["hello world"] * 3
        assert sorted(seen) == ["ann", "ann", "bob"]
    assert current_caller().name == "anonymous"


@pytest.mark.parametrize("token", ["", "old", "wrong", "jwt"])
async def test_strangers_are_refused_before_their_message_is_read(tmp_path: Path, token: str) -> None:
    async with guarded(tmp_path) as it:
        sent = {"wrong": "ua_" + "0" * 12 + "_" + "x" * 43, "jwt": "a.b.c"}.get(token) or it.tokens[token]
        call = it.house.stub.Transcribe(
            speech_pb2.TranscribeRequest(audio={"content": bytes(4 << 20)}),
            timeout=20,
            metadata=bearer(sent),
        )
        await refused(call, grpc.StatusCode.UNAUTHENTICATED, "UNAUTHENTICATED", "authorization: Bearer")
        for stream in (
            it.house.stub.Synthesize(
                speech_pb2.SynthesizeRequest(text="hi"), timeout=20, metadata=bearer(sent)
            ),
            it.house.stub.StreamTranscribe(iter([]), timeout=20, metadata=bearer(sent)),
        ):
            await refused(stream, grpc.StatusCode.UNAUTHENTICATED, "UNAUTHENTICATED")
        assert [record["bytes_in"] for record in it.records()] == [0, 0, 0]
        assert {record["caller"] for record in it.records()} == {"unknown"}
        assert it.house.model.tasks == []


@pytest.mark.parametrize("value", ["Basic YTpi", "Bearer", "", "Bearer  "])
async def test_odd_authorizations_are_refused(tmp_path: Path, value: str) -> None:
    async with guarded(tmp_path) as it:
        metadata = (("authorization", value),)
        call = it.house.stub.Transcribe(speech_pb2.TranscribeRequest(), timeout=20, metadata=metadata)
        await refused(call, grpc.StatusCode.UNAUTHENTICATED, "UNAUTHENTICATED")
        twice = bearer(it.tokens["ann"]) * 2
        call = it.house.stub.Transcribe(speech_pb2.TranscribeRequest(), timeout=20, metadata=twice)
        await refused(call, grpc.StatusCode.UNAUTHENTICATED, "UNAUTHENTICATED", "2 tokens")


async def test_a_known_caller_without_the_role_is_refused(tmp_path: Path) -> None:
    async with guarded(tmp_path) as it:
        details = await refused(
            it.transcribe(it.tokens["joe"]),
            grpc.StatusCode.PERMISSION_DENIED,
            "PERMISSION_DENIED",
            "joe may not",
        )
        assert details["limit"] == "the role speech"
        info = it.house.stub.GetInfo(
            speech_pb2.GetInfoRequest(), timeout=20, metadata=bearer(it.tokens["joe"])
        )
        assert (await info).version
        unknown = it.house.channel.unary_unary("/uniaudio.v1.SpeechService/Sing")
        await refused(
            unknown(b"", timeout=20, metadata=bearer(it.tokens["ann"])),
            grpc.StatusCode.PERMISSION_DENIED,
            "PERMISSION_DENIED",
        )


async def test_probes_need_no_token_and_reflection_does(tmp_path: Path) -> None:
    async with guarded(tmp_path, requests_a_minute(1)) as it:
        for _ in range(3):
            answer = await it.house.health.Check(health_pb2.HealthCheckRequest(), timeout=20)
            assert answer.status == health_pb2.HealthCheckResponse.SERVING
        assert it.records() == []
        reflection = reflection_pb2_grpc.ServerReflectionStub(it.house.channel)
        asked = [reflection_pb2.ServerReflectionRequest(list_services="")]
        await refused(
            reflection.ServerReflectionInfo(iter(asked), timeout=20),
            grpc.StatusCode.UNAUTHENTICATED,
            "UNAUTHENTICATED",
        )
        call = reflection.ServerReflectionInfo(iter(asked), timeout=20, metadata=bearer(it.tokens["joe"]))
        assert len(await everything(call)) == 1


async def test_the_gateway_is_ready_behind_the_guard_and_passes_tokens_on(tmp_path: Path) -> None:
    async with guarded(tmp_path) as it:

        def ask(address: str, token: str = "") -> tuple[int, bytes]:
            request = urllib.request.Request(
                address, headers={"Authorization": f"Bearer {token}"} if token else {}
            )
            try:
                with urllib.request.urlopen(request, timeout=20) as answer:
                    return answer.status, answer.read()
            except urllib.error.HTTPError as error:
                return error.code, error.read()

        async with gateway_before(it.house.address) as gateway:
            assert await asyncio.to_thread(ask, f"{gateway}/health/ready") == (200, b'{"status":"ready"}')
            assert (await asyncio.to_thread(ask, f"{gateway}/v1/models"))[0] == 401
            assert (await asyncio.to_thread(ask, f"{gateway}/v1/models", it.tokens["ann"]))[0] == 200


@asynccontextmanager
async def gateway_before(address: str) -> AsyncIterator[str]:
    """The base address of a gateway in this test's own loop."""
    async with AsyncSpeechClient(address, token=bearer_token, timeout_seconds=20) as speech:
        app = create_app(Neighbours(speech=speech, max_request_seconds=20), Bounds())
        server = uvicorn.Server(uvicorn.Config(app, log_config=None, timeout_graceful_shutdown=2))
        with listening_socket("127.0.0.1", 0, "the test's port") as socket:
            serving = asyncio.create_task(server.serve(sockets=[socket]))
            async with asyncio.timeout(20):
                while not server.started:
                    await asyncio.sleep(0.01)
            yield f"http://127.0.0.1:{socket.getsockname()[1]}"
            server.should_exit = True
            await serving


async def test_requests_beyond_the_quota_say_when_to_come_back(tmp_path: Path) -> None:
    async with guarded(tmp_path, requests_a_minute(5)) as it:
        calls = [it.transcribe(it.tokens["ann"]) for _ in range(12)]
        results = await asyncio.gather(*calls, return_exceptions=True)
        errors = [error for error in results if isinstance(error, grpc.aio.AioRpcError)]
        over = [error for error in errors if "used 5 of 5 requests" in (error.details() or "")]
        assert len(over) == 7
        trailers = dict(over[0].trailing_metadata() or ())
        status = status_pb2.Status.FromString(trailers["grpc-status-details-bin"])
        retry = error_details_pb2.RetryInfo()
        assert any(detail.Unpack(retry) for detail in status.details)
        assert 0 < retry.retry_delay.ToTimedelta().total_seconds() <= 61
        await it.transcribe(it.tokens["bob"])


async def test_audio_is_counted_as_it_is_read_and_made(tmp_path: Path) -> None:
    async with guarded(tmp_path, audio_an_hour(10)) as it:
        ann, heard = it.tokens["ann"], speech_like(2.0)
        await it.transcribe(ann)  # 1 s
        await everything(
            it.house.stub.Synthesize(
                speech_pb2.SynthesizeRequest(text="hi"), timeout=20, metadata=bearer(ann)
            )
        )  # 3 s
        live = it.house.stub.StreamTranscribe(iter(live_requests(heard)), timeout=20, metadata=bearer(ann))
        await everything(live)  # 2 s
        call = it.transcribe(ann, audio=wav(4.5))
        details = await refused(call, grpc.StatusCode.RESOURCE_EXHAUSTED, "QUOTA_EXCEEDED", "ann used")
        used = int(details["value"].split()[0])
        assert abs(used - 4_000 - len(heard) / 16) <= 40  # each piece counts up to the next millisecond
        await it.transcribe(ann, audio=wav((10_000 - used) / 1000 - 0.001))
        await it.transcribe(it.tokens["bob"], audio=wav(9.0))


async def test_a_stream_ends_when_the_quota_does(tmp_path: Path) -> None:
    async with guarded(tmp_path, audio_an_hour(3)) as it:
        call = opened(it.house, live_requests(speech_like(5.0)), metadata=bearer(it.tokens["ann"]))
        await refused(call, grpc.StatusCode.RESOURCE_EXHAUSTED, "QUOTA_EXCEEDED")


async def test_what_failed_by_our_fault_costs_nothing(tmp_path: Path) -> None:
    async with guarded(tmp_path, audio_an_hour(5)) as it:
        answer = it.house.model.script

        def away(task: Task, latents: Floats | None, sampling: Sampling) -> list[Generated]:
            raise UnavailableError("the LLM is away", value="away", limit="there", remedy="wait")

        it.house.model.script = away
        for _ in range(3):
            call = it.transcribe(it.tokens["ann"], audio=wav(4.0))
            await refused(call, grpc.StatusCode.UNAVAILABLE, "UNAVAILABLE")
        it.house.model.script = answer
        await it.transcribe(it.tokens["ann"], audio=wav(4.0))


async def test_every_call_leaves_a_record_and_none_of_its_content(tmp_path: Path) -> None:
    async with guarded(tmp_path) as it:
        ann = it.tokens["ann"]
        await it.transcribe(ann, request_id="mine", context_phrases=[SECRET])
        request = speech_pb2.SynthesizeRequest(text=SECRET)
        await everything(it.house.stub.Synthesize(request, timeout=20, metadata=bearer(ann)))
        await refused(
            it.transcribe(ann, audio={"content": b"odd"}), grpc.StatusCode.INVALID_ARGUMENT, "INVALID_AUDIO"
        )
        first, second, third = it.records()
        assert (first["caller"], first["method"], first["outcome"], first["request_id"]) == (
            "ann", "/uniaudio.v1.SpeechService/Transcribe", "OK", "mine",
        )  # fmt: skip
        assert first["bytes_in"] > 32_000
        assert second["bytes_out"] > 90_000
        assert (third["outcome"], third["reason"]) == ("INVALID_ARGUMENT", "INVALID_AUDIO")
        told = it.audit.read_text()
        for word in (*SECRET.split()[-2:], "hello", ann):
            assert word not in told


async def test_no_call_is_served_while_none_can_be_recorded(tmp_path: Path) -> None:
    class FullDisk(AuditLog):
        """An audit log whose disk is full while it says so."""

        is_full = False

        def _write(self, fields: Any) -> None:
            if self.is_full:
                self._failure = OSError(28, "No space left on device")
                raise self._failure
            super()._write(fields)

    audit = FullDisk(tmp_path / "audit.log")
    guard = Guard(audit=audit)
    async with running_house(guard) as house:
        await house.serves()
        audit.is_full = True
        await house.serves()  # the one whose record is lost
        call = house.stub.Transcribe(speech_pb2.TranscribeRequest(audio=wav(1.0)), timeout=20)
        await refused(call, grpc.StatusCode.UNAVAILABLE, "AUDIT_LOG_AWAY", "No space left")
        audit.is_full = False
        await house.serves()
    await guard.close()
    kinds = [json.loads(line)["kind"] for line in (tmp_path / "audit.log").read_bytes().splitlines()]
    assert kinds == ["start", "call", "resumed", "call"]


async def test_strangers_cannot_fill_the_audit_log(tmp_path: Path) -> None:
    async with guarded(tmp_path) as it:
        await asyncio.gather(*(it.transcribe("") for _ in range(100)), return_exceptions=True)
        assert len(it.records()) < 100
        await asyncio.sleep(1.1)
        await asyncio.gather(it.transcribe(""), return_exceptions=True)
        told = sum(1 + record.get("similar_before", 0) for record in it.records())
        assert told == 101


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.7", "example.com"])
def test_an_open_address_needs_authentication_or_a_word(host: str, tmp_path: Path) -> None:
    with pytest.raises(StartupError, match="UNIAUDIO_ALLOW_ANONYMOUS"):
        make_guard(GuardSettings(), host=host)
    make_guard(GuardSettings(allow_anonymous=True), host=host)
    create_token(tmp_path / "tokens.json", "ann", (Role.SPEECH,))
    make_guard(GuardSettings(token_file=tmp_path / "tokens.json"), host=host)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "[::1]"])
def test_loopback_is_open_by_default(host: str) -> None:
    make_guard(GuardSettings(), host=host)


def test_a_quota_store_that_is_none_stops_the_start() -> None:
    with pytest.raises(StartupError, match="memory, sqlite:PATH"):
        make_guard(GuardSettings(requests_per_minute=1, quota_store="mysql://x"), host="127.0.0.1")


async def test_a_token_s_own_limits_take_the_place_of_everybody_s(tmp_path: Path) -> None:
    path = tmp_path / "tokens.json"
    more = {"requests_per_minute": 3}
    tokens = {
        name: create_token(path, name, (Role.SPEECH,), limits=limits)[0]
        for name, limits in {"ann": more, "bob": {}, "free": {"requests_per_minute": 0}}.items()
    }
    guard = make_guard(GuardSettings(token_file=path, requests_per_minute=1), host="127.0.0.1")
    async with running_house(guard) as house:
        served = {name: [await _is_served(house, token) for _ in range(4)] for name, token in tokens.items()}
    await guard.close()
    assert {name: sum(answers) for name, answers in served.items()} == {"ann": 3, "bob": 1, "free": 4}


async def _is_served(house: House, token: str) -> bool:
    try:
        await house.stub.GetInfo(speech_pb2.GetInfoRequest(), timeout=20, metadata=bearer(token))
    except grpc.aio.AioRpcError as error:
        if error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED:
            return False
        raise
    return True


async def test_jobs_count_their_audio_once_for_each_edit(tmp_path: Path) -> None:
    quotas = Quotas(SqliteCounters(), [audio_an_hour(10)])
    louder = "make it twice as loud"
    guard = Guard(quotas=quotas, audit=AuditLog(tmp_path / "audit.log"))
    async with running_jobs(tmp_path / "jobs", FakeLanguageModel(reading()), guard=guard) as house:
        jobs = house.client.jobs
        recording = await jobs.upload(tone(2.0), sample_rate=16_000)
        for _ in range(3):  # the same job again costs nothing
            await jobs.create(batch([recording], [louder, "make it 2 times faster"]), request_id="mine")
        with pytest.raises(InvalidInputError):
            await jobs.create([EditItem(audio=recording, edits=["delete 'x"])], request_id="x" * 200)
        with pytest.raises(QuotaExceededError, match="used 4000 of 10000"):
            await jobs.create(batch([recording] * 4, [louder]))
        await jobs.create(batch([recording] * 3, [louder]))
        with pytest.raises(QuotaExceededError, match="used 10000 of 10000"):
            await jobs.create(batch([recording], [louder]))
    await guard.close()
    records = map(json.loads, (tmp_path / "audit.log").read_bytes().splitlines())
    uploaded, created, again, *_ = (record for record in records if record["kind"] == "call")
    assert set(uploaded["resources"]) == {"recording_id"}
    assert set(created["resources"]) == {"job_id"}
    assert created["resources"] == again["resources"]
