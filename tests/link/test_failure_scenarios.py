"""The failure scenarios of the worker connection, one test each, numbered as the protocol does.

What needs real threads, sockets or processes is tested where those are; these are the rules.
The file is long because the protocol's list is: a number is found in its order.
"""

from collections.abc import Callable

import msgspec
import pytest

from stepwell.sdk.connect.backoff import TOO_MANY_CONNECTIONS, StartFailure
from stepwell.sdk.connect.introduction import WorkerConfig
from stepwell.sdk.connect.output import Level
from stepwell.sdk.connect.phase import ConnectionState
from stepwell.sdk.connect.traffic import REPLY_BYTES_MAX
from stepwell.server.gateway.protocol import GatewayConfig
from stepwell.testing.simulation.link import APP, AUTH_REFUSED, Faults, Link, default_config
from stepwell.wire.connect_encode import encode_frame
from stepwell.wire.connect_limit import CLOSE_POLICY, CLOSE_TOO_BIG
from stepwell.wire.connect_word import (
    ConnectionReady,
    ExecutorRequest,
    ExtendLease,
    ExtendLeaseAck,
    GatewayHello,
    Message,
    Reply,
    ReplyAck,
    ReplyStatus,
    RequestAck,
    SyncFailed,
    WorkerPause,
    WorkerReady,
)

ACTIVE, CLOSED = ConnectionState.ACTIVE, ConnectionState.CLOSED
CONNECTING, CLOSING = ConnectionState.CONNECTING, ConnectionState.CLOSING
PAUSED, RECONNECTING = ConnectionState.PAUSED, ConnectionState.RECONNECTING


def active_link(**options: object) -> Link:
    link = Link(7, **options)  # type: ignore[arg-type]
    link.start()
    link.run_until(lambda: link.worker.state is ACTIVE, within_s=5)
    return link


def config(**changes: object) -> WorkerConfig:
    return msgspec.structs.replace(default_config(), **changes)


def spoken(link: Link, kind: type[Message]) -> int:
    """How many messages of a kind were written by either side."""
    said = [line[11:].partition(": ") for line in link.trace]
    return sum(what.split(" ")[0] == kind.__name__ for who, _, what in said if who != "lost")


def withhold(kind: type[Message], times: int = 1 << 30) -> Callable[[bool, Message], bool]:
    left = [times]

    def tap(from_worker: bool, message: Message) -> bool:
        if isinstance(message, kind) and left[0]:
            left[0] -= 1
            return False
        return True

    return tap


def close(link: Link) -> None:
    link.call_worker(lambda worker, now: worker.close(now))


def words(link: Link, level: Level) -> str:
    return "\n".join(notice.words for notice in link.notices if notice.level is level)


def test_01_a_gateway_drains_while_a_call_runs() -> None:
    link = active_link(gateways=2)
    first = link.sockets()[0].gateway
    call = link.want(8.0)
    link.run(2)
    link.drain(first)
    assert link.run_until(lambda: link.worker.state is PAUSED, within_s=1) < 0.1
    took = link.run_until(lambda: link.worker.state is ACTIVE, within_s=2)
    assert took < 1
    assert link.starts[-1].exclude_gateways == (f"group-{first}",)
    link.run_until(lambda: call.answer is not None, within_s=8)
    link.run(6)
    assert len(link.executions) == 1
    assert call.attempts == 1
    assert len(link.starts) == 2
    assert len(link.sockets()) == 1
    assert link.closes[0] == ("worker", 1000, "WORKER_SHUTDOWN")
    assert link.states == [CONNECTING, ACTIVE, PAUSED, ACTIVE]


def test_01_leases_are_extended_over_the_replacement_and_answers_delivered_there() -> None:
    link = active_link(gateways=2)
    call = link.want(100.0)
    link.run(20)
    link.drain(link.sockets()[0].gateway)
    link.run_until(lambda: call.answer is not None, within_s=100)
    assert call.attempts == 1
    assert link.worker.counts["leases_extended"] >= 2
    assert link.flushes == []


def test_02_the_gateway_is_killed_and_answers_are_flushed() -> None:
    link = active_link()
    call = link.want(1.0)
    link.run(0.5)
    link.kill_gateway()
    link.api_status = None
    link.at(3, lambda: setattr(link, "api_status", 200))
    link.run_until(lambda: call.answer is not None, within_s=30)
    assert len(link.executions) == 1
    assert len(link.flushes) >= 1
    link.revive()
    link.run_until(lambda: link.worker.state is ACTIVE, within_s=30)
    assert link.worker.unacknowledged == 0


def test_02_a_server_that_comes_back_hears_at_once_of_work_that_has_just_begun() -> None:
    link = active_link()
    call = link.want(20.0)
    link.run(1)
    link.cut()
    link.run_until(lambda: link.worker.counts["connects"] == 2, within_s=5)
    link.run(0.1)
    assert spoken(link, ExtendLease) == 1
    link.run_until(lambda: call.answer is not None, within_s=30)
    assert call.attempts == 1


def test_03_a_worker_killed_mid_call_leaves_the_work_to_its_successor() -> None:
    link = active_link()
    call = link.want(10.0)
    link.run(5)
    link.kill_worker(keep_spool=False)
    link.run_until(lambda: call.answer is not None, within_s=150)
    assert call.attempts == 2
    assert len(set(link.executions)) == 2


def test_04_a_worker_that_dies_before_its_claim_costs_no_attempt() -> None:
    link = active_link()
    link.tap = withhold(RequestAck, 1)
    call = link.want(1.0)
    link.run(0.1)
    link.kill_worker()
    took = link.run_until(lambda: call.answer is not None, within_s=10)
    assert took < 4
    assert call.attempts == 1
    assert len(set(link.executions)) == 1


def test_05_a_claim_that_is_lost_makes_one_execution_and_two_deliveries() -> None:
    link = active_link(gateway=GatewayConfig(ack_timeout_s=20.0))
    link.tap = withhold(RequestAck, 1)
    call = link.want(60.0)
    link.run_until(lambda: call.answer is not None, within_s=70)
    assert spoken(link, ExecutorRequest) == 2
    assert len(link.executions) == 1
    assert call.attempts == 1


def test_05_an_answered_request_delivered_again_is_answered_again() -> None:
    link = active_link(gateway=GatewayConfig(ack_timeout_s=20.0))
    drop_answers = withhold(Reply, 1)
    drop_claims = withhold(RequestAck, 1)
    link.tap = lambda mine, m: drop_answers(mine, m) and drop_claims(mine, m)
    link.api_status = None
    call = link.want(1.0)
    link.run_until(lambda: call.answer is not None, within_s=30)
    assert len(link.executions) == 1


def test_06_w18_an_answer_whose_acknowledgement_is_lost_is_flushed_after_five_seconds() -> None:
    link = active_link()
    link.tap = withhold(ReplyAck)
    call = link.want(1.0)
    link.run_until(lambda: call.answer is not None, within_s=3)
    answered_at = link.now
    link.run_until(lambda: link.worker.unacknowledged == 0, within_s=10)
    assert 4.9 < link.now - answered_at < 5.5
    assert link.flushes == [call.request_id]
    assert call.attempts == 1


def test_06_a_connection_that_dies_before_the_acknowledgement_flushes_at_once() -> None:
    link = active_link()
    link.tap = withhold(Reply)
    call = link.want(1.0)
    link.run_until(lambda: spoken(link, Reply) == 1, within_s=3)
    link.cut()
    took = link.run_until(lambda: call.answer is not None, within_s=5)
    assert took < 0.1


def test_08_a_partition_is_noticed_by_two_missed_heartbeats_and_the_work_goes_on() -> None:
    link = active_link()
    call = link.want(90.0)
    link.run(5)
    link.darken()
    took = link.run_until(lambda: link.worker.counts["reconnects"] == 1, within_s=40)
    assert took <= 30
    link.run_until(lambda: call.answer is not None, within_s=90)
    assert call.attempts == 1
    assert len(link.executions) == 1


def test_09_a_half_open_socket_is_not_routed_to_after_20_s_and_dropped_after_50() -> None:
    link = active_link()
    link.worker_stuck = True
    socket = link.sockets()[0]
    link.darken()
    link.run(15)
    assert socket.protocol.routable(link.now)
    link.run(10)
    assert not socket.protocol.routable(link.now)
    link.run_until(lambda: socket.id not in link.gateways[0].sockets, within_s=40)
    assert ("gateway", 1006, "CONSECUTIVE_HEARTBEATS_MISSED") in link.closes


def test_11_a_process_frozen_longer_than_its_lease_answers_late_and_harms_nothing() -> None:
    link = active_link()
    call = link.want(10.0)
    link.run(5)
    stale = call.request_id
    link.worker_stuck = True
    link.run(200)
    link.worker_stuck = False
    link.run_until(lambda: call.answer is not None, within_s=60)
    assert call.attempts == 2
    assert call.answer is not None
    assert call.answer.request_id != stale
    link.run_until(lambda: link.worker.unacknowledged == 0, within_s=30)
    assert stale in link.desk.told


def test_12_an_overloaded_worker_claims_at_once_and_extends_while_work_waits() -> None:
    link = active_link(worker=config(concurrency_max=1))
    calls = [link.want(100.0) for _ in range(3)]
    link.run(1)
    assert spoken(link, RequestAck) == 3
    assert len(link.executions) == 1
    link.run_until(lambda: all(call.answer for call in calls), within_s=320)
    assert [call.attempts for call in calls] == [1, 1, 1]
    assert link.executions == [call.request_id for call in calls]


def test_13_work_without_a_worker_waits_and_no_attempt_is_used() -> None:
    link = Link(7)
    call = link.want(0.1)
    link.run(60)
    link.start()
    took = link.run_until(lambda: call.answer is not None, within_s=5)
    assert took < 1
    assert call.attempts == 1


def test_14_a_paused_worker_is_given_nothing_until_it_resumes() -> None:
    link = active_link()
    link.call_worker(lambda worker, now: worker.pause(now))
    link.run(1)
    call = link.want(0.1)
    link.run(30)
    assert call.answer is None
    assert call.attempts == 0
    link.call_worker(lambda worker, now: worker.resume(now))
    link.run_until(lambda: call.answer is not None, within_s=5)
    assert link.states == [CONNECTING, ACTIVE, PAUSED, ACTIVE]
    assert len(link.sockets()) == 1


def test_15_w16_a_refused_lease_cancels_the_function_and_its_answer_is_still_sent() -> None:
    link = active_link()
    call = link.want(60.0)
    link.run(1)
    first = call.request_id
    call.lease_id = "gone"
    link.run_until(lambda: bool(link.cancelled), within_s=50)
    assert link.cancelled == [first]
    extensions = spoken(link, ExtendLease)
    link.run_until(lambda: first in link.desk.told, within_s=60)
    assert spoken(link, ExtendLease) == extensions
    assert link.worker.state is ACTIVE


def test_15_a_worker_that_closes_does_not_wait_for_lost_work() -> None:
    link = active_link()
    call = link.want(1000.0)
    link.run(1)
    call.lease_id = "gone"
    link.run_until(lambda: bool(link.cancelled), within_s=50)
    close(link)
    link.run(1)
    assert link.worker.state is CLOSED


def test_16_a_lost_grant_is_asked_for_again_with_the_old_lease() -> None:
    link = active_link()
    link.tap = withhold(ExtendLeaseAck, 1)
    call = link.want(100.0)
    link.run_until(lambda: call.answer is not None, within_s=110)
    assert call.attempts == 1
    assert link.desk.refused_leases == 0


def test_17_a_grant_after_the_end_is_ignored() -> None:
    link = active_link()
    link.tap = withhold(ExtendLeaseAck)
    call = link.want(40.0)
    link.run_until(lambda: call.answer is not None, within_s=50)
    link.run(1)
    late = encode_frame(ExtendLeaseAck(call.request_id, "", "", "", "", call.lease_id))
    socket = link.sockets()[0]
    link.call_worker(lambda worker, now: worker.receive(socket.id, late, now))
    assert link.worker.in_flight == ()
    close(link)
    link.run(1)
    assert link.worker.state is CLOSED


def test_18_the_same_request_twice_is_executed_once() -> None:
    link = active_link(faults=Faults(repeat=1.0))
    calls = [link.want(2.0) for _ in range(5)]
    link.run_until(lambda: all(call.answer for call in calls), within_s=20)
    link.run(1)
    assert len(link.executions) == 5
    assert link.worker.counts["duplicates"] >= 5
    assert link.worker.in_flight == ()


def test_19_the_same_job_under_two_requests_is_two_executions() -> None:
    link = active_link(lease_s=10.0)
    call = link.want(40.0)
    link.tap = withhold(ExtendLease)
    link.run_until(lambda: call.attempts == 2, within_s=60)
    link.run(1)
    assert len(set(link.executions)) == 2
    assert len(link.worker.in_flight) == 2


def oversize(link: Link, size: int) -> None:
    link.on_execute = lambda request, _: link.finish(request, b'"' + b"x" * size + b'"')


def test_20_an_answer_too_large_for_a_frame_becomes_an_error_without_retry() -> None:
    link = active_link()
    oversize(link, REPLY_BYTES_MAX)
    call = link.want()
    link.run_until(lambda: call.answer is not None, within_s=5)
    assert call.answer is not None
    assert call.answer.status is ReplyStatus.ERROR
    assert call.answer.no_retry
    assert b"is too large" in call.answer.body
    assert link.worker.state is ACTIVE


def test_20_a_gateway_that_reads_less_gets_the_answer_by_flush() -> None:
    link = active_link(gateway=GatewayConfig(read_bytes_max=4 * 1024 * 1024))
    oversize(link, 5 * 1024 * 1024)
    call = link.want()
    link.run_until(lambda: call.answer is not None, within_s=10)
    assert call.answer is not None
    assert call.answer.status is ReplyStatus.DONE
    assert ("gateway", CLOSE_TOO_BIG, "MESSAGE_TOO_LARGE") in link.closes
    assert len(link.executions) == 1
    link.run_until(lambda: link.worker.state is ACTIVE, within_s=10)
    link.run(20)
    assert len([c for c in link.closes if c[1] == CLOSE_TOO_BIG]) == 1


def test_20_an_answer_the_flush_finds_too_large_becomes_an_error() -> None:
    link = active_link()
    oversize(link, 2 * 1024 * 1024)
    link.tap = withhold(Reply)
    link.flush_bytes_max = 1024 * 1024
    call = link.want()
    link.run_until(lambda: call.answer is not None, within_s=10)
    assert call.answer is not None
    assert call.answer.no_retry


def test_20_steps_no_frame_could_carry_are_left_to_the_answer() -> None:
    link = active_link()
    link.on_execute = lambda request, checkpointing: None
    call = link.want()
    link.run(0.1)
    sent: list[int | None] = []
    for size in (8_388_608, 8_000_000):
        link.call_worker(
            lambda worker, now, size=size: sent.append(
                worker.checkpoint(call.request_id, b"x" * size, now)
            )
        )
    link.run(1)
    assert sent == [None, 1]
    assert list(call.steps) == [1]
    assert link.closes == []


def test_21_a_request_too_large_for_this_worker_is_loud_and_harmless() -> None:
    link = active_link()
    socket = link.sockets()[0]
    link.call_worker(lambda worker, now: worker.receive(socket.id, b"\0" * 16_777_217, now))
    assert "16777217 bytes" in words(link, Level.ERROR)
    assert link.worker.state is ACTIVE


@pytest.mark.parametrize("frame", [b"\xff\xff", "text", b"\x08\x03\x12\x03\x0a\x05\xff"])
def test_22_frames_nobody_can_read_are_logged_and_ignored(frame: bytes | str) -> None:
    link = active_link()
    socket = link.sockets()[0]
    before = len(link.notices)
    link.call_worker(lambda worker, now: worker.receive(socket.id, frame, now))
    assert len(link.notices) == before + 1
    assert link.worker.state is ACTIVE


def test_24_a_request_for_an_app_of_others_is_not_claimed() -> None:
    link = active_link()
    link.want(app="another")
    link.run(1)
    assert spoken(link, RequestAck) == 0
    assert link.executions == []
    assert "'another'" in words(link, Level.ERROR)


def test_25_a_refused_key_is_replaced_by_the_other_one_at_once() -> None:
    link = Link(7, worker=config(keys=2))
    link.api_status = 401
    link.start()
    link.run_until(lambda: len(link.starts) == 2, within_s=1)
    link.api_status = 200
    link.run_until(lambda: link.worker.state is ACTIVE, within_s=1)
    assert [start.key for start in link.starts] == [0, 1]


def test_25_two_refused_keys_end_a_first_start_with_clear_words() -> None:
    link = Link(7, worker=config(keys=2))
    link.api_status = 401
    link.start()
    link.run_until(lambda: link.finished is not None, within_s=1)
    assert link.finished is not None
    assert link.finished.unauthorized
    assert link.finished.error is not None
    assert "INNGEST_SIGNING_KEY_FALLBACK" in link.finished.error
    assert link.states == [CONNECTING, RECONNECTING, CONNECTING, CLOSING, CLOSED]


def test_26_keys_refused_later_are_tried_slowly_for_ever() -> None:
    link = active_link(worker=config(keys=2))
    link.api_status = 403
    link.cut()
    link.run(900)
    assert link.finished is None
    assert {start.key for start in link.starts} == {0, 1}
    assert len(link.starts) < 40
    link.api_status = 200
    link.run_until(lambda: link.worker.state is ACTIVE, within_s=400)


def test_27_an_expired_session_token_asks_for_a_new_one_before_another_key() -> None:
    link = active_link(worker=config(keys=2))
    link.refuse = AUTH_REFUSED
    link.cut()
    link.run_until(lambda: len(link.starts) == 4, within_s=20)
    assert [start.key for start in link.starts] == [0, 0, 0, 1]


def test_28_a_connection_limit_is_said_plainly_and_waited_out() -> None:
    link = Link(7)
    link.api_status = 429
    link.start()
    link.run(120)
    assert TOO_MANY_CONNECTIONS in words(link, Level.ERROR)
    assert link.finished is None
    assert len(link.starts) <= 5
    link.api_status = 200
    link.run_until(lambda: link.worker.state is ACTIVE, within_s=60)


def test_29_an_old_socket_is_kept_while_no_replacement_can_be_found() -> None:
    link = active_link()
    call = link.want(12.0)
    link.run(1)
    link.api_status = None
    link.drain()
    link.run_until(lambda: call.answer is not None, within_s=15)
    assert link.flushes == []
    assert len(link.sockets()) == 1
    link.heal()
    link.run_until(lambda: link.worker.state is ACTIVE, within_s=60)


def test_30_a_drain_while_shutting_down_reconnects_only_for_work_and_pauses() -> None:
    link = active_link(gateways=2)
    call = link.want(20.0)
    link.run(1)
    close(link)
    link.run(1)
    link.drain(link.sockets()[0].gateway)
    link.run(2)
    assert spoken(link, WorkerReady) == 1
    assert spoken(link, WorkerPause) == 2
    assert link.introductions[-1].manual_readiness
    link.run_until(lambda: link.worker.state is CLOSED, within_s=30)
    assert call.answer is not None
    assert link.states == [CONNECTING, ACTIVE, CLOSING, CLOSED]


def test_30_a_drain_while_shutting_down_without_work_just_ends() -> None:
    link = active_link(gateways=2)
    link.tap = withhold(ReplyAck)
    link.want(0.5)
    link.run(1)
    close(link)
    link.drain(link.sockets()[0].gateway)
    link.run_until(lambda: link.worker.state is CLOSED, within_s=8)
    assert len(link.starts) == 1


@pytest.mark.parametrize("after_s", [0.0, 0.004, 0.008, 3.0])
def test_31_closing_while_connecting_or_waiting_ends_at_once(after_s: float) -> None:
    link = Link(7)
    link.api_status = 500 if after_s > 1 else 200
    link.start()
    link.run(after_s)
    assert link.worker.state in {CONNECTING, RECONNECTING}
    close(link)
    assert link.worker.state is CLOSED
    assert spoken(link, WorkerPause) == 0
    link.run(400)
    assert len(link.starts) <= 2


def test_32_a_connection_lost_while_closing_is_replaced_for_the_work_in_flight() -> None:
    link = active_link()
    call = link.want(60.0)
    link.run(1)
    close(link)
    link.run(1)
    link.cut()
    link.run_until(lambda: link.worker.state is CLOSED, within_s=70)
    assert call.answer is not None
    assert call.attempts == 1
    assert spoken(link, WorkerReady) == 1
    assert spoken(link, WorkerPause) == 2
    assert link.worker.counts["leases_extended"] >= 1


def test_32_heartbeats_go_on_until_the_end() -> None:
    link = active_link()
    link.want(45.0)
    link.run(1)
    close(link)
    before = sum("WorkerHeartbeat" in line for line in link.trace)
    link.run_until(lambda: link.worker.state is CLOSED, within_s=60)
    assert sum("WorkerHeartbeat" in line for line in link.trace) - before >= 4
    assert link.closes == [("worker", 1000, "WORKER_SHUTDOWN")]


def test_34_every_dial_has_a_start_call_and_a_connection_id_of_its_own() -> None:
    link = active_link()
    for _ in range(3):
        link.cut()
        link.run_until(lambda: link.worker.state is ACTIVE, within_s=20)
    ids = [worker.connection_id for worker in link.introductions]
    assert len(set(ids)) == len(ids) == len(link.starts) == 4


def test_37_apps_refused_at_the_first_start_end_it_with_the_servers_words() -> None:
    link = Link(7)
    link.start()
    link.run_until(lambda: bool(link.introductions), within_s=1)
    problem = SyncFailed("bad_config", "At least one function is invalid")
    link.sockets()[0].protocol.reject(CLOSE_POLICY, "", problem=problem)
    link._attend_gateway(link.sockets()[0])
    link.run(1)
    assert link.finished is not None
    assert link.finished.error is not None
    assert "bad_config At least one function is invalid" in link.finished.error


def test_37_apps_refused_later_are_tried_again_slowly() -> None:
    link = active_link()
    link.refuse = (CLOSE_POLICY, "connect_too_many_apps_per_connection")
    link.cut()
    link.run(300)
    assert link.finished is None
    assert 3 <= len(link.starts) <= 7
    link.heal()
    link.run_until(lambda: link.worker.state is ACTIVE, within_s=400)


def test_38_a_slow_registration_is_waited_for() -> None:
    link = Link(7)
    verdict = link._verdict
    link._verdict = lambda socket: link.at(25, lambda: verdict(socket))  # type: ignore[method-assign]
    link.start()
    link.run_until(lambda: link.worker.state is ACTIVE, within_s=40)
    assert len(link.starts) == 1


def test_41_a_flush_that_never_works_bounds_the_shutdown_and_names_what_is_lost() -> None:
    link = active_link()
    link.tap = withhold(Reply)
    call = link.want(0.5)
    link.run(1)
    link.api_status = None
    close(link)
    took = link.run_until(lambda: link.finished is not None, within_s=60)
    assert 29 < took < 31
    assert link.finished is not None
    assert link.finished.unsent == (call.request_id,)
    assert call.request_id in link.spool


def test_42_an_answer_refused_for_good_is_dropped_loudly_and_blocks_nothing() -> None:
    link = active_link()
    link.tap = withhold(Reply)
    first = link.want(0.1)
    link.api_status = 400
    link.run(8)
    assert link.worker.unacknowledged == 0
    assert "refused an answer for good" in words(link, Level.ERROR)
    link.heal()
    link.tap = lambda mine, message: True
    second = link.want(0.1)
    link.run_until(lambda: second.answer is not None, within_s=5)
    assert first.answer is None


@pytest.mark.parametrize(
    ("given", "heartbeat_s", "extend_s"),
    [
        (("1m0s", "1m0s"), 60.0, 60.0),
        (("200ms", "100ms"), 0.2, 0.1),
        (("", "nonsense"), 10.0, 5.0),
        (("24h", "0s"), 60.0, 5.0),
        (("1ms", "1500ms"), 0.05, 1.5),
    ],
)
def test_43_44_intervals_are_read_as_go_writes_them_and_kept_sane(
    given: tuple[str, str], heartbeat_s: float, extend_s: float
) -> None:
    link = Link(7)
    link.worker.begin(link.now)
    link.tap = lambda from_worker, message: from_worker or isinstance(message, GatewayHello)
    link._attend_worker()
    link.run_until(lambda: bool(link.introductions), within_s=1)
    link.run(0.1)
    ready = encode_frame(ConnectionReady(*given))
    socket = link.sockets()[0].id
    link.call_worker(lambda worker, now: worker.receive(socket, ready, now))
    connection = link.worker.connections()[0]
    assert connection.heartbeat_s == heartbeat_s
    assert connection.extend_s == extend_s


def test_46_workers_of_a_drained_gateway_do_not_come_back_all_at_once() -> None:
    waits: list[float] = []
    for seed in range(20):
        link = Link(seed)
        link.start()
        link.run_until(lambda link=link: link.worker.state is ACTIVE, within_s=5)
        link.drain()
        link.run(1.0)
        link.revive()
        waits.append(link.run_until(lambda link=link: link.worker.state is ACTIVE, within_s=20))
    assert len({round(wait, 1) for wait in waits}) > 5


def test_50_answers_a_restarted_server_does_not_know_are_acknowledged() -> None:
    link = active_link()
    call = link.want(5.0)
    link.run(1)
    link.desk._by_request.clear()
    link.desk.calls.remove(call)
    stale = call.request_id
    link.on_execute = lambda request, _: None
    link.cut()
    link.run_until(lambda: stale in link.desk.told, within_s=20)
    link.run_until(lambda: link.worker.unacknowledged == 0, within_s=10)
    assert link.worker.state is ACTIVE


def test_a_worker_told_to_give_up_does_so_and_says_why() -> None:
    link = Link(7, worker=config(give_up_after_s=60.0))
    link.api_status = None
    link.start()
    took = link.run_until(lambda: link.finished is not None, within_s=100)
    assert 59 < took < 61
    assert link.finished is not None
    assert link.finished.error == "no connection for 60 s; giving up"


def test_w23_a_worker_not_told_to_give_up_never_does() -> None:
    link = Link(7)
    link.api_status = None
    link.start()
    link.run(86_400)
    assert link.finished is None
    link.heal()
    link.run_until(lambda: link.worker.state is ACTIVE, within_s=400)


def test_a_full_outbox_stops_work_and_drops_nothing() -> None:
    link = active_link(worker=config(outbox_count_max=4))
    link.tap = withhold(Reply)
    link.api_status = None
    calls = [link.want(0.1) for _ in range(4)]
    link.run_until(lambda: link.worker.state is PAUSED, within_s=10)
    link.run(1)
    more = link.want(0.1)
    link.run(60)
    assert more.attempts == 0
    assert link.worker.unacknowledged == 4
    link.heal()
    link.tap = lambda mine, message: True
    link.run_until(lambda: all(call.answer for call in [*calls, more]), within_s=200)
    assert link.worker.state is ACTIVE
    assert len(link.executions) == 5


def test_a_shutdown_with_a_limit_cancels_what_runs_too_long() -> None:
    link = active_link(worker=config(shutdown_timeout_s=10.0))
    link.want(1000.0)
    link.run(1)
    close(link)
    took = link.run_until(lambda: link.finished is not None, within_s=50)
    assert 9 < took < 11
    assert len(link.cancelled) >= 1


def test_a_second_close_changes_nothing_and_an_abort_ends_at_once() -> None:
    link = active_link()
    link.want(1000.0)
    link.run(1)
    close(link)
    close(link)
    link.run(5)
    assert link.worker.state is CLOSING
    link.call_worker(lambda worker, now: worker.abort(now))
    assert link.worker.state is CLOSED


def test_steps_are_stored_while_a_call_goes_on() -> None:
    link = active_link()
    asked: list[int | None] = []

    def execute(request: ExecutorRequest, checkpointing: bool) -> None:
        assert checkpointing
        link.call_worker(
            lambda worker, now: asked.append(worker.checkpoint(request.request_id, b"[1]", now))
        )
        link.at(1, lambda: link.finish(request))

    link.on_execute = execute
    call = link.want()
    link.run_until(lambda: call.answer is not None, within_s=5)
    assert asked == [1]
    assert call.steps == {1: b"[1]"}
    assert [c.outcome.name for c in link.checkpointed if c.outcome] == ["SAVED"]
    assert APP == "app"


def test_a_gateway_without_checkpoints_is_spoken_to_plainly() -> None:
    link = active_link(checkpoints=False)
    told: list[bool] = []
    link.on_execute = lambda request, checkpointing: told.append(checkpointing)
    call = link.want()
    link.run(1)
    assert told == [False]
    answers: list[int | None] = []
    link.call_worker(
        lambda worker, now: answers.append(worker.checkpoint(call.request_id, b"[]", now))
    )
    assert answers == [None]


def test_steps_on_their_way_when_the_socket_dies_are_sent_again() -> None:
    link = active_link()
    link.on_execute = lambda request, checkpointing: None
    call = link.want()
    link.run(0.1)
    link.call_worker(lambda worker, now: worker.checkpoint(call.request_id, b"[1]", now))
    link.cut()
    link.run_until(lambda: bool(link.checkpointed), within_s=5)
    assert call.steps == {1: b"[1]"}


def test_steps_nobody_can_store_are_given_back_in_time() -> None:
    link = active_link()
    link.on_execute = lambda request, checkpointing: None
    call = link.want()
    link.run(0.1)
    link.kill_gateway()
    link.call_worker(lambda worker, now: worker.checkpoint(call.request_id, b"[1]", now))
    assert link.checkpointed == []
    link.revive()
    link.run_until(lambda: link.worker.state is ACTIVE, within_s=5)
    link.tap = lambda from_worker, message: type(message).__name__ != "CheckpointAck"
    link.call_worker(lambda worker, now: worker.checkpoint(call.request_id, b"[2]", now))
    took = link.run_until(lambda: bool(link.checkpointed), within_s=20)
    assert 9 < took < 11
    assert link.checkpointed[0].outcome is None


def test_a_start_call_nobody_answers_is_given_up() -> None:
    link = Link(7)
    link._answer_start = lambda asked: None  # type: ignore[method-assign]
    link.start()
    link.run_until(lambda: link.worker.state is RECONNECTING, within_s=11)
    assert "nothing within 10 s while starting" in words(link, Level.WARNING)


def test_an_answer_to_an_attempt_given_up_is_not_heard() -> None:
    link = Link(7)
    link.start()
    link.call_worker(lambda worker, now: worker.start_failed(99, StartFailure("late"), now))
    link.call_worker(lambda worker, now: worker.opened(1, now))
    link.call_worker(lambda worker, now: worker.closed(5, 1006, "", now))
    link.run_until(lambda: link.worker.state is ACTIVE, within_s=5)
