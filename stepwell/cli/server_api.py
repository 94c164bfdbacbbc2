"""How the command line asks a running server: where it is, with which key, and what it says."""

import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from http.client import HTTPException, HTTPMessage, HTTPResponse
from typing import IO, Any, Generic, TypeVar
from urllib.parse import quote, urlencode

import click
import msgspec

from stepwell.wire.signature import SigningKeyError, bearer

DEFAULT_URL = "http://localhost:8288"
TIMEOUT_S = 30
EVENTS_PATH = "/e/"
ANY_KEY = "dev"
"""A development server takes any event key."""
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_PASSING = frozenset({502, 503, 504})
"""What a server says that is stopping, or a proxy before one that is not there."""
API_KEY = "swk_"
"""How keys begin that `stepwell keys create` makes."""
_URL_VARIABLES = ("STEPWELL_URL", "INNGEST_API_BASE_URL", "INNGEST_BASE_URL", "INNGEST_DEV")

F = TypeVar("F", bound=Callable[..., Any])
T = TypeVar("T")
Text = str | int | tuple[str, ...] | None


class Metadata(msgspec.Struct, frozen=True):
    """What an answer says about itself; `cursor` leads to the next page."""

    cursor: str | None = None


class Enveloped(msgspec.Struct, Generic[T], frozen=True):
    """An answer of the v1 API."""

    data: T
    metadata: Metadata = Metadata()


class _Refusal(msgspec.Struct):
    message: str


class _Told(msgspec.Struct):
    error: str | None = None
    errors: tuple[_Refusal, ...] = ()


class Refused(click.ClickException):
    """The server answered, and does not do what it was asked."""


class Away(click.ClickException):
    """Nobody answers, or nobody who can for now."""


class ServerApi(msgspec.Struct, frozen=True):
    """A server and what opens it."""

    url: str
    signing_key: str | None = None

    def get(self, kind: type[T], path: str, **query: Text) -> T:
        """What a GET answers, read as `kind`. Exits with a sentence where it cannot be had."""
        given = {key: value for key, value in query.items() if value not in (None, "", ())}
        asked = f"?{urlencode(given, doseq=True)}" if given else ""
        return self._read(kind, self._ask("GET", f"{path}{asked}", None))

    def get_if_there(self, kind: type[T], path: str, **query: Text) -> T | None:
        """The same; None where the server refuses or knows nothing of it."""
        try:
            return self.get(kind, path, **query)
        except Refused:
            return None

    def post(self, kind: type[T], path: str, body: object) -> T:
        """What a POST answers, read as `kind`."""
        return self._read(kind, self._ask("POST", path, msgspec.json.encode(body)))

    def lines(self, path: str, **query: Text) -> Iterator[str]:
        """The lines of an answer that goes on, until it ends or the connection is lost. Exits with
        a sentence where it cannot be had: raises Away where it may be had later."""
        given = {key: value for key, value in query.items() if value not in (None, "", ())}
        asked = f"?{urlencode(given, doseq=True)}" if given else ""
        request = self._request("GET", f"{path}{asked}", None)
        with self._opened(path, request) as answer, suppress(OSError, HTTPException):
            for line in answer:
                yield line.decode().rstrip("\n")

    def delete(self, kind: type[T], path: str) -> T:
        """What a DELETE answers, read as `kind`."""
        return self._read(kind, self._ask("DELETE", path, None))

    def _read(self, kind: type[T], raw: bytes) -> T:
        try:
            return msgspec.json.decode(raw, type=kind)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise click.ClickException(
                f"{self.url} answered something else than expected ({error}): is it this server,"
                " in this version?"
            ) from None

    def _ask(self, method: str, path: str, body: bytes | None) -> bytes:
        """One request. Exits with a sentence where the server is away or refuses."""
        with self._opened(path, self._request(method, path, body)) as answer:
            try:
                raw: bytes = answer.read()
            except (OSError, HTTPException) as error:
                raise Away(f"{self.url} broke off its answer: {error!r}") from None
            return raw

    def _request(self, method: str, path: str, body: bytes | None) -> urllib.request.Request:
        url = self.url.rstrip("/") + path
        headers = dict(self._headers())
        return urllib.request.Request(url, data=body, method=method, headers=headers)  # noqa: S310 - the operator chose the address

    def _opened(self, path: str, request: urllib.request.Request) -> HTTPResponse:
        try:
            answer: HTTPResponse = _opener.open(request, timeout=TIMEOUT_S)
            return answer
        except urllib.error.HTTPError as error:
            kind = Away if error.code in _PASSING else Refused
            raise kind(_refusal(self, path, error)) from None
        except (OSError, ValueError, HTTPException) as error:
            reason = getattr(error, "reason", error)
            raise Away(
                f"no server answers at {self.url}: {reason}. Start one with `stepwell dev`, or name"
                " another with --url"
            ) from None

    def _headers(self) -> Mapping[str, str]:
        headers = {"Content-Type": "application/json"}
        if self.signing_key and self.signing_key.startswith(API_KEY):
            headers["Authorization"] = f"Bearer {self.signing_key}"
        elif self.signing_key:
            try:
                headers["Authorization"] = bearer(self.signing_key)
            except SigningKeyError as error:
                raise click.ClickException(str(error)) from None
        return headers


def _refusal(server: ServerApi, path: str, error: urllib.error.HTTPError) -> str:
    if error.code in _REDIRECTS:
        # Followed, it would lose its method and body, and show its key to somebody else.
        place = error.headers.get("location")
        return f"{server.url} redirects to {place}: name that server with --url"
    text = error.read().decode(errors="replace").strip()
    with suppress(msgspec.DecodeError):
        told = msgspec.json.decode(text, type=_Told)
        text = told.error or "; ".join(one.message for one in told.errors) or text
    if error.code != 401:
        return f"{server.url} answered HTTP {error.code}: {text}"
    if path.startswith(EVENTS_PATH):
        return _event_key_refused(server.url, path[len(EVENTS_PATH) :])
    if server.signing_key:
        return (
            f"{server.url} refuses the key it was given: pass the one the server was started with,"
            " or one of `stepwell keys create`, as --signing-key, or set INNGEST_SIGNING_KEY to it"
        )
    return f"{server.url} asks for a key: pass --signing-key, or set INNGEST_SIGNING_KEY"


class _NoRedirections(urllib.request.HTTPRedirectHandler):
    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: HTTPMessage,
        newurl: str,
    ) -> None:
        """Do not."""


_opener = urllib.request.build_opener(_NoRedirections)


def _event_key_refused(url: str, key: str) -> str:
    if key == ANY_KEY:
        return f"{url} asks for a key: pass --event-key, or set INNGEST_EVENT_KEY"
    return (
        f"{url} refuses the event key it was given: pass one the server was started with as"
        " --event-key, or set INNGEST_EVENT_KEY to it"
    )


def server_options(function: F) -> F:
    """Gives a command the options that say which server to ask."""
    url = click.option(
        "--url",
        envvar=_URL_VARIABLES,
        default=DEFAULT_URL,
        metavar="URL",
        help=f"The server to ask. [default: {DEFAULT_URL}; env: {', '.join(_URL_VARIABLES)}]",
    )
    key = click.option(
        "--signing-key",
        envvar=("STEPWELL_API_KEY", "STEPWELL_SIGNING_KEY", "INNGEST_SIGNING_KEY"),
        metavar="TEXT",
        help="What opens the server: its signing key, or a key of `stepwell keys create`. [env:"
        " STEPWELL_API_KEY, INNGEST_SIGNING_KEY]",
    )
    return url(key(function))


def server_at(url: str, signing_key: str | None) -> ServerApi:
    """The server an operator named; INNGEST_DEV may hold `1`, which is the default address."""
    text = url.strip()
    if text.lower() in ("", "0", "1", "true", "false"):
        text = DEFAULT_URL
    if "://" not in text:
        text = f"http://{text}"
    return ServerApi(text, signing_key)


def segment(text: str) -> str:
    """Text as one segment of a path."""
    return quote(text, safe="")
