"""The functions of one endpoint, by the ids the server calls them with."""

from collections.abc import Iterable, Mapping
from typing import Any, TypeGuard, cast

from stepwell.sdk.errors import FunctionConfigInvalidError, FunctionNotFoundError
from stepwell.sdk.events.source import EventKind
from stepwell.sdk.function.function import Function
from stepwell.wire.function_config import FunctionConfig, composite_id

_SHOWN_MAX = 20


class FunctionTable:
    """What an endpoint serves, failure handlers included. Built once, and checked then."""

    def __init__(self, app_id: str, functions: Iterable[Function[Any] | None], logger: Any) -> None:
        """Raises FunctionConfigInvalidError for what is no function and for ids that repeat."""
        self._app_id = app_id
        self._by_id: dict[str, Function[Any]] = {}
        self._declared = 0
        if not isinstance(cast(object, functions), Iterable):
            raise FunctionConfigInvalidError(f"functions = {functions!r}: give a list of functions")
        for index, function in enumerate(functions):
            if function is None:
                logger.warning(
                    "functions[%d] is None: it is left out; check the imports of what you serve",
                    index,
                )
                continue
            self._declared += 1
            for served in _checked(index, function).served():
                self._add(served)
        if not self._by_id:
            logger.warning("app %r serves no functions", app_id)

    def _add(self, function: Function[Any]) -> None:
        if function.id in self._by_id:
            raise FunctionConfigInvalidError(
                f'Duplicate function ID "{function.id}"; please change a function\'s name or '
                "provide an explicit ID to avoid conflicts."
            )
        self._by_id[function.id] = function

    def __len__(self) -> int:
        """How many functions were declared, failure handlers not counted."""
        return self._declared

    def find(self, function_id: str) -> Function[Any]:
        """The function with this composite id, or with this id inside the app.

        Raises FunctionNotFoundError, which names the ids there are.
        """
        found = self._by_id.get(function_id)
        if found is None:
            found = self._by_id.get(composite_id(self._app_id, function_id))
        if found is None:
            ids = list(self._by_id)
            known = ", ".join(f'"{known}"' for known in ids[:_SHOWN_MAX]) or "none at all"
            more = f" and {len(ids) - _SHOWN_MAX} more" if len(ids) > _SHOWN_MAX else ""
            raise FunctionNotFoundError(
                f'Could not find function with ID "{function_id}"; '
                f"this endpoint serves {known}{more}"
            )
        return found

    def configs(self, url: str) -> tuple[FunctionConfig, ...]:
        """What is registered of each of them, called below this URL."""
        return tuple(function.config(url) for function in self._by_id.values())

    @property
    def kinds(self) -> tuple[EventKind[Any, Any], ...]:
        """What their triggers stand for."""
        return tuple(kind for function in self._by_id.values() for kind in function.kinds)

    @property
    def by_id(self) -> Mapping[str, Function[Any]]:
        """All of them."""
        return self._by_id


def _is_function(given: object) -> TypeGuard[Function[Any]]:
    return isinstance(given, Function)


def _checked(index: int, given: object) -> Function[Any]:
    if _is_function(given):
        return given
    name = getattr(given, "__qualname__", None)
    if callable(given) and name is not None:
        raise FunctionConfigInvalidError(
            f"functions[{index}] is the plain function {name}: did you forget the decorator "
            "@client.create_function(...)?"
        )
    raise FunctionConfigInvalidError(
        f"functions[{index}] is a {type(given).__name__}: it must be what "
        "@client.create_function(...) makes"
    )
