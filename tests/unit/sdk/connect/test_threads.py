"""What passes between the two threads of a worker: calls, states."""

import asyncio
import threading

import pytest

from stepwell.sdk.connect.phase import ConnectionState
from stepwell.sdk.connect.postbox import Postbox
from stepwell.sdk.connect.statewatch import StateWatch
from stepwell.sdk.errors import Error

S = ConnectionState


async def test_calls_from_many_threads_come_in_order_and_none_is_lost() -> None:
    box, heard = Postbox(asyncio.get_running_loop()), list[tuple[int, int]]()

    def speak(speaker: int) -> None:
        for number in range(500):
            box.put(lambda n=number: heard.append((speaker, n)))

    threads = [threading.Thread(target=speak, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    while len(heard) < 2000:
        await asyncio.sleep(0.001)
    for thread in threads:
        thread.join()
    for speaker in range(4):
        assert [n for who, n in heard if who == speaker] == list(range(500))


async def test_a_call_that_raises_holds_up_nobody() -> None:
    loop, heard = asyncio.get_running_loop(), list[str]()
    problems: list[str] = []
    loop.set_exception_handler(lambda _, context: problems.append(str(context["exception"])))
    box = Postbox(loop)

    def broken() -> None:
        raise RuntimeError("broken")

    box.put(broken)
    box.put(lambda: heard.append("heard"))
    await asyncio.sleep(0.01)
    assert heard == ["heard"]
    assert problems == ["broken"]


def test_a_closed_loop_hears_nothing() -> None:
    loop = asyncio.new_event_loop()
    box = Postbox(loop, thread_id=-1)
    loop.close()
    assert not box.put(lambda: None)


async def test_states_are_waited_for_from_any_loop() -> None:
    watch = StateWatch()
    await watch.wait_for(S.CONNECTING)
    mine = asyncio.create_task(watch.wait_for(S.ACTIVE))
    theirs = threading.Thread(target=lambda: asyncio.run(watch.wait_for(S.PAUSED)))
    theirs.start()
    await asyncio.sleep(0.01)
    watch.set(S.ACTIVE)
    # It was ACTIVE, however briefly: that is what was waited for.
    watch.set(S.PAUSED)
    await asyncio.wait_for(mine, 1)
    await asyncio.to_thread(theirs.join, 5)
    assert not theirs.is_alive()
    assert watch.state is S.PAUSED


async def test_nobody_waits_for_ever() -> None:
    watch = StateWatch()
    waiting = asyncio.create_task(watch.wait_for(S.ACTIVE))
    closed = asyncio.create_task(watch.wait_for(S.CLOSED))
    await asyncio.sleep(0)
    watch.set(S.CLOSING)
    watch.set(S.CLOSED)
    with pytest.raises(Error, match="CLOSED and will not become ACTIVE"):
        await waiting
    await closed
    with pytest.raises(Error, match="will not become"):
        await watch.wait_for(S.ACTIVE, S.PAUSED)


async def test_giving_up_waiting_leaves_nothing_behind() -> None:
    watch = StateWatch()
    waiting = asyncio.create_task(watch.wait_for(S.ACTIVE))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert watch._waiters == []
