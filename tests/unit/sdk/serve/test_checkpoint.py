"""Saving steps on the way: what travels together, and what happens when nobody keeps them."""

import asyncio
from collections.abc import Callable

import msgspec
import pytest

from stepwell.sdk.net.port import HttpReply, NetworkError
from stepwell.sdk.net.server_api import ApiRequest
from stepwell.sdk.serve.checkpoint import PAUSE_SECONDS, Checkpointer, Checkpoints, NotSaved
from stepwell.wire.execution import CallContext, CallRequest
from stepwell.wire.operation import StepRun

CTX = CallContext(
    run_id="run", fn_id="fn", qi_id="qi", request_id="request", generation_id=2, attempt=0
)
CALL = CallRequest(ctx=CTX, event=msgspec.Raw(b"{}"))


def step(name: str) -> tuple[StepRun]:
    return (StepRun(id=name, name=name, data=msgspec.Raw(b"1")),)


class Server:
    """Keeps what is posted; answers what it is told to."""

    def __init__(self, answer: Callable[[], HttpReply] = lambda: HttpReply(200, {}, b"")) -> None:
        self.posted: list[list[str]] = []
        self.requests: list[ApiRequest] = []
        self.answer = answer
        self.gate = asyncio.Event()
        self.gate.set()

    async def ask(self, request: ApiRequest) -> HttpReply:
        await self.gate.wait()
        self.requests.append(request)
        body = msgspec.json.decode(request.body or b"")
        self.posted.append([one["id"] for one in body["steps"]])
        return self.answer()


def saver(server: Server, checkpoints: Checkpoints | None = None) -> Checkpointer:
    known = checkpoints or Checkpoints()
    return Checkpointer(server, CTX, known)  # type: ignore[arg-type]


async def test_a_step_is_posted_with_the_ids_of_its_call() -> None:
    server = Server()
    await saver(server).save(step("a"))
    request = server.requests[0]
    assert (request.method, request.path) == ("POST", "/v1/checkpoint/run/async")
    body = msgspec.json.decode(request.body or b"")
    assert (body["run_id"], body["fn_id"], body["qi_id"]) == ("run", "fn", "qi")
    assert (body["request_id"], body["generation_id"]) == ("request", 2)


async def test_what_ends_during_a_request_travels_together() -> None:
    server = Server()
    server.gate.clear()
    checkpointer = saver(server)
    saves = [asyncio.create_task(checkpointer.save(step(name))) for name in "abcd"]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    server.gate.set()
    await asyncio.gather(*saves)
    assert server.posted == [["a"], ["b", "c", "d"]]


async def test_a_refused_checkpoint_is_told() -> None:
    server = Server(lambda: HttpReply(409, {}, b""))
    with pytest.raises(NotSaved, match="409"):
        await saver(server).save(step("a"))


async def test_a_server_out_of_reach_is_left_alone_for_a_while() -> None:
    now = [0.0]
    checkpoints = Checkpoints(clock=lambda: now[0])

    def lost() -> HttpReply:
        raise NetworkError("nobody there", "refused")

    assert checkpoints.worthwhile(CALL, "step")
    with pytest.raises(NotSaved):
        await saver(Server(lost), checkpoints).save(step("a"))
    assert not checkpoints.worthwhile(CALL, "step")
    now[0] = PAUSE_SECONDS
    assert checkpoints.worthwhile(CALL, "step")


@pytest.mark.parametrize(
    ("call", "target"),
    [
        (CALL, "86f7e437faa5a7fce15d1ddcb9eaeaea377667b8"),
        (msgspec.structs.replace(CALL, ctx=msgspec.structs.replace(CTX, attempt=1)), "step"),
        (msgspec.structs.replace(CALL, ctx=msgspec.structs.replace(CTX, fn_id="")), "step"),
        (
            msgspec.structs.replace(
                CALL, ctx=msgspec.structs.replace(CTX, disable_immediate_execution=True)
            ),
            "step",
        ),
    ],
)
def test_only_a_first_discovery_saves_on_the_way(call: CallRequest, target: str) -> None:
    assert not Checkpoints().worthwhile(call, target)
