"""Every Pydantic model that users construct says what is wrong in one sentence each: path, value
and fix. The models are found, so that a new one is judged, too."""

import datetime as dt
import importlib
import inspect
import pkgutil
from collections.abc import Callable, Iterator
from typing import Any

import pydantic
import pytest

import stepwell
from stepwell import Event, EventModel, EventSchemas, FunctionConfigInvalidError
from stepwell.sdk.function.declaration import Declaration
from tests.ids import exact

NOW = dt.datetime(2030, 1, 1, tzinfo=dt.UTC)
WRONG = object()


def modules() -> Iterator[Any]:
    for found in pkgutil.walk_packages([f"{stepwell.__path__[0]}/sdk"], "stepwell.sdk."):
        yield importlib.import_module(found.name)


MODELS = sorted(
    {
        model
        for module in modules()
        for _, model in inspect.getmembers(module, inspect.isclass)
        if issubclass(model, pydantic.BaseModel) and model.__module__.startswith("stepwell.")
    },
    key=lambda model: model.__name__,
)


def test_the_models_are_found() -> None:
    assert {Event, EventModel, stepwell.Batch, stepwell.SendEventsResult} <= set(MODELS)
    assert len(MODELS) > 25


@pytest.mark.parametrize("model", MODELS)
def test_a_wrong_value_is_told_in_one_sentence(model: type[pydantic.BaseModel]) -> None:
    for name, field in model.model_fields.items():
        key = field.alias or name
        try:
            model(**{key: WRONG})
        except FunctionConfigInvalidError as error:
            told = [one for one in str(error).split("; ") if f"{model.__name__}.{key} = " in one]
        except pydantic.ValidationError as error:
            told = [one["msg"] for one in error.errors() if one["loc"][0] == key]
        else:
            continue  # it takes whatever it is given
        if not told:
            continue  # the same, and another field is missing
        (sentence,) = told
        value, _, fix = sentence.removeprefix(f"{model.__name__}.{key} = ").partition(": ")
        assert value.startswith("<object object"), sentence
        assert len(fix.split()) > 1, sentence


@pytest.mark.parametrize("model", MODELS)
def test_what_is_missing_is_told_in_one_sentence(model: type[pydantic.BaseModel]) -> None:
    needed = {f.alias or n for n, f in model.model_fields.items() if f.is_required()}
    try:
        model()
    except FunctionConfigInvalidError as error:
        told = str(error)
    except pydantic.ValidationError as error:
        told = "; ".join(one["msg"] for one in error.errors())
    else:
        told = ""
    for key in needed:
        assert f"{model.__name__}.{key} is missing: give " in told.replace(
            "(is name meant for it?)", ""
        )


def test_every_model_is_of_one_of_two_kinds() -> None:
    clear = stepwell.sdk.events.refusal.Clear
    assert [one for one in MODELS if not issubclass(one, Declaration | clear)] == []


class Paid(EventModel, name="shop/paid"):
    extra: stepwell.JSON = None
    either: dict[str, int] | list[int] | None = None


NO_JSON = (
    "Input should be a valid boolean, a valid integer, a valid number, a valid string,"
    " a valid dictionary or an instance of Sequence"
)
UNIONS: list[tuple[Callable[[], Any], tuple[Any, ...], str]] = [
    (lambda: Paid(extra=NOW), ("extra",), NO_JSON),  # type: ignore[arg-type]
    (
        lambda: Event[dict[str, stepwell.JSON]](name="a", data={"t": NOW}),  # type: ignore[dict-item]
        ("data", "t"),
        NO_JSON,
    ),
    (
        lambda: Paid(either={"a": "x"}),  # type: ignore[dict-item]
        ("either",),
        (
            "Input should be of one of its types (dict[str,int].a: Input should be a valid integer,"
            " unable to parse string as an integer; list[int]: Input should be a valid list)"
        ),
    ),
]


@pytest.mark.parametrize(("make", "place", "words"), UNIONS, ids=exact)
def test_alternatives_of_a_union_are_one_sentence(
    make: Callable[[], Any], place: tuple[Any, ...], words: str
) -> None:
    with pytest.raises(pydantic.ValidationError) as caught:
        make()
    (problem,) = caught.value.errors()
    assert (problem["loc"], problem["msg"]) == (place, words)


async def test_alternatives_of_a_schema_are_one_problem() -> None:
    class Plain(pydantic.BaseModel):
        at: int | list[int]

    schemas = EventSchemas().from_record({"shop/paid": Plain})
    client = stepwell.Inngest(app_id="shop", is_production=False, schemas=schemas)
    with pytest.raises(stepwell.EventValidationError) as caught:
        await client.send({"name": "shop/paid", "data": {"at": "soon"}})
    (problem,) = caught.value.problems
    assert problem[:2] == (0, "data.at")
    assert problem[2].startswith("Input should be ")
