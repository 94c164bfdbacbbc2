"""Rows of the feature table about the worker connection that are rules of the joined pair."""

from collections.abc import Callable
from random import Random

import msgspec
import pytest

from stepwell.sdk.connect.output import Level
from stepwell.sdk.connect.phase import ConnectionState, SocketPhase
from stepwell.server.gateway.protocol import GatewayConfig
from stepwell.testing.simulation.link import Link, default_config
from stepwell.wire.connect_encode import encode_frame
from stepwell.wire.connect_limit import CLOSE_WORKER_FAILED
from stepwell.wire.connect_word import (
    AppConfig,
    ConnectionReady,
    ExecutorRequest,
    GatewayHello,
    Message,
    Reply,
    RequestAck,
    WorkerConnect,
)
from tests.link.plan import check_all_is_well, suffer, troubled_link
from tests.unit.sdk.connect.test_phase import EDGES

S = ConnectionState


def active_link(**options: object) -> Link:
    link = Link(7, **options)  # type: ignore[arg-type]
    link.start()
    link.run_until(lambda: link.worker.state is S.ACTIVE, within_s=5)
    return link


def hear(link: Link, message: Message | bytes, socket: int | None = None) -> None:
    """Give the worker a frame, as if the gateway had sent it."""
    frame = message if isinstance(message, bytes) else encode_frame(message)  # type: ignore[arg-type]
    number = socket if socket is not None else link.worker.connections()[-1].id
    link.call_worker(lambda worker, now: worker.receive(number, frame, now))


def said(link: Link, kind: type[Message]) -> Callable[[], list[Message]]:
    """What either side says of a kind from now on."""
    heard: list[Message] = []
    before = link.tap

    def tap(from_worker: bool, message: Message) -> bool:
        if isinstance(message, kind):
            heard.append(message)
        return before(from_worker, message)

    link.tap = tap
    return lambda: heard


def words(link: Link, level: Level) -> str:
    return "\n".join(notice.words for notice in link.notices if notice.level is level)


def test_w04_whatever_happens_only_edges_of_the_diagram_are_walked_and_each_of_them_is() -> None:
    walked: set[tuple[S, S]] = set()
    for seed in range(200, 230):
        link = troubled_link(seed)
        link.start()
        suffer(link, Random(seed), seconds=600, every_s=6)
        if seed % 2:
            check_all_is_well(link)
        else:
            link.call_worker(lambda worker, now: worker.close(now))
            link.run(60)
        walked |= link.edges
    # The way back to ACTIVE leads through CONNECTING.
    assert walked == EDGES - {(S.RECONNECTING, S.ACTIVE)}


def test_w04_a_drain_pauses_until_there_is_another_gateway() -> None:
    """Row 0.9: the gateway takes no more, so neither does the worker; what it holds goes on."""
    link = active_link()
    call = link.want(30.0)
    link.run(1)
    link.api_status = None
    link.drain()
    link.run(5)
    assert link.worker.state is S.PAUSED
    assert len(link.starts) >= 2, "it tries at once, and again"
    link.heal()
    link.run_until(lambda: link.worker.state is S.ACTIVE, within_s=30)
    assert link.states == [S.CONNECTING, S.ACTIVE, S.PAUSED, S.ACTIVE]
    link.run_until(lambda: call.answer is not None, within_s=40)
    assert call.attempts == 1


def test_w04_a_drained_gateway_that_goes_before_there_is_another_leaves_it_reconnecting() -> None:
    link = active_link()
    link.api_status = None
    link.drain()
    link.run(1)
    assert link.worker.state is S.PAUSED
    link.cut()
    assert link.worker.state in {S.RECONNECTING, S.CONNECTING}
    link.heal()
    link.run_until(lambda: link.worker.state is S.ACTIVE, within_s=60)
    assert S.RECONNECTING in link.states


def test_w04_a_pause_by_the_user_outlives_a_lost_connection_and_ends_with_resume() -> None:
    link = active_link()
    link.call_worker(lambda worker, now: worker.pause(now))
    link.cut()
    link.run(10)
    assert link.worker.state is S.PAUSED
    call = link.want(0.1)
    link.run(10)
    assert call.attempts == 0
    link.call_worker(lambda worker, now: worker.resume(now))
    link.run_until(lambda: call.answer is not None, within_s=10)
    assert link.states == [S.CONNECTING, S.ACTIVE, S.PAUSED, S.ACTIVE]


def test_w04_resuming_without_a_connection_is_reconnecting() -> None:
    link = active_link()
    link.call_worker(lambda worker, now: worker.pause(now))
    link.api_status = None
    link.cut()
    link.run(1)
    link.call_worker(lambda worker, now: worker.resume(now))
    assert (S.PAUSED, S.RECONNECTING) in link.edges
    assert link.worker.state is not S.PAUSED


def test_w04_a_failed_first_attempt_is_reconnecting() -> None:
    """Row 0.10."""
    link = Link(7)
    link.api_status = None
    link.start()
    link.run(1)
    assert link.states == [S.CONNECTING, S.RECONNECTING]
    link.heal()
    link.run_until(lambda: link.worker.state is S.ACTIVE, within_s=10)
    assert link.states == [S.CONNECTING, S.RECONNECTING, S.CONNECTING, S.ACTIVE]


@pytest.mark.parametrize(
    ("silent_after", "limit_s"),
    [(SocketPhase.DIALING, 10.0), (SocketPhase.GREETING, 10.0), (SocketPhase.INTRODUCED, 30.0)],
)
def test_w06_a_set_up_that_takes_too_long_is_given_up_and_its_gateways_avoided(
    silent_after: SocketPhase, limit_s: float
) -> None:
    patient = GatewayConfig(hello_timeout_s=60.0)
    link = Link(7, gateways=2, gateway=patient)
    reached: list[SocketPhase] = []
    if silent_after is SocketPhase.DIALING:
        dial = link._dial
        link._dial = lambda asked: dial(asked) if len(link.starts) > 1 else None  # type: ignore[method-assign]
    else:
        kind = GatewayHello if silent_after is SocketPhase.GREETING else ConnectionReady
        left = [1]

        def tap(from_worker: bool, message: Message) -> bool:
            if isinstance(message, kind) and left[0]:
                left[0] = 0
                return False
            return True

        link.tap = tap
    link.start()
    link.run(1)
    reached += [connection.phase for connection in link.worker.connections()]
    assert reached == [silent_after]
    took = 1 + link.run_until(lambda: len(link.starts) == 2, within_s=40)
    assert limit_s <= took < limit_s + 3
    assert link.closes == [("worker", CLOSE_WORKER_FAILED, "UNEXPECTED")]
    assert len(link.starts[1].exclude_gateways) == 1
    link.run_until(lambda: link.worker.state is S.ACTIVE, within_s=5)


def test_w07_a_gateway_that_does_not_begin_with_its_hello_is_left() -> None:
    link = Link(7, gateways=2)
    link.tap = lambda from_worker, message: not isinstance(message, GatewayHello)
    link.start()
    link.run(0.1)
    hear(link, ConnectionReady("10s", "30s", "0s"))
    assert link.worker.state is S.RECONNECTING
    assert "expected the gateway's hello, got ConnectionReady" in words(link, Level.WARNING)
    assert link.closes == [("worker", CLOSE_WORKER_FAILED, "UNEXPECTED")]
    link.tap = lambda from_worker, message: True
    link.run_until(lambda: link.worker.state is S.ACTIVE, within_s=5)
    assert len(link.starts[-1].exclude_gateways) == 1


def test_w08_an_introduction_says_when_the_attempt_began() -> None:
    link = Link(7)
    link.worker.begin(link.now, wall_ms=1_800_000_000_000)
    began = link.now
    link._attend_worker()
    link.run_until(lambda: link.worker.state is S.ACTIVE, within_s=5)
    link.run(100)
    link.cut()
    again = link.now
    link.run_until(lambda: link.worker.state is S.ACTIVE, within_s=5)
    told = [worker.started_at_ms for worker in link.introductions]
    assert told == [1_800_000_000_000, 1_800_000_000_000 + int((again - began) * 1000)]


def test_w09_w26_a_gateway_is_avoided_when_it_failed_and_welcome_again_when_it_worked() -> None:
    link = active_link(gateways=2)
    first = link.sockets()[0].gateway
    link.drain(first)
    link.run(6)
    (socket,) = link.sockets()
    second = socket.gateway
    assert second != first
    link.revive(first)
    link.drain(second)
    link.run(6)
    assert link.starts[-1].exclude_gateways == ("group-0", "group-1")
    (socket,) = link.sockets()
    assert socket.gateway == first
    link.cut()
    assert link.starts[-1].exclude_gateways == (f"group-{second}",)
    link.run(310)
    link.cut()
    assert link.starts[-1].exclude_gateways == (), "it is only a hint, and for five minutes"


def test_w11_kinds_of_a_later_protocol_are_ignored_with_a_word_for_whoever_debugs() -> None:
    link = active_link()
    before = len(link.notices)
    hear(link, b"\x08\x63\x12\x01x")
    assert [(n.level, n.words) for n in link.notices[before:]] == [
        (Level.DEBUG, "a message is ignored while active: 99")
    ]
    assert link.worker.state is S.ACTIVE


@pytest.mark.parametrize("why", ["paused", "closing", "draining"])
def test_w13_a_worker_that_takes_nothing_claims_nothing_and_says_so(why: str) -> None:
    link = active_link()
    claims = said(link, RequestAck)
    keeps = link.want(30.0)
    link.run(1)
    assert len(claims()) == 1
    socket = link.worker.connections()[-1].id
    if why == "paused":
        link.call_worker(lambda worker, now: worker.pause(now))
    elif why == "closing":
        link.call_worker(lambda worker, now: worker.close(now))
    else:
        link.api_status = None
        link.drain()
        link.run(0.1)
    request = ExecutorRequest(
        *("R9", "acct", "env", "app-id", "app", "fn", "app-fn", "step", b"{}", b"{}", b"{}"),
        run_id="run",
        lease_id="lease",
    )
    hear(link, request, socket)
    link.run(0.1)
    assert len(claims()) == 1
    assert "takes none" in words(link, Level.WARNING)
    link.heal()
    link.run_until(lambda: keeps.answer is not None, within_s=60)


@pytest.mark.parametrize("app", ["", "another"])
def test_w13_requests_without_an_app_of_ours_are_not_claimed(app: str) -> None:
    link = active_link()
    claims = said(link, RequestAck)
    link.want(app=app)
    link.run(1)
    assert claims() == []
    assert link.executions == []
    assert repr(app) in words(link, Level.ERROR)


def test_w14_a_claim_names_everything_the_request_named() -> None:
    link = active_link()
    claims, requests = said(link, RequestAck), said(link, ExecutorRequest)
    link.want(1.0)
    link.run(0.1)
    (request,), (claim,) = requests(), claims()
    assert isinstance(request, ExecutorRequest)
    assert isinstance(claim, RequestAck)
    for name in msgspec.structs.asdict(claim):
        assert getattr(claim, name) == getattr(request, name), name
    assert claim.run_id
    assert claim.step_id == "step"


def test_w17_an_answer_echoes_the_request() -> None:
    link = active_link()
    answers = said(link, Reply)
    call = link.want(0.1)
    link.run(1)
    (answer,) = answers()
    assert isinstance(answer, Reply)
    assert (answer.request_id, answer.run_id) == (call.request_id, f"run-{call.job}")
    assert answer.system_trace


def test_w21_what_waits_is_flushed_before_each_attempt_when_ready_and_after_each_heartbeat() -> (
    None
):
    link = active_link()
    link.tap = lambda from_worker, message: not isinstance(message, Reply)
    link.api_status = None
    link.want(0.1)
    link.run(100)
    # The waits between flushes have grown to a minute; a heartbeat that is answered ends one.
    times = link.run_until(lambda: len(link.flushes) > 0, within_s=1)
    assert times == 0
    before = len(link.flushes)
    link.run(60)
    assert len(link.flushes) - before >= 5
    before = len(link.flushes)
    link.cut()
    assert len(link.flushes) - before == 1, "before the attempt"
    link.api_status = 200
    link.run_until(lambda: link.worker.unacknowledged == 0, within_s=10)


def test_w25_a_connection_limit_is_told_in_the_words_of_the_reference() -> None:
    link = Link(7)
    link.api_status = 429
    link.start()
    link.run(1)
    assert (
        "You have reached the maximum number of concurrent connections. Please disconnect other"
        " active workers to continue."
    ) in words(link, Level.ERROR)


def test_w34_a_worker_that_waits_long_for_its_end_says_every_minute_what_for() -> None:
    link = active_link()
    link.want(200.0)
    link.run(1)
    link.call_worker(lambda worker, now: worker.close(now))
    link.run_until(lambda: link.finished is not None, within_s=210)
    told = [n for n in link.notices if "waits for what runs" in n.words]
    assert len(told) == 3
    assert told[0].facts == {"functions": "app-fn", "calls": 1}


def test_w38_one_socket_serves_all_apps_and_each_gets_its_own_calls() -> None:
    apps = tuple(AppConfig(name, b"[]") for name in ("one", "two", "three"))
    link = active_link(worker=msgspec.structs.replace(default_config(), apps=apps))
    heard: list[tuple[str, str]] = []
    link.on_execute = lambda request, _: heard.append((request.app_name, request.function_slug))
    for name in ("two", "one", "three"):
        link.want(function=f"{name}-fn", app=name)
    link.run(1)
    assert sorted(heard) == [("one", "one-fn"), ("three", "three-fn"), ("two", "two-fn")]
    assert len(link.sockets()) == len(link.introductions) == 1
    (introduction,) = link.introductions
    assert isinstance(introduction, WorkerConnect)
    assert [app.name for app in introduction.apps] == ["one", "two", "three"]
