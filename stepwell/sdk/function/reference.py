"""Functions that are declared elsewhere, as steps invoke them: of another app or language."""

from collections.abc import Mapping
from typing import Any, TypeVar, cast, overload

from stepwell.sdk.errors import ConfigurationError
from stepwell.sdk.events.source import ObjectLike
from stepwell.sdk.step.port import Invocable, Takes, Takes_co
from stepwell.sdk.value.codec import Codec, CodecError, codec_of
from stepwell.wire.function_config import composite_id

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
D = TypeVar("D", bound=ObjectLike)


class FunctionReference(Invocable[T_co, Takes_co]):
    """What stands for a function that is declared elsewhere. Made by `reference_function`."""

    def __init__(self, id: str, codec: Codec, takes: Codec | None) -> None:
        self._id = id
        self.codec = codec
        self.takes = takes

    def __repr__(self) -> str:
        return f"<FunctionReference {self._id}>"

    @property
    def id(self) -> str:
        """The composite id: `app-function`."""
        return self._id


@overload
def reference_function(
    *, app_id: str, fn_id: str, input: type[D], output: type[T]
) -> FunctionReference[T, Takes[D]]: ...


@overload
def reference_function(
    *, app_id: str, fn_id: str, input: type[D], output: object = ...
) -> FunctionReference[Any, Takes[D]]: ...


@overload
def reference_function(
    *, app_id: str, fn_id: str, output: type[T]
) -> FunctionReference[T, Takes[Mapping[str, object]]]: ...


@overload
def reference_function(
    *, app_id: str, fn_id: str, output: object = ...
) -> FunctionReference[Any, Takes[Mapping[str, object]]]: ...


def reference_function(
    *, app_id: str, fn_id: str, input: object = None, output: object = object
) -> FunctionReference[Any, Any]:
    """A function that another app declares, perhaps in another language: `ctx.step.invoke` takes it
    as it takes one of this program, and knows its types.

    Args:
        app_id: The id of its app.
        fn_id: Its id within that.
        input: The type of the data it takes, which is judged before it is invoked; anything that
            is an object if it is not given.
        output: The type of what it returns, also a union; plain JSON if it is not given.

    Raises ConfigurationError for ids that are none, and for types that JSON cannot carry.
    """
    for name, text in (("app_id", app_id), ("fn_id", fn_id)):
        if not isinstance(cast(object, text), str) or not text.strip():
            raise ConfigurationError(f'{name} = {text!r}: give an id, such as "shop"')
    takes = None if input is None else _codec("input", input)
    return FunctionReference(composite_id(app_id, fn_id), _codec("output", output), takes)


def _codec(name: str, kind: object) -> Codec:
    try:
        return codec_of(kind)
    except CodecError:
        raise ConfigurationError(
            f"{name} = {kind!r}: give a type of what JSON can carry, such as a dataclass"
        ) from None
