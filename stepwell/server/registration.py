"""The only place that decides whether an app's functions may be registered, and as what.

Pure. HTTP registration, the worker connection and embedded apps all come here. A refusal names
every function, field and value that is wrong, and how to put it right.
"""

import hashlib
import re
from collections.abc import Iterable, Iterator
from typing import Literal, TypeAlias
from urllib.parse import urlsplit, urlunsplit

import msgspec

from stepwell.cron import parse as parse_cron
from stepwell.expr.refusal import refusal
from stepwell.server.engine.message.input import AppRegistered
from stepwell.server.engine.row.run import AppRow, FunctionRow
from stepwell.server.engine.state.catalog import Catalog
from stepwell.wire import header
from stepwell.wire.function_check import problems
from stepwell.wire.function_config import FunctionConfig, encode_function, expressions
from stepwell.wire.registration import Registration

Method: TypeAlias = Literal["serve", "connect", "local", "api"]

INVALID = "At least one function is invalid"
SDK_DENIED = "sdk_version_denied"
_LOOPBACK = frozenset({"127.0.0.1", "0.0.0.0"})  # noqa: S104 - addresses to rewrite, not to bind
_PORTS = {"http": 80, "https": 443}
_JS_VERSION = re.compile(r"js:v(\d+)\.(\d+)\.(\d+)")
_JS_DENIED = ((3, 22, 0), (3, 53, 1))


class RegistrationRefused(ValueError):
    """An app may not register. `code` is for programs, empty if there is none."""

    def __init__(self, message: str, code: str = "") -> None:
        """What to tell the app."""
        super().__init__(message)
        self.message = message
        self.code = code


def app_registered(
    registration: Registration, method: Method, catalog: Catalog, now_ms: int
) -> AppRegistered:
    """What the ledger is told when an app registers. Raises `RegistrationRefused`."""
    _check_app(registration, method)
    functions = registration.functions
    found = [*_invalid(functions), *_taken(functions, registration.app_name, catalog)]
    if found:
        raise RegistrationRefused(f"{INVALID}: {'; '.join(found)}")
    url = plain_url(registration.url) if method == "serve" else registration.url
    app = AppRow(
        name=registration.app_name,
        url=url,
        method=method,
        sdk=registration.sdk,
        framework=registration.framework,
        app_version=registration.app_version,
        checksum=checksum_of(registration, url),
        synced_ms=now_ms,
        events=_text(registration.event_schemas),
    )
    rows = tuple(
        FunctionRow(
            slug=function.id,
            app=app.name,
            name=function.name,
            config=encode_function(function),
            version=1,
            created_ms=now_ms,
        )
        for function in functions
    )
    return AppRegistered(app, rows)


def checksum_of(registration: Registration, url: str) -> str:
    """Two registrations with one checksum say the same. `url` is where the app is called."""
    digest = hashlib.sha256()
    for text in (url, registration.sdk, registration.framework, registration.app_version):
        digest.update(text.encode() + b"\0")
    digest.update(_text(registration.event_schemas).encode() + b"\0")
    functions = registration.functions
    for encoded in sorted(encode_function(_undeployed(function)) for function in functions):
        digest.update(encoded + b"\0")
    return digest.hexdigest()


def plain_url(url: str) -> str:
    """A URL without the protocol's own query parameters. What is no URL stays as it is."""
    address, mark, query = url.partition("?")
    pairs = [pair for pair in query.split("&") if pair]
    kept = [pair for pair in pairs if pair.partition("=")[0] not in header.INTERNAL_QUERY]
    return f"{address}{mark if kept else ''}{'&'.join(kept)}"


def normal_url(url: str) -> str:
    """What two URLs of one app have in common: loopback hosts by one name, no
    default port, no slash at the end, none of the protocol's own query parameters. To compare by,
    not to call."""
    try:
        parts = urlsplit(plain_url(url))
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return url
    if not host:
        return url
    place = "localhost" if host in _LOOPBACK else f"[{host}]" if ":" in host else host
    if port is not None and port != _PORTS.get(parts.scheme):
        place += f":{port}"
    return urlunsplit((parts.scheme, place, parts.path.rstrip("/"), parts.query, ""))


def origin_of(url: str) -> str:
    """Where a URL leads, as `normal_url` writes it, without its path."""
    parts = urlsplit(normal_url(url))
    return f"{parts.scheme}://{parts.netloc}"


def _check_app(registration: Registration, method: Method) -> None:
    name = registration.app_name
    if not name:
        raise RegistrationRefused("App ID required: set appName to the id of your client")
    if name.startswith("@"):
        raise RegistrationRefused(f"appName {name!r} is reserved: begin it with a letter")
    if method == "serve" and urlsplit(registration.url).scheme not in _PORTS:
        raise RegistrationRefused(
            f"url {registration.url!r} is no web address: give the address of your serve endpoint,"
            " such as http://localhost:3000/api/inngest"
        )
    if found := _JS_VERSION.match(registration.sdk):
        version = (int(found[1]), int(found[2]), int(found[3]))
        if _JS_DENIED[0] <= version <= _JS_DENIED[1]:
            text = ".".join(str(part) for part in version)
            raise RegistrationRefused(
                f"sdk js:v{text} has a known vulnerability: upgrade the inngest package to 3.54.0"
                " or later",
                SDK_DENIED,
            )


def _invalid(functions: Iterable[FunctionConfig]) -> Iterator[str]:
    seen: set[str] = set()
    for function in functions:
        named = f'function "{function.id}"'
        if function.id in seen:
            yield f"{named}: id is used twice; give each function an id of its own"
        seen.add(function.id)
        for problem in [*problems(function), *_expression_problems(function)]:
            yield f"{named}: {problem}"


def _taken(functions: Iterable[FunctionConfig], app: str, catalog: Catalog) -> Iterator[str]:
    for function in functions:
        known = catalog.listing(function.id)
        if known is not None and known.app != app:
            yield (
                f'function "{function.id}": id belongs to app "{known.app}" already; rename the'
                " function or the app"
            )


def _expression_problems(function: FunctionConfig) -> Iterator[str]:
    for field, source in expressions(function):
        why = refusal(source, plain=field.startswith("cancel[")) if source else None
        if why is not None:
            yield f"{field} {source!r} {why}"
    for index, trigger in enumerate(function.triggers):
        if not trigger.cron:
            continue
        try:
            parse_cron(trigger.cron)
        except ValueError as error:
            yield f"triggers[{index}].cron {trigger.cron!r} is no schedule: {error}"


def _undeployed(function: FunctionConfig) -> FunctionConfig:
    """A deployment id in the address of calls is no change of the function."""
    if header.QUERY_DEPLOY_ID not in function.url:
        return function
    address, _, query = function.url.partition("?")
    mark = f"{header.QUERY_DEPLOY_ID}="
    kept = "&".join(pair for pair in query.split("&") if not pair.startswith(mark))
    return msgspec.structs.replace(function, url=f"{address}?{kept}")


def _text(raw: msgspec.Raw | None) -> str:
    return "" if raw is None else bytes(raw).decode()
