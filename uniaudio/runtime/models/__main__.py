"""Models to and from an object store: `python -m uniaudio.runtime.models push FOLDER URL`, `... fetch URL PATH`.

The store is reached as UNIAUDIO_S3_* say.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from uniaudio.errors import UniaudioError
from uniaudio.runtime.logging import get_logger, setup_logging
from uniaudio.runtime.models.cache import ModelCache
from uniaudio.runtime.models.fetch import fetch_model, link
from uniaudio.runtime.models.push import push_model
from uniaudio.runtime.object_store import open_object_store


def main(arguments: Sequence[str] | None = None) -> int:
    """0 when the model is where it belongs, 1 with the reason in the log."""
    given = parser().parse_args(arguments)
    setup_logging("models")
    log = get_logger(__name__)
    try:
        store = open_object_store(given.url)
        if given.command == "push":
            manifest = push_model(given.folder, store)
            log.info("stored", url=store.url, digest=manifest.digest, size_bytes=manifest.size_bytes)
        else:
            place = fetch_model(
                store, ModelCache(given.cache), digest=given.digest, wait_seconds=given.wait_seconds
            )
            link(place, given.path)
            log.info("ready", path=str(given.path), place=str(place))
    except UniaudioError as error:
        log.error("no model", reason=error.reason, error=error.message)
        return 1
    return 0


def parser() -> argparse.ArgumentParser:
    """What the command takes."""
    whole = argparse.ArgumentParser(
        prog="python -m uniaudio.runtime.models", description="Models to and from an object store."
    )
    commands = whole.add_subparsers(dest="command", required=True)
    push = commands.add_parser("push", help="store a checkpoint's folder")
    push.add_argument("folder", type=Path, help="the checkpoint")
    push.add_argument("url", help="s3://bucket/prefix, or a folder")
    fetch = commands.add_parser("fetch", help="fetch what is not there yet, and link it")
    fetch.add_argument("url", help="s3://bucket/prefix, or a folder")
    fetch.add_argument("path", type=Path, help="where the model is to be found: a link into the cache")
    fetch.add_argument(
        "--cache", type=Path, required=True, help="folder of models, shared by a machine's processes"
    )
    fetch.add_argument("--digest", default="", help="SHA-256 that the manifest must have, as push printed it")
    fetch.add_argument(
        "--wait-seconds", type=float, default=3600.0, help="how long another process may write it (3600)"
    )
    return whole


if __name__ == "__main__":
    # The first process of a container takes no default action; whatever is cut off goes on at the next start.
    signal.signal(signal.SIGTERM, lambda *_: os._exit(128 + signal.SIGTERM))
    sys.exit(main())
