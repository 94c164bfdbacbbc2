"""Answers wait in the outbox until the server has them, and never leave it otherwise."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from stepwell.sdk.connect.outbox import FLUSHES_MAX, Outbox


def outbox(bytes_max: int = 1000, count_max: int = 10) -> Outbox:
    return Outbox(bytes_max=bytes_max, count_max=count_max)


def test_a_new_answer_waits_to_be_flushed_unless_it_is_sent() -> None:
    box = outbox()
    kept = box.add("a", b"1")
    assert box.deadline() == 0.0
    box.sent(kept, 1, now=100.0)
    assert box.deadline() == 105.0
    assert box.take_due(100.0) == []
    assert box.awaits(1)
    assert not box.awaits(2)


def test_w18_w20_late_acknowledgements_move_answers_to_the_flush_in_order() -> None:
    box = outbox()
    for number, name in enumerate("abc"):
        box.sent(box.add(name, b"1"), 1, now=float(number))
    assert box.overdue(4.9) == []
    assert box.overdue(6.0) == ["a", "b"]
    assert [kept.request_id for kept in box.take_due(6.0)] == ["a", "b"]
    assert len(box) == 3


def test_settling_forgets_wherever_the_answer_is() -> None:
    box = outbox()
    box.add("waiting", b"12")
    box.sent(box.add("sent", b"123"), 1, now=0.0)
    box.add("flushing", b"1234")
    box.take_due(0.0)
    assert box.bytes == 9
    for name in ("waiting", "sent", "flushing"):
        assert box.settle(name)
        assert not box.settle(name)
    assert box.bytes == len(box) == 0
    assert box.deadline() is None


def test_an_answer_given_twice_is_kept_once_the_newest() -> None:
    box = outbox()
    box.add("a", b"old one")
    box.add("a", b"new")
    assert len(box) == 1
    assert box.bytes == 3
    assert box.payload("a") == b"new"


def test_a_lost_socket_frees_only_its_own_answers() -> None:
    box = outbox()
    box.sent(box.add("a", b"1"), 1, now=0.0)
    box.sent(box.add("b", b"1"), 2, now=0.0)
    assert box.lost(1) == ["a"]
    assert [kept.request_id for kept in box.take_due(0.0)] == ["a"]
    assert box.awaits(2)


def test_what_was_too_big_for_a_socket_is_never_sent_there_again() -> None:
    box = outbox()
    big = box.add("big", b"x" * 100)
    small = box.add("small", b"x")
    box.sent(big, 1, now=0.0)
    box.sent(small, 1, now=0.0)
    box.lost(1, too_big_bytes=50)
    assert big.http_only
    assert not small.http_only
    for kept in box.take_due(0.0):
        box.flush_failed(kept.request_id, 0.0)
    assert box.take_sendable() == [small]


def test_flushes_are_few_at_once_and_one_while_the_server_is_away() -> None:
    box = outbox(count_max=100)
    for number in range(20):
        box.add(str(number), b"1")
    taken = box.take_due(0.0)
    assert len(taken) == FLUSHES_MAX
    assert box.take_due(0.0) == []
    for kept in taken:
        box.flush_failed(kept.request_id, 0.0)
    assert box.take_due(0.5) == []
    assert box.deadline() == 1.0
    assert len(box.take_due(1.0)) == 1
    assert box.take_due(1.0) == []
    assert box.deadline() is None
    box.flush_worked()
    assert len(box.take_due(1.0)) == FLUSHES_MAX - 1


def test_w21_the_waits_between_flushes_grow_to_a_minute() -> None:
    box = outbox()
    box.add("a", b"1")
    now, waits = 0.0, []
    for _ in range(9):
        (kept,) = box.take_due(now)
        waits.append(box.flush_failed(kept.request_id, now))
        now += waits[-1]
    assert waits == [1, 2, 5, 10, 20, 30, 60, 60, 60]
    box.hurry()
    assert box.deadline() == 0.0


def test_full_and_relieved_have_a_distance() -> None:
    box = outbox(bytes_max=100, count_max=4)
    for name in "abcd":
        box.add(name, b"1")
    assert box.full
    box.settle("a")
    assert not box.full
    assert not box.relieved
    box.settle("b")
    assert box.relieved
    box.add("big", b"x" * 100)
    assert box.full


NAMES = st.sampled_from("abcdef")


class Keeping(RuleBasedStateMachine):
    """Whatever is done, exactly what was added and not settled is kept."""

    def __init__(self) -> None:
        super().__init__()
        self.box = outbox(bytes_max=20, count_max=3)
        self.model: dict[str, bytes] = {}
        self.now = 0.0
        self.flushing: list[str] = []

    @rule(name=NAMES, payload=st.binary(max_size=9), socket=st.none() | st.integers(1, 2))
    def add(self, name: str, payload: bytes, socket: int | None) -> None:
        kept = self.box.add(name, payload)
        self.model[name] = payload
        if socket is not None:
            self.box.sent(kept, socket, self.now)

    @rule(name=NAMES)
    def settle(self, name: str) -> None:
        assert self.box.settle(name) == (name in self.model)
        self.model.pop(name, None)

    @rule(socket=st.integers(1, 2))
    def lose(self, socket: int) -> None:
        self.box.lost(socket)

    @rule(seconds=st.floats(0, 40))
    def wait(self, seconds: float) -> None:
        self.now += seconds
        self.box.overdue(self.now)
        self.flushing += [kept.request_id for kept in self.box.take_due(self.now)]

    @precondition(lambda self: self.flushing)
    @rule(works=st.booleans())
    def flush(self, works: bool) -> None:
        name = self.flushing.pop(0)
        if works:
            self.box.flush_worked()
            self.box.settle(name)
            self.model.pop(name, None)
        else:
            self.box.flush_failed(name, self.now)

    @invariant()
    def exactly_what_was_not_settled_is_kept(self) -> None:
        assert {kept.request_id: kept.payload for kept in self.box} == self.model
        assert self.box.bytes == sum(map(len, self.model.values()))

    @invariant()
    def something_will_happen_to_whatever_is_kept(self) -> None:
        if self.model and not self.flushing:
            assert self.box.deadline() is not None


Keeping.TestCase.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
TestKeeping = Keeping.TestCase
