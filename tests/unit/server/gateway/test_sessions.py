"""Who gets a request."""

import json
from typing import cast

from stepwell.server.engine.row.run import AppRow
from stepwell.server.gateway.sessions import (
    UNLIMITED_SLOTS,
    ServedApp,
    Session,
    Sessions,
    group_hash,
)
from stepwell.server.gateway.socket_endpoint import GatewayConnection
from stepwell.wire.connect_word import AppConfig, WorkerConnect
from tests.recordings import recording

REGISTERED = {"app": AppRow("app", "", "connect", "", "", "", "new", 0, former=("old", "g"))}


class Line:
    """A connection that is ready, or is not."""

    def __init__(self) -> None:
        self.ready = True

    def routable(self) -> bool:
        return self.ready


def worker(instance: str = "i", slots: int | None = None) -> WorkerConnect:
    return WorkerConnect(
        "c", instance, "s", "y", b"{}", (AppConfig("app", b"[]"),), concurrency_max=slots
    )


def app(group: str = "g", *slugs: str) -> ServedApp:
    return ServedApp("app", "", frozenset(slugs or ("app-fn",)), group, checksum=group)


def join(
    sessions: Sessions, apps: ServedApp, *, slots: int | None = None, instance: str = "i"
) -> tuple[Session, Line]:
    line = Line()
    session = sessions.add(
        cast(GatewayConnection, line), worker(instance, slots), (apps,), now_ms=0, extensions=()
    )
    return session, line


def test_nobody_is_picked_where_nobody_can() -> None:
    sessions = Sessions(REGISTERED.copy)
    assert sessions.pick("app", "app-fn") is None
    session, line = join(sessions, app(), slots=1)
    assert sessions.pick("app", "app-fn") is session
    assert sessions.pick("app", "app-other") is None
    assert sessions.pick("other", "app-fn") is None
    assert sessions.pick("app", "app-fn", tried=frozenset({session})) is None
    session.requests.add("r")
    assert sessions.pick("app", "app-fn") is None
    session.requests.clear()
    line.ready = False
    assert sessions.pick("app", "app-fn") is None
    assert sessions.capacity("app") == 0


def test_the_newest_version_comes_first_then_whoever_has_most_room() -> None:
    sessions = Sessions(REGISTERED.copy)
    old, _ = join(sessions, app("old"))
    busy, _ = join(sessions, app("new"), slots=4)
    idle, line = join(sessions, app("new"), slots=4)
    busy.requests.add("r")
    assert sessions.pick("app", "app-fn") is idle
    idle.requests.update({"a", "b"})
    assert sessions.pick("app", "app-fn") is busy
    busy.requests.update({"c", "d", "e"})
    assert sessions.pick("app", "app-fn") is idle
    line.ready = False
    assert sessions.pick("app", "app-fn") is old


def test_equally_busy_workers_are_asked_in_the_order_they_came() -> None:
    sessions = Sessions(REGISTERED.copy)
    first, _ = join(sessions, app())
    second, _ = join(sessions, app())
    assert sessions.pick("app", "app-fn") is first
    first.requests.add("r")
    assert sessions.pick("app", "app-fn") is second


def test_slots_are_added_up_and_no_limit_counts_for_a_thousand() -> None:
    sessions = Sessions(REGISTERED.copy)
    join(sessions, app(), slots=3)
    join(sessions, app())
    assert sessions.capacity("app") == 3 + UNLIMITED_SLOTS
    assert len(sessions) == len(list(sessions)) == 2


def test_an_instance_is_here_while_any_of_its_connections_is() -> None:
    sessions = Sessions(REGISTERED.copy)
    one, _ = join(sessions, app(), instance="me")
    two, _ = join(sessions, app(), instance="me")
    assert sessions.remove(one.connection) is one
    assert sessions.instance_is_here("me")
    sessions.remove(two.connection)
    assert not sessions.instance_is_here("me")
    assert sessions.remove(two.connection) is None
    assert sessions.of(two.connection) is None


def test_groups_tell_versions_apart_and_nothing_else() -> None:
    def hashed(functions: bytes = b"[]", version: str | None = None, name: str = "app") -> str:
        return group_hash("a", "e", worker(), AppConfig(name, functions, version))

    assert hashed() == hashed(name="other") == hashed(version="")
    assert hashed(b'[{"b":1,"a":2}]') == hashed(b'[ {"a": 2, "b": 1} ]')
    assert len({hashed(), hashed(b"[1]"), hashed(version="v2")}) == 3


def test_the_group_of_a_recorded_worker_is_the_one_the_reference_computed() -> None:
    entries = recording("sync")
    said = next(e["payload"] for e in entries if e.get("kind") == "WORKER_CONNECT")
    listed = [
        e["response_body"]["data"]
        for e in entries
        if "/conns" in str(e.get("path_and_query")) and e["response_body"]["data"]
    ]
    recorded = WorkerConnect(
        "c", "i", "s", "y", b"{}", (), sdk_version=said["sdk_version"], sdk_language="py"
    )
    (told,) = said["apps"]
    config = AppConfig(told["app_name"], json.dumps(told["functions"]["json"]).encode())
    computed = group_hash(
        "00000000-0000-4000-a000-000000000000",
        "00000000-0000-4000-b000-000000000000",
        recorded,
        config,
    )
    assert listed[0][0]["all_worker_groups"] == {told["app_name"]: computed}
