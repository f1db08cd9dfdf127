"""``/openapi.json``, and ``/docs``: Swagger UI, served from here, so that it needs no internet."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Final

from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route

from api.edge import edge_of
from api.errors import error_response
from api.rest.openapi import document

POLICY: Final = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self' 'unsafe-inline'",  # Swagger UI sets style attributes
        "img-src 'self' data:",  # the icons in its style sheet
        "connect-src 'self'",  # the document, and what is tried out
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)
"""The page's Content-Security-Policy: nothing is loaded from elsewhere, and no script is inline."""

_HERE: Final = Path(__file__).parent
_SWAGGER: Final = Path(str(files("fastapi_swagger"))) / "resources"
_FILES: Final = {
    "swagger-ui-bundle.js": (_SWAGGER, "text/javascript"),
    "swagger-ui.css": (_SWAGGER, "text/css"),
    "favicon-32x32.png": (_SWAGGER, "image/png"),
    "swagger-start.js": (_HERE, "text/javascript"),
}


async def openapi(request: Request) -> Response:
    """The published document."""
    server = edge_of(request.scope).public_url or "/"
    return Response(document(server), media_type="application/json")


async def page(request: Request) -> Response:
    """The page that shows it and lets it be tried out."""
    headers = {"content-security-policy": POLICY, "referrer-policy": "no-referrer"}
    return FileResponse(_HERE / "swagger.html", headers=headers, media_type="text/html")


async def part(request: Request) -> Response:
    """A file that the page needs."""
    name = request.path_params["file"]
    if name not in _FILES:
        return error_response(404, "not found")
    folder, media_type = _FILES[name]
    headers = {"cache-control": "max-age=3600"}
    return FileResponse(folder / name, headers=headers, media_type=media_type)


ROUTES: Final = (
    Route("/openapi.json", openapi),
    Route("/docs", page),
    Route("/docs/{file}", part),
)
