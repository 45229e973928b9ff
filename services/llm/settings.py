"""Where the LLM service runs: the environment, read once."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from uniaudio.runtime.settings import setting


@dataclass(frozen=True, kw_only=True)
class RankSettings:
    """Which rank of a group a process is, by the names that launchers of torch use."""

    rank: int = setting(
        "RANK", 0, "This process among the ranks; 0 runs the requests.", minimum=0, maximum=1023
    )
    count: int = setting(
        "WORLD_SIZE", 1, "Ranks that share the experts; 1 needs nobody.", minimum=1, maximum=1024
    )
    host: str = setting("MASTER_ADDR", "127.0.0.1", "Address of rank 0, which listens there alone.")
    port: int = setting("MASTER_PORT", 50079, "Port that ranks meet at.", minimum=1, maximum=65535)


@dataclass(frozen=True, kw_only=True)
class LlmSettings:
    """Settings of the supervisor and of the model inside Triton; both read the same environment."""

    model_dir: Path = setting("UNIAUDIO_MODEL_DIR", meaning="Checkpoint folder in the released layout.")
    host: str = setting("UNIAUDIO_HOST", "127.0.0.1", "Address to listen on.")
    allow_anonymous: bool = setting(
        "UNIAUDIO_ALLOW_ANONYMOUS",
        False,
        "Listen without mutual TLS on an address that is not loopback.",
    )
    grpc_port: int = setting("UNIAUDIO_LLM_GRPC_PORT", 50071, "Triton's gRPC port.", minimum=1, maximum=65535)
    http_port: int = setting("UNIAUDIO_LLM_HTTP_PORT", 50072, "Triton's HTTP port.", minimum=1, maximum=65535)
    metrics_port: int = setting(
        "UNIAUDIO_LLM_METRICS_PORT", 50073, "Port of Triton's Prometheus metrics.", minimum=1, maximum=65535
    )
    device: str = setting("UNIAUDIO_LLM_DEVICE", "cpu", "Torch device of the model, e.g. cpu or cuda:0.")
    dtype: str = setting(
        "UNIAUDIO_LLM_DTYPE",
        "float32",
        "Type of the weights; int8 on a CPU alone.",
        choices=("float32", "bfloat16", "int8"),
    )
    use_kernels: bool = setting(
        "UNIAUDIO_LLM_USE_KERNELS",
        True,
        "Compute on a CPU by kernels that the machine's C++ compiler builds.",
    )
    num_threads: int = setting(
        "UNIAUDIO_LLM_NUM_THREADS",
        0,
        "Torch threads on the CPU; 0 lets torch choose.",
        minimum=0,
        maximum=1024,
    )
    max_running: int = setting(
        "UNIAUDIO_LLM_MAX_RUNNING", 8, "Generations stepped together.", minimum=1, maximum=4096
    )
    max_waiting: int = setting(
        "UNIAUDIO_LLM_MAX_WAITING", 32, "Generations queued behind them.", minimum=1, maximum=100_000
    )
    max_kv_positions: int = setting(
        "UNIAUDIO_LLM_MAX_KV_POSITIONS",
        65_536,
        "LLM positions that running generations may hold together.",
        minimum=64,
        maximum=100_000_000,
    )
    max_step_positions: int = setting(
        "UNIAUDIO_LLM_MAX_STEP_POSITIONS",
        512,
        "LLM positions of one step: long prompts are read in pieces of what running generations leave of it.",
        minimum=1,
        maximum=1_000_000,
    )
    max_step_positions_beside_speech: int = setting(
        "UNIAUDIO_LLM_MAX_STEP_POSITIONS_BESIDE_SPEECH",
        64,
        "The same while somebody listens, who must not wait for it.",
        minimum=1,
        maximum=1_000_000,
    )
    max_lead_seconds: float = setting(
        "UNIAUDIO_LLM_MAX_LEAD_SECONDS",
        1.0,
        "A stream so far ahead of its listener yields to one that is behind.",
        minimum=0,
        maximum=3600,
    )
    batch_patience_seconds: float = setting(
        "UNIAUDIO_LLM_BATCH_PATIENCE_SECONDS",
        60.0,
        "A job's generation that waited so long counts as live.",
        minimum=0,
        maximum=86_400,
    )
    max_kept_positions: int = setting(
        "UNIAUDIO_LLM_MAX_KEPT_POSITIONS",
        8192,
        "Positions of prompts kept for later ones that begin alike; 0 keeps none.",
        minimum=0,
        maximum=100_000_000,
    )
    max_kept_patches: int = setting(
        "UNIAUDIO_LLM_MAX_KEPT_PATCHES",
        1024,
        "Patches (100 ms) of recordings kept for later requests with the same recording; 0 keeps none.",
        minimum=0,
        maximum=100_000_000,
    )
    max_frames: int = setting(
        "UNIAUDIO_LLM_MAX_FRAMES",
        4096,
        "Latent frames (20 ms) of one generation, recording and output together.",
        minimum=10,
        maximum=1_000_000,
    )
    max_deadline_seconds: float = setting(
        "UNIAUDIO_LLM_MAX_DEADLINE_SECONDS",
        300.0,
        "Longest a generation may take.",
        minimum=1,
        maximum=86_400,
    )
    drop_surplus_patch: bool = setting(
        "UNIAUDIO_LLM_DROP_SURPLUS_PATCH",
        True,
        "Leave out the patch that the published model makes too much.",
    )
    force_audio: bool = setting(
        "UNIAUDIO_LLM_FORCE_AUDIO", True, "Make edits without reasoning speak when their text does not."
    )
    reproducible: bool = setting(
        "UNIAUDIO_REPRODUCIBLE",
        False,
        "A seed gives the same bits alone and in company; slower where the CPU kernels do not run.",
    )
    num_ranks: int = setting(
        "UNIAUDIO_LLM_RANKS",
        1,
        "Ranks that share the experts on this machine; the service starts all but the first itself. Where they "
        "are started elsewhere, leave it at 1 and set WORLD_SIZE.",
        minimum=1,
        maximum=1024,
    )
    rank_timeout_seconds: float = setting(
        "UNIAUDIO_LLM_RANK_TIMEOUT_SECONDS",
        10.0,
        "Longest a rank may take to answer before its requests fail and the group is formed anew.",
        minimum=0.5,
        maximum=600,
    )
    start_seconds: float = setting(
        "UNIAUDIO_LLM_START_SECONDS", 300.0, "Longest a start may take, loading included.", minimum=1
    )
    grace_seconds: float = setting(
        "UNIAUDIO_LLM_GRACE_SECONDS", 20.0, "Seconds that running generations get on SIGTERM.", minimum=0
    )
    max_restarts: int = setting(
        "UNIAUDIO_LLM_MAX_RESTARTS",
        5,
        "Restarts of Triton within ten minutes before the service gives up.",
        minimum=0,
    )
    probe_interval_seconds: float = setting(
        "UNIAUDIO_LLM_PROBE_INTERVAL_SECONDS",
        5.0,
        "Seconds between probes that look for a model that hangs.",
        minimum=0.1,
    )
    probe_timeout_seconds: float = setting(
        "UNIAUDIO_LLM_PROBE_TIMEOUT_SECONDS",
        10.0,
        "Seconds that a probe may take; three misses restart.",
        minimum=0.1,
    )
    tritonserver: Path | None = setting(
        "UNIAUDIO_LLM_TRITONSERVER",
        None,
        "The tritonserver binary; empty takes the nvidia-pytriton package's, else /opt/tritonserver's.",
    )
    triton_trace_url: str = setting(
        "UNIAUDIO_LLM_TRITON_TRACE_URL",
        "",
        "OTLP/HTTP address for Triton's own spans, e.g. http://collector:4318/v1/traces; "
        "empty derives it from an OTEL_EXPORTER_OTLP_ENDPOINT on port 4317.",
    )
    log_level: str = setting(
        "UNIAUDIO_LOG_LEVEL",
        "info",
        "Least important log line.",
        choices=("debug", "info", "warning", "error"),
    )
