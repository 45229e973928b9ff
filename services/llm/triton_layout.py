"""Which tritonserver to start and how: from the nvidia-pytriton package, or NVIDIA's own image."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import psutil

from services.llm.settings import LlmSettings
from uniaudio.errors import StartupError
from uniaudio.runtime import llm_wire
from uniaudio.runtime.server import MAX_CONNECTION_AGE_MS
from uniaudio.runtime.telemetry import is_telemetry_on
from uniaudio.runtime.tls import ServerTlsSettings

_IMAGE_SERVER = Path("/opt/tritonserver/bin/tritonserver")
_STUB = "triton_python_backend_stub"
_VERSION = f"{sys.version_info.major}.{sys.version_info.minor}"
SHM_DIRECTORY = Path("/dev/shm")
_SHM_NAME = "uniaudio_llm_"


@dataclass(frozen=True)
class TritonCommand:
    """A tritonserver ready to be started."""

    arguments: tuple[str, ...]
    environment: dict[str, str]


def shm_prefix(supervisor_pid: int) -> str:
    """Start of the names of the shared memory of that supervisor's server."""
    return f"{_SHM_NAME}{supervisor_pid}_"


def remove_stale_shm(directory: Path = SHM_DIRECTORY) -> int:
    """Removes shared memory of this process and of supervisors that are gone; how many files.

    Call it only while this process runs no server.
    """
    num_removed = 0
    for path in directory.glob(f"{_SHM_NAME}*"):
        owner = path.name.removeprefix(_SHM_NAME).partition("_")[0]
        if owner.isdecimal() and (int(owner) == os.getpid() or not psutil.pid_exists(int(owner))):
            path.unlink(missing_ok=True)
            num_removed += 1
    return num_removed


def lay_out(
    settings: LlmSettings, folder: Path, environ: Mapping[str, str], tls: ServerTlsSettings | None = None
) -> TritonCommand:
    """Puts model repository and backend under `folder` and says what to run.

    Raises StartupError naming the package or file that is missing.
    """
    repository = folder / "models"
    shutil.copytree(
        Path(__file__).parent / "model_repository", repository, ignore=shutil.ignore_patterns("__pycache__")
    )
    packages = _wheel_packages(settings)
    environment = dict(environ)
    backend: tuple[str, ...] = ()
    if packages is None:
        server = settings.tritonserver or _IMAGE_SERVER
        if not server.is_file():
            raise StartupError(
                f"no tritonserver: {server} does not exist and the package nvidia-pytriton is not installed; "
                "install the extra `llm` (uv sync --extra llm) or set UNIAUDIO_LLM_TRITONSERVER"
            )
    else:
        server = packages / "pytriton/tritonserver/bin/tritonserver"
        backends = _lay_out_backend(packages, folder / "backends")
        backend = (f"--backend-directory={backends}",)
        libraries = [str(packages / "nvidia_pytriton.libs"), _python_library_folder()]
        environment["LD_LIBRARY_PATH"] = _join(*libraries, environment.get("LD_LIBRARY_PATH"))
    # The stub takes its packages from the `python3` that it finds first.
    environment["PATH"] = _join(f"{sys.prefix}/bin", environment.get("PATH"))
    environment["VIRTUAL_ENV"] = sys.prefix
    # Torch's threads spin while they wait for each other, which costs a busy machine many times a step.
    environment.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    environment["PYTHONPATH"] = _join(str(Path(__file__).parents[2]), environment.get("PYTHONPATH"))
    scratch = folder / "tmp"
    scratch.mkdir()
    environment["TMPDIR"] = str(scratch)  # libraries leave caches there; they go with the folder
    environment["UNIAUDIO_MODEL_DIR"] = str(settings.model_dir.resolve())
    flags = [*_flags(settings, repository), *_tls_flags(tls or ServerTlsSettings())]
    arguments = (str(server), *flags, *backend, *_trace_flags(settings, environ))
    return TritonCommand(arguments, environment)


def _flags(settings: LlmSettings, repository: Path) -> list[str]:
    return [
        f"--model-repository={repository}",
        "--disable-auto-complete-config",  # it would import the model twice
        f"--grpc-address={settings.host}",
        f"--http-address={settings.host}",
        f"--metrics-address={settings.host}",
        f"--grpc-port={settings.grpc_port}",
        f"--http-port={settings.http_port}",
        f"--metrics-port={settings.metrics_port}",
        f"--grpc-header-forward-pattern={llm_wire.FORWARDED_HEADERS}",
        f"--grpc-max-connection-age={MAX_CONNECTION_AGE_MS}",
        f"--exit-timeout-secs={max(1, round(settings.grace_seconds))}",
        f"--backend-config=python,shm-region-prefix-name={shm_prefix(os.getpid())}",
        "--log-warning=false" if settings.device == "cpu" else "--log-warning=true",
    ]


def _tls_flags(tls: ServerTlsSettings) -> list[str]:
    """Triton reads the files once, when it starts. Its HTTP port knows no TLS, so it is closed then."""
    if not tls.is_on:
        return []
    mutual = ["--grpc-use-ssl-mutual=true", f"--grpc-root-cert={tls.client_ca_file}"] if tls.is_mutual else []
    return [
        "--allow-http=false",
        "--grpc-use-ssl=true",
        f"--grpc-server-cert={tls.cert_file}",
        f"--grpc-server-key={tls.key_file}",
        *mutual,
    ]


def _trace_flags(settings: LlmSettings, environ: Mapping[str, str]) -> list[str]:
    url = trace_url(settings, environ)
    if not url:
        return []
    name = environ.get("OTEL_SERVICE_NAME") or "llm"
    return [
        "--trace-config=mode=opentelemetry",
        f"--trace-config=opentelemetry,url={url}",
        f"--trace-config=opentelemetry,resource=service.name={name}",
        "--trace-config=rate=1",
        "--trace-config=level=TIMESTAMPS",
    ]


def trace_url(settings: LlmSettings, environ: Mapping[str, str]) -> str:
    """Where Triton sends its own spans, or "" for nowhere. It speaks OTLP over HTTP only.

    Our own spans go over gRPC; a collector listens on 4317 for that and on 4318 for HTTP.
    """
    if settings.triton_trace_url or not is_telemetry_on(environ):
        return settings.triton_trace_url
    variables = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
    endpoint = next((environ[name] for name in variables if environ.get(name)), "")
    parts = urlsplit(endpoint if "//" in endpoint else f"http://{endpoint}")
    if parts.port != 4317:
        return ""
    return f"{parts.scheme}://{parts.hostname}:4318/v1/traces"


def _wheel_packages(settings: LlmSettings) -> Path | None:
    """The folder with the nvidia-pytriton package, unless another server is asked for or none is there."""
    if settings.tritonserver is not None:
        return None
    found = importlib.util.find_spec("pytriton")  # found, not imported
    if found is None or found.origin is None:
        return None
    packages = Path(found.origin).parents[1]
    return packages if (packages / "pytriton/tritonserver/bin/tritonserver").is_file() else None


def _lay_out_backend(packages: Path, backends: Path) -> Path:
    """Triton looks for a backend's parts in one folder; the package keeps the stubs apart by version."""
    source = packages / "pytriton/tritonserver"
    target = backends / "python"
    target.mkdir(parents=True)
    for name in ("libtriton_python.so", "triton_python_backend_utils.py"):
        shutil.copy2(source / "backends/python" / name, target / name)
    stub = source / "python_backend_stubs" / _VERSION / _STUB
    if not stub.is_file():
        raise StartupError(f"nvidia-pytriton has no stub for Python {_VERSION}; use Python 3.11 or 3.12")
    shutil.copy2(stub, target / _STUB)
    (target / _STUB).chmod(0o755)
    return backends


def _python_library_folder() -> str | None:
    """The folder of libpython, which the stub is linked against; None where the system finds it itself."""
    name = f"libpython{_VERSION}.so.1.0"
    folder = sysconfig.get_config_var("LIBDIR")
    if folder and (Path(folder) / name).is_file():
        return str(folder)
    known = subprocess.run(
        ["/sbin/ldconfig", "-p"], capture_output=True, text=True, timeout=10, check=False
    ).stdout
    if name in known:
        return None
    raise StartupError(
        f"{name} is missing, which Triton's Python backend needs; install it "
        f"(Debian and Ubuntu: apt-get install libpython{_VERSION})",
        reason="MISSING_PACKAGE",
    )


def _join(*parts: str | None) -> str:
    return os.pathsep.join(part for part in parts if part)
