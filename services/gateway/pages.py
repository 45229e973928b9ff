"""The pages: the studio, which uses the API like any other caller, and the API's document to look at."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from fastapi import FastAPI
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import RedirectResponse
from starlette.responses import HTMLResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from uniaudio.errors import UnavailableError
from uniaudio.runtime.logging import get_logger

log = get_logger(__name__)

STUDIO = Path(__file__).parent / "studio"
_FETCHED = STUDIO / "vendor/VERSION"  # written last
_SWAGGER = "/studio/vendor/swagger-ui/swagger-ui"
# Everything comes from here: nothing of a page may load or send anywhere else.
_STUDIO_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; "
    "media-src 'self' blob:; connect-src 'self' blob:; worker-src 'self' blob:; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
_DOCS_POLICY = (
    "default-src 'none'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


def _headers(policy: str) -> Mapping[str, str]:
    return {
        "Content-Security-Policy": policy,
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Permissions-Policy": "microphone=(self)",
        "Cache-Control": "no-cache",
    }


class _Studio(StaticFiles):
    async def get_response(self, path: str, scope: Scope) -> Response:
        answer = await super().get_response(path, scope)
        answer.headers.update(_headers(_STUDIO_POLICY))
        return answer


def add_pages(app: FastAPI) -> None:
    """Serves the studio at `/studio/`, where people are sent who come to `/`, and the document at `/docs`."""
    is_complete = _FETCHED.is_file()
    if is_complete:
        app.mount("/studio", _Studio(directory=STUDIO, html=True), name="studio")
    else:
        log.warning("what the pages are made with is missing", remedy="run python tools/fetch_assets.py")

    @app.get("/", include_in_schema=False)
    async def root() -> RedirectResponse:
        _check(is_complete)
        return RedirectResponse("/studio/")

    @app.get("/docs", include_in_schema=False)
    async def docs() -> HTMLResponse:
        _check(is_complete)
        page = get_swagger_ui_html(
            openapi_url="/openapi.json",
            title="uniaudio API",
            swagger_js_url=f"{_SWAGGER}-bundle.js",
            swagger_css_url=f"{_SWAGGER}.css",
            swagger_favicon_url="/studio/icon.svg",
        )
        page.headers.update(_headers(_DOCS_POLICY))
        return page


def _check(is_complete: bool) -> None:
    if not is_complete:
        raise UnavailableError(
            "the pages are not installed; run `python tools/fetch_assets.py` and start again, or see /openapi.json",
            reason="NO_STUDIO",
            value="no waveform component",
            limit="services/gateway/studio/vendor",
            remedy="run python tools/fetch_assets.py",
        )
