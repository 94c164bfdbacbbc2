"""Workers of versions that an app had before: they serve on, and do not register. The only place
that says when such a version takes its place again.

An app that was rolled back has no worker of its present version any more. One that is deployed, or
whose server begins anew, soon has: so it is waited for a while. See docs/decisions/033.
"""

from collections.abc import Callable, Iterator, Mapping

import msgspec

from stepwell.server.engine.row.run import AppRow
from stepwell.server.engine.state.former import is_former, newest, plain_checksum
from stepwell.server.gateway.sessions import Sessions
from stepwell.wire.registration import Registration


class _Brought(msgspec.Struct):
    """What the workers of one app bring, by checksum, and since when nobody was seen with what it
    has now."""

    registrations: dict[str, Registration]
    unseen_ms: int | None = None


class FormerVersions:
    """Those of one server."""

    def __init__(
        self,
        apps: Callable[[], Mapping[str, AppRow]],
        now_ms: Callable[[], int],
        *,
        after_ms: Callable[[], int | None],
        elsewhere: Callable[[], frozenset[str]],
    ) -> None:
        """`apps` are those that are registered; `elsewhere` gives the checksums that workers at
        other servers bring. `after_ms` says how long a worker of the present version is waited for;
        where it says None none is waited for, but only who connects then takes its place."""
        self._apps = apps
        self._now_ms = now_ms
        self._after_ms = after_ms
        self._elsewhere = elsewhere
        self._brought: dict[str, _Brought] = {}

    @property
    def may_return(self) -> bool:
        """Does who connects while nobody brings the present version take its place at once?"""
        return self._after_ms() is None

    def came(self, registration: Registration, checksum: str) -> None:
        """A worker brings this: remembered as long as it, or another one that does, is here."""
        brought = self._brought.setdefault(registration.app_name, _Brought({}))
        brought.registrations[checksum] = registration

    def is_one(self, name: str, checksum: str, sessions: Sessions) -> bool:
        """Does a worker of this app serve on without registering?"""
        app = self._apps().get(name)
        if app is None or not is_former(app, checksum):
            return False
        return not self.may_return or sessions.brings(name, plain_checksum(app.checksum))

    def returning(self, sessions: Sessions) -> Iterator[Registration]:
        """What takes its place again now. To be asked every second or so."""
        for name, brought in tuple(self._brought.items()):
            for checksum in tuple(brought.registrations):
                if not sessions.brings(name, checksum):
                    del brought.registrations[checksum]
            app = self._apps().get(name)
            if app is None or not brought.registrations:
                del self._brought[name]
            elif (last := self._returns(app, brought, sessions)) is not None:
                yield brought.registrations[last]

    def _returns(self, app: AppRow, brought: _Brought, sessions: Sessions) -> str | None:
        present, now_ms, after_ms = plain_checksum(app.checksum), self._now_ms(), self._after_ms()
        elsewhere = self._elsewhere()
        if after_ms is None or present in elsewhere or sessions.brings(app.name, present):
            brought.unseen_ms = None
            return None
        if brought.unseen_ms is None:
            brought.unseen_ms = now_ms
        if now_ms - brought.unseen_ms < after_ms:
            return None
        last = newest(app, elsewhere.union(brought.registrations))
        return last if last in brought.registrations else None
