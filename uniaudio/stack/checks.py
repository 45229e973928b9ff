"""Whether a stack can start here: each check returns, or raises a StartupError that says what to do."""

from __future__ import annotations

import errno
import importlib.util
import os
import shutil
import socket
import subprocess
import sys
import sysconfig
from collections.abc import Mapping
from pathlib import Path

from uniaudio.errors import StartupError
from uniaudio.runtime.guard.addresses import require_loopback
from uniaudio.stack.plan import StackPlan

_PACKAGES = {
    "ray": "tokenizer",
    "torch": "tokenizer",
    "tokenizers": "llm",
    "pytriton": "llm",
    "tritonclient": "orchestrator",
    "fastapi": "gateway",
}
_FREE_DISK_BYTES = 512 << 20
_FREE_SHARED_MEMORY_BYTES = 64 << 20
_MEBIBYTE = 1 << 20


def check_python_packages() -> None:
    """The libraries of all services are installed."""
    missing = {name: extra for name, extra in _PACKAGES.items() if importlib.util.find_spec(name) is None}
    if missing or importlib.util.find_spec("services") is None:
        what = ", ".join(missing) or "the services' own code"
        raise StartupError(
            f"not installed: {what}; run `make run` in the repository, or install uniaudio with the extras "
            "tokenizer, llm, orchestrator and gateway",
            reason="MISSING_PACKAGE",
            value=what,
        )


def check_python_library() -> None:
    """The shared library of Python is there, which Triton's Python backend is linked against."""
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    name = f"libpython{version}.so.1.0"
    folder = sysconfig.get_config_var("LIBDIR")
    if folder and (Path(folder) / name).is_file():
        return
    ldconfig = shutil.which("ldconfig") or "/sbin/ldconfig"
    known = subprocess.run([ldconfig, "-p"], capture_output=True, text=True, timeout=10, check=False).stdout
    if name not in known:
        raise StartupError(
            f"{name} is missing, which Triton's Python backend needs; on Debian and Ubuntu: "
            f"apt-get install libpython{version} (elsewhere: a Python built with --enable-shared)",
            reason="MISSING_PACKAGE",
            value=name,
        )


def check_disk(folder: Path, what: str, *, needed_bytes: int = _FREE_DISK_BYTES, remedy: str = "") -> None:
    """`folder` (or the nearest parent that exists) can be written to and has room."""
    existing = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    if not os.access(existing, os.W_OK | os.X_OK):
        raise StartupError(
            f"{what}: {existing} cannot be written to; {remedy or 'change its permissions'}", value=existing
        )
    free = shutil.disk_usage(existing).free
    if free < needed_bytes:
        raise StartupError(
            f"{what}: {existing} has {free // _MEBIBYTE} MiB free, {needed_bytes // _MEBIBYTE} MiB are needed; "
            f"free some space{', or ' + remedy if remedy else ''}",
            reason="DISK_FULL",
            value=free,
            limit=needed_bytes,
        )


def check_disks(cache: Path, temporary: Path) -> None:
    """Room for the model, for logs and temporary files, and for shared memory."""
    check_disk(cache, "the cache", remedy="set UNIAUDIO_CACHE_DIR to another folder")
    check_disk(temporary, "temporary files", remedy="set TMPDIR to another folder")
    shared = Path("/dev/shm")
    if shared.is_dir():
        check_disk(
            shared,
            "shared memory",
            needed_bytes=_FREE_SHARED_MEMORY_BYTES,
            remedy="in a container, start it with --shm-size=1g",
        )


def check_model_folder(environment: Mapping[str, str]) -> None:
    """UNIAUDIO_MODEL_DIR, where set, is a folder with a model's config in it."""
    text = environment.get("UNIAUDIO_MODEL_DIR", "")
    if text and not (Path(text) / "config.json").is_file():
        raise StartupError(
            f"the model folder {text} has no config.json; give a checkpoint's folder with --model or "
            "UNIAUDIO_MODEL_DIR, or neither for nano",
            value=text,
        )


def check_doors(plan: StackPlan) -> None:
    """The services speak plaintext to each other, so they listen on loopback unless the environment says otherwise."""
    for variable in ("UNIAUDIO_TLS_CERT_FILE", "UNIAUDIO_TLS_CLIENT_CA_FILE"):
        if plan.environment.get(variable):
            raise StartupError(
                f"{variable} is set, but `uniaudio up` serves plaintext on this machine; unset it, or start each "
                "service by itself (docs/security.md)",
                variable=variable,
            )
    allowed = plan.environment.get("UNIAUDIO_ALLOW_ANONYMOUS", "").strip().lower() in (
        "1",
        "true",
        "yes",
        "on",
    )
    require_loopback(
        plan.host, allow_anonymous=allowed, remedy="up each service by itself (docs/security.md)"
    )


def check_ports(plan: StackPlan) -> None:
    """Every port of the plan can be bound."""
    seen: dict[int, str] = {}
    for variable, port in plan.ports.items():
        if port in seen:
            raise StartupError(
                f"{seen[port]} and {variable} are both {port}; give each its own port",
                variable=variable,
                value=port,
            )
        seen[port] = variable
        _check_port(plan.host, port, variable)


def _check_port(host: str, port: int, variable: str) -> None:
    owner = variable.removeprefix("UNIAUDIO_").removesuffix("_PORT").replace("_", " ").lower()
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except socket.gaierror as error:
            raise StartupError(
                f"--host {host} is no address: {error}; use 127.0.0.1 or 0.0.0.0", value=host
            ) from error
        except OSError as error:
            why = {
                errno.EADDRINUSE: "is in use",
                errno.EACCES: "needs rights that this user has not",
                errno.EADDRNOTAVAIL: "cannot be opened, for this machine has no such address",
            }.get(error.errno or 0, f"cannot be opened ({error.strerror})")
            raise StartupError(
                f"port {port} on {host} ({owner}) {why}; stop what holds it, move all ports with --base-port, "
                f"or this one with {variable}",
                reason="BUSY_PORT",
                variable=variable,
                port=port,
            ) from error
