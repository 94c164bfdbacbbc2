"""The functions of an endpoint: how they are found, and which lists of them are refused."""

import logging
from typing import Any

import pytest

from stepwell import (
    ConfigurationError,
    Context,
    FunctionConfigInvalidError,
    Inngest,
    TriggerEvent,
)
from stepwell.sdk.errors import FunctionNotFoundError
from stepwell.sdk.function.function import Function
from stepwell.sdk.serve.handler import ServeHandler
from stepwell.sdk.serve.table import FunctionTable

LOGGER = logging.getLogger("table")


def make(fn_id: str, **options: Any) -> Function[Any]:
    client = Inngest(app_id="app")

    @client.create_function(fn_id=fn_id, trigger=TriggerEvent(event="a"), **options)
    async def handler(ctx: Context) -> None: ...

    return handler


async def on_failure(ctx: Context) -> None: ...


def table(*functions: Any) -> FunctionTable:
    return FunctionTable("app", functions, LOGGER)


def test_functions_are_found_by_either_id() -> None:
    one, two = make("one"), make("two", on_failure=on_failure)
    made = table(one, two)
    assert made.find("app-one") is made.find("one") is one
    assert made.find("app-two-failure") is two.failure_function
    assert len(made) == 2
    assert [config.id for config in made.configs("http://h")] == [
        "app-one",
        "app-two",
        "app-two-failure",
    ]
    assert list(made.by_id) == ["app-one", "app-two", "app-two-failure"]


def test_e_100_unknown_functions_name_the_known_ones() -> None:
    with pytest.raises(FunctionNotFoundError, match=r'"app-x"; this endpoint serves "app-one"\n'):
        table(make("one")).find("app-x")
    with pytest.raises(FunctionNotFoundError, match="serves none at all"):
        table().find("app-x")
    with pytest.raises(FunctionNotFoundError, match=r"and 5 more\n"):
        table(*(make(f"f{n}") for n in range(25))).find("app-x")


def test_e_101_ids_that_repeat() -> None:
    with pytest.raises(FunctionConfigInvalidError, match='Duplicate function ID "app-one"; please'):
        table(make("one"), make("one"))
    with pytest.raises(FunctionConfigInvalidError, match='"app-one-failure"'):
        table(make("one", on_failure=on_failure), make("one-failure"))


def test_e_102_what_is_no_function() -> None:
    with pytest.raises(FunctionConfigInvalidError, match=r"functions\[1\].*forget the decorator"):
        table(make("one"), on_failure)
    with pytest.raises(FunctionConfigInvalidError, match=r"functions\[0\] is a str"):
        table("one")


def test_arguments_that_changed_places() -> None:
    client = Inngest(app_id="a", is_dev=True)
    with pytest.raises(ConfigurationError, match="client = 5: give the Inngest client"):
        ServeHandler(5, [], framework="x")  # type: ignore[arg-type]
    with pytest.raises(FunctionConfigInvalidError, match="functions = 5: give a list"):
        ServeHandler(client, 5, framework="x")  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match=r"streaming = 'often': give Streaming\.FORCE"):
        ServeHandler(client, [], framework="x", streaming="often")  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match="serve_path = 5: give text"):
        ServeHandler(client, [], framework="x", serve_path=5)  # type: ignore[arg-type]


def test_e_102_nothing_is_left_out_silently(caplog: pytest.LogCaptureFixture) -> None:
    assert len(table(make("one"), None)) == 1
    assert "functions[1] is None" in caplog.text
    caplog.clear()
    table()
    assert "serves no functions" in caplog.text
