"""Images of one static program each, made from nothing: an archive as the OCI describes it."""

from __future__ import annotations

import hashlib
import io
import json
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
    """What runs `program` as `path`, with `arguments` where a pod gives none."""

    name: str
    program: Path
    path: str
    arguments: tuple[str, ...] = ()


def write_image(image: ProgramImage, path: Path) -> Path:
    """Writes the archive that `ctr images import` takes, 1 MB more than the program; the same one each time."""
    layer = _layer(image)
    config = {
        "architecture": "amd64",
        "os": "linux",
        "config": {"Entrypoint": [image.path], "Cmd": image.arguments, "User": f"{USER}:{USER}"},
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
    """The program, and a folder for what it writes."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as archive:
        folder = tarfile.TarInfo("tmp")
        folder.type, folder.mode = tarfile.DIRTYPE, 0o1777
        archive.addfile(folder)
        _add(archive, image.path.lstrip("/"), image.program.read_bytes(), mode=0o755)
    return content.getvalue()


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
