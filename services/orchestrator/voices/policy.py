"""Which voices a synthesis may imitate: those of the registry, and uploads where the settings allow them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from services.orchestrator.domain import PreparedVoice
from uniaudio.errors import PermissionDeniedError, PreconditionError

UPLOADED_VOICE_NOTICE = (
    "the prompt voice came without a consent record: imitate only voices of people who agreed to it, and keep "
    "those in the voice registry"
)


@dataclass(frozen=True)
class PromptPolicy:
    """Whether a voice may be imitated that came with the request, without a consent record."""

    uploads_allowed: bool = True

    def check_upload(self) -> None:
        """Raises PermissionDeniedError (CONSENT_NEEDED) where it may not."""
        if self.uploads_allowed:
            return
        raise PermissionDeniedError(
            "this server imitates only voices with a consent record; create the voice with CreateVoice "
            "(`uniaudio voices add`) and name it by voice_id",
            reason="CONSENT_NEEDED",
            value="prompt_audio without a consent record",
            limit="voices of the registry",
            remedy="create the voice with its consent, and name it by voice_id",
        )


class Registry(Protocol):
    """Where prepared voices come from."""

    async def prepared(self, caller: str, voice_id: str) -> PreparedVoice:
        """What the model continues. Raises NotFoundError, or PermissionDeniedError without consent."""
        ...


class Voices:
    """The caller's own voices, and what else the policy allows. Without a registry there are none."""

    def __init__(
        self,
        registry: Registry | None = None,
        caller: Callable[[], str] = str,
        policy: PromptPolicy | None = None,
    ) -> None:
        self._registry = registry
        self._caller = caller
        self.policy = policy or PromptPolicy()

    async def prepared(self, voice_id: str) -> PreparedVoice:
        """The running call's voice of that name, prepared."""
        if self._registry is None:
            raise PreconditionError(
                "this server keeps no voices; send prompt_audio instead of voice_id",
                reason="NO_VOICES",
                value=voice_id[:64],
                limit="no voice_id",
                remedy="send prompt_audio instead",
            )
        return await self._registry.prepared(self._caller(), voice_id)
