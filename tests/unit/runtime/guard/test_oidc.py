"""OIDC tokens: only what the issuer signed for us counts, keys rotate, and an issuer that is away locks nobody out."""

from __future__ import annotations

import asyncio
import base64
import json
import time
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from uniaudio.errors import StartupError, UnauthenticatedError, UnavailableError
from uniaudio.runtime.guard.oidc import KeySet, OidcConfig, OidcTokens
from uniaudio.runtime.guard.roles import Role

ISSUER, AUDIENCE = "https://id.example", "uniaudio"
RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
EC = ec.generate_private_key(ec.SECP256R1())
ED = ed25519.Ed25519PrivateKey.generate()
ALGORITHMS = {"RS256": RSA, "PS256": RSA, "ES256": EC, "EdDSA": ED}


def config(**changes: Any) -> OidcConfig:
    return OidcConfig(**{
        "issuer": ISSUER, "audience": AUDIENCE, "jwks_url": "https://id.example/keys", "leeway_seconds": 5,
        "retry_seconds": 0, **changes,
    })  # fmt: skip


def public(key: Any, key_id: str, algorithm: str) -> dict[str, Any]:
    made = jwt.get_algorithm_by_name(algorithm).to_jwk(key.public_key(), as_dict=True)
    return {**made, "kid": key_id, "alg": algorithm, "use": "sig"}


class Issuer:
    """Publishes keys, counts who asks for them, and can be away."""

    def __init__(self) -> None:
        self.keys = [public(key, name, name) for name, key in ALGORITHMS.items()]
        self.num_fetched = 0
        self.is_away = False

    def fetch(self) -> bytes:
        self.num_fetched += 1
        if self.is_away:
            raise ConnectionRefusedError("away")
        return json.dumps({"keys": self.keys}).encode()


def token(
    algorithm: str = "RS256", key: Any = None, kid: str | None = None, drop: str = "", **claims: Any
) -> str:
    now = time.time()
    content = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": "ann",
        "exp": now + 60,
        "roles": ["speech", "odd"],
        **claims,
    }
    content.pop(drop, None)
    return jwt.encode(content, key or ALGORITHMS[algorithm], algorithm, headers={"kid": kid or algorithm})


@pytest.mark.parametrize("algorithm", ALGORITHMS)
async def test_a_signed_token_names_its_caller(algorithm: str) -> None:
    caller = await OidcTokens(config(), Issuer().fetch).authenticate(token(algorithm))
    assert (caller.name, caller.roles) == ("oidc/ann", frozenset({Role.SPEECH}))


async def test_roles_may_be_a_text_in_another_claim() -> None:
    tokens = OidcTokens(config(roles_claim="scope"), Issuer().fetch)
    assert (await tokens.authenticate(token(scope="jobs openid voices"))).roles == {Role.JOBS, Role.VOICES}
    assert (await tokens.authenticate(token(scope=7))).roles == frozenset()


async def test_limits_stand_in_a_claim() -> None:
    tokens = OidcTokens(config(), Issuer().fetch)
    assert (await tokens.authenticate(token())).limits == {}
    limits = {"audio_seconds_per_day": 60, "requests_per_minute": 0}
    caller = await tokens.authenticate(token(limits=limits))
    assert caller.limits == {"audio_seconds_per_day": 60_000, "requests_per_minute": 0}
    assert (
        await OidcTokens(config(limits_claim="x"), Issuer().fetch).authenticate(token(limits=7))
    ).limits == {}


PUBLIC_BYTES = json.dumps(public(RSA, "RS256", "RS256")).encode()
BAD = {
    "expired": lambda: token(exp=time.time() - 6),
    "not yet": lambda: token(nbf=time.time() + 60),
    "another issuer": lambda: token(iss="https://evil.example"),
    "another audience": lambda: token(aud="someone"),
    "no expiry": lambda: token(drop="exp"),
    "no audience": lambda: token(drop="aud"),
    "no subject": lambda: token(drop="sub"),
    "no issuer": lambda: token(drop="iss"),
    "odd subject": lambda: token(sub="a\nb"),
    "long subject": lambda: token(sub="x" * 129),
    "odd limits": lambda: token(limits=[1]),
    "unknown limits": lambda: token(limits={"requests": 1}),
    "a limit that is no number": lambda: token(limits={"requests_per_minute": "many"}),
    "another key": lambda: token(key=rsa.generate_private_key(public_exponent=65537, key_size=2048)),
    "another key's id": lambda: token("RS256", kid="ES256"),
    "another algorithm of the same key": lambda: token("PS256", kid="RS256"),
    "unknown key": lambda: token(kid="gone"),
    "shared secret": lambda: jwt.encode(
        {"iss": ISSUER, "aud": AUDIENCE, "sub": "ann", "exp": time.time() + 60},
        base64.b64encode(PUBLIC_BYTES).decode(), "HS256", headers={"kid": "RS256"},
    ),
    "no signature": lambda: jwt.encode(
        {"iss": ISSUER, "aud": AUDIENCE, "sub": "ann", "exp": time.time() + 60}, None, "none", headers={"kid": "RS256"}
    ),
    "changed": lambda: token()[:-4] + "AAAA",
    "garbage": lambda: "a.b.c",
    "empty": lambda: "",
    "huge": lambda: "a" * 20_000,
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
async def test_what_the_issuer_did_not_sign_for_us_is_nobody_s(name: str) -> None:
    tokens = OidcTokens(config(), Issuer().fetch)
    with pytest.raises(UnauthenticatedError):
        await tokens.authenticate(BAD[name]())


async def test_clocks_may_differ_a_little() -> None:
    await OidcTokens(config(), Issuer().fetch).authenticate(token(exp=time.time() - 2))


async def test_a_new_key_is_fetched_and_an_old_one_forgotten() -> None:
    issuer = Issuer()
    tokens = OidcTokens(config(refresh_seconds=0), issuer.fetch)
    await tokens.authenticate(token())
    issuer.keys = [public(EC, "fresh", "ES256")]
    await tokens.authenticate(token("ES256", kid="fresh"))
    with pytest.raises(UnauthenticatedError):
        await tokens.authenticate(token())


async def test_known_keys_go_on_while_the_issuer_is_away() -> None:
    issuer = Issuer()
    tokens = OidcTokens(config(refresh_seconds=0), issuer.fetch)
    await tokens.authenticate(token())
    issuer.is_away = True
    for _ in range(3):
        await tokens.authenticate(token())
        await asyncio.sleep(0.01)
    assert issuer.num_fetched > 1


async def test_without_any_key_nobody_can_be_told_apart() -> None:
    issuer = Issuer()
    issuer.is_away = True
    tokens = OidcTokens(config(), issuer.fetch)
    with pytest.raises(UnavailableError, match="could not be fetched"):
        await tokens.authenticate(token())
    issuer.is_away = False
    await tokens.authenticate(token())


async def test_unknown_key_ids_do_not_flood_the_issuer() -> None:
    issuer = Issuer()
    keys = KeySet(config(retry_seconds=60), issuer.fetch)
    for number in range(50):
        with pytest.raises(UnauthenticatedError):
            await keys.key(f"made-up-{number}")
    assert issuer.num_fetched == 1


@pytest.mark.parametrize("content", [
    b"", b"{", b"[]", b'{"keys": 3}', b'{"keys": []}', b'{"keys": [{"kty": "oct", "k": "c2VjcmV0", "kid": "RS256"}]}',
    json.dumps({"keys": [{"kid": "x"}] * 65}).encode(), b'{"keys": ["x", {"kty": "RSA", "kid": "RS256"}]}',
])  # fmt: skip
async def test_a_key_set_that_is_none_counts_as_away(content: bytes) -> None:
    with pytest.raises(UnavailableError):
        await OidcTokens(config(), lambda: content).authenticate(token())


@pytest.mark.parametrize("url", ["http://id.example/keys", "file:///etc/passwd", "", "id.example"])
def test_keys_come_by_https_alone(url: str) -> None:
    with pytest.raises(StartupError, match="https"):
        config(jwks_url=url)
