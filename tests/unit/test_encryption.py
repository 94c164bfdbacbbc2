"""End-to-end encryption, and that the official package and ours read each other (C.11, B-76)."""

import asyncio
import hashlib
import json
from typing import Any

import inngest
import inngest_encryption
import msgspec
import pytest

from stepwell.encryption import Cipher, DecryptionError, EncryptionMiddleware, is_encrypted
from stepwell.sdk.client.client import Inngest
from stepwell.sdk.errors import ConfigurationError
from stepwell.sdk.events.event import Event
from stepwell.sdk.function.trigger import TriggerEvent
from stepwell.sdk.middleware.memos import StepMemos
from stepwell.sdk.middleware.result import TransformOutputResult, TransformOutputStepInfo
from stepwell.sdk.send.delivery import Delivery, EventBatch
from stepwell.sdk.step.context import Context, ContextSync
from stepwell.server.store.port import EventFilter, RunFilter
from tests.events.shop import new_client, running
from tests.replay.stage import Client, Stage

KEYS = ["a passphrase", hashlib.sha256(b"a key of 32 bytes").hexdigest().encode()]


class Port:
    """Keeps what is sent."""

    def __init__(self) -> None:
        self.sent: list[Any] = []

    async def deliver(self, batch: EventBatch) -> Delivery:
        return self.deliver_sync(batch)

    def deliver_sync(self, batch: EventBatch) -> Delivery:
        self.sent += json.loads(batch.body)
        return Delivery(200, ("id",) * batch.count)


async def handler(ctx: Context[Any]) -> Any:
    async def work(given: str) -> dict[str, str]:
        return {"secret": given}

    first = await ctx.step.run("a", work, "classified")
    other = await ctx.step.invoke_by_id(
        "call", function_id="other", data={"encrypted": {"pin": "classified"}, "open": 1}
    )
    return [first, other, ctx.event.data]


def handler_sync(ctx: ContextSync[Any]) -> Any:
    first = ctx.step.run("a", lambda given: {"secret": given}, "classified")
    other = ctx.step.invoke_by_id(
        "call", function_id="other", data={"encrypted": {"pin": "classified"}, "open": 1}
    )
    return [first, other, ctx.event.data]


@pytest.mark.parametrize("work", [handler, handler_sync])
@pytest.mark.parametrize("key", KEYS)
async def test_nothing_secret_leaves_and_everything_comes_back(work: Any, key: Any) -> None:
    cipher = Cipher(key)
    event = {"name": "x", "data": {"open": 1, "encrypted": cipher.encrypt({"pin": "classified"})}}
    client = Client(middleware=[EncryptionMiddleware.factory(key)])
    stage = Stage(work, client=client, event=event)

    answer = await stage.call()
    assert b"classified" not in bytes(answer.body)
    stage.settle(stage.operations(answer)[0])
    answer = await stage.call()
    assert b"classified" not in bytes(answer.body)
    [invocation] = stage.operations(answer)
    told = json.loads(bytes(invocation.data))  # type: ignore[attr-defined]
    assert told["open"] == 1
    assert cipher.decrypt(told["encrypted"]) == {"pin": "classified"}
    stage.keep(invocation.id, stage_memo(cipher.encrypt("answered")))
    answer = await stage.call()
    assert b"classified" not in bytes(answer.body)
    assert cipher.decrypt(stage.result(answer)) == [
        {"secret": "classified"},
        "answered",
        {"open": 1, "encrypted": {"pin": "classified"}},
    ]


def stage_memo(value: object) -> Any:
    return msgspec.Raw(json.dumps({"data": value}).encode())


async def test_invocations_beside_each_other_are_encrypted_too() -> None:
    async def several(ctx: Context[Any]) -> Any:
        data = {"encrypted": "classified"}
        await ctx.group.parallel(
            (
                lambda: ctx.step.invoke_by_id("a", function_id="f", data=data),
                lambda: ctx.step.invoke_by_id("b", function_id="f", data=data),
            )
        )

    client = Client(middleware=[EncryptionMiddleware.factory("key")])
    stage = Stage(several, client=client)
    answer = await stage.call()
    assert len(stage.operations(answer)) == 2
    assert b"classified" not in bytes(answer.body)


async def test_failing_steps_keep_their_arguments() -> None:
    async def failing(ctx: Context[Any]) -> Any:
        async def work(given: str) -> None:
            raise ValueError("no")

        await ctx.step.run("a", work, "classified")

    plain = await Stage(failing).call()
    assert b"classified" in bytes(plain.body)
    sealed = await Stage(
        failing, client=Client(middleware=[EncryptionMiddleware.factory("key")])
    ).call()
    assert b"classified" not in bytes(sealed.body)


async def test_events_are_encrypted_and_stay_plain_for_their_sender() -> None:
    client = Inngest(app_id="app", is_dev=True, middleware=[EncryptionMiddleware.factory("key")])
    port = client.event_port = Port()
    event = Event(name="x", data={"encrypted": [1], "open": 2})
    await client.send([event, Event(name="y", data={"open": 3})])
    assert is_encrypted(port.sent[0]["data"]["encrypted"])
    assert [sent["data"].get("open") for sent in port.sent] == [2, 3]
    assert event.data == {"encrypted": [1], "open": 2}


@pytest.mark.parametrize("of", ["client", "function"])
@pytest.mark.parametrize("blocking", [False, True])
async def test_runs_that_ordinary_code_starts_are_encrypted_both_ways(
    of: str, blocking: bool
) -> None:
    middleware = [EncryptionMiddleware.factory("key")]
    client = new_client(middleware=middleware if of == "client" else [])

    @client.create_function(
        fn_id="child",
        trigger=TriggerEvent(event="shop/never"),
        middleware=middleware if of == "function" else [],
    )
    async def child(ctx: Context) -> dict[str, object]:
        return {"pin": ctx.event.data["encrypted"], "open": ctx.event.data["open"]}

    data = {"encrypted": "classified", "open": 1}
    async with running(client, child) as engine:
        if blocking:
            told = await asyncio.to_thread(client.invoke_sync, child, data=data)
        else:
            told = await client.invoke(child, data=data)
        (event,) = engine.node.reader.events(EventFilter(internal=True, limit=5))
        (run,) = engine.node.reader.runs(RunFilter(limit=5))
    assert told == {"pin": "classified", "open": 1}
    assert b"classified" not in event.body
    assert b"classified" not in (run.output or b"")
    assert is_encrypted(json.loads(event.body)["data"]["encrypted"])


async def test_decrypt_only_encrypts_nothing() -> None:
    factory = EncryptionMiddleware.factory("key", decrypt_only=True)
    stage = Stage(handler, client=Client(middleware=[factory]))
    assert b"classified" in bytes((await stage.call()).body)


@pytest.mark.parametrize("whole", [False, True])
async def test_an_awaited_event_comes_in_plain(whole: bool) -> None:
    cipher = Cipher("key")
    secret = {"pin": 1}
    sealed = cipher.encrypt(secret) if whole else {"open": 1, "encrypted": cipher.encrypt(secret)}

    async def waits(ctx: Context[Any]) -> Any:
        found = await ctx.step.wait_for_event("paid", event="paid", timeout=1000)
        return found and dict(found.data)

    client = Client(middleware=[EncryptionMiddleware.factory("key")])
    stage = Stage(waits, client=client)
    [wait] = stage.operations(await stage.call())
    memo = {"name": "paid", "data": sealed, "id": "e", "ts": 1, "user": {}}
    stage.keep(wait.id, msgspec.Raw(json.dumps(memo).encode()))
    told = cipher.decrypt(stage.result(await stage.call()))
    assert told == (secret if whole else {"open": 1, "encrypted": secret})


@pytest.mark.parametrize("end", ["failed", "finished", "cancelled"])
async def test_what_the_server_tells_of_a_run_comes_in_plain(end: str) -> None:
    cipher = Cipher("key")
    event = {"name": "x", "data": {"encrypted": cipher.encrypt("there")}, "user": {}}
    result = {"result": cipher.encrypt([1])} if end == "finished" else {}
    told = {"function_id": "f", "run_id": "r", "event": event, "events": [event, event], **result}

    async def listens(ctx: Context[Any]) -> Any:
        data = ctx.event.data
        assert data == ctx.events[0].data
        events = [data["event"], *data["events"]]
        return [*(one["data"]["encrypted"] for one in events), data.get("result")]

    name = f"inngest/function.{end}"
    client = Client(middleware=[EncryptionMiddleware.factory("key", decrypt_only=True)])
    stage = Stage(listens, client=client, event={"name": name, "data": told})
    plain = [1] if end == "finished" else None
    assert stage.result(await stage.call()) == ["there", "there", "there", plain]


async def test_keys_are_rotated() -> None:
    event = {"name": "x", "data": {"encrypted": Cipher("old").encrypt("there")}}

    async def read(ctx: Context[Any]) -> Any:
        return ctx.event.data["encrypted"]

    rotated = EncryptionMiddleware.factory("new", fallback_decryption_keys=["older", "old"])
    stage = Stage(read, client=Client(middleware=[rotated]), event=event)
    assert Cipher("new").decrypt(stage.result(await stage.call())) == "there"

    lost = EncryptionMiddleware.factory("new")
    answer = await Stage(read, client=Client(middleware=[lost]), event=event).call()
    assert answer.headers["x-inngest-no-retry"] == "true"
    assert b"DecryptionError" in bytes(answer.body)


@pytest.mark.parametrize("key", ["", b"", b"short", b"zz" * 32])
def test_keys_are_judged_when_they_are_given(key: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"fallback_decryption_keys\[1\]"):
        EncryptionMiddleware.factory("good", fallback_decryption_keys=["good", key])


def test_what_is_encrypted_is_not_encrypted_again() -> None:
    cipher = Cipher("key")
    once = cipher.encrypt({"a": 1})
    assert cipher.encrypt(once) is once


# Both ways with the official package.


def official(key: Any, **options: Any) -> Any:
    client = inngest.Inngest(app_id="app", is_production=False)
    return inngest_encryption.EncryptionMiddleware.factory(key, **options)(client, None)


VALUES: list[Any] = [None, 0, "text", "ünïcödé 🔑", [1, {"a": None}], {"deep": {"er": [True]}}]


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("value", VALUES)
def test_the_official_package_reads_ours(key: Any, value: Any) -> None:
    sealed = Cipher(key).encrypt(value)
    steps = inngest.StepMemos.from_raw({"a": {"data": sealed}})
    event = inngest.Event(name="x", data={"encrypted": sealed})
    ctx = type("Ctx", (), {"event": event, "events": [event]})
    official(key).transform_input(ctx, None, steps)
    assert [step.data for step in steps.values()] == [value]
    assert ctx.event.data == {"encrypted": value}  # type: ignore[attr-defined]


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("value", VALUES)
def test_ours_reads_the_official_package(key: Any, value: Any) -> None:
    result = inngest.TransformOutputResult(error=None, output=value, step=None)
    theirs = official(key)
    theirs.transform_output(result)
    event = inngest.Event(name="x", data={"encrypted": value})
    theirs.before_send_events([event])

    mine = EncryptionMiddleware.factory(key)(None, None)
    steps = StepMemos.from_raw({"a": {"data": result.output}})
    received = Event(name="x", data=event.data)  # type: ignore[arg-type]
    ctx = type("Ctx", (), {"event": received, "events": [received]})
    mine.transform_input(ctx, None, steps)
    assert [step.data for step in steps.values()] == [value]
    assert ctx.event.data == {"encrypted": value}  # type: ignore[attr-defined]


@pytest.mark.parametrize("decrypt_only", [False, True])
@pytest.mark.parametrize("key", KEYS)
def test_keys_are_rotated_both_ways_with_the_official_package(key: Any, decrypt_only: bool) -> None:
    options = {"fallback_decryption_keys": ["older", key], "decrypt_only": decrypt_only}

    def read(middleware: Any, memos: Any, kind: Any, sealed: Any) -> Any:
        event, steps = kind(name="x", data={"encrypted": sealed}), memos({"a": {"data": sealed}})
        ctx: Any = type("Ctx", (), {"event": event, "events": [event]})
        middleware.transform_input(ctx, None, steps)
        [step] = steps.values()
        return [step.data, ctx.event.data["encrypted"]]

    value = {"pin": 1}
    theirs = inngest.TransformOutputResult(error=None, output=value, step=None)
    official(key).transform_output(theirs)
    mine = EncryptionMiddleware.factory("new", **options)(None, None)
    assert read(mine, StepMemos.from_raw, Event, theirs.output) == [value, value]
    sealed = Cipher(key).encrypt(value)
    other = official("new", **options)
    assert read(other, inngest.StepMemos.from_raw, inngest.Event, sealed) == [value, value]
    # With `decrypt_only` either leaves what goes out as it is.
    for middleware, kind in ((mine, TransformOutputResult), (other, inngest.TransformOutputResult)):
        result: Any = kind(error=None, output=value, step=None)
        middleware.transform_output(result)
        assert is_encrypted(result.output) is not decrypt_only


def test_data_encrypted_as_a_whole() -> None:
    """As the JS middleware of old wrote it, with what an invocation adds beside it."""
    whole = {**Cipher("key").encrypt({"a": 1}), "_inngest": {"fn_id": "f"}}
    event = Event(name="x", data=whole)  # type: ignore[arg-type]
    ctx = type("Ctx", (), {"event": event, "events": [event]})
    EncryptionMiddleware.factory("key")(None, None).transform_input(
        ctx, None, StepMemos.from_raw({})
    )
    assert event.data == {"a": 1, "_inngest": {"fn_id": "f"}}


def test_whole_data_that_is_no_object_is_refused() -> None:
    event = Event(name="x", data=Cipher("key").encrypt([1]))  # type: ignore[arg-type]
    ctx = type("Ctx", (), {"event": event, "events": [event]})
    with pytest.raises(DecryptionError):
        EncryptionMiddleware.factory("key")(None, None).transform_input(
            ctx, None, StepMemos.from_raw({})
        )


def test_steps_without_output_stay_without() -> None:
    from stepwell.sdk.value.codec import UNSPECIFIED

    info = TransformOutputStepInfo("nap", "Sleep", None)
    result = TransformOutputResult(None, UNSPECIFIED, info)
    EncryptionMiddleware.factory("key")(None, None).transform_output(result)
    assert not result.has_output()
