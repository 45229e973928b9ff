"""Fetches what the gateway's pages are made with from the npm registry, pinned by hash: `python tools/fetch_assets.py`.

Nothing of it is committed, and it needs no Node: tarballs over HTTPS, of which some files are kept.
"""

from __future__ import annotations

import base64
import hashlib
import io
import os
import sys
import tarfile
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

VENDOR = Path(__file__).resolve().parents[1] / "services/gateway/studio/vendor"
REGISTRY = "https://registry.npmjs.org"
_STAMP = "VERSION"
_TIMEOUT_SECONDS = 60
_MAX_BYTES = 8 << 20


@dataclass(frozen=True)
class Package:
    """A package of the registry: its SHA-512, base64, and the files that are kept, by their names inside it."""

    name: str
    version: str
    sha512: str
    files: Mapping[str, str]


PACKAGES = (
    Package(
        "wavesurfer.js",  # the studio's time line
        "8.0.1",
        "h0OnRWSVTqIYLSw3/IVrBtsun/xw9L5u4FA3bjfSDTFMX/xswVWS1JwK4fFu3ulmxRUSHg8zQORl6zENG983eg==",
        {
            "dist/wavesurfer.esm.js": "wavesurfer.esm.js",
            "dist/plugins/regions.esm.js": "plugins/regions.esm.js",
            "dist/plugins/spectrogram.esm.js": "plugins/spectrogram.esm.js",
            "dist/plugins/timeline.esm.js": "plugins/timeline.esm.js",
            "LICENSE": "LICENSE",
        },
    ),
    Package(
        "swagger-ui-dist",  # the page that shows the API's document
        "5.35.0",
        "U06rpMtW9V3XPGOBeamTUSr0Z09jMX4IJuANpE/EZbAhw0G8CgwrzU4YmXkn/h0wCDNsXdGarTNNHC3sU8yVUQ==",
        {
            name: f"swagger-ui/{name}"
            for name in (
                "swagger-ui-bundle.js",
                "swagger-ui-bundle.js.LICENSE.txt",
                "swagger-ui.css",
                "LICENSE",
                "NOTICE",
            )
        },
    ),
)


def main() -> int:
    """0 once the files are there; 1 with a reason where they cannot be had."""
    stamp = VENDOR / _STAMP
    wanted = "".join(f"{package.name} {package.version}\n" for package in PACKAGES)
    if stamp.is_file() and stamp.read_text() == wanted:
        return 0
    registry = (os.environ.get("NPM_CONFIG_REGISTRY") or REGISTRY).rstrip("/")
    try:
        for package in PACKAGES:
            _keep(package, _fetched(f"{registry}/{package.name}/-/{package.name}-{package.version}.tgz"))
    except OSError as error:
        print(f"{error}; set NPM_CONFIG_REGISTRY to a registry that can be reached", file=sys.stderr)
        return 1
    except ValueError as error:
        print(f"{error}; nothing of it was kept", file=sys.stderr)
        return 1
    stamp.write_text(wanted)
    return 0


def _fetched(address: str) -> bytes:
    try:
        with urllib.request.urlopen(address, timeout=_TIMEOUT_SECONDS) as answer:
            content: bytes = answer.read(_MAX_BYTES)
            return content
    except OSError as error:
        raise OSError(f"{address}: {error}") from error


def _keep(package: Package, content: bytes) -> None:
    """Writes the package's files; ValueError for other bytes than the pinned ones."""
    if base64.b64encode(hashlib.sha512(content).digest()).decode() != package.sha512:
        raise ValueError(f"{package.name} {package.version} is not what was pinned")
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        for name, kept in package.files.items():
            file = archive.extractfile(f"package/{name}")
            assert file is not None, name
            target = VENDOR / kept
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(file.read())


if __name__ == "__main__":
    sys.exit(main())
