"""What a framework adapter hands to the serve handler, and the one rule for the endpoint's URL."""

import re
from collections.abc import Iterable, Mapping
from urllib.parse import unquote_plus, urlsplit, urlunsplit

import msgspec

from stepwell.sdk.settings import ServeSettings

SERVE_PATH_DEFAULT = "/api/inngest"

_ODD = re.compile(r"[^A-Za-z0-9_-]")


class ServeRequest(msgspec.Struct, frozen=True, kw_only=True):
    """One HTTP request to an endpoint, free of any framework.

    `url` is absolute; `headers` have lower-case names; `body` holds the bytes as they came, since
    signatures are made over them; `raw` is the framework's own request, for middleware.

    `variables` come before those of the process where a platform hands over an environment with
    each request, and `is_production` says the mode where it does that. They count for this request
    alone; None changes nothing.
    """

    method: str
    url: str
    headers: Mapping[str, str]
    query: Mapping[str, str]
    body: bytes = b""
    raw: object = None
    variables: Mapping[str, str] | None = None
    is_production: bool | None = None


def read_headers(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Header names in lower case; of a header that came several times the first value counts."""
    read: dict[str, str] = {}
    for name, value in pairs:
        read.setdefault(name.lower(), value)
    return read


def read_query(text: str) -> dict[str, str]:
    """The query's parameters, decoded; of one that came several times the first value counts."""
    read: dict[str, str] = {}
    for pair in text.split("&"):
        if pair:
            name, _, value = pair.partition("=")
            read.setdefault(_unquoted(name), _unquoted(value))
    return read


def _unquoted(text: str) -> str:
    return unquote_plus(text) if "%" in text or "+" in text else text


def route_name(app_id: str, path: str = SERVE_PATH_DEFAULT) -> str:
    """What frameworks call the route of an app: letters that every one of them takes. An app that
    is served at several paths has a name for each."""
    told = app_id if path == SERVE_PATH_DEFAULT else f"{app_id}{path}"
    return f"inngest_api_{_ODD.sub('-', told)}"


def routed_paths(path: str) -> tuple[str, str]:
    """A path as it is, and with or without the slash at its end. Both are routes: a redirect would
    make a question of a call."""
    bare = path.rstrip("/")
    return (path, bare or path) if path.endswith("/") else (path, f"{path}/")


def public_url(url: str, headers: Mapping[str, str], settings: ServeSettings) -> str:
    """The endpoint's URL as the server must call it, without query and fragment.

    Begins with the request's URL; a trusted proxy's headers say what the client saw; `serve_origin`
    replaces scheme and host, `public_path` or else `serve_path` the path. The request's own path is
    kept where it ends with `serve_path`: what comes before is where the application is mounted.
    """
    parts = urlsplit(url)
    scheme, host, path = parts.scheme or "http", parts.netloc, parts.path
    if settings.trust_proxy:
        scheme, host, path = _as_the_proxy_saw(headers, scheme, host, path)
    if settings.serve_origin is not None:
        origin = urlsplit(settings.serve_origin)
        scheme, host = origin.scheme, origin.netloc
        # An origin may carry the prefix under which a proxy shows the application.
        path = origin.path.rstrip("/") + (path or SERVE_PATH_DEFAULT)
    if settings.serve_path is not None and not _lies_at(path, settings.serve_path):
        path = settings.serve_path
    path = settings.public_path or path or SERVE_PATH_DEFAULT
    return urlunsplit((scheme, host, path, "", ""))


def _lies_at(path: str, serve_path: str) -> bool:
    return path.rstrip("/").endswith(serve_path.rstrip("/"))


def _as_the_proxy_saw(
    headers: Mapping[str, str], scheme: str, host: str, path: str
) -> tuple[str, str, str]:
    """Scheme, host and path from `Forwarded` (RFC 7239) or the `X-Forwarded-*` headers."""
    seen: dict[str, str] = {}
    first = headers.get("forwarded", "").split(",")[0]
    for part in first.split(";"):
        name, _, value = part.partition("=")
        seen[name.strip().lower()] = value.strip().strip('"')
    for name in ("proto", "host", "port", "prefix"):
        value = headers.get(f"x-forwarded-{name}", "").split(",")[0].strip()
        if value:
            seen.setdefault(name, value)
    if seen.get("proto") in {"http", "https"}:
        scheme = seen["proto"]
    host = seen.get("host") or host
    port = seen.get("port", "")
    usual = {"http": "80", "https": "443"}.get(scheme)
    if port.isdecimal() and port != usual and ":" not in host.rpartition("]")[2]:
        host = f"{host}:{port}"
    prefix = seen.get("prefix", "").rstrip("/")
    if prefix and not path.startswith(f"{prefix}/"):
        path = f"{prefix}{path}"
    return scheme, host, path
