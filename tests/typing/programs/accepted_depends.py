"""Dependencies as parameters: a program that both checkers accept, with the types it says."""

from collections.abc import AsyncIterator, Iterator
from typing import Annotated, assert_type

import stepwell
from stepwell import Depends, inject

client = stepwell.Inngest(app_id="shop", is_production=False)
trigger = stepwell.TriggerEvent(event="order/paid")


class Database:
    async def count(self) -> int:
        return 1


async def get_db() -> AsyncIterator[Database]:
    yield Database()


def get_limit() -> Iterator[int]:
    yield 3


async def get_name() -> str:
    return "x"


assert_type(Depends(get_db), Database)
assert_type(Depends(get_limit), int)
assert_type(Depends(get_name), str)
assert_type(Depends(Database, scope="worker"), Database)


async def work(order: int, db: Annotated[Database, Depends(get_db)]) -> int:
    return order + await db.count()


@client.create_function(fn_id="annotated", trigger=trigger)
async def annotated(ctx: stepwell.Context, db: Annotated[Database, Depends(get_db)]) -> int:
    number = await ctx.step.run("work", inject(work), 1)
    assert_type(number, int)
    return number + await db.count()


@client.create_function(fn_id="defaults", trigger=trigger)
async def defaults(ctx: stepwell.Context, db: Database = Depends(get_db)) -> str:
    return ctx.run_id


@client.create_function(fn_id="blocking", trigger=trigger)
def blocking(ctx: stepwell.ContextSync, *, limit: Annotated[int, Depends(get_limit)]) -> int:
    return limit


assert_type(annotated, stepwell.Function[int])
assert_type(defaults, stepwell.Function[str])
assert_type(blocking, stepwell.Function[int])
