"""The studio: a static page that uses the API like any other caller."""

from __future__ import annotations

from pathlib import Path

from fastapi import FastAPI
from fastapi.responses import RedirectResponse
from starlette.responses import Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from uniaudio.errors import UnavailableError
from uniaudio.runtime.logging import get_logger

log = get_logger(__name__)

STUDIO = Path(__file__).parent / "studio"
# Everything comes from here: nothing of the page may load or send anywhere else.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; "
    "media-src 'self' blob:; connect-src 'self' blob:; worker-src 'self' blob:; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
_HEADERS = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Permissions-Policy": "microphone=(self)",
    "Cache-Control": "no-cache",
}


class _Studio(StaticFiles):
    async def get_response(self, path: str, scope: Scope) -> Response:
        answer = await super().get_response(path, scope)
        answer.headers.update(_HEADERS)
        return answer


def add_studio(app: FastAPI) -> None:
    """Serves the page at `/studio/`, and sends people there who come to `/`."""
    complete = (STUDIO / "vendor/wavesurfer.esm.js").is_file()
    if complete:
        app.mount("/studio", _Studio(directory=STUDIO, html=True), name="studio")
    else:
        log.warning("the studio's waveform component is missing", remedy="run python tools/fetch_assets.py")

    @app.get("/", include_in_schema=False)
    async def root() -> RedirectResponse:
        if not complete:
            raise UnavailableError(
                "the studio is not installed; run `python tools/fetch_assets.py` and start again, or see /docs",
                reason="NO_STUDIO",
                value="no waveform component",
                limit="services/gateway/studio/vendor",
                remedy="run python tools/fetch_assets.py",
            )
        return RedirectResponse("/studio/")
