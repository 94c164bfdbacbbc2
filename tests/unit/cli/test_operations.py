"""The catalogue of operations names the commands that ask for each. What they ask is recorded as
they run against a real server: a command that is missing, or asks something else, is found."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, cast
from urllib.parse import urlsplit

import click
import httpx
import pytest
from click.testing import CliRunner

from stepwell.cli.main import main
from stepwell.cli.server_api import ServerApi
from stepwell.server.api.v2.routes import ROUTES_V2
from tests.unit.cli.test_asking import FIXED, FREE, Running, register

ASKING: Final = (
    "runs",
    "run {run}",
    "run {run} --logs",
    "run {run} --export {folder}/run.json",
    "trace {run}",
    "why {run}",
    "why {event}",
    "tail",
    "events list",
    "events pull --output {folder}/pulled.json",
    "events diff {folder}/pulled.json",
    "event {event}",
    "apps",
    "functions shop",
    "workers",
    "invoke shop-order --wait --timeout 0",
    "bulk cancel --status queued --status running --yes --wait",
    "bulk rerun --status cancelled --yes",
    "bulk list",
    "bulk show 01JQDAE4RQ0000000000000009",
    "bulk stop 01JQDAE4RQ0000000000000009",
    "cancel {run}",
    "rerun {run} --wait --timeout 0",
    "pause shop-order",
    "resume shop-order",
    "resume {run}",
    "replay shop-once --since 2h",
    "limits",
    "limits set api --concurrency 5",
    "limits reset api",
    "keys create one --role read",
    "keys list",
    "keys revoke 01JQDAE4RQ0000000000000009",
    "doctor",
    "send shop/ordr",
)
"""At least a line for each command that asks a server."""
ALONE: Final = frozenset(
    {
        *("backup", "check-replay", "completion", "config", "copy", "dev", "events generate"),
        *("explain", "lint", "migrate", "new", "relay", "start", "version", "worker"),
    }
)
"""Commands that ask no operation."""
DECLARED: Final = {one.name: one.commands for one in ROUTES_V2 if one.commands}


def commands_of(command: click.Command, name: str = "") -> Iterator[str]:
    """Every command that can be given."""
    if not isinstance(command, click.Group):
        yield name
        return
    if command.invoke_without_command and name:
        yield name
    context = click.Context(command)
    for inner in command.list_commands(context):
        found = command.get_command(context, inner)
        assert found is not None
        yield from commands_of(found, f"{name} {inner}".strip())


COMMANDS: Final = tuple(sorted(set(commands_of(main)) - ALONE))


def command_of(line: str) -> str:
    return max((one for one in COMMANDS if f"{line} ".startswith(f"{one} ")), key=len)


def operation_of(method: str, path: str) -> str:
    """The operation of an address; nothing for one that is none of the second version."""
    for one in ROUTES_V2:
        pattern = "/api/v2" + re.sub(r"\{\w+\}", "[^/]+", one.path)
        if one.method == method and re.fullmatch(pattern, path):
            return one.name
    return ""


def started(server: Running) -> dict[str, str]:
    """An event, and the run that it began."""
    sent = httpx.post(f"{server.url}/e/key", json={"name": "shop/order", "data": {}}).json()
    invoked = f"{server.url}/api/v2/apps/shop/functions/shop-order/invoke"
    run = httpx.post(invoked, json={"data": {}}).json()
    return {"event": sent["ids"][0], "run": run["data"]["runId"]}


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, set[str]]:
    """Which operations each command asked."""
    folder: Path = tmp_path_factory.mktemp("operations")
    found: dict[str, set[str]] = {}
    true_request = cast("Any", ServerApi)._request
    now = ""

    def recorded(self: ServerApi, method: str, path: str, body: bytes | None) -> object:
        name = operation_of(method, urlsplit(path).path)
        found.setdefault(now, set()).add(name)
        if name == "stream_changes":
            raise click.ClickException("it has no end")
        return true_request(self, method, path, body)

    with pytest.MonkeyPatch.context() as patch, Running(FREE) as server:
        patch.setattr(ServerApi, "_request", recorded)
        register(server)
        known = {**started(server), "folder": str(folder)}
        env = {**dict.fromkeys(FIXED), "STEPWELL_URL": server.url, "COLUMNS": "160"}
        for line in ASKING:
            now = command_of(line)
            result = CliRunner().invoke(main, line.format(**known).split(), env=env)
            assert result.exit_code != 2, result.output
    return found


def test_every_command_that_asks_a_server_is_run_here() -> None:
    assert {command_of(line) for line in ASKING} == set(COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_asks_what_the_catalogue_says(asked: Mapping[str, set[str]], name: str) -> None:
    said = {operation for operation, commands in DECLARED.items() if name in commands}
    assert said
    assert said <= asked[name]


def test_the_catalogue_names_no_command_that_is_not_there() -> None:
    assert {name for names in DECLARED.values() for name in names} == set(COMMANDS)


def test_an_operation_that_one_command_alone_asks_names_it(asked: Mapping[str, set[str]]) -> None:
    by_operation: dict[str, set[str]] = {}
    for name, operations in asked.items():
        for operation in operations - {""}:
            by_operation.setdefault(operation, set()).add(name)
    assert by_operation.keys() == DECLARED.keys()
    for operation, names in by_operation.items():
        if len(names) == 1:
            assert set(DECLARED[operation]) == names
