"""The tables of states and phases: complete, forward only, walked edge by edge."""

import itertools

import pytest

from stepwell.sdk.connect.phase import (
    ATTEMPT_PHASES,
    MAY_SEND,
    OPEN_PHASES,
    PHASE_AFTER,
    STATE_AFTER,
    ConnectionState,
    LocalProtocolError,
    SocketPhase,
    check_phase,
    check_send,
    check_state,
)
from stepwell.wire.connect_word import Kind

S = ConnectionState
# The diagram of the seed, drawn once more by hand.
SEED = {
    (S.CONNECTING, S.ACTIVE),
    (S.CONNECTING, S.RECONNECTING),
    (S.ACTIVE, S.RECONNECTING),
    (S.ACTIVE, S.PAUSED),
    (S.ACTIVE, S.CLOSING),
    (S.PAUSED, S.ACTIVE),
    (S.PAUSED, S.CLOSING),
    (S.RECONNECTING, S.ACTIVE),
    (S.RECONNECTING, S.CLOSING),
    (S.CLOSING, S.CLOSED),
}
# What makes it whole: a try to come back is CONNECTING, as the official SDK tells it; a worker may
# be closed before it was ever connected, and its connection be lost while it is paused.
EDGES = SEED | {
    (S.RECONNECTING, S.CONNECTING),
    (S.CONNECTING, S.CLOSING),
    (S.PAUSED, S.RECONNECTING),
}


@pytest.mark.parametrize(("before", "after"), list(itertools.product(S, S)))
def test_w04_every_pair_of_states(before: S, after: S) -> None:
    if (before, after) in EDGES:
        check_state(before, after)
    else:
        with pytest.raises(LocalProtocolError, match=f"{before.value} to {after.value}"):
            check_state(before, after)


def test_w03_the_official_names_and_values() -> None:
    assert {s.name: s.value for s in S} == {
        name: name
        for name in ("ACTIVE", "CLOSED", "CLOSING", "CONNECTING", "PAUSED", "RECONNECTING")
    }


def test_every_state_and_phase_is_in_every_table() -> None:
    assert set(STATE_AFTER) == set(S)
    assert set(PHASE_AFTER) == set(MAY_SEND) == set(SocketPhase)
    assert not ATTEMPT_PHASES & OPEN_PHASES


def test_phases_only_move_forward_and_all_end() -> None:
    order = list(SocketPhase)
    for before, after in itertools.product(SocketPhase, SocketPhase):
        if after in PHASE_AFTER[before]:
            assert order.index(after) > order.index(before)
            check_phase(before, after)
        else:
            with pytest.raises(LocalProtocolError):
                check_phase(before, after)
        if before is not SocketPhase.CLOSED:
            assert SocketPhase.CLOSED in PHASE_AFTER[before]


def test_nothing_is_claimed_on_a_draining_socket_and_nothing_said_after_the_end() -> None:
    with pytest.raises(LocalProtocolError, match="WORKER_REQUEST_ACK"):
        check_send(SocketPhase.DRAINING, Kind.WORKER_REQUEST_ACK)
    for kind in Kind:
        with pytest.raises(LocalProtocolError):
            check_send(SocketPhase.CLOSED, kind)
    for phase in OPEN_PHASES:
        for kind in (Kind.WORKER_HEARTBEAT, Kind.WORKER_REPLY, Kind.WORKER_REQUEST_EXTEND_LEASE):
            check_send(phase, kind)
