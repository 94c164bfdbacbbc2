"""How often an engine on PostgreSQL goes to its database and back, and that no thread stands
between an event and the steps of its run. It is counted: no clock judges.

Each time a piece of statements is sent, somebody waits for the network and, at the end of a
transaction, for a disk.
"""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import Future

import pytest
from psycopg import pq

import stepwell as sw
from stepwell.embedded import Engine
from stepwell.server import node
from stepwell.server.runtime import cluster
from stepwell.server.store.postgres import piece
from stepwell.server.store.postgres.connection import Connection

STEPS = 5
BEFORE_FIRST_LINE = 1
"""The commit of the event, which makes sure that nobody waits for it; in it the run begins, and its
call is handed out with what that is told."""
A_STEP = 2
"""The run as it is, then the commit of the step: in it the next call is handed out, where each step
has a call of its own."""
AT_THE_END = 2


@pytest.fixture
def trips(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many statements each piece had that was sent."""
    sent: list[int] = []
    exchange = piece._exchange

    def counted(connection: Connection, sends: Sequence[piece.Send]) -> list[pq.abc.PGresult]:
        results = exchange(connection, sends)
        sent.append(len(results))
        return results

    monkeypatch.setattr(piece, "_exchange", counted)
    # It looks for what others left every second or two, else.
    monkeypatch.setattr(node, "SHARED_POLL_MS", 3_600_000)
    monkeypatch.setattr(cluster, "LOOK_S", 3_600.0)
    return sent


@pytest.mark.parametrize("checkpointing", [True, False])
async def test_round_trips_from_an_event_to_the_first_line_and_for_each_step(
    engine_database: str,
    trips: list[int],
    monkeypatch: pytest.MonkeyPatch,
    checkpointing: bool,
) -> None:
    client = sw.Inngest(app_id="trips", is_production=False, checkpointing=checkpointing)
    marks: dict[int, int] = {}
    handed: list[object] = []

    async def step() -> None:
        """It does nothing."""

    @client.create_function(fn_id="steps", trigger=sw.TriggerEvent(event="go"))
    async def steps(ctx: sw.Context) -> None:
        marks.setdefault(0, len(trips))
        for number in range(STEPS):
            await ctx.step.run(f"s{number}", step)
            marks.setdefault(number + 1, len(trips))

    async with Engine(client, [steps], database=engine_database) as engine:
        to_thread = engine.node.ledger._thread.submit

        def counted(do: Callable[[], object]) -> Future[object]:
            if len(marks) <= STEPS:
                handed.append(do)
            return to_thread(do)

        monkeypatch.setattr(engine.node.ledger._thread, "submit", counted)
        # What is done for the first time is prepared first.
        for _ in range(3):
            marks.clear()
            trips.clear()
            handed.clear()
            await client.send(sw.Event(name="go"))
            while len(marks) <= STEPS or engine.node.ledger.is_busy or engine.node.pump.is_asking:
                await asyncio.sleep(0.01)
    assert not handed, "between threads"
    first = BEFORE_FIRST_LINE
    assert [*marks.values()] == [first + A_STEP * number for number in range(STEPS + 1)], trips
    assert len(trips) == marks[STEPS] + AT_THE_END, trips
