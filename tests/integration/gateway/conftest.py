"""The gateway on a port before faked services, and the clients that ask it."""

from __future__ import annotations

from collections.abc import Iterator

import httpx2 as httpx
import openai
import pytest

from tests.fakes_server import FakeServices, serve
from tests.gateway_house import running_gateway


@pytest.fixture(scope="module")
def services() -> Iterator[FakeServices]:
    with serve(FakeServices()) as services:
        yield services


@pytest.fixture(scope="module")
def address(services: FakeServices) -> Iterator[str]:
    with running_gateway(services.address) as address:
        yield address


@pytest.fixture
def fake(services: FakeServices) -> FakeServices:
    services.forget()
    return services


@pytest.fixture
def client(address: str) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{address}/v1", api_key="none", max_retries=0) as client:
        yield client


@pytest.fixture
def http(address: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=address, timeout=20) as client:
        yield client
