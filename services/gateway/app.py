"""The HTTP application: routes, error shape, bounds."""

from __future__ import annotations

from fastapi import FastAPI

import uniaudio
from services.gateway import (
    edits,
    health,
    jobs,
    live,
    models,
    speech,
    status,
    tokens,
    transcriptions,
    verify,
    voices,
)
from services.gateway.bounds import Bodies, Bounds, Crowd
from services.gateway.document import REFUSALS
from services.gateway.errors import install_errors
from services.gateway.middleware import Told
from services.gateway.neighbours import Neighbours
from services.gateway.pages import add_pages

_ABOUT = """Understand, speak and edit speech. `/v1/audio/transcriptions`, `/v1/audio/speech` and `/v1/models` are
OpenAI's, so its clients work unchanged; `/v1/audio/edits` and `/v1/audio/tokens` are made in the same manner.

Errors come as `{"error": {"message", "type", "param", "code", "metadata"}}`; `metadata` names value, limit and remedy.
Every answer has an `x-request-id`, the caller's own where it sent one.
"""


def create_app(neighbours: Neighbours, bounds: Bounds) -> FastAPI:
    """The application before `neighbours`, within `bounds`."""
    app = FastAPI(
        title="uniaudio",
        version=uniaudio.__version__,
        description=_ABOUT,
        responses=REFUSALS,
        docs_url=None,  # the framework's own page loads its parts from elsewhere
        redoc_url=None,
    )
    app.state.neighbours = neighbours
    for module in (transcriptions, speech, edits, jobs, voices, verify, tokens, models, live, status, health):
        app.include_router(module.router)
    add_pages(app)
    install_errors(app)
    app.add_middleware(Bodies, bounds=bounds)
    app.add_middleware(Crowd, bounds=bounds)
    app.add_middleware(Told)
    return app
