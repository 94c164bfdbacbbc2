"""What a client is set to in one environment, and its ways to the server there.

A client has one of these of its own. A request that brings its own environment has another, for as
long as it is answered: what is asked and sent meanwhile goes where that environment says, and
nothing that others use changes.
"""

from collections import ChainMap
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cached_property
from typing import Any, cast
from urllib.parse import quote

from stepwell.sdk.errors import EventKeyUnspecifiedError
from stepwell.sdk.net.agent import common_headers
from stepwell.sdk.net.engine_port import NoServer
from stepwell.sdk.net.port import HttpPort
from stepwell.sdk.net.probing import probing
from stepwell.sdk.net.server_api import ServerApi
from stepwell.sdk.net.shared import shared_port
from stepwell.sdk.send.delivery import EventPort, HttpEventPort
from stepwell.sdk.settings import EVENT_KEY_DEV, Options, Settings, resolve

_NO_EVENT_KEY = """Failed to send events: couldn't find an event key. Do one of these:
- set the environment variable INNGEST_EVENT_KEY;
- pass it to the client, as in Inngest(app_id=..., event_key=...);
- give it later, as in client.set_event_key(...);
- for a development server, which needs no key, set INNGEST_DEV=1."""


class Reach:
    """Settings, decided when this is made, and the ports that follow from them."""

    def __init__(
        self,
        options: Options,
        environ: Mapping[str, str],
        *,
        http: HttpPort | None,
        alone: bool,
        send_timeout_seconds: float,
    ) -> None:
        """`http` None is the process's shared port; `alone`, an engine in this process without API.

        Raises ConfigurationError as `resolve` does.
        """
        self._alone = alone
        self.environ = environ
        self.settings: Settings = resolve(options, environ)
        self._http = http
        self._send_timeout_seconds = send_timeout_seconds

    @cached_property
    def http(self) -> HttpPort:
        """What makes HTTP requests."""
        if self._alone and not self.settings.origin_is_explicit:
            return NoServer()
        return probing(shared_port() if self._http is None else self._http, self.settings)

    @cached_property
    def api(self) -> ServerApi:
        """The server's API, with the keys of this environment."""
        return ServerApi(lambda: self.http, self.settings)

    @cached_property
    def event_port(self) -> EventPort:
        """The event API. Raises EventKeyUnspecifiedError in cloud mode without an event key."""
        settings = self.settings
        key = settings.event_key
        if key is None and settings.mode == "cloud":
            raise EventKeyUnspecifiedError(_NO_EVENT_KEY)
        return HttpEventPort(
            lambda: self.http,
            f"{settings.event_origin.rstrip('/')}/e/{quote(key or EVENT_KEY_DEV, safe='')}",
            common_headers(settings),
            self._send_timeout_seconds,
        )


def in_front(variables: Mapping[str, str], environ: Mapping[str, str]) -> Mapping[str, str]:
    """An environment in which these variables come first."""
    return ChainMap(dict(variables), cast("dict[str, str]", environ))


_within: ContextVar[Mapping[int, Reach]] = ContextVar("stepwell_reach")


def reach_within(client: object) -> Reach | None:
    """What a client reaches while a request that brought its environment is answered, or None."""
    told = _within.get(None)
    return None if told is None else told.get(id(client))


@contextmanager
def within(client: object, reach: Reach) -> Generator[None, Any, None]:
    """Let a client reach this in the code that runs here, and nowhere else."""
    token = _within.set({**_within.get({}), id(client): reach})
    try:
        yield
    finally:
        _within.reset(token)
