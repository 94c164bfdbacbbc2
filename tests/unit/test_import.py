"""What `import stepwell` brings, and what only comes when it is asked for."""

import ast
import json
import pickle
import subprocess
import sys
from pathlib import Path

import pytest

import stepwell

# What a program needs that serves, sends, connects or tests, and not one that declares functions.
LATER = (
    *("aiohttp", "yarl", "httpx", "websockets", "google.protobuf", "cel_expr_python"),
    *("starlette", "uvicorn", "click", "rich", "sqlite3", "psycopg", "multiprocessing"),
    *("stepwell.server", "stepwell.cli", "stepwell.testing", "stepwell.sdk.serve.handler"),
    *("stepwell.sdk.connect", "stepwell.sdk.events.internal", "stepwell.wire.connect_pb2"),
    *("stepwell.sdk.execution", "stepwell.wire.operation_decode"),
    *("http.client", "graphql", "opentelemetry", "concurrent.futures.process"),
)
# What a program needs that declares functions, and not one that only names the package.
OF_THE_SDK = ("stepwell.sdk.errors", "pydantic", "msgspec", "asyncio", "importlib.metadata", "ssl")

DECLARES = """
client = stepwell.Inngest(app_id="shop")
@client.create_function(fn_id="charge", trigger=stepwell.TriggerEvent(event="order/paid"))
async def charge(ctx):
    return await ctx.step.run("pay", lambda: 1)
"""


def _brought(program: str) -> list[set[str]]:
    """Runs a program; where it says `look()`, which modules are there."""
    started = (
        "import json, sys\nseen = []\ndef look():\n    seen.append(sorted(sys.modules))\n"
        f"{program}\nprint(json.dumps(seen), file=sys.stderr)\n"
    )
    command = [sys.executable, "-c", started]
    out = subprocess.run(command, capture_output=True, check=True, text=True).stderr
    return [set(modules) for modules in json.loads(out)]


def test_import_brings_what_is_asked_for() -> None:
    alone, declared = _brought(f"import stepwell; look()\n{DECLARES}\nlook()")
    assert {*LATER, *OF_THE_SDK} & alone == set()
    assert set(LATER) & declared == set()
    assert set(OF_THE_SDK) <= declared


def test_a_client_is_had_before_pydantic_looks_for_plugins() -> None:
    # It goes through all that is installed, when the first model is built.
    program = """
import importlib.metadata, stepwell
def refuse(**sought):
    raise AssertionError("Pydantic built a model")
importlib.metadata.distributions = refuse
client = stepwell.Inngest(app_id="shop")
stepwell.Event, stepwell.TriggerEvent, stepwell.Step, stepwell.Concurrency
look()
"""
    assert "pydantic.main" in _brought(program)[0]


def test_the_help_of_the_command_needs_little_and_a_server_no_sdk() -> None:
    program = """
from stepwell.cli.entry import main
sys.argv[1:] = ["--help"]
try:
    main()
except SystemExit:
    look()
import stepwell.cli.verbs.dev, stepwell.cli.verbs.start
look()
"""
    helped, server = _brought(program)
    assert {*LATER, *OF_THE_SDK} & helped == {"click", "stepwell.cli"}
    assert {"stepwell.sdk.errors", "stepwell.sdk.client.client", "pydantic"} & server == set()
    assert {"jwt", "cryptography", "psycopg", "graphql", "mcp"} & server == set()
    assert "stepwell.server.serving" in server


def test_what_a_verb_imports_is_set_aside_at_once() -> None:
    program = """
import gc, types
import click
from stepwell.cli.main import main
frozen = gc.get_freeze_count()
main.get_command(click.Context(main), "dev")
assert gc.isenabled()
if gc.get_freeze_count() > frozen:
    sys.modules["frozen"] = types.ModuleType("frozen")
look()
"""
    assert "frozen" in _brought(program)[0]


def test_names_are_found_where_checkers_are_told_that_they_are() -> None:
    told: dict[str, tuple[str, str]] = {}
    for node in ast.walk(ast.parse(Path(stepwell.__file__).read_text())):
        if isinstance(node, ast.ImportFrom) and node.module is not None:
            for name in node.names:
                told[name.asname or name.name] = (node.module, name.name)
    del told["TYPE_CHECKING"]
    told["__version__"] = told.pop("VERSION")
    found = {
        name: (home, stepwell._NAMED_THERE.get(name, name))
        for name, home in stepwell._HOMES.items()
    }
    assert found == told
    assert sorted(found) == sorted(stepwell.__all__)


def test_names_are_the_same_however_they_are_reached() -> None:
    from stepwell import experiment, step
    from stepwell.sdk.step import experiment as there

    assert step is stepwell.step
    assert experiment is stepwell.experiment is there
    assert pickle.loads(pickle.dumps(stepwell.NonRetriableError)) is stepwell.NonRetriableError
    everything: dict[str, object] = {}
    exec("from stepwell import *", everything)
    assert {name: everything[name] for name in stepwell.__all__} == {
        name: getattr(stepwell, name) for name in stepwell.__all__
    }


def test_every_public_name_is_there_and_listed() -> None:
    assert all(hasattr(stepwell, name) for name in stepwell.__all__)
    assert set(stepwell.__all__) <= set(dir(stepwell))
    with pytest.raises(AttributeError, match="module 'stepwell' has no attribute 'Evnt'"):
        _ = stepwell.Evnt  # type: ignore[attr-defined]
