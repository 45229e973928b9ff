"""A checkpoint's folder into an object store."""

from __future__ import annotations

from pathlib import Path

from uniaudio.runtime.logging import get_logger
from uniaudio.runtime.models.manifest import MANIFEST, Manifest, describe_folder
from uniaudio.runtime.object_store import ObjectStore

log = get_logger(__name__)


def push_model(folder: Path, store: ObjectStore) -> Manifest:
    """Stores every file of `folder`, the manifest last: without it there is no model yet."""
    manifest = describe_folder(folder)
    for file in manifest.files:
        log.info("storing", file=file.name, size_bytes=file.size_bytes)
        store.upload(file.name, folder / file.name)
    known = store.read(MANIFEST)
    if known is None:
        store.create(MANIFEST, manifest.to_bytes())
    else:
        store.replace(MANIFEST, manifest.to_bytes(), known.tag)
    return manifest
