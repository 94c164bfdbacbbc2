"""What a user's callable looks like: colour, parameters, type of its result."""

import datetime as dt
import functools
from collections.abc import Awaitable, Coroutine
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from msgspec import Raw, Struct

from stepwell.sdk.function.dependency import inject
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


def test_a_lambda_says_nothing_of_its_result() -> None:
    assert traits_of(coroutine).codec is codec_of(dt.date)
    assert traits_of(lambda: 1).codec is PLAIN


# What is known of a callable belongs to that callable, whoever else has the same code.


def traced(handler: Any) -> Any:
    @functools.wraps(handler)
    def run(*args: Any) -> Any:
        return handler(*args)

    return run


def price() -> Decimal:
    return Decimal("19.90")


def zip_code() -> str:
    return "01067"


def of_kind(kind: Any) -> Any:
    def make() -> kind:
        return kind()

    return make


def textual_of_kind(kind: Any) -> Any:
    def make() -> "kind":
        return kind()

    return make


def shared_by_partials(kind: Any) -> Any:
    return functools.partial(of_kind(kind))


def shared_by_methods(kind: Any) -> Any:
    class Maker:
        def make(self) -> kind:
            return kind()

    return Maker().make


def shared_by_instances(kind: Any) -> Any:
    class Maker:
        def __call__(self) -> kind:
            return kind()

    return Maker()


@pytest.mark.parametrize(
    "maker",
    [
        lambda kind: traced(of_kind(kind)),
        lambda kind: inject(of_kind(kind)),
        of_kind,
        textual_of_kind,
        shared_by_partials,
        shared_by_methods,
        shared_by_instances,
    ],
)
def test_callables_that_share_code_keep_their_own_types(maker: Any) -> None:
    kinds = (Decimal, str, dt.date, UUID, int)
    handlers = [maker(kind) for kind in kinds]
    for _ in range(2):
        for handler, kind in zip(handlers, kinds, strict=True):
            assert traits_of(handler).codec is codec_of(kind)


def test_functions_behind_one_decorator_keep_their_own_types_and_colours() -> None:
    assert traits_of(traced(price)).codec is codec_of(Decimal)
    assert traits_of(traced(zip_code)).codec is PLAIN
    assert traits_of(traced(coroutine)).colour is Colour.COROUTINE
    assert traits_of(traced(zip_code)).colour is Colour.PLAIN


def test_two_classes_of_one_name_are_two_types() -> None:
    def make_class() -> Any:
        class Order(Struct):
            id: int

        return Order

    one, other = make_class(), make_class()
    assert type(codec_of(one).decode(Raw(b'{"id":1}'))) is one
    assert type(codec_of(other).decode(Raw(b'{"id":1}'))) is other
    assert type(traits_of(of_kind(other)).codec.decode(Raw(b'{"id":1}'))) is other


def test_a_function_defined_anew_is_a_new_one() -> None:
    cell = "def answer() -> {}:\n    return 1\n"
    notebook: dict[str, Any] = {}
    for kind in ("int", "float", "int"):
        exec(cell.format(kind), notebook)
        assert traits_of(notebook["answer"]).codec is codec_of(
            notebook["answer"].__annotations__["return"]
        )


def test_a_name_given_to_another_class_means_that_one() -> None:
    """As when a cell of a notebook that defines a class is run again."""
    notebook: dict[str, Any] = {}
    exec("class Order: pass\ndef order() -> 'Order':\n    return Order()\n", notebook)
    assert return_type(notebook["order"]) is notebook["Order"]
    exec("class Order: pass\n", notebook)
    assert return_type(notebook["order"]) is notebook["Order"]


def test_an_identity_used_again_after_collection_means_nothing() -> None:
    for turn in range(200):
        kind: Any = (Decimal, dt.date, UUID)[turn % 3]
        assert traits_of(traced(of_kind(kind))).codec is codec_of(kind)  # freed at once, each


def test_an_annotation_may_name_types_by_text_inside_of_others() -> None:
    def orders() -> list["dt.date"]:
        return []

    assert return_type(orders) == list[dt.date]


def test_a_wrapper_may_say_that_it_returns_something_else() -> None:
    def as_text(handler: Any) -> Any:
        @functools.wraps(handler, assigned=("__name__",))
        def run() -> str:
            return str(handler())

        return run

    assert return_type(as_text(price)) is str


@pytest.mark.parametrize(
    ("handler", "count"),
    [(coroutine, 0), (plain, 0), (unannotated, 1), (lambda a, b: 0, 2), (lambda *a: 0, 0)],
)
def test_parameters_that_must_be_given(handler: Any, count: int) -> None:
    assert positional_parameters(handler) == count
