"""The OpenAPI document: an example of every answer and every body, refusals as they are, a page without internet."""

from __future__ import annotations

import json
import re
from typing import Any

import httpx2 as httpx
import pytest

from services.gateway.pages import STUDIO
from tests.fakes_server import FakeServices

# Their only part that must be given is a recording, which JSON cannot show.
ONLY_FILES = {"encode_v1_audio_tokens_post", "verify_v1_audio_verify_post"}


@pytest.fixture
def document(http: httpx.Client) -> dict[str, Any]:
    return http.get("/openapi.json").json()


def operations(document: dict[str, Any]) -> list[dict[str, Any]]:
    return [operation for path in document["paths"].values() for operation in path.values()]


def test_every_answer_has_an_example_and_every_refusal_its_shape(document: dict[str, Any]) -> None:
    for operation in operations(document):
        answers = operation["responses"]
        assert "422" not in answers, operation["operationId"]
        refused = answers["default"]["content"]["application/json"]["schema"]
        assert refused == {"$ref": "#/components/schemas/ErrorAnswer"}
        done = answers.get("200") or answers["201"]
        for media_type, content in done["content"].items():
            if media_type.startswith("audio/") or media_type == "application/octet-stream":
                continue
            assert "example" in json.dumps(_whole(document, content)), (operation["operationId"], media_type)


def test_every_body_has_an_example(document: dict[str, Any]) -> None:
    for operation in operations(document):
        if "requestBody" in operation and operation["operationId"] not in ONLY_FILES:
            assert "examples" in json.dumps(_whole(document, operation["requestBody"])), operation[
                "operationId"
            ]


def test_an_example_shows_what_is_answered(
    fake: FakeServices, http: httpx.Client, document: dict[str, Any]
) -> None:
    for path in ("/v1/models", "/health/live", "/health/ready"):
        shown = document["paths"][path]["get"]["responses"]["200"]["content"]["application/json"]["example"]
        answer = http.get(path).json()
        assert shown.keys() == answer.keys()
        if "data" in answer:
            assert shown["data"][0].keys() == answer["data"][0].keys()


def test_the_page_that_shows_it_loads_nothing_from_elsewhere(http: httpx.Client) -> None:
    if not (STUDIO / "vendor/VERSION").is_file():
        pytest.skip("what the pages are made with is not here: python tools/fetch_assets.py")
    page = http.get("/docs")
    addresses = re.findall(r"""(?:src|href)=["']([^"']+)""", page.text)
    assert len(addresses) == 3
    for address in addresses:
        assert address.startswith("/"), address
        assert http.get(address).status_code == 200
    assert "connect-src 'self'" in page.headers["content-security-policy"]
    assert http.get("/redoc").status_code == 404


def _whole(document: dict[str, Any], part: Any) -> Any:
    """The part with what it refers to in its place."""
    if isinstance(part, list):
        return [_whole(document, one) for one in part]
    if not isinstance(part, dict):
        return part
    if "$ref" in part:
        return _whole(document, document["components"]["schemas"][part["$ref"].rpartition("/")[2]])
    return {name: _whole(document, one) for name, one in part.items()}
