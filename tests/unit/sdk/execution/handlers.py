"""Small handlers that the tests of calls share."""

from collections.abc import Callable
from typing import Any

from stepwell.sdk.step.context import Context, ContextSync


async def give(value: Any) -> Any:
    return value


def fail(error: BaseException) -> Any:
    raise error


async def afail(error: BaseException) -> Any:
    raise error


def in_both_colours(body: Callable[[], Any]) -> list[Any]:
    """A handler without steps in both colours, named alike."""

    async def coroutine(ctx: Context) -> Any:
        return body()

    def plain(ctx: ContextSync) -> Any:
        return body()

    return [coroutine, plain]


def stepping(body: Callable[[], Any]) -> list[Any]:
    """A handler with one step in both colours."""

    async def coroutine(ctx: Context) -> Any:
        return await ctx.step.run("a", lambda: body())  # noqa: PLW0108

    def plain(ctx: ContextSync) -> Any:
        return ctx.step.run("a", body)

    return [coroutine, plain]


# What handlers raise and return
