"""Dependencies as parameters, their scopes and their ends: rows E-124 and D-54."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Annotated, Any

import pytest

from stepwell.sdk.errors import ConfigurationError, FunctionConfigInvalidError
from stepwell.sdk.function.dependency import Depends, close_dependencies, inject, override
from stepwell.sdk.step.context import Context, ContextSync
from tests.replay.stage import RUN_ID, Stage


class Database:
    def __init__(self, name: str, log: list[str]) -> None:
        self.name = name
        self.log = log
        log.append(f"open {name}")

    def close(self) -> None:
        self.log.append(f"close {self.name}")


class Settings:
    limit = 3


class Service:
    def __init__(self, settings: Annotated[Settings, Depends(Settings)]) -> None:
        self.limit = settings.limit


LOG: list[str] = []


@pytest.fixture(autouse=True)
def _empty() -> None:
    LOG.clear()


async def get_db() -> AsyncIterator[Database]:
    found = Database("db", LOG)
    try:
        yield found
    finally:
        await asyncio.sleep(0)
        found.close()


def get_db_sync() -> Iterator[Database]:
    found = Database("db", LOG)
    try:
        yield found
    finally:
        found.close()


def get_repository(ctx: Context[Any], db: Annotated[Database, Depends(get_db)]) -> str:
    return f"{ctx.run_id} in {db.name}"


def get_repository_sync(db: Database = Depends(get_db_sync)) -> str:
    return f"{RUN_ID} in {db.name}"


async def handler(
    ctx: Context[Any],
    db: Annotated[Database, Depends(get_db)],
    repository: str = Depends(get_repository),
) -> str:
    await ctx.step.run("log", lambda: LOG.append("step"))
    return f"{db.name}: {repository}"


def handler_sync(
    ctx: ContextSync[Any],
    db: Annotated[Database, Depends(get_db_sync)],
    *,
    repository: Annotated[str, Depends(get_repository_sync)],
) -> str:
    ctx.step.run("log", lambda: LOG.append("step"))
    return f"{db.name}: {repository}"


@pytest.mark.parametrize("work", [handler, handler_sync])
async def test_e124_parameters_are_filled_once_a_call_and_closed(work: Any) -> None:
    assert await Stage(work).play() == f"db: {RUN_ID} in db"
    # Two calls: the first ends at its step and still closes what it opened.
    assert LOG == ["open db", "step", "close db", "open db", "close db"]


@pytest.mark.parametrize("blocking", [False, True])
async def test_d54_steps_have_scopes_of_their_own(blocking: bool) -> None:
    async def session(db: Annotated[Database, Depends(get_db)]) -> AsyncIterator[str]:
        LOG.append("begin")
        yield f"session of {db.name}"
        LOG.append("commit")

    def session_sync(db: Annotated[Database, Depends(get_db_sync)]) -> Iterator[str]:
        LOG.append("begin")
        yield f"session of {db.name}"
        LOG.append("commit")

    async def work(order: int, session: Annotated[str, Depends(session, scope="step")]) -> str:
        return f"{order} in {session}"

    def work_sync(order: int, session: str = Depends(session_sync, scope="step")) -> str:
        return f"{order} in {session}"

    async def function(ctx: Context[Any], db: Annotated[Database, Depends(get_db)]) -> list[str]:
        return [await ctx.step.run("work", inject(work), order) for order in (1, 2)]

    def function_sync(ctx: ContextSync[Any], db: Database = Depends(get_db_sync)) -> list[str]:
        return [ctx.step.run("work", inject(work_sync), order) for order in (1, 2)]

    stage = Stage(function_sync if blocking else function)
    assert await stage.play_live() == ["1 in session of db", "2 in session of db"]
    assert LOG == ["open db", "begin", "commit", "begin", "commit", "close db"]


async def test_d54_branches_that_ask_at_once_share_what_is_made() -> None:
    made: list[int] = []

    async def slow() -> int:
        made.append(1)
        await asyncio.sleep(0.01)
        return len(made)

    async def work(number: Annotated[int, Depends(slow)]) -> int:
        return number

    async def function(ctx: Context[Any], _: Annotated[Database, Depends(get_db)]) -> Any:
        return await asyncio.gather(inject(work)(), inject(work)())

    assert await Stage(function).play() == [1, 1]


async def test_d54_workers_keep_things_for_all_calls() -> None:
    async def function(
        ctx: Context[Any], db: Annotated[Database, Depends(get_db, scope="worker")]
    ) -> str:
        return db.name

    def function_sync(
        ctx: ContextSync[Any], db: Database = Depends(get_db_sync, scope="worker")
    ) -> str:
        return db.name

    for _ in range(2):
        await Stage(function).play()
        await Stage(function_sync).play()
    assert LOG == ["open db", "open db"]  # one for the event loop, one for threads
    await close_dependencies()
    assert LOG[2:] == ["close db", "close db"]


async def test_d54_a_provider_learns_what_went_wrong() -> None:
    async def transaction() -> AsyncIterator[str]:
        try:
            yield "t"
        except ValueError as error:
            LOG.append(f"rolled back: {error}")
            raise

    async def function(ctx: Context[Any], t: Annotated[str, Depends(transaction)]) -> None:
        raise ValueError("no stock")

    assert (await Stage(function).play())["message"] == "no stock"
    assert LOG == ["rolled back: no stock"]


async def test_d54_a_provider_that_fails_fails_the_call() -> None:
    async def broken() -> str:
        raise ConnectionError("no database")

    async def function(ctx: Context[Any], t: Annotated[str, Depends(broken)]) -> None:
        return None

    assert (await Stage(function).play())["message"] == "no database"


async def test_d54_tests_put_others_in_their_place() -> None:
    async def fake() -> Database:
        return Database("fake", [])

    with override(get_db, fake):
        assert await Stage(handler).play() == f"fake: {RUN_ID} in fake"
        with override(get_db, lambda: Database("other", [])):
            assert (await Stage(handler).play()).startswith("other")
        assert (await Stage(handler).play()).startswith("fake")
    assert (await Stage(handler).play()).startswith("db")


async def test_d54_inject_works_without_a_function() -> None:
    async def work(order: int, db: Annotated[Database, Depends(get_db)]) -> str:
        return f"{order} {db.name}"

    assert await inject(work)(1) == "1 db"
    assert LOG == ["open db", "close db"]


def test_d54_classes_are_providers_and_texts_are_annotations() -> None:
    def work(service: "Annotated[Service, Depends(Service)]") -> int:
        return service.limit

    assert inject(work)() == 3


async def test_e124_mistakes_with_parameters_are_named() -> None:
    with pytest.raises(ConfigurationError, match="give a function that makes the value"):
        Depends(1)  # type: ignore[call-overload]
    with pytest.raises(ConfigurationError, match="choose one of run, step, worker"):
        Depends(get_db, scope="request")  # type: ignore[call-overload]

    async def in_step(ctx: Context[Any], db: Any = Depends(get_db, scope="step")) -> None:
        return None

    with pytest.raises(ConfigurationError, match='has the scope "step"'):
        Stage(in_step)

    def waits(ctx: ContextSync[Any], db: Any = Depends(get_db)) -> None:
        return None

    failed = await Stage(waits).play()
    assert "get_db is a coroutine function" in failed["message"]

    async def forgotten(ctx: Context[Any], db: Database, more: Any = Depends(get_db)) -> None:
        return None

    with pytest.raises(FunctionConfigInvalidError, match='its parameter "db" has no Depends'):
        Stage(forgotten)

    async def nameless(*, db: Any = Depends(get_db)) -> None:
        return None

    with pytest.raises(FunctionConfigInvalidError, match="first parameter must be the context"):
        Stage(nameless)
