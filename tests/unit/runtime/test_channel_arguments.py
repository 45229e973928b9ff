"""gRPC ignores arguments that it does not know, in silence; so each of ours must be one of its own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from grpc._cython import cygrpc

from uniaudio.client import channel
from uniaudio.runtime.server import client_options, server_options


@pytest.mark.parametrize(
    "options",
    [server_options(), client_options(), channel.SPEECH_CHANNEL_OPTIONS, channel.JOBS_CHANNEL_OPTIONS],
)
def test_each_channel_argument_is_one_that_grpc_knows(options: Sequence[tuple[str, Any]]) -> None:
    library = Path(cygrpc.__file__).read_bytes()
    assert [name for name, _ in options if name.encode() not in library] == []
