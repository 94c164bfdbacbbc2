"""How an endpoint finds out that the run of a long call was cancelled (E-173)."""

import asyncio
from typing import Any, cast

import pytest

from stepwell.sdk.net.port import HttpReply, NetworkError
from stepwell.sdk.serve import watch
from stepwell.sdk.serve.watch import RunWatch
from stepwell.sdk.step.cancelled import Cancelled
from stepwell.wire.execution import STATUS_DONE, CallResponse

DONE = CallResponse(STATUS_DONE)


def run(status: str) -> HttpReply:
    return HttpReply(200, {}, b'{"data":{"run_id":"r","status":"%s"}}' % status.encode())


REFUSED = HttpReply(404, {}, b'{"error":"run not found"}')
AWAY = NetworkError("nobody listens", "refused")


class Api:
    """A server that answers in turn, the last answer for ever."""

    def __init__(self, *answers: HttpReply | Exception) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []

    @property
    def port(self) -> Any:
        """As what it is taken for."""
        return cast(Any, self)

    async def ask(self, request: Any) -> HttpReply:
        self.asked.append(request.path)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "AFTER_SECONDS", 0.01)
    monkeypatch.setattr(watch, "PAUSE_SECONDS", 0.01)


class Work:
    """A call that takes a while, unless it is cancelled."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.cancelled = False

    async def __call__(self) -> CallResponse:
        try:
            await asyncio.sleep(self.seconds)
        except asyncio.CancelledError:
            self.cancelled = True
            raise
        return DONE


async def test_a_short_call_asks_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "AFTER_SECONDS", 60)
    api = Api(run("Cancelled"))
    assert await RunWatch().over(api.port, "r", Work(0)()) is DONE
    assert api.asked == []


async def test_a_call_of_a_cancelled_run_is_cancelled_and_the_request_goes_on() -> None:
    api, work = Api(run("Running"), AWAY, run("Running"), run("Cancelled")), Work(3600)
    answer = await RunWatch().over(api.port, "r", work())
    assert (answer.status, work.cancelled) == (500, True)
    assert api.asked == ["/v1/runs/r?wait=30.000"] * 4
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0
    await asyncio.sleep(0)  # nothing of the cancellation is left


@pytest.mark.parametrize("answer", [run("Completed"), run("Failed"), REFUSED])
async def test_other_ends_and_servers_that_do_not_tell_let_it_go_on(answer: HttpReply) -> None:
    api, work = Api(answer), Work(0.1)
    assert await RunWatch().over(api.port, "r", work()) is DONE
    assert len(api.asked) == 1
    assert not work.cancelled


async def test_somebody_elses_cancellation_passes() -> None:
    work = Work(3600)
    task = asyncio.ensure_future(RunWatch().over(Api(run("Running")).port, "r", work()))
    await asyncio.sleep(0.02)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert work.cancelled


async def test_code_that_goes_on_all_the_same_leaves_nothing_behind() -> None:
    async def stubborn() -> CallResponse:
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            await asyncio.sleep(0)
        return DONE

    assert await RunWatch().over(Api(run("Cancelled")).port, "r", stubborn()) is DONE
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0


async def test_only_so_many_questions_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "HELD_MAX", 2)
    held = asyncio.Event()

    class Keeping(Api):
        async def ask(self, request: Any) -> HttpReply:
            self.asked.append(request.path)
            if "wait" in request.path:
                await held.wait()
            return run("Running")

    api = Keeping(run("Running"))
    runs = RunWatch()
    await asyncio.gather(*(runs.over(api.port, "r", Work(0.1)()) for _ in range(4)))
    assert api.asked.count("/v1/runs/r?wait=30.000") == 2
    assert api.asked.count("/v1/runs/r") > 2


def test_blocking_code_asks_when_it_looks_and_no_longer_than_it_runs() -> None:
    api = Api(run("Running"), run("Cancelled"))
    with RunWatch().over_sync(api.port, "r") as begin:
        token = Cancelled(begin)
        assert api.asked == []
        assert token.wait(10)
        assert token
    assert len(api.asked) == 2
    idle = Api(run("Running"))
    with RunWatch().over_sync(idle.port, "r") as begin:
        token = Cancelled(begin)
        assert not token.wait(0.05)
    asked = len(idle.asked)
    assert not token.wait(0.05)
    assert asked - len(idle.asked) in {0, -1}
