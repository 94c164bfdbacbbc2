"""Claimed requests: slots, leases, memory of answers, checkpoints."""

from stepwell.sdk.connect.workload import REMEMBERED_BYTES_MAX, REMEMBERED_MAX, Stage, Workload
from stepwell.wire.connect_word import ExecutorRequest


def request(id: str) -> ExecutorRequest:
    return ExecutorRequest(
        *(id, "acct", "env", "app", "name", "fn", "slug", "step", b"{}", b"s", b"u"),
        run_id="run",
        lease_id=f"lease-{id}",
    )


def started(work: Workload) -> list[str]:
    return [item.request.request_id for item in work.startable()]


def test_slots_are_given_in_order_and_freed_by_answers_and_endings() -> None:
    work = Workload(2)
    for name in "abcd":
        work.claim(request(name), 0.0)
    assert started(work) == ["a", "b"]
    assert started(work) == []
    work.answered("a")
    assert started(work) == ["c"]
    work.answered("a")
    assert started(work) == []
    work.forget("b")
    assert started(work) == ["d"]
    assert work.unfinished == 2


def test_without_a_limit_everything_runs() -> None:
    work = Workload(None)
    for name in "abc":
        work.claim(request(name), 0.0)
    assert started(work) == ["a", "b", "c"]


def test_what_only_waited_is_given_up_with_its_lease_and_what_runs_goes_on() -> None:
    work = Workload(1)
    work.claim(request("a"), 0.0)
    work.claim(request("b"), 0.0)
    started(work)
    lost = work.lose("b")
    assert lost is not None
    assert "b" not in work
    assert work.lose("b") is None
    running = work.lose("a")
    assert running is not None
    assert running.stage is Stage.RUNNING
    assert work.lose("a") is None
    assert work.unfinished == 0
    work.forget("a")
    assert started(work) == []


def test_extensions_carry_the_newest_lease_and_skip_the_young_and_the_lost() -> None:
    work = Workload(None)
    for name, at in (("old", 0.0), ("young", 9.0), ("lost", 0.0), ("answered", 0.0)):
        work.claim(request(name), at)
    started(work)
    work.lose("lost")
    work.answered("answered")
    work.renew("old", "newer")
    work.renew("lost", "newer")
    work.renew("unknown", "newer")
    sent = work.extensions(10.0, age_min_s=5.0)
    assert [(m.request_id, m.lease_id) for m in sent] == [
        ("old", "newer"),
        ("answered", "lease-answered"),
    ]
    assert sent[0].account_id == "acct"
    assert sent[0].step_id == "step"


def test_settled_answers_are_remembered_within_bounds() -> None:
    work = Workload(None)
    for number in range(REMEMBERED_MAX + 5):
        work.remember(str(number), b"x")
    assert work.remembered("4") is None
    assert work.remembered("5") == b"x"
    work.remember("5", b"y")
    work.remember("huge", b"x" * (REMEMBERED_BYTES_MAX // 4))
    assert work.remembered("huge") is None
    assert work.remembered("5") == b"y"
    for number in range(9):
        work.remember(f"large-{number}", b"x" * (REMEMBERED_BYTES_MAX // 8))
    assert work.remembered("5") is None
    assert work.remembered("large-8") is not None
    assert work.remembered("large-0") is None


def test_checkpoints_end_with_their_answer_their_time_or_their_request() -> None:
    work = Workload(None)
    for name in "abc":
        work.claim(request(name), 0.0)
    started(work)
    sequences = []
    for name in "abc":
        item = work.get(name)
        assert item is not None
        sequences.append(work.add_checkpoint(item, b"[]", 0.0).sequence)
    assert sequences == [1, 1, 1]
    item = work.get("a")
    assert item is not None
    assert work.add_checkpoint(item, b"[]", 1.0).sequence == 2
    assert work.end_checkpoint("a", 1)
    assert not work.end_checkpoint("a", 1)
    work.forget("b")
    assert [(c.request_id, c.sequence) for c in work.checkpoints()] == [("c", 1), ("a", 2)]
    assert work.deadline() == 10.0
    assert [c.request_id for c in work.overdue_checkpoints(10.5)] == ["c"]
    assert work.deadline() == 11.0
