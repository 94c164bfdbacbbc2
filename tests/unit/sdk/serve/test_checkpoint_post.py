"""Checkpoints of many calls on their way: what goes alone, what goes together, what a server may
say, and that no call's end holds up what another one saves."""

import asyncio
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from stepwell.sdk.execution.run import run_call
from stepwell.sdk.net.port import HttpReply, NetworkError
from stepwell.sdk.net.server_api import ApiRequest
from stepwell.sdk.serve.checkpoint import Checkpointer, Checkpoints
from stepwell.sdk.serve.checkpoint_post import LANES, CheckpointPost
from stepwell.sdk.step.context import Context
from stepwell.wire.checkpoint import GROUP_BYTES_MAX, GROUP_MAX, GROUP_PATH, CheckpointOutcome
from tests.replay.stage import Client, Stage, function

Answer = Callable[[str, Any], HttpReply]


def keeps_all(path: str, body: Any) -> HttpReply:
    if path == GROUP_PATH:
        return HttpReply(200, {}, msgspec.json.encode([{"status": 200} for _ in body]))
    return HttpReply(200, {}, b"")


class Server:
    """Notes each request as the list of its runs; answers once the gate is open."""

    def __init__(self, answer: Answer = keeps_all) -> None:
        self.answer = answer
        self.requests: list[tuple[str, list[str]]] = []
        self.gate = asyncio.Event()

    async def ask(self, request: ApiRequest) -> HttpReply:
        body = msgspec.json.decode(request.body or b"")
        runs = [one["run"] if "run" in one else one["run_id"] for one in _listed(body)]
        self.requests.append((request.path, runs))
        await self.gate.wait()
        await asyncio.sleep(0.002)  # the way there and back
        return self.answer(request.path, body)

    @property
    def sizes(self) -> list[int]:
        return [len(runs) for _, runs in self.requests]


def _listed(body: Any) -> list[Any]:
    return body if isinstance(body, list) else [body]


def post_to(server: Server) -> CheckpointPost:
    return CheckpointPost(server)  # type: ignore[arg-type]


def sending(post: CheckpointPost, count: int, padding: int = 0) -> list[asyncio.Task[Any]]:
    return [
        asyncio.create_task(
            post.send(f"r{index}", msgspec.json.encode({"run": f"r{index}", "x": "x" * padding}))
        )
        for index in range(count)
    ]


async def answered(server: Server, tasks: list[asyncio.Task[Any]]) -> list[Any]:
    for _ in range(3):
        await asyncio.sleep(0)
    server.gate.set()
    return await asyncio.gather(*tasks, return_exceptions=True)


async def test_the_first_go_alone_and_what_comes_meanwhile_goes_together() -> None:
    server = Server()
    outcomes = await answered(server, sending(post_to(server), LANES + 5))
    assert outcomes == [CheckpointOutcome(200)] * (LANES + 5)
    assert server.sizes == [1] * LANES + [5]
    assert server.requests[0] == ("/v1/checkpoint/r0/async", ["r0"])
    assert server.requests[-1] == (GROUP_PATH, [f"r{LANES + index}" for index in range(5)])


async def test_groups_are_bounded_in_number_and_in_bytes() -> None:
    server = Server()
    await answered(server, sending(post_to(server), LANES + GROUP_MAX + 1))
    assert max(server.sizes) == GROUP_MAX
    large = Server()
    await answered(large, sending(post_to(large), LANES + 4, padding=GROUP_BYTES_MAX // 2))
    assert large.sizes == [1] * (LANES + 4)


@pytest.mark.parametrize(
    "refusal",
    [
        HttpReply(404, {}, b"404 page not found"),
        HttpReply(405, {}, b""),
        HttpReply(200, {}, b""),
        HttpReply(200, {}, b"<html>"),
        HttpReply(200, {}, b"[]"),
    ],
)
async def test_a_server_without_groups_is_asked_once_and_then_for_each(refusal: HttpReply) -> None:
    def answer(path: str, body: Any) -> HttpReply:
        return refusal if path == GROUP_PATH else HttpReply(200, {}, b"")

    server = Server(answer)
    post = post_to(server)
    outcomes = await answered(server, sending(post, LANES + 5))
    assert outcomes == [CheckpointOutcome(200)] * (LANES + 5)
    await answered(server, sending(post, LANES + 5))
    assert server.sizes.count(5) == 1
    assert server.sizes.count(1) == 2 * LANES + 2 * 5


async def test_each_of_a_group_is_told_what_became_of_it() -> None:
    def answer(path: str, body: Any) -> HttpReply:
        said = [
            {"status": 409, "error": "stale"} if one["run"] == "r5" else {"status": 200}
            for one in _listed(body)
        ]
        return HttpReply(200, {}, msgspec.json.encode(said))

    server = Server(answer)
    outcomes = await answered(server, sending(post_to(server), LANES + 3))
    assert [one.status for one in outcomes].count(409) == 1
    assert outcomes[5] == CheckpointOutcome(409, "stale")


@pytest.mark.parametrize("status", [401, 403, 429, 503])
async def test_what_is_about_more_than_groups_holds_for_all_of_them(status: int) -> None:
    server = Server(lambda path, body: HttpReply(status, {}, b""))
    post = post_to(server)
    outcomes = await answered(server, sending(post, LANES + 3))
    assert [one.status for one in outcomes] == [status] * (LANES + 3)
    assert post.takes_groups


async def test_a_lost_connection_is_told_to_everybody() -> None:
    def lost(path: str, body: Any) -> HttpReply:
        raise NetworkError("nobody there", "refused")

    server = Server(lost)
    outcomes = await answered(server, sending(post_to(server), LANES + 3))
    assert all(isinstance(one, NetworkError) for one in outcomes)


async def test_who_no_longer_waits_holds_nobody_up() -> None:
    server = Server()
    tasks = sending(post_to(server), LANES + 3)
    await asyncio.sleep(0)
    tasks[0].cancel()
    tasks[-1].cancel()
    outcomes = await answered(server, tasks)
    assert outcomes[1:-1] == [CheckpointOutcome(200)] * (LANES + 1)


async def test_calls_that_end_leave_what_they_carried_for_others_alone() -> None:
    """A task that a handler starts ends with it; what carries the steps of others must not."""

    async def five(ctx: Context) -> int:
        return sum([await ctx.step.run(f"s{index}", asyncio.sleep, 0, 1) for index in range(5)])

    made, client = function(five), Client()
    server, checkpoints = Server(), Checkpoints()
    server.gate.set()

    async def call(index: int) -> int:
        request = Stage(made).request()
        ctx = msgspec.structs.replace(request.ctx, run_id=f"r{index}")
        saver = Checkpointer(server, ctx, checkpoints)  # type: ignore[arg-type]
        asked = msgspec.structs.replace(request, ctx=ctx)
        return (await run_call(made, asked, client=client, target="step", save=saver.save)).status

    statuses = await asyncio.wait_for(asyncio.gather(*map(call, range(40))), 20)
    assert statuses == [200] * 40
    assert max(server.sizes) > 1
