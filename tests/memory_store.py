"""An object store in memory, and one that breaks at a chosen operation."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from uniaudio.errors import StoreError
from uniaudio.runtime.object_store import ObjectInfo, ObjectStore, StoredObject, check_key


class MemoryStore:
    """Keeps objects as long as the test does."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self._versions: dict[str, int] = {}
        self._modified: dict[str, float] = {}
        self._lock = threading.Lock()

    url = "memory"

    def create(self, key: str, data: bytes) -> str | None:
        with self._lock:
            return None if check_key(key) in self.objects else self._put(key, data)

    def replace(self, key: str, data: bytes, tag: str) -> str | None:
        with self._lock:
            known = key in self.objects and tag == str(self._versions[key])
            return self._put(key, data) if known else None

    def read(self, key: str) -> StoredObject | None:
        with self._lock:
            if key not in self.objects:
                return None
            return StoredObject(data=self.objects[key], tag=str(self._versions[key]))

    def upload(self, key: str, path: Path) -> None:
        with self._lock:
            self._put(check_key(key), path.read_bytes())

    def download(self, key: str, path: Path, *, resume: bool = False) -> None:
        if key not in self.objects:
            raise StoreError(f"{key} is missing", reason="OBJECT_MISSING")
        with path.open("ab" if resume else "wb") as file:
            file.write(self.objects[key][file.tell() :])

    def list_folder(self, folder: str) -> list[ObjectInfo]:
        with self._lock:
            return [
                ObjectInfo(key=key, size_bytes=len(data), modified_at=self._modified[key])
                for key, data in sorted(self.objects.items())
                if key.startswith(f"{folder}/")
            ]

    def delete(self, key: str) -> None:
        with self._lock:
            self.objects.pop(key, None)

    def delete_folder(self, folder: str) -> None:
        for info in self.list_folder(folder):
            self.delete(info.key)

    def _put(self, key: str, data: bytes) -> str:
        self.objects[key] = data
        self._versions[key] = self._versions.get(key, 0) + 1
        self._modified[key] = time.time()
        return str(self._versions[key])


class HookedStore:
    """Calls `before` and `after` with the name and key of each operation on `inner`; either may raise."""

    def __init__(
        self,
        inner: ObjectStore,
        *,
        before: Callable[[str, str], None] = lambda name, key: None,
        after: Callable[[str, str], None] = lambda name, key: None,
    ) -> None:
        self._inner = inner
        self._before = before
        self._after = after

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        if not callable(found):
            return found

        def call(key: str, *rest: Any) -> Any:
            self._before(name, key)
            answer = found(key, *rest)
            self._after(name, key)
            return answer

        return call


def let_lease_run_out(store: MemoryStore, key: str = "lease.json") -> None:
    """What the passing of time does to a lease that nobody renews; its holder notices nothing."""
    if key in store.objects:
        store.objects[key] = json.dumps({**json.loads(store.objects[key]), "expires_at": 0.0}).encode()
