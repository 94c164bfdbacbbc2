"""Asks apps to register: those that were named, those that were found, those that are away.

In development every app is asked again and again, so that changed functions are known within
seconds; in production only those not registered yet or away.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable

import msgspec

from stepwell.server.api.apps.discovery import Discovery
from stepwell.server.api.deps import ApiDeps, Synced
from stepwell.server.drivers.http_pool import Answer, HttpPool, NoAnswer
from stepwell.server.engine.message.input import AppFailed
from stepwell.server.engine.row.run import AppRow
from stepwell.server.ledger import LedgerClosed
from stepwell.server.registration import normal_url, origin_of, plain_url
from stepwell.server.store.port import StoreError
from stepwell.wire import header, limit
from stepwell.wire.identifier import app_uuid
from stepwell.wire.outside import decode
from stepwell.wire.registration import SyncAsked, encode_sync_asked
from stepwell.wire.signature import sign_canonical

ELSEWHERE_S = 2.0
"""So long after an app registered at another server of the same database it is known here."""
_PATIENCE_S = limit.SYNC_PING_MS_MAX / 1000
_ANSWER_BYTES_MAX = 1 << 20
_WORDS = {401: "unauthorized", 403: "forbidden", 404: "url_not_found", 500: "internal_server_error"}

log = logging.getLogger("stepwell.polling")


class _Said(msgspec.Struct):
    """What an app says, in the shapes of the SDKs; `app_id` is handed through from our answer."""

    message: str = ""
    error: str = ""
    app_id: str = ""


class _Heard(msgspec.Struct, frozen=True):
    """What came of a ping: what is wrong, or nothing, and whom we registered meanwhile."""

    problem: str
    app_id: str = ""


_SAID = msgspec.json.Decoder(_Said)


class Poller:
    """One per server. `run_once` is one look at every app that is due for it."""

    def __init__(
        self,
        deps: ApiDeps,
        pool: HttpPool,
        discovery: Discovery | None = None,
        *,
        awaited: Callable[[AppRow], bool] = lambda app: False,
    ) -> None:
        """Without `discovery` only named and registered apps are asked. What is wrong with an app
        that is `awaited`, since it is being started, is not logged."""
        self._awaited = awaited
        self._deps = deps
        self._pool = pool
        self._discovery = discovery
        self._named = dict.fromkeys(plain_url(url) for url in deps.config.sdk_urls)
        self._answered: set[str] = set()
        self._names: dict[str, str] = {}
        self._told: dict[str, str] = {}
        self._named_at: dict[str, str] = {}
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to ask. The API must be reachable by now: apps register through it."""
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def stop(self) -> None:
        """Ask no more."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def run_once(self) -> None:
        """Ask every app that is due, once, all at the same time."""
        due = {normal_url(url): url for url in [*await self._found(), *self._due()]}
        await asyncio.gather(*(self._ask(url) for url in due.values()))

    async def sync(self, url: str) -> Synced:
        """Ask one app to register."""
        began_ms = self._deps.clock.now_ms()
        heard = await self._ping(url)
        return Synced(self._app_behind(url, heard, began_ms), heard.problem)

    async def _ping(self, url: str) -> "_Heard":
        body = encode_sync_asked(SyncAsked(url))
        headers = {header.CONTENT_TYPE: header.JSON, header.SERVER_KIND: self._deps.config.kind}
        if (key := self._deps.config.signing_key) is not None:
            headers[header.SIGNATURE] = sign_canonical(body, key, self._deps.clock.now_ms())
        try:
            answer = await self._pool.request(
                "PUT",
                url,
                headers,
                body,
                bytes_max=_ANSWER_BYTES_MAX,
                timeout_s=_PATIENCE_S,
                stays=key is not None,
            )
        except NoAnswer as problem:
            return _Heard(f"unreachable: {problem.message}")
        return _Heard(_refusal(answer), _said_in(answer).app_id)

    async def _run(self) -> None:
        while True:
            try:
                await self.run_once()
            except LedgerClosed:
                return
            except StoreError as error:
                log.warning("apps were not looked at: %s", error)
            except Exception:
                log.exception("looking at apps has a fault; the next look may do better")
            await asyncio.sleep(self._deps.config.poll_interval_s)

    def _due(self) -> Iterable[str]:
        served = [app for app in self._apps() if app.method == "serve"]
        if self._deps.config.poll:
            return [*self._named, *(app.url for app in served)]
        away = [app.url for app in served if app.error]
        return [*(url for url in self._named if url not in self._answered), *away, *self._left()]

    def named_at(self, app: str) -> str:
        """Which of the named addresses an app answered at; empty if none."""
        return self._named_at.get(app, "")

    def _left(self) -> list[str]:
        """Named addresses of apps that a worker took over and left: they may serve again."""
        apps = self._deps.ledger.catalog.apps
        return [
            url
            for name, url in self._named_at.items()
            if (app := apps.get(name)) is not None
            and app.method == "connect"
            and self._deps.lane(name).closed_ms
        ]

    async def _found(self) -> list[str]:
        if self._discovery is None:
            return []
        return await self._discovery.run_once({app.url for app in self._apps()})

    def _apps(self) -> list[AppRow]:
        return list(self._deps.ledger.catalog.apps.values())

    async def _ask(self, url: str) -> None:
        began_ms = self._deps.clock.now_ms()
        heard = await self._ping(url)
        problem = heard.problem
        if not problem:
            self._answered.add(url)
        app = self._app_behind(url, heard, began_ms)
        if app is None and not problem and self._deps.reader.blocks:
            # It may have registered at another server of the same database: that is known soon.
            await asyncio.sleep(ELSEWHERE_S)
            app = self._app_behind(url, heard, began_ms)
        if app is not None and url in self._named:
            self._named_at[app.name] = url
        if app is not None and app.error != problem:
            await self._deps.ledger.submit(AppFailed(app.name, app.url, problem))
        if app is not None and problem and self._awaited(app):
            return
        if app is not None or url in self._named or not problem:
            self._tell(url, problem, registered=app is not None)

    def _app_behind(self, url: str, heard: "_Heard", began_ms: int) -> AppRow | None:
        """The app that answers at a URL. It may have registered with another one: its public one,
        behind a proxy, or that of `serve_origin` and `serve_path`."""
        known, apps = normal_url(url), self._apps()
        for app in apps:
            if normal_url(app.url) == known or app.name == self._names.get(url):
                return app
        if heard.problem:
            return None
        found = [app for app in apps if app_uuid(app.name) == heard.app_id]
        if not found:
            origin = origin_of(url)
            found = [
                app for app in apps if app.synced_ms >= began_ms and origin_of(app.url) == origin
            ]
        if len(found) != 1:
            return None
        self._names[url] = found[0].name
        return found[0]

    def _tell(self, url: str, problem: str, *, registered: bool) -> None:
        """Log what changed, once."""
        said = problem or ("" if registered else "elsewhere")
        if self._told.get(url, "") == said:
            return
        self._told[url] = said
        if problem:
            log.warning("app %s: %s", url, problem)
        elif not registered:
            log.warning(
                "app %s answered but did not register here: point it to this server with"
                " INNGEST_DEV=http://<host>:%s",
                url,
                self._deps.config.port,
            )
        else:
            log.info("app %s is back", url)


def _refusal(answer: Answer) -> str:
    """What an app's answer to the ping means; nothing if it went well."""
    if answer.status not in (400, *_WORDS):
        if header.SDK in answer.headers or answer.status >= 400:
            return ""
        return "not_sdk: something else answers there; correct the URL of the app"
    said = _said_in(answer)
    text = said.message or said.error
    word = _WORDS.get(answer.status, "")
    return ": ".join(part for part in (word, text) if part) or f"HTTP {answer.status}"


def _said_in(answer: Answer) -> _Said:
    try:
        return decode(answer.body, _SAID)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return _Said()
