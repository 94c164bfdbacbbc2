"""What `module:name` on the command line stands for: a client with its functions, or an app.

A client is served with every function of it that the named module, or a module of the same project
it imported, holds. An ASGI or WSGI application is run as it is.
"""

import importlib
import inspect
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, TypeAlias, cast

from stepwell.cli.target_error import Misnamed, TargetError
from stepwell.sdk.client.client import Inngest
from stepwell.sdk.function.function import Function

Application: TypeAlias = Callable[..., Any]

_NOT_OURS = ("site-packages", "dist-packages")
_APP_NAMES = ("app", "application", "asgi", "wsgi")


@dataclass(frozen=True, slots=True)
class ServedClient:
    """A client and the functions it serves."""

    client: Inngest
    functions: tuple[Function[Any], ...]


@dataclass(frozen=True, slots=True)
class ServedApp:
    """An application that serves its functions itself."""

    application: Application
    is_asgi: bool


Served: TypeAlias = ServedClient | ServedApp


def load(target: str, folder: Path) -> Served:
    """Import what a target names and find what it serves.

    `target` is `module`, `module:name` or the path of a Python file, with or without `:name`;
    modules are looked for in `folder` first. Raises `TargetError`, and whatever the module raises.
    """
    place, _, name = split(target)
    module = imported(place, folder)
    if name:
        found = module
        for part in name.split("."):
            try:
                found = getattr(found, part)
            except AttributeError:
                raise TargetError(
                    f"{target}: there is no {part!r} in {place}; it has"
                    f" {', '.join(sorted(_candidates(module))) or 'no client and no application'}"
                ) from None
        return _served(target, found, folder)
    return _served(target, _only_candidate(target, module), folder)


def project_files(folder: Path) -> list[Path]:
    """The files of the modules imported so far that belong to the project in `folder`."""
    files: list[Path] = []
    for module in list(sys.modules.values()):
        place = getattr(module, "__file__", None)
        if isinstance(place, str) and _is_ours(Path(place), folder):
            files.append(Path(place))
    return sorted(set(files))


def split(target: str) -> tuple[str, str, str]:
    """A target as place, colon and name; the last two are empty if it names a module."""
    # A Windows path has a colon after its drive, which is no name.
    drive, rest = (target[:2], target[2:]) if target[1:3] in (":\\", ":/") else ("", target)
    place, mark, name = rest.partition(":")
    return drive + place, mark, name


def imported(place: str, folder: Path) -> ModuleType:
    """The module of a name or of a Python file. Raises `TargetError` if there is none."""
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
    if place.endswith(".py"):
        path = (folder / place).resolve()
        if not path.is_file():
            raise Misnamed(f"{place}: there is no such file in {folder}")
        sys.path.insert(0, str(path.parent))
        place = path.stem
    try:
        return importlib.import_module(place)
    except ModuleNotFoundError as error:
        if error.name and (place == error.name or place.startswith(f"{error.name}.")):
            raise Misnamed(
                f"{place}: there is no such module below {folder}; name it as Python imports it,"
                " such as shop.functions:client"
            ) from None
        raise


def _candidates(module: ModuleType) -> dict[str, object]:
    """Clients of a module and, by their usual names, applications."""
    names = {name: value for name, value in vars(module).items() if not name.startswith("_")}
    clients = {name: value for name, value in names.items() if isinstance(value, Inngest)}
    apps = {
        name: names[name]
        for name in _APP_NAMES
        if callable(names.get(name)) and not isinstance(names[name], Function)
    }
    return {**apps, **clients}


def _only_candidate(target: str, module: ModuleType) -> object:
    found = _candidates(module)
    distinct = {id(value): value for value in found.values()}
    if len(distinct) == 1:
        return next(iter(distinct.values()))
    if not found:
        raise TargetError(f"{target}: it holds neither a client nor an application; name one")
    apps = [value for name, value in found.items() if name in _APP_NAMES]
    if len(apps) == 1:
        return apps[0]  # an application serves its own client
    choices = ", ".join(f"{target}:{name}" for name in sorted(found))
    raise TargetError(f"{target}: it holds several; choose one of {choices}")


def _served(target: str, found: object, folder: Path) -> Served:
    if isinstance(found, Inngest):
        functions = tuple(_functions_of(found, folder))
        if not functions:
            raise TargetError(
                f"{target}: no function of app {found.app_id!r} was found; name the module that"
                " imports or declares them all"
            )
        return ServedClient(found, functions)
    if isinstance(found, Function):
        raise TargetError(f"{target} is one function; name its client, which is served with all")
    if callable(found):
        return ServedApp(found, _is_asgi(found))
    raise TargetError(f"{target} is a {type(found).__name__}; name a client or an application")


def _functions_of(client: Inngest, folder: Path) -> Iterator[Function[Any]]:
    """Functions declared with the client, wherever the project keeps them, each once."""
    seen: set[int] = set()
    for module in list(sys.modules.values()):
        place = getattr(module, "__file__", None)
        if not isinstance(place, str) or not _is_ours(Path(place), folder):
            continue
        for function in _functions_in(vars(module).values()):
            if function.belongs_to(client.app_id) and id(function) not in seen:
                seen.add(id(function))
                yield function


def _functions_in(values: Iterable[object]) -> Iterator[Function[Any]]:
    for value in list(values):
        if isinstance(value, Function):
            yield value
        elif isinstance(value, list | tuple):
            entries = cast("Iterable[object]", value)
            yield from (entry for entry in entries if isinstance(entry, Function))


def _is_ours(path: Path, folder: Path) -> bool:
    resolved = path.resolve()
    inside = folder.resolve() in resolved.parents
    return inside and not any(part in _NOT_OURS for part in resolved.parts)


def _is_asgi(application: Application) -> bool:
    """ASGI 3 applications are coroutine functions of three arguments; WSGI ones are plain."""
    call = application if inspect.isfunction(application) else type(application).__call__
    return inspect.iscoroutinefunction(call) or inspect.iscoroutinefunction(application)
