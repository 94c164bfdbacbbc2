"""How the data of events is judged: one port over all systems of models.

The only place that turns a type, a validator object or a callable into a `Validator`. Pydantic
judges models, dataclasses, TypedDicts, mappings and unions of them, msgspec its structs and attrs
classes; other validators are called.

Law: what is judged is JSON, whatever Python value it came from, because that is what is sent.
"""

import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import is_dataclass
from types import UnionType
from typing import Annotated, Any, Protocol, Union, cast, get_args, get_origin

import msgspec
import pydantic
from typing_extensions import TypeAliasType, is_typeddict

from stepwell.sdk.events.refusal import pydantic_problems, without_alternatives
from stepwell.sdk.value.codec import name_of
from stepwell.sdk.value.typed_dict import contains_itself, readable

Problem = tuple[str, str]
"""Where something is wrong, such as `data.email`, and what."""

_ANY = msgspec.json.Decoder()
_MSGSPEC_PLACE = re.compile(r"^(?P<text>.*?)(?: - at `\$?(?P<path>.*)`)?$", re.DOTALL)


class Unfit(ValueError):
    """A value does not fit its schema; `problems` names every place."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__(", ".join(f"{path}: {text}" for path, text in self.problems))

    def below(self, field: str) -> "Unfit":
        """The same, seen from the object that has the value as a field."""
        return Unfit([(f"{field}.{path}".rstrip("."), text) for path, text in self.problems])


class Validator(Protocol):
    """How values of one schema are judged."""

    def load(self, body: bytes) -> Any:
        """The value that JSON stands for. Raises Unfit."""
        ...

    def dump(self, value: Any) -> Any:
        """A loaded value as plain JSON values, defaults filled in."""
        ...

    def json_schema(self) -> dict[str, Any] | None:
        """What is asked of a value, as JSON Schema; None if only code knows."""
        ...


class PydanticValidator:
    """Whatever Pydantic has a rule for, by that rule."""

    def __init__(self, kind: Any) -> None:
        self.kind = kind
        self._adapter = pydantic.TypeAdapter[Any](kind)

    def load(self, body: bytes) -> Any:
        """The value that JSON stands for. Raises Unfit with all problems."""
        try:
            # The adapter's own methods only fill in defaults, for a third of the whole time.
            return self._adapter.validator.validate_json(body)
        except pydantic.ValidationError as error:
            raise Unfit(problems_of(_plain(body), error)) from None

    def dump(self, value: Any) -> Any:
        """A loaded value as plain JSON values."""
        write = self._adapter.serializer.to_python
        return write(value, mode="json", by_alias=True, round_trip=True)

    def json_schema(self) -> dict[str, Any] | None:
        """The schema Pydantic makes of the type."""
        try:
            return self._adapter.json_schema()
        except pydantic.errors.PydanticInvalidForJsonSchema:
            return None


def problems_of(given: object, error: pydantic.ValidationError) -> list[Problem]:
    """What Pydantic complains of in what it was given, in our terms."""
    return [
        (
            ".".join(str(part) for part in problem["loc"]),
            problem["msg"].removeprefix("Value error, "),
        )
        for problem in without_alternatives(given, pydantic_problems(error))
    ]


def _plain(body: bytes) -> object:
    """A body that was refused, to find in it what is meant."""
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


class MsgspecValidator:
    """Structs and attrs classes, by the rules of msgspec: the first problem is told."""

    def __init__(self, kind: Any) -> None:
        self.kind = kind
        self._decoder = msgspec.json.Decoder[Any](kind)

    def load(self, body: bytes) -> Any:
        """The value that JSON stands for. Raises Unfit."""
        try:
            return self._decoder.decode(body)
        except msgspec.ValidationError as error:
            found = _MSGSPEC_PLACE.match(str(error))
            assert found is not None
            raise Unfit([((found["path"] or "").strip("."), found["text"])]) from None

    def dump(self, value: Any) -> Any:
        """A loaded value as plain JSON values."""
        return msgspec.to_builtins(value)

    def json_schema(self) -> dict[str, Any] | None:
        """The schema msgspec makes of the type."""
        return msgspec.json.schema(self.kind)


class CallableValidator:
    """A user's own check: it gets plain values, raises what is wrong, may return better ones.

    True and None say that the value is right as it is, False that it is wrong.
    """

    def __init__(self, check: Callable[[Any], Any]) -> None:
        self.kind = check
        self._check = check

    def load(self, body: bytes) -> Any:
        """The value, or what the check returned in its place. Raises Unfit."""
        value = _ANY.decode(body)
        try:
            found = self._check(value)
        except Unfit:
            raise
        except pydantic.ValidationError as error:
            raise Unfit(problems_of(value, error)) from None
        except Exception as error:  # noqa: BLE001 - every library raises its own
            raise Unfit(_told(error)) from None
        if found is None or found is True:
            return value
        if found is False:
            raise Unfit([("", "the check said no")])
        if isinstance(found, str | int | float | list | tuple):
            kind = type(cast(object, found)).__name__
            raise Unfit([("", f"the check returned {kind}: return nothing, True, or an object")])
        return found

    def dump(self, value: Any) -> Any:
        """A checked value as plain JSON values."""
        return msgspec.to_builtins(value, enc_hook=_of_model)

    def json_schema(self) -> dict[str, Any] | None:
        """Nothing is known."""
        return None


def _of_model(value: object) -> object:
    if isinstance(value, pydantic.BaseModel):
        return value.model_dump(mode="json", by_alias=True)
    raise TypeError(f"{type(value).__name__} is no JSON")


def _told(error: Exception) -> list[Problem]:
    """What a foreign validator complains of: by field if its exception says so, else in one line.

    marshmallow keeps `messages` by field, JSON Schema libraries a `path` and a `message`.
    """
    messages = getattr(error, "messages", None)
    if isinstance(messages, Mapping):
        found = cast(Mapping[object, object], messages)
        return [(str(field), _line(text)) for field, text in found.items()]
    path = getattr(error, "absolute_path", ())
    where = ".".join(str(part) for part in cast("Sequence[object]", path))
    return [(where, str(getattr(error, "message", "") or error or type(error).__name__))]


def _line(text: object) -> str:
    if isinstance(text, list | tuple):
        return " ".join(str(part) for part in cast("Sequence[object]", text))
    return str(text)


def validator_of_type(kind: Any, named: str) -> Validator | None:
    """The validator of a type; None for a type that says nothing. Raises TypeError.

    `named` is what the type belongs to, such as `event "user/created": data`.
    """
    refuse_unless_object(kind, named)
    if kind is Any or kind is object:
        return None
    try:
        return PydanticValidator(kind if contains_itself(kind) else readable(kind))
    except pydantic.errors.PydanticUserError:
        pass  # of a kind Pydantic knows nothing of
    try:
        return MsgspecValidator(kind)
    except (TypeError, RuntimeError) as error:
        raise TypeError(f"{named}: {name_of(kind)} cannot be used as a schema: {error}") from None


def validator_of_object(given: Any, named: str) -> Validator | None:
    """The validator of a type, of an object with `validate` or `load`, or of a callable.

    Raises TypeError if it is none of these, or asynchronous.
    """
    if is_type(given):
        return validator_of_type(given, named)
    if all(hasattr(given, verb) for verb in ("load", "dump", "json_schema")):
        return cast(Validator, given)
    check = getattr(given, "load", None) or getattr(given, "validate", None)
    if check is None and callable(given):
        check = given
    if check is None or not callable(check):
        raise TypeError(
            f"{named}: {given!r} is no schema: give a type, a callable, or an object with"
            " validate(value)"
        )
    if inspect.iscoroutinefunction(check):
        raise TypeError(f"{named}: {given!r} validates asynchronously; events are judged at once")
    return CallableValidator(check)


def is_type(given: Any) -> bool:
    """Is this a type, or written like one?"""
    return (
        isinstance(given, type | TypeAliasType | UnionType)
        or get_origin(given) is not None
        or given is Any
        or is_typeddict(given)
    )


def refuse_unless_object(kind: Any, named: str) -> None:
    """Raises TypeError for what travels as anything but a JSON object."""
    if not travels_as_object(kind):
        raise TypeError(
            f"{named} must be an object, {name_of(kind)} is none: use a model, a dataclass, a"
            " TypedDict, a mapping, or a union of these"
        )


def travels_as_object(kind: Any, depth: int = 0) -> bool:
    """Is every value of a type a JSON object?"""
    if kind is Any or kind is object or depth > 20:
        return True
    if isinstance(kind, TypeAliasType):
        return travels_as_object(kind.__value__, depth + 1)
    origin, args = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return travels_as_object(args[0], depth + 1)
    if origin in (Union, UnionType):
        return all(travels_as_object(member, depth + 1) for member in args)
    made = origin or kind
    if is_typeddict(made):
        return True
    return isinstance(made, type) and _class_travels_as_object(cast("type[Any]", made), depth)


def _class_travels_as_object(made: type[Any], depth: int) -> bool:
    if issubclass(made, pydantic.RootModel):
        return travels_as_object(made.model_fields["root"].annotation, depth + 1)
    if issubclass(made, msgspec.Struct):
        return not made.__struct_config__.array_like
    return (
        issubclass(made, Mapping | pydantic.BaseModel)
        or is_dataclass(made)
        or hasattr(made, "__attrs_attrs__")
    )
