"""`/v1/status`: the system's health in words and numbers, for people and their page."""

from __future__ import annotations

import time
from typing import Any

from fastapi import APIRouter

from services.gateway.document import answered
from services.gateway.neighbours import CallerDep
from uniaudio.errors import UniaudioError
from uniaudio.v1 import speech_pb2

router = APIRouter(prefix="/v1/status", tags=["health"])

_PROBE_SECONDS = 3.0


_EXAMPLE = {
    "ready": True,
    "cause": "",
    "facts": {
        "Model": "uniaudio-nano, revision 0123456789ab",
        "Running": "1 of 4 at once",
        "Queue, last minute": "0.012 s",
        "Real-time factor, last minute": "0.61",
        "Traces": "http://traces.example",
    },
}


@router.get("", responses=answered(_EXAMPLE))
async def status(caller: CallerDep) -> dict[str, Any]:
    """Whether a request would be answered now, what is loaded, and how busy it is."""
    began = time.monotonic()
    try:
        info = await caller.speech.info(timeout_seconds=_PROBE_SECONDS)
    except UniaudioError as error:
        return {"ready": False, "cause": error.message, "facts": {}}
    facts = {**_facts(info), "Answer of the orchestrator": f"{1000 * (time.monotonic() - began):.0f} ms"}
    if caller.traces_url:
        facts["Traces"] = caller.traces_url
    return {"ready": True, "cause": "", "facts": facts}


def _facts(info: speech_pb2.GetInfoResponse) -> dict[str, str]:
    load = info.load
    return {
        "Model": f"{info.model.name}, revision {info.model.revision}",
        "Tokenizer": f"{info.tokenizer.name}, revision {info.tokenizer.revision}",
        "Running": f"{load.num_running} of {load.max_running} at once",
        "Waiting": str(load.num_waiting),
        "Queue, last minute": _seconds(load.queue_seconds if load.HasField("queue_seconds") else None),
        "Real-time factor, last minute": (
            f"{load.real_time_factor:.2f}" if load.HasField("real_time_factor") else "nothing was spoken"
        ),
        "Longest recording": f"{info.max_audio_seconds:.0f} s",
        "Version": info.version,
    }


def _seconds(value: float | None) -> str:
    return "nobody came" if value is None else f"{value:.3f} s"
