"""What follows each failure, as plain cases."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepwell.sdk.connect.backoff import (
    SCHEDULE_S,
    TOO_MANY_CONNECTIONS,
    Closure,
    Situation,
    StartFailure,
    after_close,
    after_start,
    delay_s,
)
from stepwell.sdk.connect.retries import EXCLUDED_FOR_S, Retries
from stepwell.wire.connect_word import SyncFailed


def situation(**changes: object) -> Situation:
    values: dict[str, object] = {
        "failures": 1,
        "first": False,
        "keys": 1,
        "keys_refused": 0,
        "tokens_refused": 0,
        "chance": 0.5,
    }
    return Situation(**(values | changes))  # type: ignore[arg-type]


def test_w23_the_schedule_without_jitter() -> None:
    waits = [delay_s(failures, 0.5) for failures in range(12)]
    assert waits == [0.0, 2, 5, 10, 20, 30, 60, 120, 300, 300, 300, 300]


@given(st.integers(0, 50), st.floats(0, 1, exclude_max=True))
def test_w23_jitter_is_a_fifth_either_way(failures: int, chance: float) -> None:
    plain = delay_s(failures, 0.5)
    assert plain * 0.79 <= delay_s(failures, chance) <= plain * 1.21


def test_the_wait_can_be_capped() -> None:
    assert delay_s(8, 0.5, max_s=5.0) == 5.0


@pytest.mark.parametrize("status", [401, 403])
def test_w22_a_refused_key(status: int) -> None:
    refused = StartFailure("no", status)
    other = after_start(refused, situation(keys=2, keys_refused=1, first=True))
    assert (other.delay_s, other.switch_key, other.fatal) == (0.0, True, False)
    both = after_start(refused, situation(keys=2, keys_refused=2, first=True))
    assert both.fatal
    assert both.unauthorized
    later = after_start(refused, situation(keys=2, keys_refused=2, first=False))
    assert not later.fatal
    assert later.delay_s >= 30
    without = after_start(refused, situation(keys=0, keys_refused=1, first=True))
    assert without.fatal


def test_w25_too_many_connections_is_never_fatal_and_never_hurried() -> None:
    verdict = after_start(StartFailure("limit", 429), situation(first=True))
    assert verdict.words == TOO_MANY_CONNECTIONS
    assert verdict.delay_s == 30
    assert not verdict.fatal


@pytest.mark.parametrize("status", [None, 500, 502, 503, 504, 404])
def test_an_outage_is_waited_out(status: int | None) -> None:
    verdict = after_start(StartFailure("away", status), situation(first=True, failures=2))
    assert verdict.delay_s == 5
    assert not verdict.fatal
    assert "away" in verdict.words


def test_a_start_call_that_is_not_understood_is_repeated_slowly() -> None:
    assert after_start(StartFailure("what?", 400), situation()).delay_s >= 30


def test_a_draining_gateway_is_left_within_a_second_and_a_half() -> None:
    closure = Closure(1001, "connect_gateway_closing")
    assert after_close(closure, situation(failures=7, chance=0.0)).delay_s == 0.5
    assert after_close(closure, situation(failures=7, chance=0.999)).delay_s < 1.5


@pytest.mark.parametrize("code", [1000, 1005, 1006, 1009, 1011])
def test_a_connection_that_worked_comes_back_at_once(code: int) -> None:
    assert after_close(Closure(code, ""), situation(failures=0)).delay_s == 0


def test_a_session_token_may_have_expired_once() -> None:
    closure = Closure(1008, "connect_authentication_failed")
    first = after_close(closure, situation(tokens_refused=1, keys=2, first=True))
    assert (first.delay_s, first.switch_key, first.fatal) == (0.0, False, False)
    second = after_close(closure, situation(tokens_refused=2, keys=2, failures=2, first=True))
    assert second.switch_key
    assert second.delay_s == 5


def test_a_configuration_error_is_an_exception_at_first_and_slow_later() -> None:
    closure = Closure(1008, "connect_too_many_apps_per_connection")
    assert after_close(closure, situation(first=True)).fatal
    later = after_close(closure, situation(first=False))
    assert not later.fatal
    assert later.delay_s == 60


def test_refused_apps_are_named_even_if_the_close_says_nothing() -> None:
    closure = Closure(1008, "", SyncFailed("", "name missing"))
    verdict = after_close(closure, situation(first=True))
    assert verdict.fatal
    assert "name missing" in verdict.words


def test_a_slow_hello_is_no_configuration_error() -> None:
    closure = Closure(1008, "connect_worker_hello_timeout")
    assert not after_close(closure, situation(first=True)).fatal


def test_bytes_the_gateway_could_not_read() -> None:
    assert after_close(Closure(1007, "x"), situation(failures=0)).delay_s >= SCHEDULE_S[1]


def retries(**options: object) -> Retries:
    values: dict[str, object] = {"keys": 2, "delay_max_s": 300.0, "chance": lambda: 0.5}
    return Retries(**(values | options))  # type: ignore[arg-type]


def test_w26_gateways_are_avoided_for_a_while_and_welcome_again_once_they_work() -> None:
    memory = retries()
    memory.avoid("a", 0.0)
    memory.avoid("b", 10.0)
    memory.avoid("", 10.0)
    assert memory.avoided(20.0) == ("a", "b")
    memory.succeeded("b")
    assert memory.avoided(20.0) == ("a",)
    assert memory.avoided(EXCLUDED_FOR_S) == ()


def test_a_connection_that_ends_at_once_again_and_again_is_not_hurried() -> None:
    memory = retries()
    waits = []
    for _ in range(4):
        memory.succeeded("g")
        waits.append(memory.lost(Closure(1006, "")).delay_s)
    assert waits == [0.0, 2.0, 5.0, 10.0]
    memory.stable()
    assert memory.lost(Closure(1006, "")).delay_s == 0


def test_keys_alternate() -> None:
    memory = retries()
    keys = []
    for _ in range(4):
        keys.append(memory.key)
        memory.start_failed(StartFailure("no", 401))
    assert keys == [0, 1, 0, 1]
