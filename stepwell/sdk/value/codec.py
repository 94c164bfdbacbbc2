"""Results as JSON and back, by their declared type: the only place that decides how they travel.

Three kinds of codec: `PlainCodec` for types JSON knows, `TypedCodec` for what msgspec understands
(dataclasses, TypedDict, datetime, UUID, Decimal, Enum, bytes, sets, tuples among them) with what
Pydantic knows inside of it (models, paths, IP addresses), `PydanticCodec` for the rest.

Law: `settle(value)` gives what `decode` will give on every replay, of the same type. Numbers keep
their value and kind; to a server that keeps doubles goes nothing it would change.
"""

import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from types import UnionType
from typing import (
    Any,
    Literal,
    Protocol,
    TypeVar,
    Union,
    cast,
    get_args,
    get_origin,
    get_type_hints,
    is_typeddict,
)

import msgspec
import pydantic
from typing_extensions import TypeAliasType

from stepwell.sdk.value.kept import KeptByType
from stepwell.sdk.value.serializer import Serializer
from stepwell.sdk.value.typed_dict import readable
from stepwell.wire.canonical import canonical, jcs, jcs_of_canonical


class Unspecified:
    """Stands for an `output_type` that was not given; None is a type too."""


UNSPECIFIED = Unspecified

_SAFE_INTEGER = 2**53
_LONG_NUMBER = re.compile(rb"[0-9]{16}")
_NULL, _TRUE, _FALSE = (msgspec.Raw(word) for word in (b"null", b"true", b"false"))
_ENCODER = msgspec.json.Encoder()
_ANY = msgspec.json.Decoder()
_PLAIN_ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))


class CodecError(ValueError):
    """A value cannot travel as JSON, or JSON does not fit a type. The text says how to mend it."""


class Codec(Protocol):
    """How results of one type travel."""

    def encode(self, value: object) -> msgspec.Raw:
        """A value as canonical JSON. Raises CodecError."""
        ...

    def decode(self, raw: msgspec.Raw) -> Any:
        """The value JSON stands for. Raises CodecError."""
        ...


def settle(codec: Codec, value: object, *, exact: bool = True) -> tuple[msgspec.Raw, Any]:
    """A result as it travels, and as every replay will give it. Raises CodecError.

    `exact` says that the server keeps numbers as they are written.
    """
    if codec is PLAIN:
        kind = type(value)
        if value is None:
            return _NULL, None
        if kind is bool:
            return (_TRUE if value else _FALSE), value
        if kind is str or (kind is int and -_SAFE_INTEGER <= cast(int, value) <= _SAFE_INTEGER):
            return _plain_scalar(value), value
    raw = codec.encode(value) if exact else in_doubles(codec.encode(value))
    found = codec.decode(raw)
    if isinstance(codec, PydanticCodec):
        codec.refuse_mistaken(value, found)
    return raw, found


def _plain_scalar(value: object) -> msgspec.Raw:
    try:
        return msgspec.Raw(_ENCODER.encode(value))
    except UnicodeEncodeError:
        raise CodecError(_SURROGATES) from None


_SURROGATES = "text with lone surrogates is no JSON: encode it with errors='replace' first"


def _canonical(body: bytes) -> msgspec.Raw:
    """JSON in the form it is kept in."""
    try:
        return msgspec.Raw(canonical(body))
    except ValueError as error:
        raise CodecError(str(error)) from None


def in_doubles(raw: msgspec.Raw) -> msgspec.Raw:
    """JSON as a server keeps it whose numbers are doubles. Raises CodecError if that changes one.

    `raw` is what a codec wrote.
    """
    body = bytes(raw)
    form = jcs_of_canonical(body)
    if _LONG_NUMBER.search(body):
        _refuse_long_integers(_ANY.decode(body))
    return raw if form is body else msgspec.Raw(form)


def _refuse_long_integers(value: object) -> None:
    for leaf in _leaves(value):
        if isinstance(leaf, int) and abs(leaf) > _SAFE_INTEGER and not _is_double(leaf):
            raise CodecError(f"{leaf} is beyond 2**53, where this server rounds: make it text")


def _is_double(number: int) -> bool:
    """Does a long integer survive, because a double holds it and is printed so?"""
    digits = b"%d" % number
    try:
        return jcs(digits) == digits
    except ValueError:
        return False


def _refuse_infinite(value: object) -> None:
    for leaf in _leaves(value):
        if isinstance(leaf, float) and not math.isfinite(leaf):
            raise CodecError(f"{leaf} is no number of JSON: return None, or text")


def _leaves(value: object) -> Iterator[object]:
    """What dicts, lists and tuples hold, however deep."""
    if isinstance(value, dict):
        value = list(cast(dict[object, object], value).values())
    if isinstance(value, list | tuple):
        for item in cast(Sequence[object], value):
            yield from _leaves(item)
    else:
        yield value


class PlainCodec:
    """Values JSON knows: text, numbers, booleans, None, dicts with text keys, lists and tuples."""

    def encode(self, value: object) -> msgspec.Raw:
        """A value as canonical JSON. Tuples become lists. Raises CodecError."""
        try:
            body = _PLAIN_ENCODER.encode(value).encode()
        except UnicodeEncodeError:
            raise CodecError(_SURROGATES) from None
        except TypeError as error:
            raise CodecError(
                f"{error}: annotate the return type of the step's handler, or name it with"
                " output_type="
            ) from None
        except (ValueError, RecursionError) as error:
            raise CodecError(f"{error}: return plain finite values") from None
        return _canonical(body)

    def decode(self, raw: msgspec.Raw) -> Any:
        """Plain values. Raises CodecError."""
        try:
            return _ANY.decode(raw)
        except msgspec.DecodeError as error:
            raise CodecError(str(error)) from None


PLAIN = PlainCodec()


def _encode_model(value: object) -> object:
    if isinstance(value, pydantic.BaseModel):
        return value.model_dump(mode="json", by_alias=True, round_trip=True)
    kind = cast(Any, type(value))
    refused = CodecError(f"{kind.__qualname__} is nothing JSON can carry: return plain data")
    if isinstance(value, type | complex):
        raise refused
    try:
        adapter = _adapter_of(kind)
    except (TypeError, pydantic.PydanticUserError):
        raise refused from None
    return adapter.dump_python(value, mode="json", by_alias=True)


def _decode_model(kind: Any, value: object) -> object:
    if isinstance(kind, type) and issubclass(kind, pydantic.BaseModel):
        return kind.model_validate(value, strict=False)
    # Pydantic would read an Iterable item by item, when it is asked to.
    is_iterable = get_origin(cast(object, kind)) is Iterable
    read = cast(Any, list)[get_args(kind)] if is_iterable else cast(Any, kind)
    return _adapter_of(read).validate_python(value)


_adapters: KeptByType[pydantic.TypeAdapter[Any]] = KeptByType()


def _adapter_of(kind: Any) -> pydantic.TypeAdapter[Any]:
    return _adapters.get(kind, _adapter)


def _adapter(kind: Any) -> pydantic.TypeAdapter[Any]:
    return pydantic.TypeAdapter(readable(kind))


class TypedCodec:
    """Values of a type msgspec understands; Pydantic models inside it by Pydantic's rules."""

    def __init__(self, kind: Any) -> None:
        self.kind = kind
        self._encoder = msgspec.json.Encoder(enc_hook=_encode_model)
        self._decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder(
            kind, dec_hook=_decode_model
        )

    def encode(self, value: object) -> msgspec.Raw:
        """A value as canonical JSON. Raises CodecError."""
        try:
            body = self._encoder.encode(value)
            if b"null" in body:  # which is what becomes of numbers JSON does not know
                _refuse_infinite(msgspec.to_builtins(value, enc_hook=_encode_model))
        except CodecError:
            raise
        except Exception as error:
            raise CodecError(f"{type(value).__qualname__} cannot be written: {error}") from error
        return _canonical(body)

    def decode(self, raw: msgspec.Raw) -> Any:
        """A value of the type. Raises CodecError."""
        try:
            return self._decoder.decode(raw)
        except Exception as error:
            raise CodecError(f"{_shown(raw)} is no {name_of(self.kind)}: {error}") from error


class PydanticCodec:
    """Values of a type only Pydantic understands, such as a union of models."""

    def __init__(self, kind: Any) -> None:
        self.kind = kind
        self._adapter = _adapter(kind)

    def encode(self, value: object) -> msgspec.Raw:
        """A value as canonical JSON. Raises CodecError."""
        try:
            body = self._adapter.dump_json(value, by_alias=True, round_trip=True, warnings="error")
        except Exception as error:
            raise CodecError(
                f"{type(value).__qualname__} is no {name_of(self.kind)}: {error}"
            ) from error
        return _canonical(body)

    def decode(self, raw: msgspec.Raw) -> Any:
        """A value of the type. Raises CodecError."""
        try:
            return self._adapter.validate_json(bytes(raw))
        except Exception as error:
            raise CodecError(f"{_shown(raw)} is no {name_of(self.kind)}: {error}") from error

    def refuse_mistaken(self, value: object, found: object) -> None:
        """Refuse a value of a union that JSON turns into another of its types. Raises CodecError.

        A datetime of `str | datetime` is text on the way, and would be text ever after.
        """
        dump = partial(self._adapter.dump_python, warnings=False)
        mistaken = _mistaken(value, found) or _mistaken(dump(value), dump(found))
        if mistaken is not None:
            was, becomes = (type(one).__qualname__ for one in mistaken)
            raise CodecError(
                f"{name_of(self.kind)} does not tell {was} from {becomes} in JSON, and it would"
                f" come back as {becomes}: give each a field of its own"
            )


def _mistaken(was: object, becomes: object) -> tuple[object, object] | None:
    """The first value that came back as something else, with what that is."""
    both, pairs = (was, becomes), cast("Iterable[tuple[object, object]]", ())
    if isinstance(was, dict) and isinstance(becomes, dict):
        known = cast(dict[object, object], becomes)
        pairs = [
            (item, known[key])
            for key, item in cast(dict[object, object], was).items()
            if key in known
        ]
    elif isinstance(was, list | tuple) and isinstance(becomes, list | tuple):
        pairs = zip(cast(list[object], was), cast(list[object], becomes), strict=False)
    else:
        same = isinstance(was, type(becomes)) or was == becomes
        return None if same else both
    return next(filter(None, (_mistaken(*pair) for pair in pairs)), None)


class SerializerCodec:
    """A user's own serializer, for one type."""

    def __init__(self, serializer: Serializer, kind: object) -> None:
        self._serializer = serializer
        self.kind = kind

    def encode(self, value: object) -> msgspec.Raw:
        """A value as canonical JSON, by the user's rules. Raises CodecError."""
        try:
            plain = self._serializer.serialize(value, self.kind)
        except Exception as error:
            raise CodecError(f"the serializer failed: {error}") from error
        return PLAIN.encode(plain)

    def decode(self, raw: msgspec.Raw) -> Any:
        """A value of the type, by the user's rules. Raises CodecError."""
        plain = PLAIN.decode(raw)
        try:
            return self._serializer.deserialize(plain, self.kind)
        except Exception as error:
            raise CodecError(f"the serializer failed: {error}") from error


def _shown(raw: msgspec.Raw) -> str:
    text = bytes(raw).decode(errors="replace")
    return text if len(text) <= 60 else text[:57] + "..."


def name_of(kind: object) -> str:
    """A type as people write it."""
    return kind.__qualname__ if isinstance(kind, type) else str(kind).replace("typing.", "")


_ATOMS = frozenset({str, int, bool, type(None), None, object, Any})
_PLAIN_SEQUENCES = frozenset({list, Sequence})
_PLAIN_MAPPINGS = frozenset({dict, Mapping})


def is_plain(kind: Any) -> bool:
    """Do values of a type come back from JSON as they went? Floats do not: 5.0 comes back as 5."""
    if isinstance(kind, TypeAliasType):
        return is_plain(kind.__value__)
    try:
        if kind in _ATOMS or kind in (list, dict):
            return True
    except TypeError:
        return False
    if isinstance(kind, TypeVar):
        return True
    origin, args = get_origin(kind), get_args(kind)
    if origin in (Union, UnionType):
        return all(map(is_plain, args)) or _is_json(args)
    if origin is Literal:
        return all(type(value) in (str, int, bool, type(None)) for value in args)
    if origin in _PLAIN_SEQUENCES:
        return all(map(is_plain, args))
    if origin in _PLAIN_MAPPINGS:
        return len(args) == 2 and args[0] is str and is_plain(args[1])
    if is_typeddict(kind):
        return all(map(is_plain, get_type_hints(kind).values()))
    return False


def _is_json(args: tuple[Any, ...]) -> bool:
    """Is a union that of all JSON values? Its floats are whatever JSON makes of them."""
    return {str, int, float, bool, type(None)} <= set(args) and all(
        is_plain(kind) for kind in args if kind is not float
    )


_codecs: KeptByType[Codec] = KeptByType()


def codec_of(kind: Any) -> Codec:
    """The codec of a type. Raises CodecError if no rule fits it."""
    return _codecs.get(kind, _new_codec)


def _new_codec(kind: Any) -> Codec:
    if is_plain(kind):
        return PLAIN
    try:
        return TypedCodec(kind)
    except (TypeError, msgspec.ValidationError):
        pass
    try:
        return PydanticCodec(kind)
    except Exception as error:  # noqa: BLE001 - whatever Pydantic says of a type it cannot use
        raise CodecError(f"{name_of(kind)} is no type JSON can carry: {error}") from None


_ANYTHING = TypedCodec(object)


def encode_any(value: object) -> msgspec.Raw:
    """A value of unknown type, for a reader who knows it or wants plain JSON. Raises CodecError."""
    try:
        return PLAIN.encode(value)
    except CodecError:
        return _ANYTHING.encode(value)
