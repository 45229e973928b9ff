"""TLS on our own servers: the right certificate is asked for on both sides, and changed files are followed."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest
import uvicorn
from starlette.responses import PlainTextResponse

from tests.certificates import Authority, Pair
from uniaudio.errors import StartupError, UnavailableError
from uniaudio.runtime.ports import listening_socket
from uniaudio.runtime.server import Server, ServerConfig, Service
from uniaudio.runtime.tls import (
    ClientTlsSettings,
    ServerTlsSettings,
    client_credentials,
    server_context,
    server_credentials,
)
from uniaudio.runtime.tokenizer_client import ClientConfig, TokenizerClient
from uniaudio.v1 import tokenizer_pb2 as pb
from uniaudio.v1 import tokenizer_pb2_grpc


class Sizes(tokenizer_pb2_grpc.TokenizerServiceServicer):
    async def GetTokenizer(self, request: Any, context: Any) -> pb.GetTokenizerResponse:
        return pb.GetTokenizerResponse(sample_rate=16_000)


class Grpc:
    """A server and a client of gRPC."""

    @staticmethod
    @asynccontextmanager
    async def serving(settings: ServerTlsSettings) -> AsyncIterator[int]:
        service = Service(
            name="uniaudio.v1.TokenizerService",
            register=lambda server: tokenizer_pb2_grpc.add_TokenizerServiceServicer_to_server(
                Sizes(), server
            ),
        )
        server = Server(
            [service],
            ServerConfig(credentials=server_credentials(settings, check_seconds=0), grace_seconds=0),
        )
        port = await server.start()
        try:
            yield port
        finally:
            await server.stop()

    @staticmethod
    async def answers(port: int, settings: ClientTlsSettings) -> bool:
        config = ClientConfig(max_attempts=1, unary_timeout_seconds=10)
        async with TokenizerClient(f"127.0.0.1:{port}", config, tls=settings) as client:
            try:
                return (await client.get_tokenizer()).sample_rate == 16_000
            except UnavailableError:
                return False


class Http:
    """A server of HTTP, as the gateway starts it, and a client."""

    @staticmethod
    @asynccontextmanager
    async def serving(settings: ServerTlsSettings) -> AsyncIterator[int]:
        context = server_context(settings, check_seconds=0)
        config = uvicorn.Config(
            PlainTextResponse("16000"),
            log_config=None,
            lifespan="off",
            ssl_context_factory=lambda _config, _default: context,
        )
        server = uvicorn.Server(config)
        with listening_socket("127.0.0.1", 0, "the test's port") as socket:
            running = asyncio.create_task(server.serve(sockets=[socket]))
            try:
                yield socket.getsockname()[1]
            finally:
                server.should_exit = True
                await running

    @staticmethod
    async def answers(port: int, settings: ClientTlsSettings) -> bool:
        context = ssl.create_default_context(cafile=settings.ca_file)
        if settings.client_cert_file is not None:
            context.load_cert_chain(settings.client_cert_file, settings.client_key_file)
        scheme = "https" if settings.is_on else "http"
        name = {"sni_hostname": settings.server_name} if settings.server_name else {}
        async with httpx.AsyncClient(verify=context) as client:
            try:
                answer = await client.get(f"{scheme}://127.0.0.1:{port}/", extensions=name)
            except httpx.TransportError:
                return False
        return answer.text == "16000"


both = pytest.mark.parametrize("door", [Grpc, Http])


def shown(pair: Pair, ca: Path | None = None) -> ServerTlsSettings:
    return ServerTlsSettings(cert_file=pair.cert, key_file=pair.key, client_ca_file=ca)


def believing(ca: Path | None, pair: Pair | None = None, name: str = "") -> ClientTlsSettings:
    return ClientTlsSettings(
        enabled=ca is not None,
        ca_file=ca,
        client_cert_file=pair and pair.cert,
        client_key_file=pair and pair.key,
        server_name=name,
    )


@both
async def test_a_server_shows_its_certificate(door: type[Grpc | Http], tmp_path: Path) -> None:
    ours, other = Authority(tmp_path), Authority(tmp_path, "other")
    async with door.serving(shown(ours.pair())) as port:
        assert await door.answers(port, believing(ours.cert))
        assert await door.answers(port, believing(ours.cert, name="localhost"))
        assert not await door.answers(port, believing(other.cert))
        assert not await door.answers(port, believing(ours.cert, name="elsewhere"))
        assert not await door.answers(port, believing(None))  # plaintext
        assert not await door.answers(port, ClientTlsSettings(enabled=True))  # the public authorities


@both
async def test_mutual_tls_lets_in_whom_the_authority_signed(door: type[Grpc | Http], tmp_path: Path) -> None:
    ours, other = Authority(tmp_path), Authority(tmp_path, "other")
    async with door.serving(shown(ours.pair(), ours.cert)) as port:
        assert await door.answers(port, believing(ours.cert, ours.pair("orchestrator")))
        assert not await door.answers(port, believing(ours.cert))
        assert not await door.answers(port, believing(ours.cert, other.pair("orchestrator")))


@both
async def test_a_changed_certificate_is_followed(door: type[Grpc | Http], tmp_path: Path) -> None:
    old, new = Authority(tmp_path, "old"), Authority(tmp_path, "new")
    pair = old.pair()
    async with door.serving(shown(pair)) as port:
        assert await door.answers(port, believing(old.cert))
        pair.key.write_bytes(new.pair().key.read_bytes())  # half of a change: the old one goes on
        assert await door.answers(port, believing(old.cert))
        new.pair(into=pair)
        assert await door.answers(port, believing(new.cert))
        assert not await door.answers(port, believing(old.cert))
        pair.cert.unlink()
        assert await door.answers(port, believing(new.cert))


@both
async def test_a_client_authority_that_changes_is_followed(door: type[Grpc | Http], tmp_path: Path) -> None:
    ours, next_one = Authority(tmp_path), Authority(tmp_path, "next")
    trusted = tmp_path / "trusted.pem"
    trusted.write_bytes(ours.cert.read_bytes())
    async with door.serving(shown(ours.pair(), trusted)) as port:
        client = next_one.pair("orchestrator")
        assert not await door.answers(port, believing(ours.cert, client))
        await asyncio.sleep(0.01)
        trusted.write_bytes(ours.cert.read_bytes() + next_one.cert.read_bytes())
        assert await door.answers(port, believing(ours.cert, client))


def test_files_that_do_not_fit_stop_the_start(tmp_path: Path) -> None:
    ours = Authority(tmp_path)
    first, second = ours.pair(), ours.pair()
    with pytest.raises(StartupError, match="no certificate with its key"):
        server_credentials(ServerTlsSettings(cert_file=first.cert, key_file=second.key))
    with pytest.raises(StartupError, match="belong together"):
        ServerTlsSettings(cert_file=first.cert)
    with pytest.raises(StartupError, match="without a certificate"):
        ServerTlsSettings(client_ca_file=ours.cert)
    with pytest.raises(StartupError, match="belong together"):
        ClientTlsSettings(client_key_file=first.key)
    with pytest.raises(StartupError, match="cannot be read"):
        client_credentials(ClientTlsSettings(ca_file=tmp_path / "none"))
    (tmp_path / "text").write_text("hello")
    with pytest.raises(StartupError, match="no PEM file"):
        client_credentials(ClientTlsSettings(ca_file=tmp_path / "text"))
