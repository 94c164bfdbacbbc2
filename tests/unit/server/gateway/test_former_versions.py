"""Workers of versions that an app had before: deployments, roll-backs, servers that begin anew."""

import asyncio
from pathlib import Path

from stepwell.server.config import Postgres, ServerConfig
from stepwell.server.engine.row.run import RunStatus
from stepwell.server.gateway.gateway import GatewaySettings
from stepwell.server.serving import Server
from stepwell.wire.connect_word import AppConfig
from tests.postgres import Opener
from tests.unit.server.gateway.hand import (
    Hand,
    Pair,
    answer,
    ended,
    functions,
    server_and_hand,
    until,
)

DEPLOYED = GatewaySettings(former_ms=60_000)
AT_ONCE = GatewaySettings(former_ms=0)


def version(number: str, *slugs: str) -> tuple[AppConfig, ...]:
    """A version of an app, whose function listens to an event of its own."""
    return (AppConfig("app", functions("app-fn", *slugs, event=f"go/{number}"), number),)


async def worker(server: Server, first: Hand, number: str, *slugs: str) -> Hand:
    hand = Hand(server, first.http)
    await hand.join(apps=version(number, *slugs), instance_id=f"worker-{number}")
    return hand


def present(server: Server) -> tuple[str, list[str]]:
    """The version of the app that is registered, and which events start something."""
    catalog = server.node.ledger.catalog
    events = [f"go/{n}" for n in range(1, 5) if catalog.listeners(f"go/{n}")]
    return catalog.apps["app"].app_version, events


async def gone(server: Server, *hands: Hand) -> None:
    before = len(server.gateway.sessions)
    for hand in hands:
        await hand.close()
    await until(lambda: len(server.gateway.sessions) == before - len(hands))


async def test_an_old_worker_that_comes_back_serves_and_does_not_register(pair: Pair) -> None:
    server, first = pair
    server.gateway.settings = DEPLOYED
    old = await worker(server, first, "1")
    new = await worker(server, first, "2")
    await gone(server, old, new)
    # Nobody with the new version is here at the moment: that alone is no roll-back.
    old = await worker(server, first, "1")
    await server.gateway.look_at_versions()
    assert present(server) == ("2", ["go/2"])
    event = await old.send("go/2")
    await old.say(answer(await old.take()))
    assert (await ended(old, event)).status is RunStatus.COMPLETED
    # Once it is back it is asked first.
    new = await worker(server, first, "2")
    event = await new.send("go/2")
    await new.say(answer(await new.take()))
    assert (await ended(new, event)).status is RunStatus.COMPLETED
    await gone(server, old, new)


async def test_a_version_of_before_comes_back_when_nobody_has_a_later_one(pair: Pair) -> None:
    server, first = pair
    server.gateway.settings = DEPLOYED
    oldest = await worker(server, first, "1")
    old = await worker(server, first, "2")
    new = await worker(server, first, "3")
    server.gateway.settings = AT_ONCE
    await server.gateway.look_at_versions()
    assert present(server) == ("3", ["go/3"])
    # The others never went away: they do not connect anew for a roll-back.
    await gone(server, new)
    await until(lambda: present(server) == ("2", ["go/2"]))
    # Now that is what the app has: what was rolled back does not register by itself.
    new = await worker(server, first, "3")
    await server.gateway.look_at_versions()
    assert present(server) == ("2", ["go/2"])
    event = await new.send("go/2")
    await old.say(answer(await old.take()))
    assert (await ended(old, event)).status is RunStatus.COMPLETED
    # What nobody had before takes its place at once.
    newest = await worker(server, first, "4")
    assert present(server) == ("4", ["go/4"])
    await gone(server, oldest, old, new, newest)


async def test_in_development_who_connects_takes_its_place_at_once(pair: Pair) -> None:
    server, first = pair
    assert server.gateway.settings.former_ms is None
    old = await worker(server, first, "1")
    new = await worker(server, first, "2")
    await gone(server, old)
    old = await worker(server, first, "1")
    assert present(server) == ("2", ["go/2"])
    await gone(server, new)
    await server.gateway.look_at_versions()
    assert present(server) == ("2", ["go/2"])
    await gone(server, old)
    old = await worker(server, first, "1")
    assert present(server) == ("1", ["go/1"])
    await gone(server, old)


async def test_a_server_that_begins_anew_knows_the_order(tmp_path: Path) -> None:
    config = ServerConfig(
        port=0, connect_gateway_port=0, persist=True, sqlite_dir=str(tmp_path / "kept")
    )
    async with server_and_hand(config) as (server, first):
        server.gateway.settings = DEPLOYED
        await worker(server, first, "1", "app-gone")
        await worker(server, first, "2")
    async with server_and_hand(config) as (server, first):
        server.gateway.settings = DEPLOYED
        old = await worker(server, first, "1", "app-gone")
        assert present(server) == ("2", ["go/2"])
        new = await worker(server, first, "2")
        event = await new.send("go/2")
        await new.say(answer(await new.take()))
        assert (await ended(new, event)).status is RunStatus.COMPLETED
        await gone(server, old, new)


async def test_workers_at_another_server_count(engine_database: str) -> None:
    config = ServerConfig(port=0, connect_gateway_port=0, postgres=Postgres(engine_database))
    async with server_and_hand(config) as (server, first):
        server.gateway.settings = DEPLOYED
        old = await worker(server, first, "1")
        new = await worker(server, first, "2")
        ours, other = (
            server.node.store.cluster,
            await asyncio.to_thread(Opener(engine_database).open),
        )
        assert ours is not None and other.cluster is not None
        # The workers of the new version move to another server.
        other.cluster.serve(frozenset({server.node.ledger.catalog.apps["app"].checksum}))
        await until(lambda: ours.served, 30)
        await gone(server, new)
        server.gateway.settings = AT_ONCE
        await server.gateway.look_at_versions()
        assert present(server) == ("2", ["go/2"])
        # That server ends, and they are nowhere.
        await asyncio.to_thread(other.close)
        await until(lambda: present(server) == ("1", ["go/1"]), 30)
        await gone(server, old)
