"""Manifests signed and read back: compact JWS (RFC 7515) by Ed25519 or ES256."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from enum import Enum
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ed25519
from jwt.algorithms import ECAlgorithm, OKPAlgorithm
from pydantic import ValidationError

from services.orchestrator.provenance.keys import PublicKey, SigningKeys
from services.orchestrator.provenance.manifest import Manifest

TYPE = "uniaudio-manifest"
_KEY_MEMBERS = ("crv", "kty", "x", "y")


class SignatureFault(Enum):
    """Why a manifest is not believed."""

    INVALID = "invalid"
    UNKNOWN_KEY = "unknown key"


class ManifestError(Exception):
    """A manifest that is not believed: which fault it has, why in words, and the key that it names."""

    def __init__(self, fault: SignatureFault, why: str, key_id: str = "") -> None:
        super().__init__(why)
        self.fault = fault
        self.why = why
        self.key_id = key_id


class ManifestSigner:
    """Signs manifests with one key, and believes those of its own and of the older public ones."""

    def __init__(self, keys: SigningKeys) -> None:
        self._private = keys.private
        self._known = {key_id_of(key): key for key in keys.public}
        self.key_id = key_id_of(keys.public[0])
        self._jws = jwt.PyJWS(algorithms=["EdDSA", "ES256"])

    def sign(self, manifest: Manifest) -> str:
        """The manifest as a compact JWS."""
        payload = manifest.model_dump_json(exclude_none=True).encode()
        headers = {"typ": TYPE, "kid": self.key_id}
        return self._jws.encode(payload, self._private, _algorithm(self._private.public_key()), headers)

    def read(self, token: str) -> tuple[Manifest, str]:
        """What a manifest says, and its key's id. Raises ManifestError for one that is not believed."""
        key_id = self._key_named(token)
        key = self._known.get(key_id)
        if key is None:
            why = f"it names the key {key_id[:64]!r}, which is not known here"
            raise ManifestError(SignatureFault.UNKNOWN_KEY, why, key_id)
        try:
            payload = self._jws.decode(token, key, algorithms=[_algorithm(key)])
            return Manifest.model_validate_json(payload), key_id
        except jwt.PyJWTError as error:
            why = f"its signature does not hold ({error})"
            raise ManifestError(SignatureFault.INVALID, why, key_id) from error
        except ValidationError as error:
            why = f"it is signed, but of another form than {Manifest.__name__} ({error.error_count()} fields)"
            raise ManifestError(SignatureFault.INVALID, why, key_id) from error

    def jwks(self) -> str:
        """The public keys as a JSON Web Key Set."""
        keys = [
            {**_public_members(key), "kid": key_id, "alg": _algorithm(key), "use": "sig"}
            for key_id, key in self._known.items()
        ]
        return json.dumps({"keys": keys})

    def _key_named(self, token: str) -> str:
        try:
            header = self._jws.get_unverified_header(token)
        except jwt.PyJWTError as error:
            raise ManifestError(SignatureFault.INVALID, f"it is no compact JWS ({error})") from error
        if header.get("typ") != TYPE or not isinstance(header.get("kid"), str):
            raise ManifestError(SignatureFault.INVALID, f"its header does not say {TYPE!r} and a key")
        return str(header["kid"])


def key_id_of(key: PublicKey) -> str:
    """The key's thumbprint (RFC 7638), its first 16 hexadecimal digits."""
    members = _public_members(key)
    canonical = json.dumps(
        {name: members[name] for name in _KEY_MEMBERS if name in members}, separators=(",", ":")
    )
    return hashlib.sha256(canonical.encode()).hexdigest()[:16]


def _algorithm(key: PublicKey) -> str:
    return "EdDSA" if isinstance(key, ed25519.Ed25519PublicKey) else "ES256"


def _public_members(key: PublicKey) -> Mapping[str, Any]:
    if isinstance(key, ed25519.Ed25519PublicKey):
        return OKPAlgorithm.to_jwk(key, as_dict=True)
    return ECAlgorithm.to_jwk(key, as_dict=True)
