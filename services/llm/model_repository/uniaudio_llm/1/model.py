"""Triton's entry: loads the engine, hands it requests. The logic is in `services.llm`."""

from __future__ import annotations

import gc
import signal
from collections.abc import Callable
from typing import Any

import triton_python_backend_utils as pb_utils

from services.llm.backend import Backend
from services.llm.loading import load_engine
from services.llm.settings import LlmSettings, RankSettings
from services.llm.telemetry_meters import TelemetryMeters
from services.llm.triton_adapter import TritonMeters, TritonRequests, check_numpy
from uniaudio.engine.ranks.first import FirstRank
from uniaudio.runtime.logging import setup_logging
from uniaudio.runtime.settings import read_settings
from uniaudio.runtime.telemetry import setup_telemetry

# Time for Triton to hear that the model is finalized; then the default action of SIGALRM ends the stub.
_EXIT_SECONDS = 1.0


class TritonPythonModel:
    """One engine, one instance: Triton's stub process."""

    _backend: Backend
    _requests: TritonRequests
    _ranks: FirstRank | None
    _meters: TritonMeters
    _stop_telemetry: Callable[[], None]

    def initialize(self, args: dict[str, Any]) -> None:
        check_numpy()
        settings = read_settings(LlmSettings)
        setup_logging("llm", settings.log_level)
        self._stop_telemetry = setup_telemetry("llm")
        loaded = load_engine(settings, read_settings(RankSettings))
        self._ranks = loaded.ranks
        self._meters = TritonMeters(pb_utils)
        self._backend = Backend(loaded.engine, loaded.info, TelemetryMeters(self._meters), check=loaded.check)
        self._requests = TritonRequests(pb_utils, self._backend)

    def execute(self, requests: list[Any]) -> None:
        self._requests.execute(requests)

    def finalize(self) -> None:
        self._backend.close()
        if self._ranks is not None:
            self._ranks.close()
        self._meters.close()
        self._stop_telemetry()
        del self._requests, self._backend, self._meters
        gc.collect()  # what still points into Triton's shared memory must go before it does
        # Everything is closed. Unloading torch's libraries would take seconds, and Triton waits for that.
        signal.setitimer(signal.ITIMER_REAL, _EXIT_SECONDS)
