"""What a user's callable looks like: colour, parameters, type of its result."""

import datetime as dt
import functools
from collections.abc import Awaitable, Coroutine
from typing import Any

import pytest

from stepwell.sdk.step.handler import (
    Colour,
    is_async,
    positional_parameters,
    return_type,
    traits_of,
)
from stepwell.sdk.value.codec import PLAIN, codec_of
from tests.ids import exact


async def coroutine() -> dt.date:
    return dt.date(2026, 1, 2)


def plain(value: int = 1) -> int:
    return value


def unannotated(value):  # type: ignore[no-untyped-def]
    return value


def awaitable() -> Awaitable[dt.date]:
    return coroutine()


def coroutine_maker() -> Coroutine[Any, Any, dt.date]:
    return coroutine()


def none() -> None:
    return None


def textual() -> "dt.date":
    return dt.date(2026, 1, 2)


def unknown() -> "Nowhere":  # type: ignore[name-defined]  # noqa: F821
    return None


class Callable_:
    async def __call__(self) -> dt.date:
        return dt.date(2026, 1, 2)

    async def method(self) -> dt.date:
        return dt.date(2026, 1, 2)

    @staticmethod
    async def static() -> dt.date:
        return dt.date(2026, 1, 2)


@functools.wraps(coroutine)
def wrapped(*args: Any) -> Any:
    return coroutine(*args)


ASYNC: list[Any] = [
    coroutine,
    functools.partial(coroutine),
    functools.partial(functools.partial(coroutine)),
    Callable_(),
    Callable_().method,
    Callable_.static,
    functools.partial(Callable_().method),
    wrapped,
]


@pytest.mark.parametrize("handler", ASYNC, ids=exact)
def test_coroutine_functions_are_known_however_wrapped(handler: Any) -> None:
    assert is_async(handler)
    assert traits_of(handler).colour is Colour.COROUTINE
    assert return_type(handler) is dt.date


@pytest.mark.parametrize("handler", [plain, unannotated, dict, len, dt.date, textual, awaitable])
def test_plain_functions_run_in_threads(handler: Any) -> None:
    assert not is_async(handler)
    assert traits_of(handler).colour is Colour.PLAIN


def test_lambdas_are_called_on_the_loop() -> None:
    assert traits_of(lambda: coroutine()).colour is Colour.EXPRESSION  # noqa: PLW0108


@pytest.mark.parametrize(
    ("handler", "kind"),
    [
        (plain, int),
        (unannotated, Any),
        (none, None),
        (dt.date, dt.date),
        (awaitable, dt.date),
        (coroutine_maker, dt.date),
        (textual, dt.date),
        (unknown, Any),
        (len, Any),
        (lambda: 1, Any),
    ],
)
def test_return_types(handler: Any, kind: Any) -> None:
    assert return_type(handler) is kind


def test_types_of_enclosing_functions_are_found() -> None:
    class Local:
        pass

    def handler() -> "Local":
        return Local()

    assert return_type(handler) is Local


def test_annotations_that_only_checkers_understand_are_told_of() -> None:
    assert traits_of(unknown).problem == (
        "its annotation 'Nowhere' cannot be read when the program runs: name 'Nowhere' is not"
        " defined; import what it names outside of TYPE_CHECKING"
    )
    assert traits_of(textual).problem == traits_of(plain).problem == ""


def test_traits_are_kept_by_code() -> None:
    def make() -> Any:
        async def handler() -> dt.date:
            return dt.date(2026, 1, 2)

        return handler

    assert traits_of(make()) is traits_of(make())
    assert traits_of(coroutine).codec is codec_of(dt.date)
    assert traits_of(lambda: 1).codec is PLAIN


@pytest.mark.parametrize(
    ("handler", "count"),
    [(coroutine, 0), (plain, 0), (unannotated, 1), (lambda a, b: 0, 2), (lambda *a: 0, 0)],
)
def test_parameters_that_must_be_given(handler: Any, count: int) -> None:
    assert positional_parameters(handler) == count
