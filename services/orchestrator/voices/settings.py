"""Which voices may be imitated: the environment, read once."""

from __future__ import annotations

from dataclasses import dataclass

from services.orchestrator.voices.policy import PromptPolicy
from uniaudio.runtime.settings import setting


@dataclass(frozen=True, kw_only=True)
class VoicesSettings:
    """Whether voices need a consent record."""

    prompt_voices: str = setting(
        "UNIAUDIO_PROMPT_VOICES",
        "auto",
        "Which voices may be imitated: registered (with consent), any, or auto: registered where callers are "
        "authenticated, any elsewhere.",
        choices=("auto", "registered", "any"),
    )

    def policy(self, *, is_authenticating: bool) -> PromptPolicy:
        """What follows, on a server that asks callers for their names or does not."""
        needs_consent = self.prompt_voices == "registered" or (
            self.prompt_voices == "auto" and is_authenticating
        )
        return PromptPolicy(uploads_allowed=not needs_consent)
