"""Results by their declared type: first run and replay give the same (features D-3, D-4)."""

import datetime as dt
import enum
import uuid
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from ipaddress import IPv4Address
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, TypedDict, TypeVar

import msgspec
import pydantic
import pytest

from stepwell.sdk.events.event import JSON
from stepwell.sdk.value.codec import (
    PLAIN,
    CodecError,
    SerializerCodec,
    codec_of,
    encode_any,
    is_plain,
    settle,
)
from stepwell.sdk.value.serializer import PydanticSerializer
from stepwell.wire.canonical import jcs
from tests.ids import exact, steady

T = TypeVar("T")


class Carrying(pydantic.BaseModel):
    x: list[int | float]

    def __init__(self, *one: Any, **fields: Any) -> None:
        super().__init__(**(fields or {"x": list(one)}))


@dataclass
class DataCarrying:
    x: Any

    def __init__(self, x: Any) -> None:
        self.x = x if isinstance(x, list) else [x]


class Size(enum.Enum):
    SMALL = "small"


class Level(enum.IntEnum):
    LOW = 1


class Model(pydantic.BaseModel):
    id: uuid.UUID
    at: dt.datetime
    alias: int = pydantic.Field(alias="aliasName", default=1)


class Other(pydantic.BaseModel):
    kind: Literal["other"] = "other"


@dataclass
class Data:
    price: Decimal
    model: Model
    tags: set[str] = field(default_factory=set)


class Record(msgspec.Struct):
    size: Size
    raw: bytes


@dataclass
class Optionals:
    name: str | None
    value: float | None


class OptionalModel(pydantic.BaseModel):
    x: float | None = None


@dataclass
class Either:
    value: str | dt.datetime


class Row(TypedDict):
    when: dt.date


class Point(NamedTuple):
    x: int
    y: int


NOW = dt.datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=dt.UTC)
MODEL = Model(id=uuid.UUID(int=1), at=NOW)

TYPED: list[tuple[Any, Any]] = [
    (Data, Data(Decimal("1.50"), MODEL, {"a"})),
    (Model, MODEL),
    (list[Model], [MODEL]),
    (dict[str, Model], {"a": MODEL}),
    (Model | None, None),
    (Model | Other, Other()),
    (Model | Other, MODEL),
    (Record, Record(Size.SMALL, b"\x00\xff")),
    (Row, {"when": NOW.date()}),
    (dt.datetime, NOW),
    (dt.datetime, NOW.replace(tzinfo=None)),
    (dt.date, NOW.date()),
    (dt.time, NOW.time()),
    (dt.timedelta, dt.timedelta(days=1, milliseconds=5)),
    (uuid.UUID, uuid.UUID(int=5)),
    (Decimal, Decimal("0.10")),
    (Size, Size.SMALL),
    (Level, Level.LOW),
    (bytes, b"\x00\xff"),
    (set[int], {1, 2}),
    (frozenset[str], frozenset({"a"})),
    (tuple[int, str], (1, "a")),
    (tuple[int, ...], (1, 2, 3)),
    (Point, Point(1, 2)),
    (float, 5.0),
    (list[float], [1.0, 2.5]),
    (dict[int, str], {1: "a"}),
    (dict[str, tuple[int, Size]], {"a": (1, Size.SMALL)}),
    (Annotated[Decimal, "price"], Decimal("3.0")),
    (list[Record] | None, [Record(Size.SMALL, b"")]),
    (Path, Path("/a/b")),
    (list[Path], [Path("/a")]),
    (Path | None, Path("/a")),
    (IPv4Address, IPv4Address("10.0.0.1")),
    (deque[int], deque([1, 2])),
    (Iterable[dt.date], [NOW.date()]),
    (Row | Point, {"when": NOW.date()}),
    (Decimal | str, Decimal("1.5")),
    (dt.date | dt.datetime, NOW),
    (Model | dt.date, NOW.date()),
    (str | list[Model], [MODEL]),
]


@pytest.mark.parametrize(("kind", "value"), TYPED, ids=steady)
def test_typed_values_come_back_as_they_went(kind: Any, value: Any) -> None:
    codec = codec_of(kind)
    raw, first = settle(codec, value)
    replayed = codec.decode(raw)
    assert first == value
    assert type(first) is type(value)
    assert replayed == first
    assert type(replayed) is type(first)
    msgspec.json.decode(raw)


@pytest.mark.parametrize(
    "value",
    [None, True, False, 0, -5, 2**53, "", "é\u2028", [1, [2]], {"a": {"b": None}}, 1.5, [], {}],
    ids=exact,
)
def test_plain_values_come_back_as_they_went(value: Any) -> None:
    raw, first = settle(PLAIN, value)
    assert first == value == PLAIN.decode(raw)
    assert type(first) is type(PLAIN.decode(raw)) is type(value)


def test_plain_values_become_what_json_makes_of_them() -> None:
    """The same on the first run as on every replay, whatever it is."""
    for value, expected in [((1, 2), [1, 2]), ({1: 2}, {"1": 2}), (Level.LOW, 1)]:
        raw, first = settle(PLAIN, value)
        assert first == expected
        assert type(first) is type(expected)
        assert type(PLAIN.decode(raw)) is type(first)


def test_what_a_step_returned_can_be_changed_without_harm() -> None:
    shared = {"a": [1]}
    _, first = settle(PLAIN, shared)
    first["a"].append(2)
    assert shared == {"a": [1]}


class Alien:
    pass


@pytest.mark.parametrize(
    ("kind", "value", "words"),
    [
        (object, NOW, "annotate the return type"),
        (object, Alien(), "Alien is not JSON serializable"),
        (object, {1, 2}, "output_type="),
        (object, MODEL, "annotate the return type"),
        (int, float("nan"), "finite"),
        (object, float("inf"), "finite"),
        (object, "\ud800", "surrogates"),
        (object, ["\ud800"], "surrogates"),
        (float, float("nan"), "nan is no number of JSON"),
        (float | None, float("nan"), "nan is no number of JSON: return None"),
        (list[float | None], [None, float("-inf")], "-inf is no number of JSON"),
        (Optionals, Optionals(None, float("inf")), "inf is no number of JSON"),
        (OptionalModel, OptionalModel(x=float("nan")), "nan is no number of JSON"),
        (float | str | bytes, float("nan"), "null is no float"),
        (Data, 5, "5 is no Data"),
        (Alien, Alien(), "Alien"),
        (Record, Record(Size.SMALL, b"x" * 3).raw, "is no Record"),
        (Decimal, "x", "is no Decimal"),
        (complex, 1j, "complex is nothing JSON can carry"),
        (type, int, "type is nothing JSON can carry"),
        (Exception, ValueError("x"), "ValueError is nothing JSON can carry"),
        (str | dt.datetime, NOW, "does not tell datetime from str in JSON"),
        (str | bytes, b"ab", "come back as str: give each a field of its own"),
        (uuid.UUID | str, str(uuid.UUID(int=1)), "does not tell str from UUID"),
        (list[str | dt.datetime], ["x", NOW], "does not tell datetime from str"),
        (dict[str, Size | str], {"a": Size.SMALL}, "does not tell Size from str"),
        (Either, Either(NOW), "Either does not tell datetime from str"),
        (list[int] | set[int], {1}, "does not tell set from list"),
    ],
    ids=exact,
)
def test_what_cannot_travel_is_refused(kind: Any, value: Any, words: str) -> None:
    with pytest.raises(CodecError, match=words):
        settle(codec_of(kind), value)


@pytest.mark.parametrize("kind", [object, int])
def test_an_integer_too_long_for_anything_is_refused(kind: Any) -> None:
    with pytest.raises(CodecError, match=r"4300|range"):
        settle(codec_of(kind), 10**4300)


def test_a_value_nested_too_deeply_is_refused() -> None:
    value: list[Any] = []
    for _ in range(100_000):
        value = [value]
    with pytest.raises(CodecError):
        settle(PLAIN, value)


@pytest.mark.parametrize(
    ("kind", "plain"),
    [
        (str, True),
        (int, True),
        (None, True),
        (Any, True),
        (T, True),
        (JSON, True),
        (dict[str, object], True),
        (list[dict[str, int | None]], True),
        (Mapping[str, Sequence[str]], True),
        (Literal["a", 1, None], True),  # noqa: PYI061
        (list, True),
        (float, False),
        (tuple[int, int], False),
        (dict[int, str], False),
        (Row, False),
        (Model, False),
        (set[int], False),
        (Size, False),
    ],
    ids=steady,
)
def test_plain_types_take_the_short_way(kind: Any, plain: bool) -> None:
    assert is_plain(kind) is plain
    assert (codec_of(kind) is PLAIN) is plain


def test_plain_annotations_are_no_promise() -> None:
    """As with the official SDK: what JSON can carry is carried."""
    assert settle(codec_of(dict[str, str]), {"a": 1})[1] == {"a": 1}


def test_canonical_form_is_sent() -> None:
    raw, _ = settle(PLAIN, {"b": 1.0, "a": "é"})
    assert bytes(raw) == '{"a":"é","b":1.0}'.encode()
    raw, value = settle(PLAIN, {"b": 1.0, "a": "é"}, exact=False)
    assert bytes(raw) == '{"a":"é","b":1}'.encode()
    assert type(value["b"]) is int  # as it will be on every replay


NUMBERS = [0, 1, -1, *(s * n for s in (1, -1) for n in (2**53 - 1, 2**53, 2**53 + 1, 2**63 - 1))]
NUMBERS += [2**63, -(2**63) - 1, 2**64, 2**64 + 1, 175928847299117063, 10**400, -(10**400)]
NUMBERS += [1.0, -0.0, 0.0, 1e15, 1e16, 1e21, 1e22, 1.5, 1e-7, 5e-324, 1.7976931348623157e308]


@pytest.mark.parametrize("kind", [object, Any, dict[str, Any], Carrying, DataCarrying])
@pytest.mark.parametrize("number", NUMBERS, ids=lambda n: repr(n)[:30])
def test_numbers_keep_their_value_and_kind(kind: Any, number: float) -> None:
    value = kind(number) if kind in (Carrying, DataCarrying) else {"x": [number]}
    raw, first = settle(codec_of(kind), value)
    for found in (first, codec_of(kind).decode(raw)):
        (got,) = found["x"] if isinstance(found, dict) else found.x
        assert (type(got), repr(got)) == (type(number), repr(number))


@pytest.mark.parametrize("number", NUMBERS, ids=lambda n: repr(n)[:30])
def test_where_servers_round_nothing_is_sent_that_they_would_change(number: float) -> None:
    if isinstance(number, int) and abs(number) > 2**53:
        with pytest.raises(CodecError, match=r"is beyond 2\*\*53, where this server rounds"):
            settle(PLAIN, number, exact=False)
        return
    raw, first = settle(PLAIN, number, exact=False)
    assert first == number
    assert bytes(raw) == jcs(bytes(raw))


def test_encode_any_knows_values_of_undeclared_type() -> None:
    assert bytes(encode_any(MODEL))[:9] == b'{"aliasNa'
    assert bytes(encode_any(Size.SMALL)) == b'"small"'
    assert bytes(encode_any((1, 2))) == b"[1,2]"
    with pytest.raises(CodecError):
        encode_any(Alien())
    with pytest.raises(CodecError, match="nan is no number of JSON"):
        encode_any({"a": float("nan")})


def test_a_serializer_of_ones_own() -> None:
    codec = SerializerCodec(PydanticSerializer(), Model)
    plain = SerializerCodec(PydanticSerializer(), list[dt.date])
    raw, first = settle(plain, [NOW.date()])
    assert first == [NOW.date()]
    assert bytes(raw) == b'["2026-01-02"]'
    with pytest.raises(CodecError, match="the serializer failed"):
        codec.decode(msgspec.Raw(b"5"))
    with pytest.raises(CodecError, match="the serializer failed"):
        SerializerCodec(Broken(), int).encode(1)


class Broken:
    def serialize(self, obj: object, typ: object) -> object:
        raise RuntimeError("broken")

    def deserialize(self, obj: object, typ: object) -> object:
        return obj


def test_codecs_are_kept_per_type() -> None:
    assert codec_of(Model) is codec_of(Model)
    assert codec_of(list[Model]) is codec_of(list[Model])


class Cat(pydantic.BaseModel):
    name: str


class Dog(pydantic.BaseModel):
    name: str


def test_the_order_of_a_union_counts_whichever_was_seen_first() -> None:
    """The two unions are equal, but what fits both becomes the first that is named."""
    pet = msgspec.Raw(b'{"name":"Rex"}')
    for _ in range(2):
        assert type(codec_of(Cat | Dog).decode(pet)) is Cat
        assert type(codec_of(Dog | Cat).decode(pet)) is Dog
        assert type(PydanticSerializer().deserialize({"name": "Rex"}, Cat | Dog)) is Cat
        assert type(PydanticSerializer().deserialize({"name": "Rex"}, Dog | Cat)) is Dog
    assert [
        type(one) for one in codec_of(list[Dog | Cat]).decode(msgspec.Raw(b'[{"name":"R"}]'))
    ] == [Dog]
    assert [
        type(one) for one in codec_of(list[Cat | Dog]).decode(msgspec.Raw(b'[{"name":"R"}]'))
    ] == [Cat]
