"""May this worker stay? Its token is checked, its apps are registered, its groups are known.

The only place that admits workers. Registration goes the way it goes for every app, through
`server/registration.py` and the ledger; the worker hears the same words an app over HTTP would.
A worker of an older version does not register (`former_versions.py`). A function the newest
version no longer has starts no runs, but while a worker of an older version still serves it, it
stays known, so that its runs come to their end.
"""

import asyncio
import logging
from collections.abc import Callable, Sized
from functools import partial
from typing import TypeVar

import msgspec

from stepwell.server.advice import advice
from stepwell.server.engine.message.input import Answer, AppRegistered, Verdict
from stepwell.server.engine.row.run import AppRow, FunctionRow
from stepwell.server.engine.state.former import with_kept
from stepwell.server.gateway import session_token
from stepwell.server.gateway.former_versions import FormerVersions
from stepwell.server.gateway.sessions import ServedApp, Sessions, group_hash
from stepwell.server.gateway.socket_endpoint import Rejected
from stepwell.server.intake import FUNCTIONS_PART, registered
from stepwell.server.ledger import Ledger, LedgerClosed
from stepwell.server.registration import RegistrationRefused, app_registered, checksum_of
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
    """A worker that may stay, with its apps, what it brought of them, and those that it registered
    now."""

    apps: tuple[ServedApp, ...]
    brought: tuple[Registration, ...]
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
        former: FormerVersions,
    ) -> None:
        self._former = former
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
        brought: list[Registration] = []
        rows: list[AppRow] = []
        for (app, functions), group in zip(listed, groups, strict=True):
            synced = await self._sync(worker, app, functions, group, sessions)
            if isinstance(synced, Rejected):
                return synced
            served, registration, row = synced
            apps[served.name] = served
            brought.append(registration)
            if row is not None:
                rows.append(row)
        spoken = (EXTENSION_CHECKPOINT,) if EXTENSION_CHECKPOINT in capabilities else ()
        return Admitted(tuple(apps.values()), tuple(brought), spoken, tuple(rows))

    async def _sync(
        self,
        worker: WorkerConnect,
        app: AppConfig,
        raw: list[msgspec.Raw],
        group: str,
        sessions: Sessions,
    ) -> tuple[ServedApp, Registration, AppRow | None] | Rejected:
        try:
            functions = await _aside(raw, partial(_decoded, raw))
        except MalformedFunction as malformed:
            return _refused("", f"At least one function is invalid: {malformed}")
        slugs = frozenset(function.id for function in functions)
        codes = {one.id: one.code.version for one in functions if one.code.version}
        registration = _registration(worker, app, functions)
        checksum = await _aside(raw, partial(checksum_of, registration, registration.url))
        served = ServedApp(app.name, app.version or "", slugs, group, checksum, codes)
        if self._former.is_one(app.name, checksum, sessions):
            log.info("worker %s has a version that app %s had before", worker.instance_id, app.name)
            return served, registration, None
        try:
            row = await self.register(registration, sessions)
        except RegistrationRefused as refused:
            return _refused(refused.code, refused.message)
        except (StoreError, LedgerClosed) as error:
            log.warning("app %s could not be registered: %s", app.name, error)
            return Rejected(CLOSE_INTERNAL, REASON_INTERNAL)
        return served, registration, row

    async def register(
        self, registration: Registration, sessions: Sessions, *, returns: bool = False
    ) -> AppRow | None:
        """Register an app of a worker; None where another version took its place meanwhile. With
        `returns` the app goes back to a version it had before.

        Raises `RegistrationRefused`, and what the ledger raises.
        """
        ledger, functions = self._ledger, registration.functions
        given = await _aside(
            functions,
            lambda: app_registered(registration, "connect", ledger.catalog, self._now_ms()),
        )
        kept = self._still_served(given, sessions)
        may_return = returns or self._former.may_return
        told = msgspec.structs.replace(_with(given, kept), keeps_order=not may_return)
        answer = await registered(ledger, told)
        if answer.verdict is Verdict.FENCED:
            return None
        if answer.verdict is Verdict.APPLIED:
            for warning in advice(functions):
                log.warning("%s", warning)
        if kept:
            self._keeping[given.app.name] = _Keeping(given, told.app.checksum, kept)
        else:
            self._keeping.pop(given.app.name, None)
        return given.app

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


def _registration(
    worker: WorkerConnect, app: AppConfig, functions: tuple[FunctionConfig, ...]
) -> Registration:
    return Registration(
        url=APP_URL + app.name,
        app_name=app.name,
        functions=functions,
        sdk=f"{worker.sdk_language}:{worker.sdk_version}",
        framework=worker.framework,
        app_version=app.version or "",
        deploy_type=DEPLOY_CONNECT,
    )


def _decoded(raw: list[msgspec.Raw]) -> tuple[FunctionConfig, ...]:
    return tuple(decode_function(function) for function in raw)


async def _aside(functions: Sized, work: Callable[[], T]) -> T:
    """What is to be done about the functions of an app: on another thread if they are many."""
    return work() if len(functions) <= FUNCTIONS_PART else await asyncio.to_thread(work)


def _with(given: AppRegistered, kept: tuple[FunctionRow, ...]) -> AppRegistered:
    if not kept:
        return given
    checksum = with_kept(given.app.checksum, (row.slug for row in kept))
    app = msgspec.structs.replace(given.app, checksum=checksum)
    return AppRegistered(app, (*given.functions, *kept))


def _look_away(answer: "asyncio.Future[Answer]") -> None:
    if not answer.cancelled():
        answer.exception()


def _refused(code: str, message: str) -> Rejected:
    return Rejected(CLOSE_POLICY, code, SyncFailed(code, message))
