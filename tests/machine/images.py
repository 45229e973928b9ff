"""Images of one program each, made from nothing: an archive as the OCI describes it."""

from __future__ import annotations

import hashlib
import io
import json
import re
import subprocess
import tarfile
from dataclasses import dataclass
from pathlib import Path

USER = 10001
_LAYER = "application/vnd.oci.image.layer.v1.tar"
_CONFIG = "application/vnd.oci.image.config.v1+json"
_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_INDEX = "application/vnd.oci.image.index.v1+json"


@dataclass(frozen=True)
class ProgramImage:
    """What runs `program` as `path`, with `arguments` where a pod gives none.

    `beside` are files and folders of this machine that it needs, in the image at the same places.
    """

    name: str
    program: Path
    path: str
    arguments: tuple[str, ...] = ()
    beside: tuple[Path, ...] = ()
    environment: tuple[str, ...] = ()
    user: int = USER
    stop_signal: str = "SIGTERM"


def libraries(*programs: Path) -> tuple[Path, ...]:
    """What the system's loader brings into these programs, itself included."""
    command = ["ldd", *map(str, programs)]
    told = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout
    return tuple(Path(found) for found in sorted(set(re.findall(r"(/\S+) \(0x", told))))


def write_image(image: ProgramImage, path: Path) -> Path:
    """Writes the archive that `ctr images import` takes, hardly larger than its files; the same one each time."""
    layer = _layer(image)
    runs = {"Entrypoint": [image.path], "Cmd": image.arguments, "Env": image.environment}
    config = {
        "architecture": "amd64",
        "os": "linux",
        "config": {**runs, "User": f"{image.user}:{image.user}", "StopSignal": image.stop_signal},
        "rootfs": {"type": "layers", "diff_ids": [_digest(layer)]},
        "history": [],
    }
    blobs = [layer, _json(config)]
    manifest = {
        "schemaVersion": 2,
        "mediaType": _MANIFEST,
        "config": _described(_CONFIG, blobs[1]),
        "layers": [_described(_LAYER, layer)],
    }
    blobs.append(_json(manifest))
    name = {"io.containerd.image.name": f"docker.io/{image.name}"}
    index = {
        "schemaVersion": 2,
        "mediaType": _INDEX,
        "manifests": [{**_described(_MANIFEST, blobs[2]), "annotations": name}],
    }
    with tarfile.open(path, "w") as archive:
        _add(archive, "oci-layout", b'{"imageLayoutVersion": "1.0.0"}')
        for blob in blobs:
            _add(archive, f"blobs/sha256/{_digest(blob).partition(':')[2]}", blob)
        _add(archive, "index.json", _json(index))
    return path


def _layer(image: ProgramImage) -> bytes:
    """The program with what it needs, a name for its user, and a folder for what it writes."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w", dereference=True) as archive:
        folder = tarfile.TarInfo("tmp")
        folder.type, folder.mode = tarfile.DIRTYPE, 0o1777
        archive.addfile(folder)
        _add(archive, "etc/passwd", f"user:x:{image.user}:{image.user}::/tmp:/bin/sh\n".encode())
        _add(archive, image.path.lstrip("/"), image.program.read_bytes(), mode=0o755)
        for path in image.beside:
            archive.add(path, filter=_of_root)
    return content.getvalue()


def _of_root(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = ""
    return entry


def _add(archive: tarfile.TarFile, name: str, content: bytes, mode: int = 0o644) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = len(content), mode
    archive.addfile(entry, io.BytesIO(content))


def _described(media_type: str, blob: bytes) -> dict[str, object]:
    return {"mediaType": media_type, "digest": _digest(blob), "size": len(blob)}


def _digest(blob: bytes) -> str:
    return f"sha256:{hashlib.sha256(blob).hexdigest()}"


def _json(content: object) -> bytes:
    return json.dumps(content, sort_keys=True).encode()
