"""Work whose amount a sender chooses: bounded for each decision and each batch, never in one go."""

import asyncio
import logging
import threading
from itertools import pairwise

import msgspec
import pytest

from stepwell.expr.budget import STEPS_MAX
from stepwell.expr.dialect import Program
from stepwell.server import ledger as ledger_module
from stepwell.server.drivers.reply import read_reply, reading_reply
from stepwell.server.engine.arriving.fanout import FANOUT, LISTENERS
from stepwell.server.engine.decide import decide
from stepwell.server.engine.draft import Decision
from stepwell.server.engine.message import input as given_
from stepwell.server.engine.message.action import Warn
from stepwell.server.engine.message.input import Verdict
from stepwell.server.engine.message.need import Need
from stepwell.server.engine.row.run import MAIN, FunctionRow
from stepwell.server.engine.rules import DEFAULT, Rules
from stepwell.server.engine.state import catalog as catalog_module
from stepwell.server.engine.state.changes import Changes
from stepwell.server.engine.state.view import View
from stepwell.server.intake import FUNCTIONS_PART, PART, received, registered
from stepwell.server.ledger import Ledger
from stepwell.server.query.not_started import not_started
from stepwell.server.runtime.perform import Performer
from stepwell.server.store.memory import MemoryStore
from stepwell.wire import elements as elements_module
from stepwell.wire import event as event_module
from stepwell.wire.event import decode_events, decoding_events
from stepwell.wire.function_config import (
    Batch,
    Cancel,
    Concurrency,
    Debounce,
    FunctionConfig,
    Priority,
    RateLimit,
    Singleton,
    Throttle,
    Trigger,
    encode_function,
)
from stepwell.wire.identifier import step_hash
from stepwell.wire.limit import EVENT_BYTES_MAX, EVENT_VALUES_MAX
from stepwell.wire.operation import WaitForEvent
from tests.bench import NOW_MS, Bench, app_row, function, progressed
from tests.stretches import stretches

COSTLY = "event.data.a.exists(x, !(x in event.data.a))"
DATA = {"a": list(range(2_000))}
W = step_hash("w")


def expensive(count: int) -> Bench:
    """So many functions, each with a condition that takes all the steps there are."""
    bench = Bench()
    bench.register(*(function(f"f{n:02}", event="go", condition=COSTLY) for n in range(count)))
    return bench


def test_a_costly_condition_is_false_and_the_log_is_told(caplog: pytest.LogCaptureFixture) -> None:
    bench = Bench()
    bench.register(function(event="go", condition="event.data.a.exists(x, !(x in event.data.b))"))
    many = list(range(3_000))
    event_id = bench.send("go", {"a": many, "b": many})
    assert bench.runs() == []
    warnings = [action for action in bench.actions if isinstance(action, Warn)]
    assert len(warnings) == 1
    for word in ("shop-work", event_id, "counts as false", f"more than {STEPS_MAX} steps"):
        assert word in warnings[0].text
    with caplog.at_level(logging.WARNING):
        Performer().perform(warnings)
    assert "counts as false" in caplog.text
    (told,) = not_started(bench.reader.dropped(event_id), ())
    assert (told.function, told.reason) == ("shop-work", "ConditionTooCostly")
    assert "takes too much work for this event" in told.detail


def test_many_costly_listeners_share_no_decision() -> None:
    bench = Bench(Rules(steps_per_decision_max=1))
    bench.register(*(function(f"f{n}", event="go", condition=f"{n} < 4") for n in range(6)))
    bench.send("go")
    started = [len(bench.runs())]
    for _ in range(8):
        bench.claim(capacity=0)
        started.append(len(bench.runs()))
    assert max(after - before for before, after in pairwise(started)) == 1
    assert {run.function for run in bench.runs()} == {f"shop-f{n}" for n in range(4)}
    assert len(bench.runs()) == 4
    assert [item for item in bench.store.disk.items if item.key != MAIN] == []


def test_waits_without_an_index_are_judged_by_as_many_decisions_as_it_takes() -> None:
    bench = Bench(Rules(steps_per_decision_max=1))
    bench.register(function(event="go"))
    for n in range(7):
        bench.send("go", {"n": n})
    condition = "async.data.n != event.data.n"
    wait = WaitForEvent(id=W, name="w", event="news", timeout="1h", condition=condition)
    for job in bench.claim():
        bench.reply(job, progressed(wait))
    bench.send("news", {"n": 3})
    over = [sum(W in {step.id for step in bench.steps(run.id)} for run in bench.runs())]
    for _ in range(9):
        bench.claim(capacity=0)
        over.append(sum(W in {step.id for step in bench.steps(run.id)} for run in bench.runs()))
    assert over[-1] == 6
    assert max(after - before for before, after in pairwise(over)) == 1


def test_an_event_is_judged_once_however_often_a_decision_looks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    judged: list[str] = []
    judge = Program.judge

    def counted(program: Program, *given: object) -> object:
        judged.append(program.source)
        return judge(program, *given)  # type: ignore[arg-type]

    monkeypatch.setattr(Program, "judge", counted)
    bench = Bench()
    bench.register(function(event="go", condition="event.data.n == 1"))
    event = msgspec.structs.replace(bench.event("go", {"n": 1}), key="mine")
    bench.submit(given_.EventsReceived((event,)))
    assert bench.looks > 1 or len(bench.runs()) == 1
    assert judged == ["event.data.n == 1"]


def test_what_an_event_puts_into_a_condition_may_be_too_long() -> None:
    """The waiting function is told; whoever sends the awaited event is not."""
    bench = Bench()
    bench.register(
        function(event="go", cancel=(Cancel("news", condition="async.data.x == event.data.x"),))
    )
    bench.send("go", {"x": "y" * 200_000})
    (run,) = bench.runs()
    wait = WaitForEvent(
        id=W, name="w", event="news", timeout="1h", condition="async.data.x == event.data.x"
    )
    bench.answer(progressed(wait))
    bench.send("news", {"x": "y"})
    (run,) = bench.runs()
    assert run.output is not None
    assert b"over 100000 characters" in run.output


# -- many things at once --------------------------------------------------------------------------


def test_many_functions_are_registered_in_one_go(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[int] = []
    init = catalog_module.Catalog.__init__

    def counted(self: catalog_module.Catalog, *given: object) -> None:
        made.append(1)
        init(self, *given)  # type: ignore[arg-type]

    monkeypatch.setattr(catalog_module.Catalog, "__init__", counted)
    bench = Bench()
    made.clear()
    functions = [function(f"f{n}", event="go") for n in range(300)]
    bench.submit(given_.AppRegistered(app_row(), tuple(functions)))
    assert len(bench.catalog.listings) == 300
    assert len(made) <= 2
    bench.submit(given_.AppRegistered(app_row(checksum="2"), tuple(functions[:1])))
    assert list(bench.catalog.listings) == ["shop-f0"]


class Seen(MemoryStore):
    """A store that remembers how many functions, and how many runs, each commit brought."""

    def __init__(self) -> None:
        super().__init__()
        self.functions: list[int] = []
        self.started: list[int] = []

    def write(self, changes: Changes) -> None:
        self.functions.append(len(changes.functions))
        self.started.append(len(changes.started))
        super().write(changes)


def many(count: int) -> tuple[FunctionRow, ...]:
    return tuple(function(f"f{n:04}", event="go") for n in range(count))


async def test_very_many_functions_are_registered_in_parts() -> None:
    store = Seen()
    ledger = Ledger(store, _Clock(), DEFAULT, lambda actions: None)
    done = await registered(ledger, given_.AppRegistered(app_row(), many(1_050)))
    assert done.verdict is Verdict.APPLIED
    assert store.functions == [FUNCTIONS_PART] * 10 + [50, 0]
    assert len(ledger.catalog.listings) == 1_050
    assert ledger.catalog.apps["shop"].checksum == "1"
    again = await registered(ledger, given_.AppRegistered(app_row(), many(1_050)))
    assert again.verdict is Verdict.ALREADY
    store.functions.clear()
    fewer = given_.AppRegistered(app_row(checksum="2"), many(500))
    assert (await registered(ledger, fewer)).verdict is Verdict.APPLIED
    assert list(ledger.catalog.listings) == [row.slug for row in fewer.functions]
    assert max(store.functions) <= FUNCTIONS_PART
    await ledger.close()


async def test_a_registration_that_stops_half_way_is_made_anew() -> None:
    store = Seen()
    ledger = Ledger(store, _Clock(), DEFAULT, lambda actions: None)
    given = given_.AppRegistered(app_row(), many(1_050))
    task = asyncio.ensure_future(registered(ledger, given))
    while sum(store.functions) < 300:
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert len(ledger.catalog.listings) < 1_050
    assert (await registered(ledger, given)).verdict is Verdict.APPLIED
    assert len(ledger.catalog.listings) == 1_050
    await ledger.close()


async def test_two_long_registrations_of_one_app_do_not_mix() -> None:
    store = Seen()
    ledger = Ledger(store, _Clock(), DEFAULT, lambda actions: None)
    old = given_.AppRegistered(app_row(checksum="old"), many(400))
    rows = tuple(function(f"f{n:04}", event="come") for n in range(400))
    new = given_.AppRegistered(app_row(checksum="new"), rows)
    await asyncio.gather(registered(ledger, old), registered(ledger, new))
    assert ledger.catalog.apps["shop"].checksum == "new"
    assert {e.triggers[0].event for e in ledger.catalog.listings.values()} == {"come"}
    await ledger.close()


def test_an_event_that_very_many_functions_hear_starts_them_in_parts() -> None:
    store = Seen()
    bench = Bench(store=store)
    bench.register(*many(1_100))
    bench.send("go")
    for _ in range(8):
        bench.claim(capacity=0)
    assert len(bench.runs()) == 1_100
    assert len({run.function for run in bench.runs()}) == 1_100
    assert max(store.started) <= DEFAULT.starts_per_decision_max


class _Clock:
    def now_ms(self) -> int:
        return NOW_MS


async def test_costly_inputs_are_not_decided_in_one_batch() -> None:
    bench = expensive(3)
    ledger = Ledger(bench.store, _Clock(), DEFAULT, lambda actions: None)
    given = [given_.EventsReceived((bench.event("go", DATA),)) for _ in range(6)]
    await asyncio.gather(*map(ledger.submit, given))
    assert ledger.commits >= 6
    await ledger.close()


async def test_thousands_of_events_of_one_request_go_in_parts() -> None:
    bench = Bench(store=MemoryStore())
    bench.register(function(event="go"))
    ledger = Ledger(bench.store, _Clock(), DEFAULT, lambda actions: None)
    rows = [bench.event("go") for _ in range(2 * PART + 1)]
    ids = await received(ledger, rows, fresh=True)
    assert list(ids) == [row.id for row in rows]
    assert ledger.commits >= 3
    await ledger.close()


class Deciding:
    """Where decisions are made: on the loop, or beside it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.beside: list[str] = []
        self.loop = threading.get_ident()
        monkeypatch.setattr(ledger_module, "decide", self)

    def __call__(self, view: View, given: given_.Input, *others: object) -> Decision | Need:
        decided = decide(view, given, *others)  # type: ignore[arg-type]
        if threading.get_ident() != self.loop:
            self.beside.append(type(given).__name__)
        return decided


def long_condition(number: int) -> str:
    return " || ".join(f"async.data.n{number}x{n} == event.data.n" for n in range(50))


@pytest.mark.parametrize(
    ("waits", "is_beside"),
    [
        ([""] * 3, False),
        (["async.data.n == event.data.n"] * 20, False),
        ([""] * 201, True),
        ([long_condition(n) for n in range(8)], True),
    ],
    ids=["few", "short conditions", "many", "long conditions"],
)
async def test_an_answer_of_many_or_long_waits_is_decided_beside_the_loop(
    waits: list[str], is_beside: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = Bench()
    bench.register(function(event="go"))
    bench.send("go", {"n": 1})
    (job,) = bench.claim()
    ledger = Ledger(bench.store, _Clock(), DEFAULT, lambda actions: None)
    deciding = Deciding(monkeypatch)
    operations = [
        WaitForEvent(id=step_hash(f"w{n}"), name="w", event=f"e{n}", timeout="1h", condition=asked)
        for n, asked in enumerate(waits)
    ]
    reply = given_.ReplyReceived(job.lease.id, job.run.id, MAIN, progressed(*operations))
    done = await ledger.submit(reply)
    await ledger.close()
    assert isinstance(done, given_.Done)
    assert done.verdict is Verdict.APPLIED
    assert len(bench.items(job.run.id)) >= len(waits)
    assert bool(deciding.beside) is is_beside


async def test_a_start_under_long_conditions_is_decided_beside_the_loop(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bench = Bench()
    cancels = tuple(Cancel("stop", condition=long_condition(n)) for n in range(5))
    bench.register(function(event="go", cancel=cancels))
    ledger = Ledger(bench.store, _Clock(), DEFAULT, lambda actions: None)
    deciding = Deciding(monkeypatch)
    await ledger.submit(given_.EventsReceived((bench.event("go", {"n": 1}),)))
    await ledger.close()
    assert len(bench.runs()) == 1
    assert set(deciding.beside) == {"EventsReceived"}


# -- long requests --------------------------------------------------------------------------------


def test_an_event_is_measured_before_it_is_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(raw: object) -> bytes:
        raise AssertionError("decoded")

    monkeypatch.setattr(event_module, "canonicalizing", never)
    nested = b"[" + b"[]," * (3 * EVENT_BYTES_MAX // 3) + b"[]]"
    decoded = decode_events(b'[{"name":"a","data":{"x":' + nested + b"}}]", None, NOW_MS)
    assert decoded.events == ()
    assert decoded.problem is not None
    assert "over the max size" in decoded.problem.message


@pytest.mark.parametrize("value", [b"[]", b"{}", b"1", b'"a,b"', b"1.5e3"])
def test_an_event_holds_so_many_values(value: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    def sent(count: int) -> event_module.Decoded:
        data = b"[" + b",".join([value] * count) + b"]"
        return decode_events(b'{"name":"a","data":{"x":' + data + b"}}", None, NOW_MS)

    # A list counts, and so does the comma before it.
    each = 2 if value in (b"[]", b"{}") else 1
    assert sent(EVENT_VALUES_MAX // each - 10).problem is None

    def never(raw: object) -> bytes:
        raise AssertionError("decoded")

    monkeypatch.setattr(event_module, "canonicalizing", never)
    problem = sent(EVENT_VALUES_MAX // each + 10).problem
    assert problem is not None
    assert f'"data" holds more than {EVENT_VALUES_MAX} values' in problem.told


def test_commas_and_brackets_of_texts_are_no_values() -> None:
    text = b'{"name":"a","data":{"x":"' + b'[,\\"{' * (2 * EVENT_VALUES_MAX // 3) + b'"}}'
    assert decode_events(text, None, NOW_MS).problem is None


def test_a_long_request_with_something_wrong_is_refused_as_a_whole() -> None:
    good = b'{"name":"a","data":{"x":"' + b"y" * 1_100_000 + b'"}},'
    decoded = decode_events(b"[" + good + b'{"name":"b","data":[[[', None, NOW_MS)
    assert decoded.events == ()
    assert decoded.problem is not None
    assert "nothing of the request was accepted" in decoded.problem.told


def test_others_have_their_turn_between_the_events_of_a_long_request() -> None:
    body = b"[" + b",".join([b'{"name":"a","data":{"x":"' + b"y" * 200_000 + b'"}}'] * 20) + b"]"
    work = decoding_events(body, None, NOW_MS)
    turns = 0
    while True:
        try:
            next(work)
        except StopIteration as done:
            decoded = done.value
            break
        turns += 1
    assert len(decoded.events) == 20
    assert turns >= 8


LONG = b"[" + b",".join([b'{"name":"a","data":{"x":"' + b"y" * 200_000 + b'"}}'] * 30) + b"]"


def test_a_request_of_many_megabytes_is_never_looked_through_in_one_go(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    longest = 0

    class Watched:
        def __init__(self, decoder: msgspec.json.Decoder[object]) -> None:
            self.decode_whole = decoder.decode

        def decode(self, raw: bytes) -> object:
            nonlocal longest
            longest = max(longest, len(raw))
            return self.decode_whole(raw)

    monkeypatch.setattr(event_module, "_ONE", Watched(event_module._ONE))
    monkeypatch.setattr(event_module, "_LIST", Watched(event_module._LIST))
    monkeypatch.setattr(elements_module, "ONE", Watched(elements_module.ONE))
    assert sum(1 for _ in decoding_events(LONG, None, NOW_MS)) >= 20
    # A decoder reads no further than the end of what comes first, and is given no more than an
    # event may have.
    assert longest < 3 * EVENT_BYTES_MAX


@pytest.mark.parametrize(
    ("body", "accepted", "told"),
    [
        (b" \n" + LONG + b" ", 30, None),
        (LONG[:-1] + b",1]", 0, "nothing of the request was accepted"),
        (LONG[:-1], 0, "nothing of the request was accepted"),
        (LONG + b"]", 0, "nothing of the request was accepted"),
        (LONG[:-1] + b',{"name":"b","data":{"x":"', 0, "nothing of the request was accepted"),
        (LONG[:-1] + b',{"name":"b"' + b" " * 8_000_000 + b"}]", 30, "over the max size"),
        (LONG[:-1] + b',{"name":"","data":{}}]', 30, "event name is empty"),
        (LONG[:-1] + b',{"name":"b"}' * 6_000 + b"]", 5_000, "more than 5000 events"),
        (b"[" + b"1," * 3_000_000 + b"1]", 0, "nothing of the request was accepted"),
        (b" " * 5_000_000 + b"[]", 0, "must contain an event object"),
        (b"[" + b" " * 9_000_000 + b"]", 0, "over the max size"),
        (b'{"name":"a","data":{"x":"' + b"y" * 8_000_000 + b'"}}', 0, "over the max size"),
    ],
    ids=range(12),
)
def test_what_is_told_of_a_long_request(body: bytes, accepted: int, told: str | None) -> None:
    decoded = decode_events(body, None, NOW_MS)
    assert len(decoded.events) == accepted
    problem = decoded.problem
    assert (problem is None) if told is None else (problem is not None and told in problem.told)


# -- long answers ---------------------------------------------------------------------------------

SDK = {"x-inngest-sdk": "test:v1"}
LISTS = b"[" + b"[]," * 120_000 + b"0]"
NUMBERS = b"[" + b"1.5e17," * 30_000 + b"0]"
INVOKED = b'InvokeFunction "opts":{"function_id":"f","payload":{"data":{"a":%b}}}'
STEP = b'{"id":"%s","op":"%s",%s}'


def steps(*said: bytes) -> bytes:
    return b"[" + b",".join(STEP % (W.encode(), *one.split(b" ", 1)) for one in said) + b"]"


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, LISTS),
        (200, NUMBERS),
        (206, steps(b'StepRun "data":' + LISTS)),
        (206, steps(b'StepRun "data":1,"userland":{"id":' + LISTS + b"}")),
        (206, steps(b'StepRun "data":1,"timing":' + LISTS)),
        (206, steps(b'StepRun "data":1,"name":' + LISTS)),
        (206, steps(b'StepRun "data":1,"opts":{"other":' + LISTS + b"}")),
        (206, steps(b'StepPlanned "opts":{"input":' + NUMBERS + b"}")),
        (206, steps(INVOKED % LISTS)),
        (206, steps(b'StepError "error":{"message":%b,"cause":%b}' % (LISTS, NUMBERS))),
        (206, steps(*[b'StepRun "data":1'] * 8_000)),
        (500, b'{"name":"E","cause":' + LISTS + b"}"),
        (500, b'{"message":' + NUMBERS + b"}"),
        (201, b'{"status":200,"headers":{},"body":' + LISTS + b"}"),
    ],
    ids=range(14),
)  # fmt: skip
def test_a_long_answer_is_read_in_short_stretches(status: int, body: bytes) -> None:
    outcome, seconds = stretches(lambda: reading_reply(status, SDK, body, NOW_MS))
    assert isinstance(outcome, given_.Progressed if status == 206 else given_.Outcome)
    assert max(seconds) < sum(seconds) / 4, (len(seconds), sorted(seconds)[-3:])


def test_an_answer_has_so_many_operations_and_headers() -> None:
    said = read_reply(206, SDK, steps(*[b'StepRun "data":1'] * 20_001), NOW_MS)
    assert isinstance(said, given_.Broke)
    assert "at most 20000 operations" in said.failure.message
    headers = b",".join(b'"h%d":"x"' % n for n in range(1_001))
    gateway = b'Gateway "opts":{"url":"http://a.test","headers":{' + headers + b"}}"
    said = read_reply(206, SDK, steps(gateway), NOW_MS)
    assert isinstance(said, given_.Broke)
    assert "at most 1000" in said.failure.message
    envelope = b'{"status":200,"headers":{' + headers + b'},"body":"1"}'
    said = read_reply(201, SDK, envelope, NOW_MS)
    assert isinstance(said, given_.Broke)
    assert "more than 1000 headers" in said.failure.message


def test_conditions_do_not_see_what_would_take_long_to_decode(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Of an event that the server makes of a large result: those of senders are refused."""
    bench = Bench()
    finished = "inngest/function.finished"
    bench.register(
        function(event="go"),
        function("large", event=finished, condition="event.data.function_id == 'shop-work'"),
        function("all", event=finished),
    )
    bench.send("go")
    result = b"[" + b"1," * EVENT_VALUES_MAX + b"1]"
    with caplog.at_level(logging.WARNING):
        bench.answer(given_.Returned(result))
        Performer().perform(bench.actions)
    assert {run.function for run in bench.runs()} == {"shop-work", "shop-all"}
    assert "conditions and keys see none of its data" in caplog.text


# -- whatever else is evaluated -------------------------------------------------------------------

KEY = "string(event.data.a.exists(x, !(x in event.data.a)))"


@pytest.mark.parametrize(
    "control",
    [
        {"concurrency": (Concurrency(limit=1, key=KEY),)},
        {"rate_limit": RateLimit(limit=1, period="1h", key=KEY)},
        {"throttle": Throttle(limit=1, period="1h", key=KEY)},
        {"priority": Priority(run=KEY)},
        {"singleton": Singleton(key=KEY)},
        {"debounce": Debounce(period="1h", key=KEY)},
        {"batch": Batch(max_size=2, timeout="1h", key=KEY)},
        {"idempotency": KEY},
    ],
    ids=lambda control: next(iter(control)),
)
def test_keys_that_are_costly_share_no_decision(control: dict[str, object]) -> None:
    bench = Bench(store=MemoryStore())
    bench.register(*(controlled(f"f{n}", **control) for n in range(4)))
    decision = bench.foreseen(given_.EventsReceived((bench.event("go", DATA),)))
    assert STEPS_MAX <= decision.steps <= 1.1 * STEPS_MAX
    assert "has no value" in "".join(a.text for a in decision.actions if isinstance(a, Warn))
    event_id = bench.send("go", DATA)
    left = 0
    while bench.item(f"{FANOUT}:{event_id}", LISTENERS) is not None:
        bench.claim(capacity=0)
        left += 1
    assert left == 3


def controlled(name: str, **control: object) -> FunctionRow:
    config = FunctionConfig(
        id=f"shop-{name}",
        name=name,
        url="http://app.test/api",
        triggers=(Trigger(event="go"),),
        **control,  # type: ignore[arg-type]
    )
    return FunctionRow(config.id, "shop", name, encode_function(config), 1, NOW_MS)
