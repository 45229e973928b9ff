"""A checkpoint's folder into an object store."""

from __future__ import annotations

from pathlib import Path

from uniaudio.errors import StoreError
from uniaudio.runtime.logging import get_logger
from uniaudio.runtime.models.manifest import MANIFEST, Manifest, describe_folder
from uniaudio.runtime.object_store import ObjectStore, create_once

log = get_logger(__name__)


def push_model(folder: Path, store: ObjectStore) -> Manifest:
    """Stores every file of `folder`, the manifest last: without it there is no model yet.

    Raises StoreError where another process stores a model at the same place.
    """
    manifest = describe_folder(folder)
    for file in manifest.files:
        log.info("storing", file=file.name, size_bytes=file.size_bytes)
        store.upload(file.name, folder / file.name)
    known = store.read(MANIFEST)
    content = manifest.to_bytes()
    if known is None:
        is_ours = create_once(store, MANIFEST, content)
    else:
        is_ours = known.data == content or store.replace(MANIFEST, content, known.tag) is not None
    if not is_ours:
        raise StoreError(
            f"another model was stored at {store.url} meanwhile, and both may be broken now; store each under a prefix "
            "of its own",
            reason="MODEL_MISMATCH",
            value=store.url,
            limit="one model at a place",
            remedy="store each under a prefix of its own",
        )
    return manifest
