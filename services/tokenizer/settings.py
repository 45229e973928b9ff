"""Settings of the tokenizer service, read once from the environment."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from uniaudio.runtime.logging import LEVELS
from uniaudio.runtime.settings import setting

SERVICE_NAME = "tokenizer"
PORT_VARIABLE = "UNIAUDIO_TOKENIZER_PORT"


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Where the tokenizer service runs and what it may use."""

    model_dir: Path = setting("UNIAUDIO_MODEL_DIR", meaning="Directory of the checkpoint.")
    host: str = setting("UNIAUDIO_HOST", "127.0.0.1", "Address to listen on.")
    allow_anonymous: bool = setting(
        "UNIAUDIO_ALLOW_ANONYMOUS",
        False,
        "Listen without mutual TLS on an address that is not loopback.",
    )
    port: int = setting(PORT_VARIABLE, 50061, "Port of the service; 0 picks one.", minimum=0, maximum=65535)
    log_level: str = setting("UNIAUDIO_LOG_LEVEL", "info", "Least severe line to log.", choices=LEVELS)
    device: str = setting("UNIAUDIO_TOKENIZER_DEVICE", "cpu", "Device of the model: cpu, cuda, cuda:1.")
    dtype: str = setting(
        "UNIAUDIO_TOKENIZER_DTYPE",
        "float32",
        "Number format of the weights.",
        choices=("float32", "bfloat16"),
    )
    num_threads: int = setting(
        "UNIAUDIO_TOKENIZER_THREADS", 2, "CPU threads of one replica's model.", minimum=1, maximum=256
    )
    reproducible: bool = setting(
        "UNIAUDIO_REPRODUCIBLE",
        False,
        "Compute every call by itself: the same bits alone and in company, but slower.",
    )
    max_sessions: int = setting(
        "UNIAUDIO_TOKENIZER_MAX_SESSIONS",
        64,
        "Calls that one replica serves at once; more are told to come back.",
        minimum=1,
        maximum=10_000,
    )
    max_batch_frames: int = setting(
        "UNIAUDIO_TOKENIZER_MAX_BATCH_FRAMES",
        2_000,
        "Frames of 20 ms that one step of the model takes at most.",
        minimum=500,
        maximum=1_000_000,
    )
    idle_seconds: float = setting(
        "UNIAUDIO_TOKENIZER_IDLE_SECONDS",
        300.0,
        "Silence after which a stream is closed.",
        minimum=1,
        maximum=86_400,
    )
    grace_seconds: float = setting(
        "UNIAUDIO_TOKENIZER_GRACE_SECONDS",
        10.0,
        "Time that calls in progress get at a stop.",
        minimum=0,
        maximum=3_600,
    )
    min_replicas: int = setting(
        "UNIAUDIO_TOKENIZER_MIN_REPLICAS", 1, "Replicas kept ready (Ray).", minimum=1, maximum=1_000
    )
    max_replicas: int = setting(
        "UNIAUDIO_TOKENIZER_MAX_REPLICAS", 1, "Replicas at most (Ray).", minimum=1, maximum=1_000
    )
    target_calls: float = setting(
        "UNIAUDIO_TOKENIZER_TARGET_CALLS",
        16.0,
        "Calls in progress for each replica that Ray scales towards.",
        minimum=0.1,
        maximum=10_000,
    )
    upscale_delay_seconds: float = setting(
        "UNIAUDIO_TOKENIZER_UPSCALE_DELAY_SECONDS",
        5.0,
        "How long the load must last before Ray adds a replica.",
        minimum=0,
        maximum=3_600,
    )
