"""Which apps a test is about: the clients and functions that its module, and the modules of the
project it imports, hold. The only place that looks for them."""

import ast
import functools
import importlib.util
import inspect
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple, cast

from stepwell.sdk.client.client import Inngest
from stepwell.sdk.function.function import Function
from stepwell.testing.harness.errors import HarnessError

_NOT_OURS = ("site-packages", "dist-packages")
_OURS = str(Path(__file__).resolve().parents[2])
_STANDARD = str(Path(ast.__file__).resolve().parent)


class App(NamedTuple):
    """A client, and the functions served with it, companions included."""

    client: Inngest
    functions: tuple[Function[Any], ...]


def app_of(client: object, functions: Iterable[object]) -> App:
    """What a test names itself. Raises HarnessError naming what is wrong."""
    if not isinstance(client, Inngest):
        raise HarnessError(f"serve(client={client!r}): give the app's stepwell.Inngest")
    served: list[Function[Any]] = []
    for place, function in enumerate(functions):
        if not isinstance(function, Function):
            raise HarnessError(
                f"serve(functions[{place}] = {function!r}): give what create_function made"
            )
        served += function.served()
    seen: set[str] = set()
    for function in served:
        if function.id in seen:
            raise HarnessError(
                f'two functions are called "{function.id}": give each an fn_id of its own, or name'
                " those meant with stepwell.serve(client, [...])"
            )
        seen.add(function.id)
    return App(client, tuple(served))


def clients_of(module: ModuleType) -> list[Inngest]:
    """Every client that a test module leads to, of whichever app."""
    found = {id(client): client for one in _reached(module) for client in _clients_in(one)}
    return list(found.values())


def apps_of(module: ModuleType) -> list[App]:
    """The apps that a test module is about. Raises HarnessError where that is not clear."""
    clients: dict[str, Inngest] = {}
    functions: dict[int, Function[Any]] = {}
    for one in _reached(module):
        for client in _clients_in(one):
            if clients.setdefault(client.app_id, client) is not client:
                raise HarnessError(
                    f'two clients are called "{client.app_id}": name the one that is meant with'
                    " stepwell.serve(client, [...])"
                )
        functions.update({id(function): function for function in _functions_in(one)})
    mine: dict[str, list[Function[Any]]] = {name: [] for name in clients}
    for function in functions.values():
        for name in clients:
            if function.belongs_to(name):
                mine[name].append(function)
    return [app_of(client, mine[name]) for name, client in clients.items()]


def _clients_in(module: ModuleType) -> Iterator[Inngest]:
    return (value for value in _values(module) if isinstance(value, Inngest))


def _functions_in(module: ModuleType) -> Iterator[Function[Any]]:
    for value in _values(module):
        if isinstance(value, Function):
            yield value


def _values(module: ModuleType) -> Iterator[object]:
    for value in list(vars(module).values()):
        if isinstance(value, list | tuple):
            yield from cast("Sequence[object]", value)
        else:
            yield value


def _reached(module: ModuleType) -> Iterator[ModuleType]:
    """The module, and whatever modules of the project lead to from it."""
    seen = {module.__name__}
    todo = [module]
    while todo:
        found = todo.pop(0)
        yield found
        for name in _leads_to(found, is_test=found is module):
            if name not in seen and (other := sys.modules.get(name)) is not None:
                seen.add(name)
                if _is_of_project(other):
                    todo.append(other)


def _leads_to(module: ModuleType, *, is_test: bool) -> Iterator[str]:
    if is_test:
        yield from _imported(getattr(module, "__file__", None), module.__package__ or "")
    for value in list(vars(module).values()):
        if isinstance(value, ModuleType):
            yield value.__name__
        elif inspect.isfunction(value) or inspect.isclass(value):
            yield value.__module__


@functools.lru_cache(maxsize=256)
def _imported(file: str | None, package: str) -> tuple[str, ...]:
    """The modules a test's file imports by name: `from shop.web import app` leads to `shop.web`,
    whatever `app` is."""
    if file is None or not file.endswith(".py"):
        return ()
    names: list[str] = []
    for node in ast.walk(ast.parse(Path(file).read_bytes())):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = "." * node.level + (node.module or "")
            names += [base, *(f"{base}.{alias.name}" for alias in node.names)]
    depth = package.count(".") + 1 if package else 0
    return tuple(
        importlib.util.resolve_name(name, package) if name.startswith(".") else name
        for name in names
        if len(name) - len(name.lstrip(".")) <= depth
    )


def _is_of_project(module: ModuleType) -> bool:
    place = getattr(module, "__file__", None)
    if not isinstance(place, str) or place.startswith((_OURS, _STANDARD)):
        return False
    return not any(part in _NOT_OURS for part in Path(place).parts)
