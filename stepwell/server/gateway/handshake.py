"""May this worker stay? Its token is checked, its apps are registered, its groups are known.

The only place that admits workers. Registration goes the way it goes for every app, through
`server/registration.py` and the ledger; the worker hears the same words an app over HTTP would.
A function the newest version no longer has starts no runs, but while a worker of an older version
still serves it, it stays known, so that its runs come to their end.
"""

import asyncio
import logging
from collections.abc import Callable
from functools import partial
from typing import TypeVar

import msgspec

from stepwell.server.advice import advice
from stepwell.server.engine.message.input import Answer, AppRegistered, Verdict
from stepwell.server.engine.row.run import AppRow, FunctionRow
from stepwell.server.gateway import session_token
from stepwell.server.gateway.sessions import ServedApp, Sessions, group_hash
from stepwell.server.gateway.socket_endpoint import Rejected
from stepwell.server.intake import FUNCTIONS_PART, registered
from stepwell.server.ledger import Ledger, LedgerClosed
from stepwell.server.registration import RegistrationRefused, app_registered
from stepwell.server.store.port import StoreError
from stepwell.wire.connect_limit import (
    CLOSE_INTERNAL,
    CLOSE_POLICY,
    EXTENSION_CHECKPOINT,
    REASON_AUTH_FAILED,
    REASON_INTERNAL,
    REASON_TOO_MANY_APPS,
)
from stepwell.wire.connect_word import AppConfig, SyncFailed, WorkerConnect
from stepwell.wire.function_config import (
    FunctionConfig,
    MalformedFunction,
    decode_function,
    encode_function,
)
from stepwell.wire.outside import decode
from stepwell.wire.registration import DEPLOY_CONNECT, Registration

T = TypeVar("T")

log = logging.getLogger("stepwell.gateway")

_CAPABILITIES = msgspec.json.Decoder(dict[str, object])
_FUNCTIONS = msgspec.json.Decoder(list[msgspec.Raw])

APP_URL = "ws://connect?app_name="


class Admitted(msgspec.Struct, frozen=True):
    """A worker that may stay, with its apps as they are registered now."""

    apps: tuple[ServedApp, ...]
    extensions: tuple[str, ...]
    registered: tuple[AppRow, ...]


class _Keeping(msgspec.Struct, frozen=True):
    """An app as its newest version registered it, and what was kept beside that."""

    newest: AppRegistered
    checksum: str
    kept: tuple[FunctionRow, ...]


class Admission:
    """Admits workers of one server."""

    def __init__(
        self,
        ledger: Ledger,
        now_ms: Callable[[], int],
        *,
        secret: bytes,
    ) -> None:
        self._ledger = ledger
        self._now_ms = now_ms
        self._secret = secret
        self._keeping: dict[str, _Keeping] = {}
        """Apps with functions that only workers of an older version serve."""

    async def admit(self, worker: WorkerConnect, sessions: Sessions) -> Admitted | Rejected:
        """Check a worker and register its apps."""
        try:
            right = session_token.check(
                worker.session_token, self._secret, now_s=self._now_ms() / 1000
            )
        except session_token.TokenRefused as refused:
            log.warning("a worker (%s) is refused: %s", worker.instance_id, refused)
            return Rejected(CLOSE_POLICY, REASON_AUTH_FAILED)
        if len(worker.apps) > right.apps_max:
            count, most = len(worker.apps), right.apps_max
            log.warning(
                "a worker (%s) is refused: %d apps, at most %d may share a connection",
                worker.instance_id,
                count,
                most,
            )
            return Rejected(CLOSE_POLICY, REASON_TOO_MANY_APPS)
        try:
            capabilities = decode(worker.capabilities, _CAPABILITIES)
            listed = [(app, decode(app.functions, _FUNCTIONS)) for app in worker.apps]
            groups = [
                group_hash(right.account_id, right.env_id, worker, app) for app in worker.apps
            ]
        except (msgspec.DecodeError, ValueError) as error:
            log.warning("a worker (%s) introduces itself badly: %s", worker.instance_id, error)
            return Rejected(CLOSE_INTERNAL, REASON_INTERNAL)
        apps: dict[str, ServedApp] = {}
        rows: list[AppRow] = []
        for (app, functions), group in zip(listed, groups, strict=True):
            synced = await self._sync(worker, app, functions, group, sessions)
            if isinstance(synced, Rejected):
                return synced
            served, row = synced
            apps[served.name] = served
            if row is not None:
                rows.append(row)
        spoken = (EXTENSION_CHECKPOINT,) if EXTENSION_CHECKPOINT in capabilities else ()
        return Admitted(tuple(apps.values()), spoken, tuple(rows))

    async def _sync(
        self,
        worker: WorkerConnect,
        app: AppConfig,
        raw: list[msgspec.Raw],
        group: str,
        sessions: Sessions,
    ) -> tuple[ServedApp, AppRow | None] | Rejected:
        try:
            functions = await _aside(raw, partial(_decoded, raw))
        except MalformedFunction as malformed:
            return _refused("", f"At least one function is invalid: {malformed}")
        slugs = frozenset(function.id for function in functions)
        codes = {one.id: one.code.version for one in functions if one.code.version}
        served = ServedApp(app.name, app.version or "", slugs, group, codes)
        if sessions.is_superseded(served):
            # A worker of an old version came back: it serves on, but does not roll the app back.
            return served, None
        try:
            given = await _aside(raw, partial(self._registered, worker, app, functions))
        except RegistrationRefused as refused:
            return _refused(refused.code, refused.message)
        kept = self._still_served(given, sessions)
        told = _with(given, kept)
        try:
            answer = await registered(self._ledger, told)
        except (StoreError, LedgerClosed) as error:
            log.warning("app %s could not be registered: %s", app.name, error)
            return Rejected(CLOSE_INTERNAL, REASON_INTERNAL)
        if answer.verdict is Verdict.APPLIED:
            for warning in advice(functions):
                log.warning("%s", warning)
        if kept:
            self._keeping[app.name] = _Keeping(given, told.app.checksum, kept)
        else:
            self._keeping.pop(app.name, None)
        sessions.group_seen(served)
        return served, given.app

    def _still_served(self, given: AppRegistered, sessions: Sessions) -> tuple[FunctionRow, ...]:
        """What the app no longer names, but some worker of an older version serves: for the runs
        it has, without its triggers."""
        named = {function.slug for function in given.functions}
        return tuple(
            FunctionRow(
                slug=entry.slug,
                app=entry.app,
                name=entry.name,
                config=encode_function(msgspec.structs.replace(entry.config, triggers=())),
                version=1,
                created_ms=self._now_ms(),
            )
            for entry in self._ledger.catalog.of_app(given.app.name)
            if entry.slug not in named and sessions.serves(entry.app, entry.slug)
        )

    def left(self, app: str, sessions: Sessions) -> None:
        """A worker of an app is gone: what only it served need not be known any more."""
        keeping = self._keeping.get(app)
        if keeping is None or any(sessions.serves(app, row.slug) for row in keeping.kept):
            return
        del self._keeping[app]
        known = self._ledger.catalog.apps.get(app)
        if known is not None and known.checksum == keeping.checksum:
            # Nobody registered it another way meanwhile.
            self._ledger.submit(keeping.newest).add_done_callback(_look_away)

    def _registered(
        self, worker: WorkerConnect, app: AppConfig, functions: tuple[FunctionConfig, ...]
    ) -> AppRegistered:
        registration = Registration(
            url=APP_URL + app.name,
            app_name=app.name,
            functions=functions,
            sdk=f"{worker.sdk_language}:{worker.sdk_version}",
            framework=worker.framework,
            app_version=app.version or "",
            deploy_type=DEPLOY_CONNECT,
        )
        return app_registered(registration, "connect", self._ledger.catalog, self._now_ms())


def _decoded(raw: list[msgspec.Raw]) -> tuple[FunctionConfig, ...]:
    return tuple(decode_function(function) for function in raw)


async def _aside(raw: list[msgspec.Raw], work: Callable[[], T]) -> T:
    """What is to be done about the functions of an app: on another thread if they are many."""
    return work() if len(raw) <= FUNCTIONS_PART else await asyncio.to_thread(work)


def _with(given: AppRegistered, kept: tuple[FunctionRow, ...]) -> AppRegistered:
    if not kept:
        return given
    checksum = ",".join((given.app.checksum, *(row.slug for row in kept)))
    app = msgspec.structs.replace(given.app, checksum=checksum)
    return AppRegistered(app, (*given.functions, *kept))


def _look_away(answer: "asyncio.Future[Answer]") -> None:
    if not answer.cancelled():
        answer.exception()


def _refused(code: str, message: str) -> Rejected:
    return Rejected(CLOSE_POLICY, code, SyncFailed(code, message))
