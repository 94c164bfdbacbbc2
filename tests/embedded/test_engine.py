"""Functions and engine in one process, on SQLite: what users write, as they write it."""

import asyncio
import dataclasses
import re
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, cast

import pytest

import stepwell
from stepwell.embedded import Engine, EngineError, RunFailed
from stepwell.sdk.function import expression
from stepwell.server.engine.message.input import CancelAsked
from stepwell.server.engine.rules import Rules
from stepwell.server.registration import RegistrationRefused
from stepwell.server.store.sqlite.scratch import ScratchStore
from stepwell.wire.metadata import MetadataTarget

FAST = Rules(retry_interval_ms=10)


def make_client() -> stepwell.Inngest:
    return stepwell.Inngest(app_id="shop", is_production=False)


def on(event: str) -> stepwell.TriggerEvent:
    return stepwell.TriggerEvent(event=event)


@pytest.fixture
def database(tmp_path: Path) -> Path:
    return tmp_path / "engine.db"


class Harness:
    """A client whose functions are declared in the test, and the engine that runs them."""

    def __init__(self, database: Path) -> None:
        self.client = make_client()
        self.database = database
        self.engine: Engine | None = None

    async def start(self, *functions: stepwell.Function[object]) -> Engine:
        self.engine = Engine(
            self.client, functions, database=self.database, durability="relaxed", rules=FAST
        )
        await self.engine.start()
        return self.engine

    async def result(self, name: str, **data: object) -> object:
        assert self.engine is not None
        ids = await self.client.send(stepwell.Event(name=name, data=data))
        return await self.engine.result_of(ids[0], timeout_seconds=10)


@pytest.fixture
async def shop(database: Path) -> AsyncIterator[Harness]:
    harness = Harness(database)
    yield harness
    if harness.engine is not None:
        await harness.engine.stop()


async def test_an_engine_that_has_stopped_says_so_in_words_of_the_sdk(shop: Harness) -> None:
    async with Engine(shop.client, [], database=":memory:"):
        said = shop.client._engine
    assert said is not None
    with pytest.raises(EngineError, match="metadata of run 01"):
        await said.annotate("01", MetadataTarget(), ())


@dataclasses.dataclass
class Receipt:
    total: int
    lines: list[str]


async def test_steps_run_once_and_keep_their_types(shop: Harness) -> None:
    calls: list[str] = []

    async def charge(amount: int) -> Receipt:
        calls.append("charge")
        return Receipt(amount, ["tea"])

    @shop.client.create_function(fn_id="order", trigger=on("shop/order"))
    async def order(ctx: stepwell.Context) -> str:
        receipt = await ctx.step.run("charge", charge, 7)
        await ctx.step.sleep("rest", 1000)
        assert isinstance(receipt, Receipt)
        return f"{receipt.total} {receipt.lines[0]}"

    await shop.start(order)
    assert await shop.result("shop/order") == "7 tea"
    assert calls == ["charge"]


NUMBERS = [2**53 - 1, 2**53 + 1, 175928847299117063, 2**63, 2**64 + 1, 10**400, 1.0, -0.0, 1e22]


async def test_numbers_arrive_as_they_were_sent_wherever_they_go(shop: Harness) -> None:
    other = 175928847299117060  # the same double

    @shop.client.create_function(fn_id="child", trigger=on("shop/child"))
    async def child(ctx: stepwell.Context) -> object:
        return ctx.event.data["numbers"]

    async def again(numbers: list[Any]) -> list[Any]:
        return numbers

    @shop.client.create_function(fn_id="numbers", trigger=on("shop/numbers"))
    async def numbers(ctx: stepwell.Context) -> object:
        sent = ctx.event.data["numbers"]
        kept = await ctx.step.run("keep", again, sent)
        invoked = await ctx.step.invoke("child", function=child, data={"numbers": kept})
        echoes = [{"number": n, "numbers": [*kept, n]} for n in (other, 175928847299117063)]
        events = [stepwell.Event(name="shop/echo", data=data) for data in echoes]
        await ctx.step.send_event("echo", events)
        heard = await ctx.step.wait_for_event(
            "wait",
            event="shop/echo",
            if_exp="event.data.numbers[2] == async.data.number",
            timeout="10s",
            look_back=True,
        )
        assert heard is not None
        return [sent, kept, invoked, heard.data["numbers"]]

    await shop.start(child, numbers)
    result = cast("list[Any]", await shop.result("shop/numbers", numbers=NUMBERS))
    assert repr(result[:3]) == repr([NUMBERS] * 3)
    assert repr(result[3]) == repr([*NUMBERS, 175928847299117063])


async def test_gathered_steps_run_beside_each_other(shop: Harness) -> None:
    async def slow(n: int) -> int:
        await asyncio.sleep(0.2)
        return n

    @shop.client.create_function(fn_id="fan", trigger=on("shop/fan"))
    async def fan(ctx: stepwell.Context) -> int:
        parts = await asyncio.gather(*(ctx.step.run(f"p{i}", slow, i) for i in range(5)))
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(ctx.step.run(f"q{i}", slow, i)) for i in range(5)]
        return sum(parts) + sum(task.result() for task in tasks)

    await shop.start(fan)
    began = time.perf_counter()
    assert await shop.result("shop/fan") == 20
    assert time.perf_counter() - began < 1.5


@pytest.mark.logs('RuntimeError in function "shop-mixed"')
async def test_parallel_steps_that_fail_are_tried_again_and_their_siblings_are_not(
    shop: Harness,
) -> None:
    tries: list[str] = []

    async def attempt(name: str, failures: int) -> str:
        tries.append(name)
        if tries.count(name) <= failures:
            raise RuntimeError(f"{name} is not ready")
        return name

    @shop.client.create_function(fn_id="mixed", trigger=on("shop/mixed"), retries=2)
    async def mixed(ctx: stepwell.Context) -> list[str]:
        parts = await asyncio.gather(
            ctx.step.run("good", attempt, "good", 0),
            ctx.step.run("shaky", attempt, "shaky", 1),
            ctx.step.run("bad", attempt, "bad", 9),
            return_exceptions=True,
        )
        return [str(part) for part in parts]

    await shop.start(mixed)
    assert await shop.result("shop/mixed") == ["good", "shaky", "bad is not ready"]
    assert (tries.count("good"), tries.count("shaky"), tries.count("bad")) == (1, 2, 3)


async def test_a_wait_ends_by_its_event_or_by_time(shop: Harness) -> None:
    @shop.client.create_function(fn_id="approval", trigger=on("shop/ask"))
    async def approval(ctx: stepwell.Context) -> object:
        answer = await ctx.step.wait_for_event(
            "answer",
            event="shop/answer",
            if_exp="event.data.id == async.data.id",
            timeout=60_000,
        )
        never = await ctx.step.wait_for_event("never", event="shop/never", timeout=1000)
        assert answer is not None
        return [answer.data["said"], never]

    engine = await shop.start(approval)
    ids = await shop.client.send(stepwell.Event(name="shop/ask", data={"id": 5}))
    await asyncio.sleep(0.1)
    for answer_id in (4, 5):
        told = {"id": answer_id, "said": f"yes {answer_id}"}
        await shop.client.send(stepwell.Event(name="shop/answer", data=told))
    assert await engine.result_of(ids[0], timeout_seconds=10) == ["yes 5", None]


@pytest.mark.parametrize("colour", ["async", "sync"])
async def test_a_wait_may_look_back_at_what_came_before_it(shop: Harness, colour: str) -> None:
    """Each event is taken once, in the order in which they came."""

    @shop.client.create_function(fn_id="inbox", trigger=on("shop/open"))
    async def inbox(ctx: stepwell.Context) -> object:
        await ctx.step.sleep("busy", 300)
        taken = [
            await ctx.step.wait_for_event(
                f"mail-{number}", event="shop/mail", timeout=60_000, look_back=True
            )
            for number in range(2)
        ]
        missed = await ctx.step.wait_for_event("missed", event="shop/mail", timeout=1)
        return [mail and mail.data["n"] for mail in (*taken, missed)]

    @shop.client.create_function(fn_id="inbox-sync", trigger=on("shop/open"))
    def blocking(ctx: stepwell.ContextSync) -> object:
        ctx.step.sleep("busy", 300)
        mail = [
            ctx.step.wait_for_event(
                f"mail-{number}", event="shop/mail", timeout=60_000, look_back=True
            )
            for number in range(2)
        ]
        missed = ctx.step.wait_for_event("missed", event="shop/mail", timeout=1)
        return [one and one.data["n"] for one in (*mail, missed)]

    engine = await shop.start(inbox if colour == "async" else blocking)
    ids = await shop.client.send(stepwell.Event(name="shop/open"))
    await asyncio.sleep(0.05)
    for number in (1, 2):
        await shop.client.send(stepwell.Event(name="shop/mail", data={"n": number}))
    assert await engine.result_of(ids[0], timeout_seconds=10) == [1, 2, None]


@pytest.mark.logs('ValueError in function "shop-broken"')
async def test_an_invoked_function_answers_its_caller(shop: Harness) -> None:
    @shop.client.create_function(fn_id="double", trigger=on("shop/never"))
    async def double(ctx: stepwell.Context) -> int:
        return int(str(ctx.event.data["n"])) * 2

    @shop.client.create_function(fn_id="broken", trigger=on("shop/never"), retries=0)
    async def broken(ctx: stepwell.Context) -> int:
        raise ValueError("no stock")

    @shop.client.create_function(fn_id="caller", trigger=on("shop/call"))
    async def caller(ctx: stepwell.Context) -> list[object]:
        good = await ctx.step.invoke("good", function=double, data={"n": 21})
        try:
            await ctx.step.invoke("bad", function=broken)
        except stepwell.StepError as error:
            return [good, error.message]
        return [good, "no error"]

    await shop.start(double, broken, caller)
    assert await shop.result("shop/call") == [42, "no stock"]


@pytest.mark.logs(
    'RuntimeError in function "shop-stubborn"', 'KeyError in function "shop-stubborn"'
)
async def test_a_failing_step_is_tried_again_and_then_caught(shop: Harness) -> None:
    tries: list[int] = []

    async def flaky() -> str:
        tries.append(1)
        if len(tries) < 3:
            raise RuntimeError("not yet")
        return "at last"

    async def hopeless() -> str:
        raise KeyError("lost")

    @shop.client.create_function(fn_id="stubborn", trigger=on("shop/try"), retries=3)
    async def stubborn(ctx: stepwell.Context) -> list[str]:
        first = await ctx.step.run("flaky", flaky)
        try:
            await ctx.step.run("hopeless", hopeless)
        except stepwell.StepError as error:
            return [first, error.name]
        return [first, "no error"]

    await shop.start(stubborn)
    assert await shop.result("shop/try") == ["at last", "KeyError"]
    assert len(tries) == 3


@pytest.mark.logs('NonRetriableError in function "shop-doomed"')
async def test_a_failed_run_reaches_its_failure_handler(shop: Harness) -> None:
    seen: asyncio.Future[object] = asyncio.get_running_loop().create_future()

    async def mourn(ctx: stepwell.Context) -> None:
        seen.set_result(ctx.event.data["error"])

    @shop.client.create_function(
        fn_id="doomed", trigger=on("shop/doom"), retries=0, on_failure=mourn
    )
    async def doomed(ctx: stepwell.Context) -> None:
        raise stepwell.NonRetriableError("it is over")

    await shop.start(doomed)
    with pytest.raises(RunFailed, match="it is over"):
        await shop.result("shop/doom")
    error = await asyncio.wait_for(seen, 10)
    assert isinstance(error, dict)
    assert error["message"] == "it is over"


async def test_plain_functions_run_in_threads(shop: Harness) -> None:
    @shop.client.create_function(fn_id="plain", trigger=on("shop/plain"))
    def plain(ctx: stepwell.ContextSync) -> int:
        first = ctx.step.run("first", lambda: 20)
        ctx.step.sleep("rest", 1000)
        time.sleep(0.05)
        second = ctx.step.run("second", lambda: 22)
        return first + second

    await shop.start(plain)
    assert await shop.result("shop/plain") == 42


async def test_cancelling_a_run_reaches_the_running_code(shop: Harness) -> None:
    begun = asyncio.Event()
    stopped = asyncio.Event()

    async def forever() -> None:
        begun.set()
        try:
            await asyncio.sleep(3600)
        finally:
            stopped.set()

    @shop.client.create_function(fn_id="endless", trigger=on("shop/endless"))
    async def endless(ctx: stepwell.Context) -> None:
        await ctx.step.run("forever", forever)

    engine = await shop.start(endless)
    ids = await shop.client.send(stepwell.Event(name="shop/endless"))
    await asyncio.wait_for(begun.wait(), 10)
    run = engine.node.reader.runs_of_event(ids[0])[0]
    await engine.node.ledger.submit(CancelAsked(run.id))
    await asyncio.wait_for(stopped.wait(), 10)
    with pytest.raises(RunFailed, match="cancelled"):
        await engine.result_of(ids[0])


async def test_what_is_unfinished_goes_on_after_a_restart(database: Path) -> None:
    done: list[str] = []

    def declare(client: stepwell.Inngest) -> stepwell.Function[str]:
        @client.create_function(fn_id="nap", trigger=on("shop/nap"))
        async def nap(ctx: stepwell.Context) -> str:
            await ctx.step.run("before", note, "before")
            await ctx.step.sleep("nap", 1000)
            await ctx.step.run("after", note, "after")
            return "rested"

        return nap

    async def note(what: str) -> None:
        done.append(what)

    first = make_client()
    async with Engine(first, [declare(first)], database=database, rules=FAST):
        ids = await first.send(stepwell.Event(name="shop/nap"))
        while done != ["before"]:
            await asyncio.sleep(0.01)
    second = make_client()
    engine = Engine(second, [declare(second)], database=database, rules=FAST)
    async with engine:
        assert await engine.result_of(ids[0], timeout_seconds=10) == "rested"
    assert done == ["before", "after"]


async def test_two_functions_of_one_id_are_refused(shop: Harness) -> None:
    @shop.client.create_function(fn_id="same", trigger=on("shop/a"))
    async def one(ctx: stepwell.Context) -> None: ...

    @make_client().create_function(fn_id="same", trigger=on("shop/b"))
    async def other(ctx: stepwell.Context) -> None: ...

    with pytest.raises(ValueError, match='Duplicate function ID "shop-same"'):
        Engine(shop.client, [one, other], database=":memory:")


def test_a_program_without_a_loop_runs_it_in_the_background(database: Path) -> None:
    client = make_client()
    done: list[str] = []

    @client.create_function(fn_id="hello", trigger=on("shop/hello"))
    def hello(ctx: stepwell.ContextSync) -> None:
        done.append(str(ctx.event.data["name"]))

    engine = Engine(client, [hello], database=database)
    engine.start_in_background()
    try:
        client.send_sync(stepwell.Event(name="shop/hello", data={"name": "Ada"}))
        deadline = time.monotonic() + 10
        while not done and time.monotonic() < deadline:
            time.sleep(0.01)
    finally:
        engine.stop_in_background()
    assert done == ["Ada"]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"database": ""}, "database = ''"),
        ({"database": 5}, "database = 5"),
        ({"durability": "some"}, 'durability = \'some\': use "full" or "relaxed"'),
        ({"concurrency": 0}, "concurrency = 0"),
        ({"retention_days": -1}, "retention_days = -1: use 0"),
        ({"grace_seconds": -1}, "grace_seconds = -1"),
    ],
)
def test_an_argument_that_cannot_be_used_is_named(given: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(said)}"):
        Engine(make_client(), [], **given)


def test_what_is_no_client_and_no_function_is_named() -> None:
    with pytest.raises(TypeError, match=r"^functions\[0\] = 'greet': give what create_function"):
        Engine(make_client(), ["greet"])  # type: ignore[list-item]
    with pytest.raises(TypeError, match=r"^client = 'shop': give the app's stepwell\.Inngest"):
        Engine("shop", [])  # type: ignore[arg-type]


async def test_an_engine_that_could_not_start_lets_go_of_its_database(
    database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = make_client()
    monkeypatch.setattr(expression, "find_spec", lambda name: None)  # so the server is first to see

    @client.create_function(fn_id="bad", trigger=stepwell.TriggerEvent(event="x", expression="(("))
    async def bad(ctx: stepwell.Context) -> None: ...

    @client.create_function(fn_id="good", trigger=on("shop/good"))
    async def good(ctx: stepwell.Context) -> str:
        return "fine"

    with pytest.raises(RegistrationRefused, match="is no expression"):
        await Engine(client, [bad], database=database).start()
    async with Engine(client, [good], database=database) as engine:
        ids = await client.send(stepwell.Event(name="shop/good"))
        assert await engine.result_of(ids[0], timeout_seconds=10) == "fine"


async def test_an_engine_that_keeps_nothing_leaves_nothing() -> None:
    client = make_client()
    async with Engine(client, [], database=":memory:") as engine:
        store = engine.node.store
        assert isinstance(store, ScratchStore)
        assert await asyncio.to_thread(store.folder.is_dir)
    assert not await asyncio.to_thread(store.folder.exists)
