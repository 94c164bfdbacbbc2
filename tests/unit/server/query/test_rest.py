"""Why work that is due is not done, in words."""

import msgspec
import pytest

from stepwell.server.engine.row.run import AppRow, Item, ItemKind, Lease, Run, RunStatus
from stepwell.server.query.rest import Hindrance, Reach, rest
from stepwell.server.query.timeline import Rows, timeline
from stepwell.server.query.waiting import waiting
from tests.bench import Bench, broke, function, planned, progressed

NOW = 1_743_130_137_000
RUN = Run("r1", "shop-a", "shop", ("e1",), NOW, RunStatus.RUNNING, NOW + 1)
SERVED = AppRow("shop", "http://shop.test/api", "serve", "py", "", "", "1", NOW)
CONNECTED = msgspec.structs.replace(SERVED, method="connect")
AT = "2025-03-28T02:48:57Z"


@pytest.mark.parametrize(
    ("reach", "reason", "said"),
    [
        (Reach(None), "app_unknown", "app shop is not registered: start it"),
        (Reach(None, gone_ms=NOW), "app_unknown", f"app shop is not registered since {AT}"),
        (
            Reach(SERVED, served=False, gone_ms=NOW),
            "function_gone",
            f"app shop no longer serves function shop-a since {AT}: serve it again",
        ),
        (
            Reach(msgspec.structs.replace(SERVED, error="unreachable: refused")),
            "app_away",
            "app shop cannot be reached at http://shop.test/api: unreachable: refused",
        ),
        (
            Reach(CONNECTED, closed_ms=NOW),
            "no_worker",
            f"no worker of app shop is connected since {AT}: start one",
        ),
        (
            Reach(CONNECTED, closed_ms=NOW, named="http://shop.test/api"),
            "no_worker",
            "(it was served at http://shop.test/api before a worker registered it)",
        ),
        (Reach(SERVED, closed_ms=NOW), "app_away", f"nobody takes calls of app shop since {AT}"),
        (Reach(SERVED, busy=7), "busy", "app shop has 7 calls under way"),
    ],
    ids=str,
)
def test_who_is_waited_for_since_when_and_what_to_do(reach: Reach, reason: str, said: str) -> None:
    found = rest(RUN, reach)
    assert found is not None
    assert found.reason == reason
    assert said in found.text


def test_nothing_hinders_an_app_that_is_there() -> None:
    assert rest(RUN, Reach(SERVED)) is None
    assert rest(RUN, Reach(CONNECTED)) is None


def told(item: Item, reach: Reach, *leases: Lease) -> str:
    rows = Rows(RUN, items=[item], leases=leases, reach=reach, now_ms=NOW + 5_000)
    (span,) = timeline(rows).children
    assert timeline(rows).detail == f"{span.name} {span.detail}"
    return span.detail


def test_the_timeline_says_what_a_due_call_waits_for() -> None:
    due = Item("r1", "", ItemKind.CALL, NOW, "shop")
    later = Item("r1", "", ItemKind.CALL, NOW + 9_000, "shop", attempt=1)
    gone = Reach(SERVED, served=False, gone_ms=NOW)
    away = Reach(CONNECTED, closed_ms=NOW)
    assert told(due, away).startswith("waits: no worker of app shop is connected")
    assert told(due, Reach(SERVED)) == f"is to be called by app shop now, due since {AT}"
    assert told(later, away) == "is to be called by app shop at 2025-03-28T02:49:06Z, attempt 2"
    # What nobody serves is put off again and again: it is due all the same.
    assert told(later, gone).startswith("waits: app shop no longer serves function shop-a")
    lease = Lease("l", "r1", "", NOW, NOW + 60_000)
    assert told(due, away, lease).startswith("is being called since")


def test_a_step_that_is_to_be_called_is_called_by_its_name() -> None:
    bench = Bench()
    run = bench.begin(function(event="go"))
    bench.answer(progressed(planned("pay"), planned("send")))
    rows = Rows(run, items=list(bench.items(run.id).values()))
    assert {span.name for span in timeline(rows).children} == {"step pay", "step send"}
    jobs = bench.claim()
    bench.reply(jobs[0], broke())
    rows = Rows(run, items=list(bench.items(run.id).values()))
    assert {span.name for span in timeline(rows).children} == {"step pay", "step send"}


def test_runs_that_wait_are_counted_by_function() -> None:
    other = msgspec.structs.replace(RUN, id="r2")
    third = msgspec.structs.replace(RUN, id="r3", function="shop-b")
    reaches = {"shop-a": Reach(SERVED, served=False, gone_ms=NOW), "shop-b": Reach(SERVED, busy=1)}
    (found,) = waiting([other, RUN, third], lambda run: rest(run, reaches[run.function]))
    assert (found.function, found.runs, found.oldest.run_id) == ("shop-a", 2, "r2")
    assert (found.reason, found.since) == (Hindrance.FUNCTION_GONE, AT)
