"""Registers middleware with a client or a function: the only place that says when `init` runs."""

from collections.abc import Iterable
from inspect import isawaitable
from typing import Any, cast

from stepwell.sdk import background
from stepwell.sdk.errors import ConfigurationError
from stepwell.sdk.function.middleware_factory import MiddlewareFactory
from stepwell.sdk.middleware.declared import InngestMiddleware
from stepwell.sdk.middleware.layer import BaseMiddleware


def enrolled(
    factories: Iterable[MiddlewareFactory], client: Any, fn: Any
) -> list[MiddlewareFactory]:
    """The factories as the chain uses them, in their order; `fn` is None for a client's own.

    `init` and `on_register` run here, once for each. Raises ConfigurationError for what cannot be
    called, and whatever they raise.
    """
    return [_enrolled(factory, client, fn) for factory in factories]


def _enrolled(factory: MiddlewareFactory, client: Any, fn: Any) -> MiddlewareFactory:
    if isinstance(factory, InngestMiddleware):
        return factory.registered(client, fn)
    if isinstance(factory, type):
        _tell(factory, client, fn)
        return cast(MiddlewareFactory, factory)
    if not callable(cast(object, factory)):
        raise ConfigurationError(
            f"middleware: {factory!r} cannot be called: give a class, a factory that takes"
            " (client, raw_request), or an InngestMiddleware"
        )
    return factory


def _tell(middleware: type[object], client: Any, fn: Any) -> None:
    if not issubclass(middleware, BaseMiddleware):
        return
    try:
        found: Any = middleware.on_register(client, fn)
        if isawaitable(found):
            background.run(_awaited(found))
    except Exception as error:
        error.add_note(f"raised by middleware {middleware.__name__}.on_register")
        raise


async def _awaited(found: Any) -> Any:
    return await found
