"""The verbs that look at runs look into a file, too: that of an engine which has no address."""

import asyncio
import logging
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

import stepwell
from stepwell.cli.main import main
from stepwell.embedded import Engine
from stepwell.server.store.sqlite.connection import open_writer

NOBODY = "no function listens to shop/ordr (runs that wait for it hear of it); near it: shop/order"


def call(verb: str, database: Path, *arguments: str) -> Result:
    told = [verb, "--database", str(database), *arguments]
    return CliRunner().invoke(main, told, env={"COLUMNS": "160"})


async def test_an_engine_is_looked_into_while_it_runs(tmp_path: Path) -> None:
    database = tmp_path / "shop.db"
    logger = logging.getLogger("tests.order")
    logger.setLevel(logging.INFO)
    client = stepwell.Inngest(app_id="shop", is_production=False, logger=logger)

    @client.create_function(fn_id="order", trigger=stepwell.TriggerEvent(event="shop/order"))
    async def order(ctx: stepwell.Context) -> str:
        ctx.logger.info("an order of %d pieces", 3)
        await ctx.step.run("charge", lambda: 7)
        await ctx.step.wait_for_event("paid", event="shop/paid", timeout=60_000)
        return "never"

    async with Engine(client, [order], database=database) as engine:
        (event_id,) = await client.send(stepwell.Event(name="shop/order"))
        (lost,) = await client.send(stepwell.Event(name="shop/ordr"))
        (run,) = engine.node.reader.runs_of_event(event_id)
        while not engine.node.reader.waits(run.id):
            await asyncio.sleep(0.01)
        listed = await asyncio.to_thread(call, "runs", database)
        assert run.id in listed.output, listed.output
        assert call("runs", database, "--status", "completed").output.strip() == "no runs"
        assert "status 'odd' is unknown" in call("runs", database, "--status", "odd").output
        told = await asyncio.to_thread(call, "run", database, event_id)
        assert told.exit_code == 0, told.output
        assert "charge" in told.output
        assert "waits for an event shop/paid" in told.output
        lines = call("run", database, run.id, "--logs").output
        assert lines.rstrip().endswith("Z info    an order of 3 pieces"), lines
        nobody = call("run", database, lost).output
        assert NOBODY in nobody
        unknown = call("run", database, "01JQDAE4RQ0000000000000009")
        assert "there is no run 01JQDAE4RQ0000000000000009 in this file" in unknown.output
        # Looking changed nothing: the engine goes on.
        await client.send(stepwell.Event(name="shop/paid"))
        ended = await engine.node.run_ended(run.id, 20)
        assert ended.output == b'"never"'


def test_a_file_of_another_version_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "old.db"
    connection = open_writer(str(path), "relaxed")
    connection.execute("CREATE TABLE schema_version (version INTEGER)")
    connection.execute("INSERT INTO schema_version VALUES (1)")
    connection.close()
    told = call("runs", path)
    assert told.exit_code == 1
    assert "has schema 1, and this version of Stepwell reads" in told.output


@pytest.mark.parametrize("verb", ["runs", "run"])
def test_a_file_that_is_not_there(tmp_path: Path, verb: str) -> None:
    assert call(verb, tmp_path / "none.db", *["x"][: verb == "run"]).exit_code == 2
