"""What `uniaudio up` starts: the services, their ports, their settings."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from uniaudio.errors import StartupError

DEFAULT_BASE_PORT = 50051
CLIENT_TLS_VARIABLES = frozenset(
    {
        "UNIAUDIO_TLS",
        "UNIAUDIO_TLS_CA_FILE",
        "UNIAUDIO_TLS_CLIENT_CERT_FILE",
        "UNIAUDIO_TLS_CLIENT_KEY_FILE",
        "UNIAUDIO_TLS_SERVER_NAME",
    }
)
# The ports' places after the base port, and the variables that move one alone.
_PORTS = {
    "UNIAUDIO_ORCHESTRATOR_PORT": 0,
    "UNIAUDIO_TOKENIZER_PORT": 10,
    "UNIAUDIO_LLM_GRPC_PORT": 20,
    "UNIAUDIO_LLM_HTTP_PORT": 21,
    "UNIAUDIO_LLM_METRICS_PORT": 22,
    "UNIAUDIO_GATEWAY_PORT": 30,
}


@dataclass(frozen=True, kw_only=True)
class Service:
    """One process to start, and how long it may take to stop."""

    name: str
    command: tuple[str, ...]
    # Beyond what each service gives the calls it still serves.
    grace_seconds: float = 30.0
    shared_memory: str = ""
    """Beginning of the names of its shared memory, which stays when it is killed."""


@dataclass(frozen=True, kw_only=True)
class StackPlan:
    """A stack that can be started: services in the order of their start, and the environment they share."""

    services: tuple[Service, ...]
    host: str
    ports: Mapping[str, int]
    environment: Mapping[str, str] = field(repr=False)

    @property
    def connect_host(self) -> str:
        """The address at which a service that listens everywhere is reached from here."""
        return {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(self.host, self.host)

    def address(self, variable: str) -> str:
        """host:port behind a port's variable."""
        return f"{self.connect_host}:{self.ports[variable]}"

    @property
    def orchestrator(self) -> str:
        """Where the orchestrator answers."""
        return self.address("UNIAUDIO_ORCHESTRATOR_PORT")

    @property
    def gateway(self) -> str:
        """Where the gateway answers over HTTP."""
        return f"http://{self.address('UNIAUDIO_GATEWAY_PORT')}"

    @property
    def tokenizer(self) -> str:
        """Where the tokenizer answers."""
        return self.address("UNIAUDIO_TOKENIZER_PORT")

    @property
    def llm(self) -> str:
        """Where Triton answers over gRPC."""
        return self.address("UNIAUDIO_LLM_GRPC_PORT")


def make_plan(
    *,
    host: str = "127.0.0.1",
    base_port: int | None = None,
    tokenizer_backend: str = "ray",
    ranks: int = 1,
    environ: Mapping[str, str] | None = None,
) -> StackPlan:
    """The services of this version. A port's own variable wins over `base_port` and the default.

    `ranks` is how many processes share the LLM's experts.

    Raises StartupError for a port that is no number or outside 1 to 65535.
    """
    environ = os.environ if environ is None else environ
    base = DEFAULT_BASE_PORT if base_port is None else base_port
    ports = {name: _port(name, base + offset, environ) for name, offset in _PORTS.items()}
    python = sys.executable
    services = (
        Service(
            name="tokenizer",
            command=(python, "-m", "services.tokenizer", "--backend", tokenizer_backend),
        ),
        Service(
            name="llm",
            command=(python, "-m", "services.llm"),
            shared_memory=f"uniaudio_llm_{ports['UNIAUDIO_LLM_GRPC_PORT']}_",
        ),
        Service(
            name="orchestrator",
            command=(python, "-m", "services.orchestrator"),
        ),
        Service(
            name="gateway",
            command=(python, "-m", "services.gateway"),
        ),
    )
    plan = StackPlan(services=services, host=host, ports=ports, environment={})
    environment = {
        # What commands reach other services with is not how these reach each other.
        **{name: value for name, value in environ.items() if name not in CLIENT_TLS_VARIABLES},
        **{name: str(port) for name, port in ports.items()},
        "UNIAUDIO_HOST": host,
        "UNIAUDIO_LLM_RANKS": str(ranks),
        "UNIAUDIO_TOKENIZER_ADDRESS": plan.tokenizer,
        "UNIAUDIO_LLM_ADDRESS": plan.llm,
        "UNIAUDIO_JOBS_DIR": environ.get("UNIAUDIO_JOBS_DIR") or str(_jobs_folder(plan, environ)),
        "UNIAUDIO_KEYS_DIR": environ.get("UNIAUDIO_KEYS_DIR") or str(state_folder(environ) / "keys"),
        "UNIAUDIO_ORCHESTRATOR_ADDRESS": plan.orchestrator,
        "PYTHONUNBUFFERED": "1",
    }
    return StackPlan(services=services, host=host, ports=ports, environment=environment)


def _port(variable: str, default: int, environ: Mapping[str, str]) -> int:
    text = environ.get(variable, "").strip()
    if text and not text.isdigit():
        raise StartupError(
            f"{variable}={text!r} is not a port; set it to a number from 1 to 65535", variable=variable
        )
    port = int(text) if text else default
    if not 1 <= port <= 65535:
        raise StartupError(
            f"port {port} ({variable}) is not between 1 and 65535; choose another --base-port or {variable}",
            variable=variable,
            value=port,
        )
    return port


def state_folder(environ: Mapping[str, str] | None = None) -> Path:
    """Where uniaudio keeps what must outlive it: UNIAUDIO_STATE_DIR, or the user's state folder."""
    return _own_folder("UNIAUDIO_STATE_DIR", "XDG_STATE_HOME", ".local/state", environ)


def cache_folder(environ: Mapping[str, str] | None = None) -> Path:
    """Where uniaudio keeps what it can make again: UNIAUDIO_CACHE_DIR, or the user's cache folder."""
    return _own_folder("UNIAUDIO_CACHE_DIR", "XDG_CACHE_HOME", ".cache", environ)


def _own_folder(own: str, general: str, usual: str, environ: Mapping[str, str] | None) -> Path:
    environ = os.environ if environ is None else environ
    if environ.get(own):
        return Path(environ[own]).expanduser()
    base = environ.get(general)
    return (Path(base) if base else Path.home() / usual) / "uniaudio"


def _jobs_folder(plan: StackPlan, environ: Mapping[str, str]) -> Path:
    """Jobs that were accepted on a port are done when something runs there again."""
    return state_folder(environ) / f"jobs-{plan.ports['UNIAUDIO_ORCHESTRATOR_PORT']}"
