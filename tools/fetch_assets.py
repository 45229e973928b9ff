"""Fetches the studio's waveform component from the npm registry, pinned by its hash: `python tools/fetch_assets.py`.

It is not committed and needs no Node: a tarball over HTTPS, of which four files are kept.
"""

from __future__ import annotations

import base64
import hashlib
import io
import os
import sys
import tarfile
import urllib.request
from pathlib import Path

VENDOR = Path(__file__).resolve().parents[1] / "services/gateway/studio/vendor"
REGISTRY = "https://registry.npmjs.org"
VERSION = "8.0.1"
SHA512 = "h0OnRWSVTqIYLSw3/IVrBtsun/xw9L5u4FA3bjfSDTFMX/xswVWS1JwK4fFu3ulmxRUSHg8zQORl6zENG983eg=="
FILES = {
    "package/dist/wavesurfer.esm.js": "wavesurfer.esm.js",
    "package/dist/plugins/regions.esm.js": "plugins/regions.esm.js",
    "package/dist/plugins/spectrogram.esm.js": "plugins/spectrogram.esm.js",
    "package/dist/plugins/timeline.esm.js": "plugins/timeline.esm.js",
    "package/LICENSE": "LICENSE",
}
_STAMP = "VERSION"
_TIMEOUT_SECONDS = 60


def main() -> int:
    """0 once the files are there; 1 with a reason where they cannot be had."""
    stamp = VENDOR / _STAMP
    if stamp.is_file() and stamp.read_text() == VERSION:
        return 0
    registry = (os.environ.get("NPM_CONFIG_REGISTRY") or REGISTRY).rstrip("/")
    address = f"{registry}/wavesurfer.js/-/wavesurfer.js-{VERSION}.tgz"
    try:
        with urllib.request.urlopen(address, timeout=_TIMEOUT_SECONDS) as answer:
            content = answer.read(4 << 20)
    except OSError as error:
        print(
            f"{address}: {error}; set NPM_CONFIG_REGISTRY to a registry that can be reached", file=sys.stderr
        )
        return 1
    if base64.b64encode(hashlib.sha512(content).digest()).decode() != SHA512:
        print(f"{address} is not what was pinned; nothing was kept", file=sys.stderr)
        return 1
    with tarfile.open(fileobj=io.BytesIO(content)) as package:
        for name, kept in FILES.items():
            file = package.extractfile(name)
            assert file is not None, name
            target = VENDOR / kept
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(file.read())
    stamp.write_text(VERSION)
    return 0


if __name__ == "__main__":
    sys.exit(main())
