"""Metadata and scores: what is refused, what goes along with a step, what goes to the server."""

import asyncio
import json
import sys
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import msgspec
import pytest

import stepwell
from stepwell.experimental import mocked
from stepwell.sdk.errors import ConfigurationError, Error
from stepwell.sdk.net.port import HttpReply
from stepwell.sdk.step import annotation, experiment
from stepwell.sdk.step.annotation import ExperimentRef, MetadataOp
from stepwell.sdk.step.context import Context, ContextSync
from stepwell.sdk.step.noted import Noted
from stepwell.wire.identifier import step_hash
from stepwell.wire.metadata import MetadataUpdate, updated
from stepwell.wire.operation import StepError, StepRun
from tests.replay.stage import RUN_ID, Client, Stage

OTHER = "01M82BFDSEAXH732SHZM7R2J1Y"
REF = ExperimentRef("tone", "short")


class Http:
    """A server that keeps all, or answers as it is told."""

    def __init__(self, reply: HttpReply | None = None) -> None:
        self.reply = reply or HttpReply(200, {}, b'{"data":{}}')
        self.seen: list[tuple[str, Any]] = []

    def request_sync(self, method: str, url: str, **given: Any) -> HttpReply:
        self.seen.append((f"{method} {url.removeprefix('http://h')}", json.loads(given["body"])))
        return self.reply

    async def request(self, method: str, url: str, **given: Any) -> HttpReply:
        return self.request_sync(method, url, **given)


def client_of(http: Http) -> stepwell.Inngest:
    return stepwell.Inngest(
        app_id="app", is_production=False, base_url="http://h", http_client=http
    )


class Talking(Client):
    """A client whose runs say what they have to say."""

    def __init__(self, http: Http | None = None) -> None:
        super().__init__()
        self.http = http or Http()
        self.annotations = client_of(self.http).annotations


async def told(handler: Any, *, blocking: bool = False, calls: int = 1) -> tuple[Any, Any]:
    """What a handler's last call reports as the metadata of its step, and what the server heard."""
    client = Talking()
    played = Stage(handler, client=client, blocking=blocking)
    for _ in range(calls - 1):
        (operation,) = played.operations(await played.call())
        played.settle(operation)
    response = await played.call()
    if response.status != 206:
        return None, client.http.seen
    (operation,) = played.operations(response)
    assert isinstance(operation, StepRun | StepError), operation
    raw = operation.metadata
    return None if raw is None else json.loads(bytes(raw)), client.http.seen


async def test_a_step_says_a_score_once_and_of_the_run() -> None:
    async def handler(ctx: Context) -> None:
        await ctx.step.score("rate", name="helpful", value=0.5)

    def plain(ctx: ContextSync) -> None:
        ctx.step.score("rate", name="helpful", value=0.5)

    expected = {
        "kind": "inngest.score",
        "op": "merge",
        "scope": "run",
        "values": {"helpful": {"value": 0.5}},
    }
    assert await told(handler) == ([expected], [])
    assert await told(plain, blocking=True) == ([expected], [])
    assert await told(handler, calls=2) == (None, [])


async def test_a_step_says_metadata_once_and_of_the_run() -> None:
    async def handler(ctx: Context) -> None:
        await ctx.step.metadata("note", {"items": 3}, kind="order")

    def plain(ctx: ContextSync) -> None:
        ctx.step.metadata("note", {"items": 3}, kind="order")

    expected = {"kind": "userland.order", "op": "set", "scope": "run", "values": {"items": 3}}
    assert await told(handler) == ([expected], [])
    assert await told(plain, blocking=True) == ([expected], [])


async def test_what_is_said_of_others_goes_to_the_server() -> None:
    async def handler(ctx: Context) -> None:
        await ctx.step.score("rate", name="good", value=True, run_id=OTHER, step_id="charge")

    def plain(ctx: ContextSync) -> None:
        ctx.step.metadata("note", {"n": 1}, step_id="charge", step_index=2, attempt=1, op="add")

    score = {"kind": "inngest.score", "op": "merge", "values": {"good": {"value": True}}}
    assert await told(handler) == (
        None,
        [
            (
                f"POST /v1/runs/{OTHER}/metadata",
                {"target": {"step_id": "charge"}, "metadata": [score]},
            )
        ],
    )
    note = {"kind": "userland.default", "op": "add", "values": {"n": 1}}
    target = {"step_id": "charge", "step_index": 2, "step_attempt": 1}
    assert await told(plain, blocking=True) == (
        None,
        [(f"POST /v1/runs/{RUN_ID}/metadata", {"target": target, "metadata": [note]})],
    )


async def test_what_is_said_inside_a_step_is_of_that_step_and_goes_along() -> None:
    client = Talking()

    async def rate() -> None:
        said = client_of(client.http)
        await said.score(name="a", value=1)
        await said.score(name="b", value=2)
        await said.metadata({"x": 1, "y": 1})
        await said.metadata({"y": 2}, op="merge")
        await said.metadata({"n": 1}, kind="count", op="add")
        await said.metadata({"n": 1}, kind="count", op="add")
        await asyncio.to_thread(said.metadata_sync, {"z": 1}, kind="other", attempt=0)
        await said.score(name="c", value=3, experiment=REF)

    async def handler(ctx: Context) -> None:
        await ctx.step.run("rate", rate)

    played = Stage(handler, client=client)
    (operation,) = played.operations(await played.call())
    assert [
        (one["scope"], one["kind"], one["op"], one["values"])
        for one in json.loads(bytes(operation.metadata or b""))
    ] == [
        ("step", "inngest.score", "merge", {"a": {"value": 1}, "b": {"value": 2}}),
        ("step", "userland.default", "set", {"x": 1, "y": 2}),
        ("step", "userland.count", "add", {"n": 1}),
        ("step", "userland.count", "add", {"n": 1}),
        ("step_attempt", "userland.other", "set", {"z": 1}),
        ("run", "inngest.experiment", "merge", {"name": "tone", "variant": "short"}),
        ("run", "inngest.score", "merge", {"c": {"value": 3}}),
    ]
    assert client.http.seen == []


async def test_a_step_that_fails_says_it_too() -> None:
    client = Talking()

    async def rate() -> None:
        await client_of(client.http).metadata({"seen": 1})
        raise ValueError("no")

    async def handler(ctx: Context) -> None:
        await ctx.step.run("rate", rate)

    said, heard = await told(handler)
    assert ([one["values"] for one in said], heard) == ([{"seen": 1}], [])


async def test_in_the_handler_itself_it_is_said_at_once() -> None:
    http = Http()

    async def handler(ctx: Context) -> None:
        await client_of(http).score(name="a", value=1)

    assert await Stage(handler).play() is None
    ((asked, body),) = http.seen
    assert (asked, body["target"]) == (f"POST /v1/runs/{RUN_ID}/metadata", {})


async def test_after_its_step_what_a_task_says_is_not_lost() -> None:
    http, left = Http(), asyncio.Event()
    late: list[asyncio.Task[None]] = []

    async def say() -> None:
        await left.wait()
        await client_of(http).metadata({"late": True})

    async def begin() -> None:
        late.append(asyncio.create_task(say()))

    async def handler(ctx: Context) -> None:
        await ctx.step.run("begin", begin)

    played = Stage(handler)
    (operation,) = played.operations(await played.call())
    assert operation.metadata is None
    left.set()
    await late[0]
    ((_, body),) = http.seen
    assert (body["target"], body["metadata"][0]["values"]) == (
        {"step_id": step_hash("begin")},
        {"late": True},
    )


@pytest.mark.parametrize("scored", [{"n": 10}, {"n": 10, "m": 1}])
@pytest.mark.parametrize("op", ["set", "merge"])
@pytest.mark.parametrize("between", [("add", {"n": 2}), ("delete", {"n": 0})])
async def test_what_is_said_last_holds_whatever_was_said_between(
    scored: dict[str, int], op: MetadataOp, between: tuple[MetadataOp, dict[str, int]]
) -> None:
    async def rate() -> None:
        client = client_of(Http())
        await client.metadata({"n": 1})
        await client.metadata(between[1], op=between[0])
        await client.metadata(scored, op=op)

    async def handler(ctx: Context) -> None:
        await ctx.step.run("rate", rate)

    said, _ = await told(handler)
    kept = b""
    for one in said:
        kept = updated(kept, one["op"], json.dumps(one["values"]).encode())
    assert json.loads(kept) == scored


def test_threads_of_one_step_lose_nothing_of_what_they_say() -> None:
    noted, value, begin = Noted(), msgspec.Raw(b"1"), Barrier(4)

    def say(thread: int) -> None:
        begin.wait(10)
        for number in range(200):
            update = MetadataUpdate("userland.n", {f"{thread}-{number}": value})
            noted.add("step", (update,), "step")

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(4) as threads:
            list(threads.map(say, range(4)))
    finally:
        sys.setswitchinterval(interval)
    (said,) = json.loads(bytes(noted.take("step") or b"[]"))
    assert len(said["values"]) == 800


async def test_scores_of_two_variants_count_for_their_own() -> None:
    http = Http()

    async def rate() -> None:
        client = client_of(http)
        await client.score(name="a", value=1, experiment=REF)
        await client.score(name="b", value=2, experiment=REF)
        await client.score(name="c", value=3, experiment=ExperimentRef("size", "large"))

    async def handler(ctx: Context) -> None:
        await ctx.step.run("rate", rate)

    said, _ = await told(handler)
    assert [one["values"] for one in said] == [
        {"name": "tone", "variant": "short"},
        {"a": {"value": 1}, "b": {"value": 2}},
    ]
    # Beside these it would count for their variant.
    ((asked, body),) = http.seen
    assert (asked, body["target"]) == (f"POST /v1/runs/{RUN_ID}/metadata", {})
    assert [one["values"] for one in body["metadata"]] == [
        {"name": "size", "variant": "large"},
        {"c": {"value": 3}},
    ]


async def test_a_try_of_a_step_of_another_run_is_none_of_the_step_that_says_it() -> None:
    async def rate() -> str:
        with pytest.raises(ConfigurationError, match="say of which step"):
            await client_of(Http()).metadata({"n": 1}, run_id=OTHER, attempt=1)
        return "refused"

    async def handler(ctx: Context) -> Any:
        return await ctx.step.run("rate", rate)

    assert await Stage(handler).play() == "refused"


async def test_the_step_that_chooses_tells_what_it_chose_among() -> None:
    async def handler(ctx: Context) -> Any:
        found = await ctx.group.experiment(
            "tone",
            variants={
                "short": lambda: ctx.step.run("s", int),
                "long": lambda: ctx.step.run("l", int),
            },
            select=experiment.weighted({"short": 3, "long": 0}),
        )
        await ctx.step.score("rate", name="good", value=1, experiment=found.experiment_ref)

    said, _ = await told(handler)
    expected = {
        "name": "tone",
        "variant": "short",
        "selection_strategy": "weighted",
        "available_variants": ["short", "long"],
        "variant_weights": {"short": 3, "long": 0},
    }
    assert said == [
        {"kind": "inngest.experiment", "op": "set", "scope": "step", "values": expected}
    ]
    said, heard = await told(handler, calls=3)
    assert [(one["scope"], one["kind"], one["values"]) for one in said] == [
        ("run", "inngest.experiment", {"name": "tone", "variant": "short"}),
        ("run", "inngest.score", {"good": {"value": 1}}),
    ]
    assert heard == []


ANSWER = {"id": "c", "model": "m-1", "usage": {"prompt_tokens": 3, "completion_tokens": 1}}


async def ask_model(body: dict[str, Any]) -> dict[str, Any]:
    return ANSWER


@pytest.mark.parametrize("blocking", [False, True], ids=["coroutine", "plain"])
async def test_what_a_model_tells_of_its_answer_goes_along(blocking: bool) -> None:
    body = {"model": "m", "temperature": 0.5, "messages": ["secret"]}

    async def handler(ctx: Context) -> None:
        await ctx.step.ai.wrap("ask", ask_model, body)

    def plain(ctx: ContextSync) -> None:
        ctx.step.ai.wrap("ask", ask_model, body)

    said, _ = await told(plain if blocking else handler, blocking=blocking)
    (only,) = said
    assert (only["kind"], only["op"], only["scope"]) == ("inngest.ai", "set", "step")
    assert only["values"].pop("latency_ms") >= 0
    assert only["values"] == {
        "request_model": "m",
        "response_model": "m-1",
        "response_id": "c",
        "input_tokens": 3,
        "output_tokens": 1,
        "temperature": 0.5,
    }


async def test_it_does_not_where_the_client_says_so_or_the_step_is_another() -> None:
    async def other(ctx: Context) -> None:
        await ctx.step.run("ask", ask_model, {})

    async def handler(ctx: Context) -> None:
        await ctx.step.ai.wrap("ask", ask_model, {})

    assert await told(other) == (None, [])
    client = Talking()
    client.ai_metadata = stepwell.Inngest(app_id="a", ai_metadata=False).ai_metadata
    played = Stage(handler, client=client)
    (operation,) = played.operations(await played.call())
    assert operation.metadata is None


def test_a_reference_is_written_as_other_sdks_write_it() -> None:
    assert msgspec.json.encode(REF) == b'{"experimentName":"tone","variant":"short"}'


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"name": " ", "value": 1}, "name the score"),
        ({"name": "it's", "value": 1}, "name the score"),
        ({"name": "é" * 65, "value": 1}, "130 bytes, at most 128"),
        ({"name": "x", "value": float("nan")}, "give a finite number, True or False"),
        ({"name": "x", "value": "good"}, "give a finite number, True or False"),
        ({"name": "x", "value": 10**400}, "give a finite number, True or False"),
        ({"name": "\ud800", "value": 1}, "name the score"),
        ({"name": "x", "value": 1, "run_id": "\ud800"}, "give an id"),
        ({"name": "x", "value": 1, "run_id": ""}, "run_id = '': give an id"),
        ({"name": "x", "value": 1, "step_id": 3}, "step_id = 3: give an id"),
        ({"name": "x", "value": 1, "experiment": "tone"}, "give the experiment_ref"),
        ({"name": "x", "value": 1}, "no run runs here"),
    ],
)
async def test_scores_that_are_refused(given: Any, said: str) -> None:
    http = Http()
    with pytest.raises(ConfigurationError, match=said):
        await client_of(http).score(**given)
    with pytest.raises(ConfigurationError, match=said):
        client_of(http).score_sync(**given)
    assert http.seen == []


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"values": [1]}, "values = \\[1\\]: give a mapping"),
        ({"values": {}, "kind": "userland.x"}, "leave out what is before the dot"),
        ({"values": {}, "kind": ""}, "give a name of 1 to 119 bytes"),
        ({"values": {}, "kind": "k" * 120}, "give a name of 1 to 119 bytes"),
        ({"values": {}, "kind": "\ud800"}, "give a name of 1 to 119 bytes"),
        ({"values": {}, "op": "or"}, "give one of set, merge, delete, add"),
        ({"values": {"n": "many"}, "op": "add"}, "values.n: only numbers can be added"),
        ({"values": {}, "attempt": -1}, "attempt = -1: give a whole number"),
        ({"values": {}, "run_id": OTHER, "attempt": 1}, "say of which step"),
        ({"values": {"x": object()}, "run_id": OTHER}, "cannot be written as JSON"),
        ({"values": {"x": "y" * 70_000}, "run_id": OTHER}, "at most 65536 are allowed"),
    ],
)
async def test_metadata_that_is_refused(given: Any, said: str) -> None:
    http = Http()
    with pytest.raises((ConfigurationError, Error), match=said):
        await client_of(http).metadata(**given)
    with pytest.raises((ConfigurationError, Error), match=said):
        client_of(http).metadata_sync(**given)
    assert http.seen == []


async def test_what_a_step_says_under_one_name_does_not_grow_beyond_what_is_kept() -> None:
    async def rate() -> str:
        client = client_of(Http())
        await client.metadata({"a": "x" * 40_000})
        try:
            await client.metadata({"b": "x" * 40_000}, op="merge")
        except Error as error:
            return str(error)
        return ""

    async def handler(ctx: Context) -> Any:
        return await ctx.step.run("rate", rate)

    assert "at most 65536 are allowed" in await Stage(handler).play()


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (404, b'{"error":"Run not found","data":null,"status":404}'),
        (200, b'{"error":"Run not found","data":null,"status":404}'),
        (404, b"Run not found"),
    ],
)
async def test_what_the_server_does_not_keep_is_an_error(status: int, body: bytes) -> None:
    http = Http(HttpReply(status, {}, body))
    with pytest.raises(Error, match=f"HTTP {status}: Run not found"):
        await client_of(http).score(name="x", value=1, run_id=OTHER)


def test_in_a_mocked_run_nothing_leaves() -> None:
    client = mocked.Inngest(app_id="app", is_production=False)

    @client.create_function(fn_id="f", trigger=stepwell.TriggerEvent(event="a"))
    async def function(ctx: stepwell.Context) -> str:
        await ctx.step.score("rate", name="a", value=1, run_id=OTHER)
        await client.metadata({"n": 1})
        return "done"

    assert mocked.trigger(function, stepwell.Event(name="a"), client).output == "done"
    assert annotation.score("a", 1).run_id == ""
