"""Dependencies on the context: row E-124."""

from dataclasses import dataclass
from typing import Any

import pytest

from stepwell.sdk.client.client import Inngest
from stepwell.sdk.errors import ConfigurationError
from stepwell.sdk.function.trigger import TriggerEvent
from stepwell.sdk.middleware.inject import dependency_injection_middleware
from stepwell.sdk.step.context import Context, ContextSync
from tests.replay.stage import Client, Stage


@dataclass
class Database:
    name: str


class Typed(Context[Any]):
    db: Database


async def handler(ctx: Typed) -> str:
    return ctx.db.name


def handler_sync(ctx: ContextSync[Any]) -> str:
    return ctx.db.name  # type: ignore[attr-defined,no-any-return]


@pytest.mark.parametrize("work", [handler, handler_sync])
async def test_e124_dependencies_are_attributes_of_the_context(work: Any) -> None:
    database = Database("main")
    client = Client(middleware=[dependency_injection_middleware(db=database, other=1)])
    stage = Stage(work, client=client)
    assert stage.result(await stage.call()) == "main"


async def test_e124_a_function_may_have_its_own() -> None:
    client = Inngest(app_id="app", middleware=[dependency_injection_middleware(db=Database("a"))])

    @client.create_function(
        fn_id="f",
        trigger=TriggerEvent(event="x"),
        middleware=[dependency_injection_middleware(db=Database("b"))],
    )
    async def inner(ctx: Context[Any]) -> Any:
        return ctx.db.name  # type: ignore[attr-defined]

    stage = Stage(inner, client=client)  # type: ignore[arg-type]
    assert stage.result(await stage.call()) == "b"


def test_e124_what_a_context_has_already_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="'event'"):
        dependency_injection_middleware(event=1)
