"""A voice's objects: its recording as the model hears it, and its latents as each tokenizer made them."""

from __future__ import annotations

import secrets
import time
from collections import defaultdict

import numpy as np

from services.orchestrator.domain import Floats
from uniaudio.errors import StoreError
from uniaudio.runtime.object_store import ObjectStore, create_once

_FOLDER = "voices"
_UNCLAIMED_SECONDS = 3_600.0
"""A folder without a row is being filled, or was left behind by a process that died."""


class VoiceObjects:
    """Objects below `voices/`, in folders named at random: nothing of a key comes from a caller. Blocking."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store

    def new_folder(self) -> str:
        """A name that no other voice has."""
        return f"{_FOLDER}/{secrets.token_hex(16)}"

    def put_audio(self, folder: str, content: bytes) -> None:
        """Keeps the recording."""
        create_once(self._store, f"{folder}/audio", content)

    def audio(self, folder: str) -> bytes:
        """The recording's bytes; StoreError where they are gone."""
        found = self._store.read(f"{folder}/audio")
        if found is None:
            raise StoreError(
                f"the recording of a voice is missing in {self._store.url}; see who removed it, and create the "
                "voice anew",
                reason="OBJECT_MISSING",
                value=folder,
                limit="recordings that exist",
                remedy="create the voice anew",
            )
        return found.data

    def put_latents(self, folder: str, tokenizer: str, latents: Floats) -> None:
        """Keeps latents `(num_frames, latent_dim)` as the tokenizer of that revision made them."""
        header = np.array(latents.shape, "<u4").tobytes()
        create_once(self._store, _latents_key(folder, tokenizer), header + latents.astype("<f4").tobytes())

    def latents(self, folder: str, tokenizer: str) -> Floats | None:
        """The latents that this tokenizer made, or None where it made none yet."""
        found = self._store.read(_latents_key(folder, tokenizer))
        if found is None:
            return None
        num_frames, latent_dim = np.frombuffer(found.data[:8], "<u4")
        values = np.frombuffer(found.data[8:], "<f4").astype(np.float32)
        return values.reshape(int(num_frames), int(latent_dim))

    def remove(self, folder: str) -> None:
        """Removes everything of a voice."""
        self._store.delete_folder(folder)

    def settled_folders(self) -> set[str]:
        """Folders that nobody can be filling any more."""
        newest: dict[str, float] = defaultdict(float)
        for info in self._store.list_folder(_FOLDER):
            folder = info.key.rpartition("/")[0]
            newest[folder] = max(newest[folder], info.modified_at)
        return {folder for folder, at in newest.items() if at < time.time() - _UNCLAIMED_SECONDS}


def _latents_key(folder: str, tokenizer: str) -> str:
    return f"{folder}/latents-{tokenizer}"
