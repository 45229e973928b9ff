"""What Ray must find in the environment before it is imported, and the folder that holds its files."""

from __future__ import annotations

import inspect
import os
import secrets
import shutil
import signal
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from uniaudio.runtime.logging import get_logger
from uniaudio.runtime.ports import free_port
from uniaudio.runtime.tls import ServerTlsSettings, check_server_files

log = get_logger(__name__)

LOOPBACK = "127.0.0.1"
_PREFIX = "uniaudio-ray-"
# HAProxy's socket lies below the folder, in one named after the node: 64 characters, of at most 97.
_MAX_FOLDER_CHARACTERS = 33
_LONGEST_STREAM_SECONDS = 24 * 3600
_SHARED_PORT = "grpc.so_reuseport"

_WRAPPER = """#!/bin/sh
# Ray Serve starts HAProxy through this: only the gRPC front listens where the settings say.
for word in "$@"; do
  case "$word" in
    */haproxy.cfg)
      sed -i -e 's/bind \\*:/bind {loopback}:/' -e 's/bind :/bind {loopback}:/' \\
        -e 's|bind {loopback}:{port} |bind {front}|' "$word" ;;
  esac
done
exec '{binary}' "$@"
"""


@contextmanager
def ray_folder() -> Iterator[Path]:
    """A fresh folder for everything that Ray writes; removed at the end.

    What an earlier run left behind that was killed before it could clean up is ended and removed as well.
    """
    parent, prefix = _place(Path(tempfile.gettempdir()))
    for left_over in parent.glob(f"{prefix}*"):
        if not _is_alive(left_over, prefix):
            end_processes_of(left_over)
            shutil.rmtree(left_over, ignore_errors=True)
    folder = parent / f"{prefix}{os.getpid()}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _place(parent: Path) -> tuple[Path, str]:
    """The folder's parent and the beginning of its name: in the folder for temporary files where paths allow."""
    for prefix in (_PREFIX, "ray-"):
        if len(str(parent / f"{prefix}{os.getpid()}")) <= _MAX_FOLDER_CHARACTERS:
            return parent, prefix
    return Path("/tmp"), _PREFIX


def _is_alive(folder: Path, prefix: str) -> bool:
    """Whether the process that made the folder, named in it, still runs."""
    number = folder.name.removeprefix(prefix)
    return not number.isdigit() or Path(f"/proc/{number}").exists()


def end_processes_of(folder: Path) -> None:
    """Kills what was started with `folder` in its environment: Ray's agents outlive a killed parent."""
    mark = f"={folder}/".encode()
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if mark in (process / "environ").read_bytes():
                os.kill(int(process.name), signal.SIGKILL)
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue  # gone in between, or not ours


@dataclass(frozen=True)
class Front:
    """Where HAProxy's front listens, and what it shows callers."""

    host: str
    port: int
    tls: ServerTlsSettings = field(default_factory=ServerTlsSettings)

    def bind_line(self, folder: Path) -> str:
        """The words after `bind` in HAProxy's configuration; the certificate with its key goes into `folder`.

        Raises StartupError for files that cannot be read or do not fit each other.
        """
        line = f"{self.host}:{self.port} "
        if self.tls.cert_file is None or self.tls.key_file is None:
            return line
        check_server_files(self.tls)
        both = folder / "front.pem"
        with open(os.open(both, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(self.tls.cert_file.read_bytes() + b"\n" + self.tls.key_file.read_bytes())
        line += f"ssl crt {both} alpn h2 ssl-min-ver TLSv1.2 "
        if self.tls.client_ca_file is not None:
            trusted = folder / "clients.pem"
            trusted.write_bytes(self.tls.client_ca_file.read_bytes())
            line += f"ca-file {trusted} verify required "
        return line


def ray_environment(folder: Path, haproxy_binary: Path, front: Front) -> dict[str, str]:
    """Variables that put Ray Serve into its HAProxy mode, all files in `folder`, all of Ray on loopback.

    One service process has one Ray of its own; only HAProxy's front listens where the settings say.
    """
    return {
        # HAProxy in front of a gRPC server inside each replica: a third of the latency of the default path.
        "RAY_SERVE_ENABLE_HA_PROXY": "1",
        "RAY_SERVE_THROUGHPUT_OPTIMIZED": "1",
        "RAY_SERVE_HAPROXY_CONFIG_FILE_LOC": str(folder / "haproxy.cfg"),
        "RAY_SERVE_HAPROXY_SOCKET_PATH": str(folder / "a.sock"),
        "RAY_SERVE_HAPROXY_SERVER_STATE_BASE": str(folder),
        "RAY_SERVE_HAPROXY_SERVER_STATE_FILE": str(folder / "server-state"),
        "RAY_SERVE_HAPROXY_METRICS_SOCKET_PATH": str(folder / "m.sock"),
        "RAY_SERVE_HAPROXY_METRICS_PORT": str(free_port()),
        "RAY_SERVE_HAPROXY_STATS_PORT": str(free_port()),
        # Fixed ports by default, which a second service on this machine could not have.
        "RAY_SERVE_FALLBACK_PROXY_GRPC_PORT": str(free_port()),
        "RAY_SERVE_FALLBACK_PROXY_HTTP_PORT": str(free_port()),
        # A change of replicas starts a new HAProxy; the old one must live as long as its longest stream.
        "RAY_SERVE_HAPROXY_HARD_STOP_AFTER_S": str(_LONGEST_STREAM_SECONDS),
        "RAY_SERVE_PORT_QUARANTINE_S": "30",
        "RAY_SERVE_HAPROXY_TIMEOUT_CLIENT_S": str(_LONGEST_STREAM_SECONDS),
        "RAY_SERVE_HAPROXY_HEALTH_CHECK_INTER": "1s",
        # One client connection carries many streams, and a minute of audio is 4 MB.
        "RAY_SERVE_HAPROXY_H2_FE_MAX_CONCURRENT_STREAMS": "1000",
        "RAY_SERVE_HAPROXY_H2_BE_MAX_CONCURRENT_STREAMS": "1000",
        "RAY_SERVE_HAPROXY_H2_FE_INITIAL_WINDOW_SIZE": str(1 << 20),
        "RAY_SERVE_HAPROXY_H2_BE_INITIAL_WINDOW_SIZE": str(1 << 20),
        "RAY_SERVE_HAPROXY_NBTHREAD": "2",
        # Long enough for HAProxy to hear that a replica goes; the calls' own grace comes after.
        "RAY_SERVE_DIRECT_INGRESS_MIN_DRAINING_PERIOD_S": "2",
        "RAY_SERVE_PROXY_MIN_DRAINING_PERIOD_S": "1",
        # A busy machine is no reason to kill a proxy that is still starting.
        "RAY_SERVE_PROXY_READY_CHECK_TIMEOUT_S": "120",
        "RAY_SERVE_PROXY_HEALTH_CHECK_TIMEOUT_S": "30",
        "RAY_SERVE_HAPROXY_STARTUP_TIMEOUT_S": "120",
        # Spare workers would be started for nothing: every process here is an actor.
        "RAY_prestart_worker_first_driver": "0",
        "RAY_enable_worker_prestart": "0",
        "RAY_SERVE_LOG_TO_STDERR": "0",
        "RAY_COLOR_PREFIX": "0",
        "RAY_DEDUP_LOGS": "0",
        "RAY_USAGE_STATS_ENABLED": "0",
        # A token of this run's own; without it Ray writes one to the home directory.
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": secrets.token_hex(32),
        # Ray's name for it is odd: "no cluster" makes every process of it listen on loopback only.
        "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
        "RAY_SERVE_HAPROXY_BINARY_PATH": str(_write_wrapper(folder, haproxy_binary, front)),
    }


def _write_wrapper(folder: Path, binary: Path, front: Front) -> Path:
    wrapper = folder / "haproxy.sh"
    line = front.bind_line(folder)
    wrapper.write_text(_WRAPPER.format(loopback=LOOPBACK, port=front.port, front=line, binary=binary))
    wrapper.chmod(wrapper.stat().st_mode | stat.S_IXUSR)
    return wrapper


def listen_on_loopback() -> None:
    """Makes the gRPC servers of this process listen on loopback, each on a port of its own.

    Ray runs it in each of its workers. Serve gives no setting for the address of a replica's server; and
    it means to forbid that two servers share a port, but says so with the text "0" where gRPC heeds a
    number only: the replicas of two services on one machine would take each other's calls in silence.
    """
    from grpc.aio._server import Server

    original_init: Any = Server.__init__
    original_add = Server.add_insecure_port
    signature = inspect.signature(original_init)

    def init(self: Server, *arguments: Any, **named: Any) -> None:
        bound = signature.bind(self, *arguments, **named)
        given = bound.arguments["options"] or ()
        bound.arguments["options"] = [*(one for one in given if one[0] != _SHARED_PORT), (_SHARED_PORT, 0)]
        original_init(*bound.args, **bound.kwargs)

    def add_insecure_port(self: Server, address: str) -> int:
        host, _, port = address.rpartition(":")
        if host in ("[::]", "0.0.0.0"):
            address = f"{LOOPBACK}:{port}"
        return original_add(self, address)

    Server.__init__ = init  # type: ignore[method-assign]
    Server.add_insecure_port = add_insecure_port  # type: ignore[method-assign]
