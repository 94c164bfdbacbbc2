"""Errors on their way: sends, steps, failure handlers, warnings, answers (A.7).

E-153 to E-155 are in tests/unit/sdk/value/test_failure.py, E-162 in
tests/unit/sdk/execution/test_run.py.
"""

import asyncio
import datetime as dt
import json
import time
import traceback
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import pytest

import stepwell
from stepwell import Context, ContextSync, Event
from stepwell.sdk.errors import FailedStep, code_of, is_retriable
from stepwell.sdk.send import sending
from stepwell.sdk.serve.handler import ServeHandler
from stepwell.sdk.serve.request import ServeRequest
from stepwell.sdk.serve.response import ServeResponse
from stepwell.sdk.value.failure import failure_of
from stepwell.sdk.value.reraised import also, reraised
from stepwell.wire.signature import sign
from tests.events.shop import catching, new_client, result, running, until
from tests.replay.stage import Stage, function

OK = (200, {}, b'{"ids":["1"],"status":200}')
KEY = "signkey-test-0123456789abcdef"


def served(client: stepwell.Inngest, *functions: stepwell.Function[Any]) -> ServeHandler:
    return ServeHandler(client, functions, framework="x")


async def post(handler: ServeHandler, fn: str, body: bytes | None = None, **headers: str) -> Any:
    """The answer to a call of function `fn`."""
    event = {"name": "e", "data": {}, "id": "i", "ts": 1}
    call = {"ctx": {"run_id": "r", "attempt": 0}, "event": event, "events": [event], "steps": {}}
    answer = await handler.handle(
        ServeRequest(
            method="POST",
            url="http://h.test/api/inngest",
            headers=headers,
            query={"fnId": f"shop-{fn}", "stepId": "step"},
            body=json.dumps(call).encode() if body is None else body,
        )
    )
    assert isinstance(answer, ServeResponse)
    return answer


@pytest.mark.parametrize("blocking", [False, True])
async def test_e_150_sends_are_repeated_with_growing_waits(
    blocking: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float] = []

    async def waited(seconds: float) -> None:
        waits.append(seconds)

    monkeypatch.setattr(sending, "asyncio", SimpleNamespace(sleep=waited))
    clock = SimpleNamespace(sleep=waits.append, time_ns=time.time_ns)
    monkeypatch.setattr(sending, "time", clock)
    answers = [ConnectionRefusedError("no"), TimeoutError("slow"), (503, {}, b""), (500, {}, b"")]
    seen: list[Mapping[str, str]] = []

    def network(method: str, url: str, headers: Mapping[str, str], body: Any, s: float) -> Any:
        seen.append(headers)
        answer = answers.pop(0) if answers else OK
        if isinstance(answer, Exception):
            raise answer
        return answer

    client = stepwell.Inngest(app_id="a", is_dev=True, http_client=network)
    event = Event(name="a")
    assert (client.send_sync(event) if blocking else await client.send(event)) == ["1"]
    # Twice as long each time, and up to a tenth of a second more, by chance.
    for n, wait in enumerate(waits):
        assert 0.1 * 2**n <= wait <= 0.1 * 2**n + 0.1
    assert len(waits) == 4
    assert len({headers["x-inngest-event-id-seed"] for headers in seen}) == 1


async def test_e_151_a_refusal_names_every_event_field_and_reason() -> None:
    client, outbox = catching()
    with pytest.raises(stepwell.EventValidationError) as caught:
        await client.send([{"name": ""}, {"name": "b", "data": 5}, {"name": "c"}])
    assert [(index, path) for index, path, _ in caught.value.problems] == [(0, "name"), (1, "data")]
    for piece in ("Event[0]", 'Event[1] "b"', "name", "data"):
        assert piece in str(caught.value)
    assert outbox.requests == 0


async def test_e_152_what_the_server_said_is_told() -> None:
    refusal = (401, {}, b'{"error":"Event key not found","status":401}')
    client = stepwell.Inngest(app_id="a", is_dev=True, http_client=lambda *_: refusal)
    with pytest.raises(stepwell.SendEventsError, match="401 Event key not found") as caught:
        await client.send(Event(name="a"))
    assert caught.value.status_code == 401
    assert "Event key not found" in caught.value.response_body


class OutOfStock(ValueError):
    """A subclass counts as its base does."""


@pytest.mark.parametrize("plain", [False, True])
@pytest.mark.parametrize("in_step", [False, True])
async def test_e_156_what_must_not_be_tried_again(plain: bool, in_step: bool) -> None:
    def broken() -> None:
        raise OutOfStock("none left")

    async def coroutine(ctx: Context) -> None:
        await ctx.step.run("a", broken) if in_step else broken()

    def blocking(ctx: ContextSync) -> None:
        ctx.step.run("a", broken) if in_step else broken()

    stage = Stage(function(blocking if plain else coroutine, non_retriable=[ValueError]))
    answer = await stage.call()
    if in_step:
        assert [found.op for found in stage.operations(answer)] == ["StepFailed"]
    else:
        assert answer.headers["x-inngest-no-retry"] == "true"
    again = await Stage(function(blocking if plain else coroutine)).call()
    assert again.headers.get("x-inngest-no-retry") != "true"
    assert b"StepFailed" not in again.body


def test_e_156_only_exceptions_can_be_named() -> None:
    for given in (["ValueError"], KeyboardInterrupt, [int]):
        with pytest.raises(stepwell.FunctionConfigInvalidError, match="non_retriable holds"):
            new_client().on("e", fn_id="f", non_retriable=given)(_nothing)  # type: ignore[arg-type]


async def _nothing(ctx: Context) -> None: ...


def test_e_156_causes_are_chained_as_python_does() -> None:
    try:
        try:
            raise KeyError("sku")
        except KeyError as error:
            raise stepwell.NonRetriableError("no such thing") from error
    except stepwell.NonRetriableError as error:
        failure = failure_of(error)
    assert failure.cause is not None
    assert json.loads(bytes(failure.cause))["name"] == "KeyError"


@pytest.mark.parametrize(
    ("delay", "header"),
    [
        (1500, "2"),
        (dt.timedelta(minutes=2), "120"),
        ("1h", "3600"),
        (dt.datetime(2030, 1, 2, tzinfo=dt.UTC), "2030-01-02T00:00:00+00:00"),
    ],
)
async def test_e_157_the_delay_travels_in_a_header(delay: Any, header: str) -> None:
    async def handler(ctx: Context) -> None:
        raise stepwell.RetryAfterError("later", delay)

    answer = await Stage(handler).call()
    assert answer.headers["retry-after"] == header
    assert answer.headers["x-inngest-no-retry"] == "false"


async def test_e_158_a_step_that_failed_for_good_is_caught_with_all_it_had() -> None:
    client = new_client()

    def charge() -> None:
        try:
            raise KeyError("card")
        except KeyError as error:
            raise ValueError("declined") from error

    @client.on("order", retries=0)
    async def order(ctx: Context) -> Any:
        try:
            await ctx.step.run("charge", charge)
        except stepwell.StepError as error:
            assert isinstance(error.cause, stepwell.StepError)  # noqa: PT017
            in_charge = "in charge" in (error.stack or "")
            return [error.step_id, error.name, error.message, error.cause.name, in_charge]

    async with running(client, order) as engine:
        told = await result(engine, client, Event(name="order"))
    assert told == ["charge", "ValueError", "declined", "KeyError", True]


class Declined(Exception):
    """A user's own exception, which cannot be made of a message alone."""

    def __init__(self, code: int, *, reason: str) -> None:
        super().__init__(code, reason)
        self.reason = reason

    def __str__(self) -> str:
        return f"declined: {self.reason}"


@pytest.mark.parametrize("plain", [False, True])
async def test_e_158_a_failed_step_can_be_caught_as_what_it_raised(plain: bool) -> None:
    client = new_client()
    kinds = [Declined, KeyError, OSError]

    def charge(kind: int) -> None:
        raise (Declined(5, reason="no cover"), KeyError("card"), ValueError("other"))[kind]

    def told(error: Exception) -> list[Any]:
        assert isinstance(error, stepwell.StepError)
        return [type(error).__name__, error.name, str(error), error.step_id, bool(error.stack)]

    @client.on("async", retries=0, reraise=kinds)
    async def coroutine(ctx: Context) -> Any:
        found = []
        for kind in range(3):
            try:
                await ctx.step.run(f"charge-{kind}", charge, kind)
            except (Declined, KeyError) as error:
                found.append(told(error))
            except stepwell.StepError as error:
                found.append(told(error))
        return found

    @client.on("sync", retries=0, reraise=kinds)
    def blocking(ctx: ContextSync) -> Any:
        found = []
        for kind in range(3):
            try:
                ctx.step.run(f"charge-{kind}", charge, kind)
            except (Declined, KeyError) as error:
                found.append(told(error))
            except stepwell.StepError as error:
                found.append(told(error))
        return found

    async with running(client, coroutine, blocking) as engine:
        found = await result(engine, client, Event(name="sync" if plain else "async"))
    assert found == [
        ["Declined", "Declined", "declined: no cover", "charge-0", True],
        ["KeyError", "KeyError", "'card'", "charge-1", True],
        ["StepError", "ValueError", "other", "charge-2", True],
    ]


class Refused(Exception):
    """As providers write them: with names of attributes that are ours, too."""

    name = "a class attribute of the user's"
    is_retriable = True

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code, self.message = code, message
        self.details = {"tries": 3, "at": [1.0, None], "big": 2**60}
        self.step_id = "of the bank"
        self.response = object()
        self.when = dt.datetime(2030, 1, 1)

    @property
    def hint(self) -> str:
        return f"call the bank about {self.code}"


@dataclass(frozen=True)
class Frozen(Exception):
    stack: int


class Slotted(stepwell.NonRetriableError):
    __slots__ = ("reason",)
    code = "E42"  # type: ignore[assignment]

    def __init__(self, reason: str) -> None:
        super().__init__("no")
        self.reason = reason


async def test_e_158_attributes_of_the_user_travel_and_nothing_of_ours_hides_them() -> None:
    client = new_client()
    raised = [Refused("E1", "no cover"), Frozen(7), Slotted("age"), FileNotFoundError(2, "gone")]
    kinds = [Refused, Frozen, Slotted, FileNotFoundError]

    @client.on("e", retries=0, reraise=kinds)
    async def pay(ctx: Context) -> Any:
        def fail(index: int) -> None:
            raise raised[index]

        found: list[Any] = []
        for index, kind in enumerate(kinds):
            try:
                await ctx.step.run(f"charge-{index}", fail, index)
            except kind as error:
                found.append(error)
        refused, frozen, slotted, gone = found
        assert all(isinstance(error, stepwell.StepError) for error in found)
        assert not hasattr(refused, "response") and not hasattr(refused, "when")
        return [
            [refused.code, refused.message, refused.name, refused.step_id, refused.hint],
            [refused.details, refused.is_retriable, str(refused), list(refused.args)],
            [frozen.stack, frozen.name, frozen.step_id],
            [slotted.reason, slotted.code, slotted.message, slotted.name, slotted.step_id],
            [gone.errno, gone.strerror, list(gone.args), gone.message],
        ]

    async with running(client, pay) as engine:
        assert await result(engine, client, Event(name="e")) == [
            ["E1", "no cover", Refused.name, "of the bank", "call the bank about E1"],
            [{"tries": 3, "at": [1.0, None], "big": 2**60}, True, "no cover", ["no cover"]],
            [7, "Frozen", "charge-1"],
            ["age", "E42", "no", "Slotted", "charge-2"],
            [2, "gone", [2, "gone"], "[Errno 2] gone"],
        ]


def test_e_158_one_that_is_not_caught_fails_the_run_as_any_failed_step() -> None:
    failed = FailedStep("Refused", "no cover", "at", "charge")
    error = reraised(also(Refused), failed, None)
    assert (code_of(error), is_retriable(error)) == (stepwell.StepError.code, False)
    told = failure_of(error)
    assert (told.name, told.message, told.stack) == ("Refused", "no cover", "at")
    assert isinstance(reraised(also(Exception), failed, None), stepwell.StepError)


def test_e_156_a_code_of_ones_own_on_a_subclass_of_ours_breaks_nothing() -> None:
    assert str(Slotted("age")) == "no"
    assert code_of(Slotted("age")) is stepwell.NonRetriableError.code


@pytest.mark.parametrize("given", [["ValueError"], [int], [stepwell.StepError]])
def test_e_158_what_cannot_be_reraised_is_refused(given: Any) -> None:
    with pytest.raises(stepwell.FunctionConfigInvalidError, match='"f": reraise holds'):
        new_client().on("e", fn_id="f", reraise=given)(_nothing)


async def test_e_159_the_failure_handler_is_a_function_of_its_own() -> None:
    client, told = new_client(), list[Any]()

    async def make_good(ctx: Context) -> None:
        assert ctx.error is not None
        refund = await ctx.step.run("refund", lambda: "refunded")
        told.append((ctx.error.name, ctx.error.message, ctx.event.data["run_id"], refund))

    @client.on("order", retries=0, name="Order", on_failure=make_good)
    async def order(ctx: Context) -> None:
        told.append(ctx.run_id)
        raise ValueError("no hope")

    companion = order.failure_function
    assert companion is not None
    config = companion.config("http://h.test")
    assert (config.id, config.name) == ("shop-order-failure", "Order (failure)")
    (trigger,) = config.triggers
    assert trigger.event == "inngest/function.failed"
    assert trigger.expression == "event.data.function_id == 'shop-order'"
    assert config.retries == 0
    async with running(client, order):
        await client.send(Event(name="order"))
        await until(lambda: len(told) == 2)
    assert told[1] == ("ValueError", "no hope", told[0], "refunded")


async def test_e_160_errors_say_where_they_are_explained() -> None:
    client = stepwell.Inngest(app_id="a", is_production=True, event_key=None)
    client.set_env_vars({"INNGEST_EVENT_KEY": ""})
    with pytest.raises(stepwell.EventKeyUnspecifiedError) as caught:
        await client.send(Event(name="a"))
    shown = "".join(traceback.format_exception(caught.value))
    code = "event_key_unspecified"
    told = f"More about it: docs/errors.md#{code}, or `stepwell explain {code}`\n"
    assert shown.endswith(told)
    # The note is for terminals: what travels, and what user code raises, is as it was written.
    assert failure_of(caught.value).message == str(caught.value)
    assert not hasattr(stepwell.NonRetriableError("mine"), "__notes__")


async def test_e_161_the_same_id_in_parallel_branches_is_warned_of_once() -> None:
    async def handler(ctx: Context) -> None:
        await asyncio.gather(*(ctx.step.run("same", _give, n) for n in range(4)))

    with pytest.warns(stepwell.InngestWarning, match='step id "same"') as found:
        await Stage(handler).call()
    assert [w.message.code for w in found] == ["AUTOMATIC_PARALLEL_INDEXING"]  # type: ignore[union-attr]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", category=stepwell.ParallelIndexingWarning)
        assert (await Stage(handler).call()).status == 206


async def _give(value: Any) -> Any:
    return value


async def test_e_163_what_happened_decides_the_status() -> None:
    client = new_client()

    @client.on("e", fn_id="returns")
    async def returns(ctx: Context) -> int:
        return 5

    @client.on("e", fn_id="steps")
    async def steps(ctx: Context) -> None:
        await ctx.step.run("a", lambda: 1)

    @client.on("e", fn_id="breaks")
    async def breaks(ctx: Context) -> None:
        raise ValueError("again")

    @client.on("e", fn_id="ends")
    async def ends(ctx: Context) -> None:
        raise stepwell.NonRetriableError("never")

    handler = ServeHandler(client, [returns, steps, breaks, ends], framework="x")
    found = {fn: await post(handler, fn) for fn in ("returns", "steps", "breaks", "ends")}
    assert {fn: answer.status for fn, answer in found.items()} == {
        "returns": 200,
        "steps": 206,
        "breaks": 500,
        "ends": 500,  # as the official Python SDK; the header decides
    }
    assert json.loads(found["returns"].body) == 5
    assert isinstance(json.loads(found["steps"].body), list)
    no_retry = {fn: answer.headers.get("x-inngest-no-retry") for fn, answer in found.items()}
    assert (no_retry["breaks"], no_retry["ends"]) == ("false", "true")


async def test_e_164_a_request_nobody_can_serve_is_an_error_as_json() -> None:
    told = await post(served(new_client()), "gone")
    body = json.loads(told.body)
    assert (told.status, body["code"], body["name"]) == (
        500,
        "function_not_found",
        "FunctionNotFoundError",
    )
    assert body.keys() == {"code", "message", "name"}
    assert "shop-gone" in body["message"]
    production = stepwell.Inngest(app_id="shop", is_production=True, signing_key=KEY)
    stranger = await post(served(production), "gone", b"no json")
    assert (stranger.status, json.loads(stranger.body)) == (401, {"message": "Unauthorized"})
    now_ms = int(dt.datetime.now(dt.UTC).timestamp() * 1000)
    signature = sign(b"no json", KEY, now_ms)
    friend = await post(
        served(production), "gone", b"no json", **{"x-inngest-signature": signature}
    )
    assert json.loads(friend.body)["code"] == "body_invalid"
