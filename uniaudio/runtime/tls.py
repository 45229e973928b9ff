"""TLS and mutual TLS: certificates from files, for servers (read again when they change) and for clients."""

from __future__ import annotations

import ssl
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import grpc

from uniaudio.errors import StartupError
from uniaudio.runtime.logging import get_logger
from uniaudio.runtime.settings import setting

log = get_logger(__name__)

_MAX_FILE_BYTES = 1 << 20
ShownT = TypeVar("ShownT")


@dataclass(frozen=True, kw_only=True)
class ServerTlsSettings:
    """The certificate that a server shows, and whose clients it lets in."""

    cert_file: Path | None = setting(
        "UNIAUDIO_TLS_CERT_FILE",
        None,
        "PEM file: the server's certificate and its chain; empty serves plaintext.",
    )
    key_file: Path | None = setting(
        "UNIAUDIO_TLS_KEY_FILE", None, "PEM file: the private key of the certificate."
    )
    client_ca_file: Path | None = setting(
        "UNIAUDIO_TLS_CLIENT_CA_FILE",
        None,
        "PEM file: the authorities whose clients are let in, each with a certificate; empty lets all in.",
    )

    @property
    def is_on(self) -> bool:
        """Whether the server speaks TLS."""
        return self.cert_file is not None

    @property
    def is_mutual(self) -> bool:
        """Whether clients must show a certificate."""
        return self.client_ca_file is not None

    def __post_init__(self) -> None:
        _require_pair(self.cert_file, self.key_file, "UNIAUDIO_TLS_CERT_FILE", "UNIAUDIO_TLS_KEY_FILE")
        if self.client_ca_file is not None and self.cert_file is None:
            raise StartupError(
                "UNIAUDIO_TLS_CLIENT_CA_FILE is set without a certificate of the server; set UNIAUDIO_TLS_CERT_FILE "
                "and UNIAUDIO_TLS_KEY_FILE too",
                reason="INVALID_SETTING",
                variable="UNIAUDIO_TLS_CLIENT_CA_FILE",
            )


@dataclass(frozen=True, kw_only=True)
class ClientTlsSettings:
    """Which servers a client believes, and the certificate that it shows them."""

    enabled: bool = setting("UNIAUDIO_TLS", False, "Connect over TLS; implied by a file of authorities.")
    ca_file: Path | None = setting(
        "UNIAUDIO_TLS_CA_FILE", None, "PEM file: the authorities of the servers; empty takes the public ones."
    )
    client_cert_file: Path | None = setting(
        "UNIAUDIO_TLS_CLIENT_CERT_FILE",
        None,
        "PEM file: the certificate that clients show; empty shows none.",
    )
    client_key_file: Path | None = setting(
        "UNIAUDIO_TLS_CLIENT_KEY_FILE", None, "PEM file: the private key of that certificate."
    )
    server_name: str = setting(
        "UNIAUDIO_TLS_SERVER_NAME",
        "",
        "Name in the servers' certificates where it differs from their address.",
    )

    @property
    def is_on(self) -> bool:
        """Whether connections use TLS."""
        return self.enabled or self.ca_file is not None

    def __post_init__(self) -> None:
        _require_pair(
            self.client_cert_file,
            self.client_key_file,
            "UNIAUDIO_TLS_CLIENT_CERT_FILE",
            "UNIAUDIO_TLS_CLIENT_KEY_FILE",
        )


def server_credentials(
    settings: ServerTlsSettings, *, check_seconds: float = 5.0
) -> grpc.ServerCredentials | None:
    """What a gRPC server listens with, or None for plaintext; new connections see changed files.

    Files that are not whole yet, or do not fit each other, leave the certificate as it was. Raises StartupError
    where they cannot be read at the start.
    """
    if not settings.is_on:
        return None
    follower = _Follower(settings, check_seconds, _configuration)
    return grpc.dynamic_ssl_server_credentials(
        follower.current,
        follower.changed,  # type: ignore[arg-type]  # None is "unchanged", which its types forget
        require_client_authentication=settings.is_mutual,
    )


def server_context(settings: ServerTlsSettings, *, check_seconds: float = 5.0) -> ssl.SSLContext | None:
    """The same for a server of HTTP: what its sockets are wrapped with. Raises as `server_credentials`."""
    if not settings.is_on:
        return None
    follower = _Follower(settings, check_seconds, _context)

    def show_newest(connection: ssl.SSLObject, _name: str | None, _first: ssl.SSLContext) -> None:
        follower.changed()
        connection.context = follower.current

    first = follower.current
    first.sni_callback = show_newest  # called in every handshake, with a name or without
    return first


def check_server_files(settings: ServerTlsSettings) -> None:
    """Raises StartupError unless the server's files can be read and fit each other; for servers that are not ours."""
    _configuration(settings)


def require_own_trust(settings: ClientTlsSettings) -> None:
    """Raises StartupError where a service that serves TLS could not reach itself, which it does to see how it is."""
    if not settings.is_on:
        raise StartupError(
            "this service looks after itself over its own port, which serves TLS now; set UNIAUDIO_TLS_CA_FILE (with "
            "mutual TLS also UNIAUDIO_TLS_CLIENT_CERT_FILE and UNIAUDIO_TLS_CLIENT_KEY_FILE)",
            reason="MISSING_SETTING",
            variable="UNIAUDIO_TLS_CA_FILE",
        )


def client_credentials(settings: ClientTlsSettings) -> grpc.ChannelCredentials | None:
    """What a gRPC channel connects with, or None for plaintext. Raises StartupError for files that cannot be read."""
    if not settings.is_on:
        return None
    return grpc.ssl_channel_credentials(
        root_certificates=_read(settings.ca_file) if settings.ca_file else None,
        private_key=_read(settings.client_key_file) if settings.client_key_file else None,
        certificate_chain=_read(settings.client_cert_file) if settings.client_cert_file else None,
    )


def open_channel(
    address: str, options: Sequence[tuple[str, Any]], tls: ClientTlsSettings | None = None
) -> grpc.aio.Channel:
    """A channel to one of our services, over TLS where `tls` asks for it. Raises as `client_credentials`."""
    credentials = None if tls is None else client_credentials(tls)
    if tls is None or credentials is None:
        return grpc.aio.insecure_channel(address, options=options)
    name = [("grpc.ssl_target_name_override", tls.server_name)] if tls.server_name else []
    return grpc.aio.secure_channel(address, credentials, options=[*options, *name])


class _Follower(Generic[ShownT]):
    """Builds what a server shows anew when its files changed. Called from the server's own threads."""

    def __init__(
        self, settings: ServerTlsSettings, check_seconds: float, build: Callable[[ServerTlsSettings], ShownT]
    ) -> None:
        self._settings = settings
        self._check_seconds = check_seconds
        self._build = build
        self._lock = threading.Lock()
        self._checked_at = time.monotonic()
        self._mark = self._marks()
        self.current = build(settings)

    def changed(self) -> ShownT | None:
        """What is shown from now on, or None where nothing changed."""
        with self._lock:
            now = time.monotonic()
            if now - self._checked_at < self._check_seconds:
                return None
            self._checked_at = now
            mark = self._marks()
            if mark == self._mark:
                return None
            self._mark = mark
            try:
                self.current = self._build(self._settings)
            except StartupError as error:
                log.error("the certificate stays as it was", error=error.message)
                return None
            log.info("certificate read again")
            return self.current

    def _marks(self) -> tuple[tuple[int, int] | None, ...]:
        files = (self._settings.cert_file, self._settings.key_file, self._settings.client_ca_file)
        return tuple(_mark(file) for file in files if file is not None)


def _configuration(settings: ServerTlsSettings) -> grpc.ServerCertificateConfiguration:
    assert settings.cert_file is not None
    assert settings.key_file is not None
    _check_pair(settings.cert_file, settings.key_file)
    return grpc.ssl_server_certificate_configuration(
        [(_read(settings.key_file), _read(settings.cert_file))],
        root_certificates=_read(settings.client_ca_file) if settings.client_ca_file else None,
    )


def _context(settings: ServerTlsSettings) -> ssl.SSLContext:
    assert settings.cert_file is not None
    assert settings.key_file is not None
    _check_pair(settings.cert_file, settings.key_file)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(settings.cert_file, settings.key_file)
    if settings.client_ca_file is not None:
        context.load_verify_locations(cadata=_read(settings.client_ca_file).decode())
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def _mark(file: Path) -> tuple[int, int] | None:
    try:
        status = file.stat()
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns


def _require_pair(cert: Path | None, key: Path | None, cert_variable: str, key_variable: str) -> None:
    if (cert is None) != (key is None):
        raise StartupError(
            f"a certificate and its key belong together; set both {cert_variable} and {key_variable}, or neither",
            reason="INVALID_SETTING",
            variable=cert_variable if cert is None else key_variable,
        )


def _check_pair(cert: Path, key: Path) -> None:
    """Raises StartupError for a certificate and a key that do not fit; gRPC would say nothing of it."""
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(cert, key)
    except (OSError, ssl.SSLError) as error:
        raise StartupError(
            f"{cert} and {key} are no certificate with its key: {error}; give two PEM files that belong together",
            reason="CERTIFICATE",
            path=cert,
        ) from error


def _read(file: Path) -> bytes:
    try:
        if file.stat().st_size > _MAX_FILE_BYTES:
            raise OSError(None, f"it has {file.stat().st_size} bytes, at most {_MAX_FILE_BYTES} are read")
        content = file.read_bytes()
    except OSError as error:
        raise StartupError(
            f"{file} cannot be read: {error.strerror or error}; give a PEM file",
            reason="CERTIFICATE",
            path=file,
        ) from error
    if b"-----BEGIN " not in content:
        raise StartupError(f"{file} is no PEM file; give one", reason="CERTIFICATE", path=file)
    return content
