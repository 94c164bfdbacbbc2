"""`stepwell events`: typed modules of a project's events, and of those a server knows."""

import importlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pydantic
import pytest
from click.testing import CliRunner, Result

import stepwell
from stepwell.cli.main import main
from stepwell.sdk.events.registry import event_schemas
from stepwell.sdk.serve.register import App, registration_request
from tests.unit.cli.test_asking import FIXED, FREE, Running

PROJECT = """
from dataclasses import dataclass
import stepwell

@dataclass
class Paid:
    amount: int

class OrderMade(stepwell.EventModel, name="order/made"):
    order: str

paid = stepwell.event_type("order/paid", schema=Paid)
client = stepwell.Inngest(
    app_id="shop",
    schemas=stepwell.EventSchemas().from_record({"user/created": {"data": Paid, "user": Paid}}),
)

@client.create_function(fn_id="typed", trigger=stepwell.event_type("order/seen", schema=Paid))
async def typed(ctx): ...
"""


def call(*arguments: str) -> Result:
    env = {**dict.fromkeys(FIXED, None), "COLUMNS": "160"}
    return CliRunner().invoke(main, ["events", *arguments], env=env)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    before = set(sys.modules)
    (tmp_path / "project_with_events.py").write_text(PROJECT)
    importlib.invalidate_caches()
    yield tmp_path
    for name in set(sys.modules) - before:
        del sys.modules[name]


def test_a_module_s_events_become_a_typed_module(folder: Path) -> None:
    done = call("generate", "project_with_events", "-o", "made_events.py")
    assert done.exit_code == 0, done.output
    assert done.output == "4 events written to made_events.py and made_events.pyi\n"
    stub = (folder / "made_events.pyi").read_text()
    for name in ("order/made", "order/paid", "order/seen", "user/created"):
        assert f"name: Literal['{name}']" in stub
    made = importlib.import_module("made_events")
    assert made.order_paid(amount=5).data == {"amount": 5}
    with pytest.raises(stepwell.EventValidationError, match=r"data\.amount"):
        made.order_paid(amount="x")
    assert set(made.schemas.own) == {"order/made", "order/paid", "order/seen", "user/created"}


def test_one_thing_of_a_module_can_be_named(folder: Path) -> None:
    done = call("generate", "project_with_events:client.schemas", "-o", "one.json")
    assert done.exit_code == 0, done.output
    assert list(json.loads((folder / "one.json").read_text())["events"]) == ["user/created"]
    again = call("generate", "one.json", "project_with_events:paid", "-o", "two.json")
    assert again.exit_code == 0, again.output
    assert list(json.loads((folder / "two.json").read_text())["events"]) == [
        "order/paid",
        "user/created",
    ]


def test_a_client_stands_for_all_that_its_app_registers(folder: Path) -> None:
    done = call("generate", "project_with_events:client", "-o", "app.json")
    assert done.exit_code == 0, done.output
    assert list(json.loads((folder / "app.json").read_text())["events"]) == [
        "order/seen",
        "user/created",
    ]


def test_check_says_whether_files_are_up_to_date(folder: Path) -> None:
    given = ("generate", "project_with_events", "-o", "made_too.py")
    assert call(*given, "--check").exit_code == 1
    assert not (folder / "made_too.py").exists()
    call(*given)
    assert call(*given, "--check").exit_code == 0
    (folder / "made_too.pyi").write_text("older")
    late = call(*given, "--check")
    assert (late.exit_code, late.output) == (1, "not up to date: made_too.pyi\n")


@pytest.mark.parametrize(
    ("target", "output", "text"),
    [
        ("missing_project", "a.py", "there is no such module"),
        ("project_with_events:nothing", "a.py", "there is no 'nothing' in project_with_events"),
        ("project_with_events:Paid", "a.py", "no events were found"),
        ("project_with_events", "a.txt", "name a module, such as"),
        ("project_with_events", "a-b.py", "name a module, such as"),
        ("missing.json", "a.py", "missing.json: cannot be read"),
    ],
)
def test_mistakes_are_told(folder: Path, target: str, output: str, text: str) -> None:
    done = call("generate", target, "-o", output)
    assert done.exit_code != 0
    assert text in done.output
    assert not (folder / output).exists()


# Pulling


class Amount(pydantic.BaseModel):
    amount: int


class Name(pydantic.BaseModel):
    name: str


def register(url: str, app: str, record: dict[str, Any]) -> None:
    """Register an app as the SDK does, with what it knows of its events."""
    schemas = event_schemas(stepwell.EventSchemas().from_record(record), ())
    asked = registration_request(
        App(app, "test", None, schemas),
        (),
        f"http://localhost:3000/{app}",
        deploy_id=None,
        server_kind=None,
    )
    assert httpx.post(url + asked.path, content=asked.body).status_code == 200


@pytest.fixture(scope="module")
def server() -> Iterator[Running]:
    with Running(FREE) as running:
        register(running.url, "shop", {"order/paid": Amount, "order/bare": {}})
        register(running.url, "users", {"user/created": {"data": Name, "user": Amount}})
        register(running.url, "silent", {})
        yield running


def test_schemas_travel_with_the_registration(server: Running) -> None:
    answer = httpx.get(f"{server.url}/v1/events/schemas").json()
    assert [(one["name"], one["app"]) for one in answer["data"]] == [
        *[("order/bare", "shop"), ("order/paid", "shop")],
        ("user/created", "users"),
    ]
    _, paid, created = answer["data"]
    assert paid["data"] == Amount.model_json_schema()
    assert (created["data"], created["user"]) == (
        Name.model_json_schema(),
        Amount.model_json_schema(),
    )
    one = httpx.get(f"{server.url}/v1/events/schemas?app=users").json()
    assert [one["name"] for one in one["data"]] == ["user/created"]


def test_what_a_server_knows_becomes_a_typed_module(folder: Path, server: Running) -> None:
    done = call("pull", "--url", server.url, "-o", "pulled_events.py")
    assert done.exit_code == 0, done.output
    assert "3 events written" in done.output
    made = importlib.import_module("pulled_events")
    assert made.user_created(name="x").name == "user/created"
    schemas = stepwell.EventSchemas().from_generated(made)
    assert set(schemas.own) == {"order/bare", "order/paid", "user/created"}
    assert call("pull", "--url", server.url, "-o", "pulled_events.py", "--check").exit_code == 0


def test_two_words_about_one_event_are_a_question(folder: Path, server: Running) -> None:
    register(server.url, "zoo", {"order/paid": Name})
    try:
        done = call("pull", "--url", server.url, "-o", "a.py")
        assert done.exit_code != 0
        assert 'event "order/paid" is described differently by the apps shop and zoo' in done.output
        assert call("pull", "--url", server.url, "--app", "zoo", "-o", "a.json").exit_code == 0
        assert list(json.loads((folder / "a.json").read_text())["events"]) == ["order/paid"]
    finally:
        register(server.url, "zoo", {})


def test_a_server_that_knows_nothing_says_so(folder: Path, server: Running) -> None:
    done = call("pull", "--url", server.url, "--app", "silent", "-o", "a.py")
    assert done.exit_code != 0
    assert "describes its events" in done.output


# Comparing


def test_changes_are_told_and_breaking_ones_fail(folder: Path, server: Running) -> None:
    (folder / "same.json").write_text(
        json.dumps({"order/paid": Amount.model_json_schema(), "order/bare": {}})
    )
    (folder / "more.json").write_text(json.dumps({"order/paid": Name.model_json_schema()}))
    fine = call("diff", "same.json", "--url", server.url, "--app", "shop")
    assert (fine.exit_code, fine.output) == (0, "")
    other = call("diff", "more.json", "--against", "same.json")
    assert other.exit_code == 1
    assert other.output.splitlines() == [
        "breaking  order/bare is gone",
        "breaking  order/paid data.name is required now",
    ]
    missing = call("diff", "more.json", "--against", "missing.json")
    assert "missing.json: cannot be read" in missing.output
