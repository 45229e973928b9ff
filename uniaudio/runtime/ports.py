"""Free ports on the loopback interface."""

from __future__ import annotations

import random
import socket

from uniaudio.errors import StartupError

_BACKLOG = 1024
# Below what any system gives to outgoing connections (Linux from 32768 on, others from 49152), which else
# take a port between its choice and its use; above what Ray gives to its workers, below its own of Serve.
_CHOICE = range(20000, 30000)
_TRIES = 200


def free_port(host: str = "127.0.0.1") -> int:
    """A TCP port that was free a moment ago, to be bound later and perhaps by another process.

    It is drawn by chance from those that the system gives nobody by itself; two who ask at the same time
    hardly ever get the same. Raises StartupError where none of many is free.
    """
    draw = random.SystemRandom()  # a seed set for the model must not make two services draw alike
    for _ in range(_TRIES):
        port = draw.choice(_CHOICE)
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            try:
                probe.bind((host, port))
            except OSError:  # taken, or of no address here, which the last words tell
                continue
            return port
    raise StartupError(
        f"no free port on {host}: {_TRIES} ports between {_CHOICE.start} and {_CHOICE.stop} were tried; give an "
        "address of this machine, or stop what holds its ports",
        reason="BUSY_PORT",
        host=host,
    )


def require_free_port(host: str, port: int, variable: str) -> None:
    """Returns when `port` can be bound; raises StartupError naming the setting to change otherwise."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise busy_port(host, port, variable, str(error)) from error


def listening_socket(host: str, port: int, variable: str) -> socket.socket:
    """A socket that takes connections already, for a server to serve; StartupError for a busy port."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((host, port))
        bound.listen(_BACKLOG)
    except OSError as error:
        bound.close()
        raise busy_port(host, port, variable, str(error)) from error
    return bound


def busy_port(host: str, port: int, variable: str, cause: str = "") -> StartupError:
    """The error that says a port cannot be bound and what to do."""
    because = f" ({cause})" if cause else ""
    return StartupError(
        f"cannot listen on {host}:{port}{because}; stop the process that holds it, or choose another port "
        f"with {variable}",
        reason="BUSY_PORT",
        host=host,
        port=port,
        variable=variable,
    )
