"""`stepwell events`: a project's events as a typed module, and the schemas a server knows."""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import click
import msgspec

from stepwell.cli.output import ALL, listed
from stepwell.cli.parts import Parts
from stepwell.cli.server_api import server_at, server_options
from stepwell.cli.target import imported, split
from stepwell.cli.target_error import TargetError
from stepwell.cli.verbs.event_list import list_events
from stepwell.sdk.client.client import Inngest
from stepwell.sdk.errors import Error
from stepwell.sdk.events.contract import changes
from stepwell.sdk.events.definition import EventDefinition, definition_of
from stepwell.sdk.events.generator import generate as generated
from stepwell.sdk.events.registry import definitions_of, described
from stepwell.sdk.events.schemas import EventSchemas
from stepwell.sdk.events.source import kind_of
from stepwell.sdk.function.function import Function
from stepwell.wire.event import is_internal_event

Described = dict[str, dict[str, Any]]

_OUTPUT = click.option(
    "-o",
    "--output",
    required=True,
    metavar="PATH",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Where to write: NAME.py (and NAME.pyi beside it), or NAME.json for the schemas alone.",
)
_CHECK = click.option(
    "--check", is_flag=True, help="Write nothing; fail if the files are not up to date."
)


class _Described(msgspec.Struct, frozen=True):
    """One event as a server describes it."""

    name: str
    app: str
    data: dict[str, Any] | None = None
    user: dict[str, Any] | None = None


@click.group("events", cls=Parts)
def events() -> None:
    """List events; write typed modules of them, or ask a server for their schemas.

    A typed module tells type checkers the events of a project by name: what `send` takes, what
    triggers stand for, what handlers receive.
    """


events.add_command(list_events)


@events.command("generate")
@click.argument("targets", nargs=-1, required=True, metavar="TARGET...")
@_OUTPUT
@_CHECK
def generate(targets: tuple[str, ...], output: Path, check: bool) -> None:
    """Write the events of a project as a typed module.

    TARGET is a module, such as shop.events, something in one, such as shop.events:schemas, or a
    JSON file with JSON Schemas or an AsyncAPI document. Of a module, its schemas, clients,
    functions and event types count; of a client, its schemas and its functions.
    """
    _write(described(_all_definitions(targets)), output, check=check)


@events.command("pull")
@_OUTPUT
@_CHECK
@click.option("--app", metavar="NAME", help="Only the events of this app.")
@server_options
def pull(output: Path, check: bool, app: str | None, url: str, signing_key: str | None) -> None:
    """Ask a server for the events its apps registered, and write them as a typed module.

    Where two apps describe one event differently, --app says whose word counts.
    """
    _write(_pulled(url, signing_key, app), output, check=check)


@events.command("diff")
@click.argument("targets", nargs=-1, required=True, metavar="TARGET...")
@click.option(
    "--against",
    metavar="PATH",
    type=click.Path(dir_okay=False, path_type=Path),
    help="A JSON file written by generate or pull; without it, the server is asked.",
)
@click.option("--app", metavar="NAME", help="Only the events this app registered at the server.")
@server_options
def diff(
    targets: tuple[str, ...],
    against: Path | None,
    app: str | None,
    url: str,
    signing_key: str | None,
) -> None:
    """Tell what changed of the events a project declares; fail if a change breaks senders.

    A change is breaking if data that was accepted before may be refused now. TARGET is as for
    generate.
    """
    before = _pulled(url, signing_key, app) if against is None else _documented(against)
    after = described(_all_definitions(targets))
    found = changes(before, after)
    for change in found:
        mark = "breaking" if change.breaking else "fine"
        place = f" {change.path}" if change.path else ""
        click.echo(f"{mark:8}  {change.event}{place} {change.text}")
    if any(change.breaking for change in found):
        sys.exit(1)


# What a target declares


def _all_definitions(targets: tuple[str, ...]) -> dict[str, EventDefinition]:
    found: dict[str, EventDefinition] = {}
    for target in targets:
        found |= _definitions(target)
    if not found:
        raise click.ClickException(
            f"{', '.join(targets)}: no events were found; name the module that declares them, or"
            " its EventSchemas, as in shop.events:schemas"
        )
    return found


def _documented(path: Path) -> Described:
    try:
        return described(dict(EventSchemas().from_generated(path).own))
    except Error as error:
        raise click.ClickException(str(error)) from None


def _pulled(url: str, signing_key: str | None, app: str | None) -> Described:
    told = listed(
        server_at(url, signing_key), _Described, "/api/v2/event-schemas", ALL, app=app or ""
    )
    found: Described = {}
    owners: dict[str, str] = {}
    for one in told:
        entry = {k: v for k, v in (("data", one.data), ("user", one.user)) if v is not None}
        if found.setdefault(one.name, entry) != entry:
            raise click.ClickException(
                f'event "{one.name}" is described differently by the apps {owners[one.name]} and'
                f" {one.app}; choose one with --app"
            )
        owners.setdefault(one.name, one.app)
    if not found:
        raise click.ClickException(f"no app that is registered at {url} describes its events")
    return found


def _definitions(target: str) -> dict[str, EventDefinition]:
    folder = Path.cwd()
    try:
        if target.endswith(".json"):
            return dict(EventSchemas().from_generated(folder / target).own)
        place, _, name = split(target)
        found: Any = imported(place, folder)
        for part in name.split(".") if name else ():
            if not hasattr(found, part):
                raise TargetError(f"{target}: there is no {part!r} in {place}")
            found = getattr(found, part)
        if name:
            return _declared_by(found)
        declared: dict[str, EventDefinition] = {}
        for value in list(vars(cast(object, found)).values()):
            declared |= _declared_by(value)
        return declared
    except (TargetError, Error) as error:
        raise click.ClickException(str(error)) from None


def _declared_by(value: Any) -> dict[str, EventDefinition]:
    """The events something in a module declares."""
    if isinstance(value, EventSchemas):
        return dict(value.own)
    if isinstance(value, Inngest):
        # As its app registers them: a comparison with the server must not miss any.
        return definitions_of(value.schemas, (kind for f in value.functions for kind in f.kinds))
    if isinstance(value, Function):
        return definitions_of(None, value.kinds)
    try:
        kind = kind_of(value)
    except TypeError:
        return {}  # a class of events that is not one type, such as `Event` itself
    if kind is None or is_internal_event(kind.name) or "*" in kind.name:
        return {}
    return {kind.name: definition_of(kind.name, {"data": kind.schema or Any})}


# Writing


def _write(found: Described, output: Path, *, check: bool) -> None:
    texts = _texts(found, output)
    stale = [path for path, text in texts.items() if _read(path) != text]
    if check:
        if stale:
            names = ", ".join(str(path) for path in stale)
            click.echo(f"not up to date: {names}", err=True)
            sys.exit(1)
        return
    for path, text in texts.items():
        path.write_text(text, encoding="utf-8")
    names = " and ".join(str(path) for path in texts)
    click.echo(f"{len(found)} event{'' if len(found) == 1 else 's'} written to {names}")


def _texts(found: Mapping[str, Mapping[str, Any]], output: Path) -> dict[Path, str]:
    if output.suffix == ".json":
        document = json.dumps({"events": found}, indent=2, ensure_ascii=False, sort_keys=True)
        return {output: document + "\n"}
    if output.suffix != ".py" or not output.stem.isidentifier():
        raise click.BadParameter(
            f"{output}: name a module, such as shop/events_typed.py, or a .json file",
            param_hint="--output",
        )
    made = generated(found)
    return {output: made.module, output.with_suffix(".pyi"): made.stub}


def _read(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except OSError as error:
        raise click.ClickException(f"{path}: cannot be read: {error.strerror}") from None
