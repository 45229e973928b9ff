"""Where the orchestrator runs: the environment, read once."""

from __future__ import annotations

from dataclasses import dataclass

from uniaudio.runtime.logging import LEVELS
from uniaudio.runtime.settings import setting

PROCESS_NAME = "orchestrator"
"""What logs and traces call this process."""


@dataclass(frozen=True, kw_only=True)
class OrchestratorSettings:
    """Addresses, bounds and deadlines of the front door."""

    host: str = setting("UNIAUDIO_HOST", "127.0.0.1", "Address to listen on.")
    port: int = setting(
        "UNIAUDIO_ORCHESTRATOR_PORT",
        50051,
        "Port of SpeechService; 0 takes a free one.",
        minimum=0,
        maximum=65535,
    )
    tokenizer_address: str = setting(
        "UNIAUDIO_TOKENIZER_ADDRESS", "127.0.0.1:50061", "host:port of TokenizerService."
    )
    llm_address: str = setting(
        "UNIAUDIO_LLM_ADDRESS", "127.0.0.1:50071", "host:port of Triton's gRPC endpoint."
    )
    log_level: str = setting("UNIAUDIO_LOG_LEVEL", "info", "Least severe log line.", choices=LEVELS)
    max_running: int = setting(
        "UNIAUDIO_ORCHESTRATOR_MAX_RUNNING", 8, "Requests worked on at once.", minimum=1, maximum=1024
    )
    max_waiting: int = setting(
        "UNIAUDIO_ORCHESTRATOR_MAX_WAITING",
        32,
        "Requests that may wait for their turn.",
        minimum=0,
        maximum=10_000,
    )
    max_live_streams: int = setting(
        "UNIAUDIO_ORCHESTRATOR_MAX_LIVE_STREAMS", 16, "Live streams at once.", minimum=1, maximum=10_000
    )
    max_watches: int = setting(
        "UNIAUDIO_ORCHESTRATOR_MAX_WATCHES", 256, "Watches of jobs at once.", minimum=1, maximum=10_000
    )
    max_transfers: int = setting(
        "UNIAUDIO_ORCHESTRATOR_MAX_TRANSFERS", 32, "Uploads and downloads at once.", minimum=1, maximum=1024
    )
    max_request_seconds: float = setting(
        "UNIAUDIO_ORCHESTRATOR_MAX_REQUEST_SECONDS",
        600.0,
        "Longest a request may take when its caller sets no deadline.",
        minimum=1,
        maximum=86_400,
    )
    max_generation_seconds: float = setting(
        "UNIAUDIO_ORCHESTRATOR_MAX_GENERATION_SECONDS",
        300.0,
        "Longest one generation of the LLM may take.",
        minimum=1,
        maximum=86_400,
    )
    max_held_seconds: float = setting(
        "UNIAUDIO_ORCHESTRATOR_MAX_HELD_SECONDS",
        2.0,
        "Most speech of a sentence that is held back until it is plausible; less leaves sooner, and is mended less.",
        minimum=0,
        maximum=30,
    )
    grace_seconds: float = setting(
        "UNIAUDIO_ORCHESTRATOR_GRACE_SECONDS",
        20.0,
        "How long running requests may finish after SIGTERM.",
        minimum=0,
        maximum=3600,
    )
