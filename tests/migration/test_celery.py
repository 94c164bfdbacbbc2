"""An application of Celery, ported by its imports, on the engine."""

import datetime as dt
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import stepwell.celery.app as celery_app
from stepwell import ConfigurationError, RunFailedError
from stepwell.celery import (
    AsyncResult,
    Celery,
    MaxRetriesExceededError,
    Retry,
    Task,
    chain,
    chord,
    crontab,
    group,
)
from stepwell.celery.retries import RetryRules
from stepwell.celery.schedule import cron_of
from stepwell.testing import HarnessSync
from tests.migration import celery_shop as shop

PICTURES = shop.app.queue("pictures")


@pytest.fixture(autouse=True)
def no_other_application(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shared tasks belong to the application made last: those made here are not to take them."""
    monkeypatch.setattr(celery_app, "_shared", type(celery_app.__dict__["_shared"])())


@pytest.fixture
def engine() -> Iterator[HarnessSync]:
    shop.did.clear()
    with HarnessSync() as harness:
        for client in (shop.app.client, PICTURES):
            harness.serve(client, client.functions)
        yield harness


def _did(word: str) -> list[str]:
    """What was done of one kind; schedules do other things meanwhile."""
    return [one for one in shop.did if one.startswith(word)]


def test_a_chain_with_a_group_retries_what_it_is_told_to_and_waits(engine: HarnessSync) -> None:
    placed: Any = shop.place(7, ["apple", "pear"])
    engine.advance(seconds=9)
    assert shop.did == ["charge 7"]
    engine.advance(minutes=59)
    assert (_did("charge"), placed.state, placed.ready()) == (["charge 7"] * 3, "STARTED", False)
    engine.advance(minutes=5)
    assert placed.successful()
    assert placed.get() == "How do you like apple (receipt 7) and pear (receipt 7) by train?"


def test_an_exception_that_is_not_listed_ends_the_task_as_what_it_is(engine: HarnessSync) -> None:
    called = shop.charge.delay(13)
    engine.advance(minutes=5)
    assert called.failed()
    with pytest.raises(RunFailedError, match="Declined: no money"):
        called.get()
    assert _did("charge") == ["charge 13"] * 3


def test_a_bound_task_asks_for_another_try_until_it_has_had_them_all(engine: HarnessSync) -> None:
    called = shop.reserve.delay(item="kiwi")
    engine.advance(seconds=55)
    assert shop.did == ["reserve kiwi, retry 0"]
    engine.advance(minutes=5)
    assert shop.did == [f"reserve kiwi, retry {n}" for n in range(3)]
    with pytest.raises(RunFailedError, match="LookupError: no kiwi"):
        called.get()


def test_countdown_eta_and_expires(engine: HarnessSync) -> None:
    soon = shop.report.apply_async(("soon",), countdown=10)
    eta = dt.datetime(2026, 1, 1, 1, tzinfo=dt.UTC)  # where the clock of a test begins: midnight
    later = shop.report.apply_async(kwargs={"day": "later"}, eta=eta)
    late = shop.report.apply_async(("late",), expires=dt.datetime(2020, 1, 1, tzinfo=dt.UTC))
    engine.advance(seconds=10)
    assert (shop.did, soon.state, later.state) == (["report soon"], "SUCCESS", "STARTED")
    engine.advance(hours=1)
    assert _did("report") == ["report soon", "report later"]
    with pytest.raises(RunFailedError, match="expired before it was run"):
        late.get()


def test_workers_of_a_queue_take_what_is_sent_to_it(engine: HarnessSync) -> None:
    engine.run_until_idle()
    assert shop.resize.client() is PICTURES
    assert shop.resize.delay("cat").get() == "cat"
    moved = shop.pack.apply_async(("r", "apple"), queue="pictures")
    assert moved.get(timeout=10) == "apple (r)"
    assert f"{PICTURES.app_id}-{shop.pack.name}" in {one.id for one in PICTURES.functions}


def test_a_chord_and_calls_that_take_nothing_of_what_comes_before(engine: HarnessSync) -> None:
    gathered: Any = shop.gather_up(["apple", "pear"])
    whole = (shop.pack.s("r", "fig") | shop.resize.si("cat") | shop.ship.si(["cat"])).delay()
    nested = chain(shop.pack.s("apple") | shop.ask_for_review.s()).delay("receipt")
    alone = shop.pack.signature(("apple",)).apply_async(("receipt",))
    engine.run_until_idle()
    assert gathered.get() == "apple (r) and pear (r) by bike"
    assert whole.get() == "cat by bike"
    assert nested.get() == "How do you like apple (receipt)?"
    assert alone.get() == "apple (receipt)"


def test_a_group_begins_when_its_countdown_is_over(engine: HarnessSync) -> None:
    resized = group(shop.resize.s(name) for name in ("cat", "dog")).apply_async(countdown=5)
    engine.advance(seconds=4)
    assert shop.did == []
    engine.advance(seconds=1)
    assert sorted(resized.get()) == ["cat", "dog"]


def test_the_clock_calls_tasks_in_the_zone_of_the_application(engine: HarnessSync) -> None:
    engine.advance(hours=5, minutes=59)
    assert shop.did == ["resize logo"] * 11
    engine.advance(minutes=1)
    assert sorted(shop.did[11:]) == ["report today", "resize logo"]


def test_a_task_that_is_called_runs_here() -> None:
    assert shop.pack("r", item="apple") == "apple (r)"
    assert shop.pack.s("r", "apple")() == "apple (r)"
    with pytest.raises(LookupError, match="no kiwi"):
        shop.reserve("kiwi")


def test_tries_that_are_used_up_without_an_exception() -> None:
    app = Celery("alone")

    @app.task(bind=True)
    def again(self: Task) -> None:
        raise self.retry()

    with pytest.raises(MaxRetriesExceededError, match="was tried 1 times"):
        again()


@pytest.mark.parametrize(
    ("rules", "waits"),
    [
        (RetryRules(delay=7), [7, 7, 7]),
        (RetryRules(backoff=1, jitter=False), [1, 2, 4]),
        (RetryRules(backoff=200, jitter=False), [200, 400, 600]),
    ],
)
def test_how_long_to_wait(rules: RetryRules, waits: list[float]) -> None:
    assert [rules.seconds(retries) for retries in range(3)] == waits


def test_a_wait_is_drawn_below_its_limit() -> None:
    drawn = {RetryRules(backoff=4).seconds(1) for _ in range(20)}
    assert len(drawn) > 1
    assert all(0 <= seconds <= 8 for seconds in drawn)


@pytest.mark.parametrize(
    ("schedule", "cron"),
    [
        (crontab(), "* * * * *"),
        (crontab(minute="*/15", hour=[9, 17], day_of_week="mon-fri"), "*/15 9,17 * * mon-fri"),
        (crontab(0, 0, day_of_month=1, month_of_year="1,7"), "0 0 1 1,7 *"),
        (60, "*/1 * * * *"),
        (dt.timedelta(minutes=20), "*/20 * * * *"),
        (3600.0, "0 */1 * * *"),
        (dt.timedelta(hours=6), "0 */6 * * *"),
        (dt.timedelta(days=1), "0 0 * * *"),
    ],
)
def test_schedules_as_cron_has_them(schedule: object, cron: str) -> None:
    assert cron_of("x", schedule) == cron


def _twice(app: Celery) -> None:
    app.task(name="a")(len)
    app.task(name="a")(abs)


async def waits() -> None: ...


REFUSED: dict[str, Callable[[Celery], object]] = {
    r"Celery.broker = 'redis://x': remove it": lambda _: Celery("b", broker="redis://x"),
    r'"x": rate_limit = \'10/m\': there is no such option': lambda app: app.task(
        name="x",
        rate_limit="10/m",  # type: ignore[call-overload]
    )(len),
    r"max_retries = None: give a number from 0 to 20": lambda app: app.task(
        name="x",
        max_retries=None,  # type: ignore[call-overload]
    )(len),
    r"retry_kwargs has \['jitter'\]": lambda app: app.task(name="x", retry_kwargs={"jitter": 1})(
        len
    ),
    r"autoretry_for has 3: give classes": lambda app: app.task(
        name="x",
        autoretry_for=(3,),  # type: ignore[arg-type]
    )(len),
    r"waits is a coroutine function: write it as def": lambda app: app.task(waits),
    r"there is one of that name already": _twice,
    r"eta says when already": lambda _: shop.pack.apply_async(
        countdown=1, eta=dt.datetime.now(dt.UTC)
    ),
    r'queue = "x": there are celery, pictures': lambda _: shop.pack.apply_async(queue="x"),
    r"conf.result_expires = 3: there is no such setting": lambda app: app.conf.update(
        result_expires=3
    ),
    r"set timezone first": lambda _: shop.app.conf.update(timezone="UTC"),
    r"day_of_month is 1 already": lambda _: crontab(day_of_week=1, day_of_month=1),
    r"schedule = 45: give whole minutes": lambda app: app.conf.update(
        beat_schedule={"x": {"task": "a", "schedule": 45}}
    ),
    r"schedule = 'noon': give a crontab": lambda app: app.conf.update(
        beat_schedule={"x": {"task": "a", "schedule": "noon"}}
    ),
    r'beat_schedule\["x"\]: say its task': lambda app: app.conf.update(
        beat_schedule={"x": {"schedule": 60}}
    ),
    r'beat_schedule\["x"\].relative': lambda app: app.conf.update(
        beat_schedule={"x": {"task": "a", "schedule": 60, "relative": True}}
    ),
    r'"y": there are celery': lambda app: app.conf.update(
        beat_schedule={"x": {"task": "a", "schedule": 60, "options": {"queue": "y"}}}
    ),
    r"group\(\): give it at least one call": lambda _: group([]),
    r"chord: it has no body": lambda _: chord([shop.pack.s(1, 2)])(),
    r"say them in the calls": lambda _: chain(shop.pack.s()).delay(item="apple"),
    r"retry\(max_retries=9\): the task has max_retries=2": lambda _: shop.reserve.retry(
        max_retries=9
    ),
    r"there is no application yet": lambda _: Task(len, name="len", rules=RetryRules()).delay(),
}


@pytest.mark.parametrize("words", REFUSED)
def test_what_cannot_be_meant_is_refused_by_name(words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        REFUSED[words](Celery("refusing"))


def test_names_in_messages() -> None:
    assert repr(AsyncResult("01A", client=shop.app.client)) == "<AsyncResult: 01A>"
    assert repr(shop.resize) == "<Task: resize>"
    assert str(Retry(None, 1)) == "try again"
