"""`/health/live` and `/health/ready`: whether this process runs, and whether a request would be answered now."""

from __future__ import annotations

from fastapi import APIRouter, Request

from services.gateway.document import answered
from services.gateway.neighbours import Neighbours
from uniaudio.errors import UnauthenticatedError

router = APIRouter(prefix="/health", tags=["health"])

_PROBE_SECONDS = 3.0


@router.get("/live", responses=answered({"status": "live"}))
async def live() -> dict[str, str]:
    """This process runs."""
    return {"status": "live"}


@router.get("/ready", responses=answered({"status": "ready", "model": "uniaudio-nano"}))
async def ready(request: Request) -> dict[str, str]:
    """The services behind answer; an error that says which does not, otherwise."""
    neighbours: Neighbours = request.app.state.neighbours
    try:
        info = await neighbours.speech.info(timeout_seconds=_PROBE_SECONDS)
    except UnauthenticatedError:  # a probe has no token, and needs none for the health alone
        await neighbours.speech.check_ready(timeout_seconds=_PROBE_SECONDS)
        return {"status": "ready"}
    return {"status": "ready", "model": info.model.name}
