"""The dashboard as an ASGI app: the page at every address a browser opens, and what it loads.

The page is the same for everybody and holds no data; what it shows it asks the API for, which
judges who asks.
"""

import html
import re

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from stepwell.server.dashboard.files import Files, load

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:;"
    " font-src 'self'; connect-src 'self'; frame-ancestors 'none'; base-uri 'self';"
    " form-action 'self'"
)
"""What the page may do: load and ask what is on this server, and nothing else."""

SECURITY = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
}
_API = frozenset(
    {
        "api",
        "v0",
        "v1",
        "v2",
        "e",
        "fn",
        "invoke",
        "dev",
        "health",
        "mcp",
        "metrics",
        "session",
        "x",
    }
)
"""First parts of addresses that are no pages: an unknown one of these is a mistake of a program."""
_PREFIX = re.compile(r"(?:/[\w.~-]+)+")
_BASE = b'<base href="/" />'


class Dashboard:
    """Serves the page and its files; hands on what is neither."""

    def __init__(self, otherwise: ASGIApp, files: Files | None = None) -> None:
        """`otherwise` answers what is no page; `files` are those of the package if not given."""
        self._otherwise = otherwise
        self._files = load() if files is None else files

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        response = self._answer(scope)
        await (self._otherwise if response is None else response)(scope, receive, send)

    def _answer(self, scope: Scope) -> Response | None:
        if scope["type"] != "http" or scope["method"] not in ("GET", "HEAD"):
            return None
        headers = Headers(scope=scope)
        path = scope["path"].removeprefix(scope.get("root_path", "")).lstrip("/")
        if path in self._files.by_path:
            return self._file(path, headers)
        first = path.partition("/")[0]
        if first in _API or "text/html" not in headers.get("accept", ""):
            return None
        return self._page(base_of(scope.get("root_path", ""), headers))

    def _file(self, path: str, headers: Headers) -> Response:
        file = self._files.by_path[path]
        told = {
            **SECURITY,
            "etag": file.etag,
            "cache-control": file.cache_control,
            "vary": "accept-encoding",
        }
        if headers.get("if-none-match") == file.etag:
            return Response(status_code=304, headers=told)
        encoding, body = file.body_for(headers.get("accept-encoding", ""))
        if encoding:
            told["content-encoding"] = encoding
        return Response(body, headers=told, media_type=file.content_type)

    def _page(self, base: str) -> Response:
        body = self._files.page.replace(_BASE, f'<base href="{html.escape(base)}" />'.encode())
        return Response(
            body, headers={**SECURITY, "cache-control": "no-cache"}, media_type="text/html"
        )


def base_of(root_path: str, headers: Headers) -> str:
    """The address below which the page finds everything: where an app mounted it, below where a
    proxy that takes a prefix off says it is (`X-Forwarded-Prefix`)."""
    prefix = headers.get("x-forwarded-prefix", "").rstrip("/")
    if prefix and not _PREFIX.fullmatch(prefix):
        prefix = ""
    return f"{prefix}{root_path.rstrip('/')}/"
