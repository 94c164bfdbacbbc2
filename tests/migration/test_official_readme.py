"""The programs of the official Python SDK's README run with only the import changed (C.13).

They are read from the installed package. Its web services are played by a module `requests` and a
client of `httpx` that answer from a table; its server by an engine in memory.
"""

import importlib.metadata
import re
import sys
from types import ModuleType, SimpleNamespace
from typing import Any

import flask
import httpx
import pytest

import stepwell
from stepwell.embedded import Engine
from tests.events.shop import Outbox

BLOCKS = re.findall(
    r"^```py\n(.*?)^```",
    str(importlib.metadata.metadata("inngest").get_payload()),
    re.MULTILINE | re.DOTALL,
)
PEOPLE = {
    "https://swapi.dev/api/people/1": {"name": "Luke", "starships": ["ship/1", "ship/2"]},
    "ship/1": {"name": "X-wing"},
    "ship/2": {"name": "Shuttle"},
}
CLIENT = "inngest_client = inngest.Inngest(app_id='readme', is_production=False)\n"


def converted(text: str) -> str:
    """The program with its import changed. It forgets once that steps belong to the context."""
    text = re.sub(r"^import inngest\.(\w+)$", r"import stepwell.\1", text, flags=re.MULTILINE)
    text = re.sub(r"(?<![.\w])step\.run\(", "ctx.step.run(", text)
    return f"import stepwell as inngest\n{text}"


def program(word: str) -> str:
    (found,) = [block for block in BLOCKS if word in block]
    return str(found)


@pytest.fixture(autouse=True)
def internet(monkeypatch: pytest.MonkeyPatch) -> None:
    def get(url: str, **_: Any) -> Any:
        return SimpleNamespace(json=lambda: PEOPLE[url])

    requests = ModuleType("requests")
    vars(requests)["get"] = get
    monkeypatch.setitem(sys.modules, "requests", requests)
    monkeypatch.setattr(flask.Flask, "run", lambda *_, **__: None)
    transport = httpx.MockTransport(lambda asked: httpx.Response(200, json=PEOPLE[str(asked.url)]))
    plain = httpx.AsyncClient
    monkeypatch.setattr(httpx, "AsyncClient", lambda **_: plain(transport=transport))


def run(text: str) -> dict[str, Any]:
    """Execute a program; what it defined."""
    names: dict[str, Any] = {
        "__name__": "__main__",
        "httpx": httpx,
        "requests": sys.modules["requests"],
        "Outbox": Outbox,
    }
    exec(compile(converted(text), "README.md", "exec"), names)
    return names


async def result(names: dict[str, Any], function: str, event: str) -> Any:
    client = names["inngest_client"]
    async with Engine(client, [names[function]], database=":memory:") as engine:
        ids = await client.send(stepwell.Event(name=event, data={"person_id": 1}))
        return await engine.result_of(ids[0], timeout_seconds=10)


async def test_the_basic_example_is_a_flask_app() -> None:
    names = run(program("flask.Flask"))
    answer = names["app"].test_client().get("/api/inngest")
    assert (answer.status_code, answer.json["function_count"]) == (200, 1)
    told = await result(names, "fetch_person", "app/person.find")
    assert told == PEOPLE["https://swapi.dev/api/people/1"]


async def test_steps_work_in_loops() -> None:
    names = run(CLIENT + program("fetch_ships"))
    told = await result(names, "fetch_ships", "app/ships.find")
    assert told == {"person_name": "Luke", "ship_names": ["X-wing", "Shuttle"]}


async def test_the_async_function() -> None:
    names = run(CLIENT + program("AsyncClient"))
    told = await result(names, "fetch_person", "app/person.find")
    assert told["name"] == "Luke"


async def test_sending_outside_a_function() -> None:
    names = run(
        CLIENT
        + "inngest_client.event_port = outbox = Outbox()\n"
        + program("send_sync(")
        + "async def main():\n    "
        + program("await inngest_client.send(")
    )
    await names["main"]()
    assert [event["name"] for event in names["outbox"].sent] == ["app/test"] * 2
    assert names["outbox"].sent[1]["data"] == {"person_id": 1}


@pytest.mark.parametrize(("value", "cloud"), [(None, True), ("1", False)])
def test_the_mode_by_the_environment(
    value: str | None, cloud: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("INNGEST_DEV", raising=False)
    if value is not None:
        monkeypatch.setenv("INNGEST_DEV", value)
    client = run("import os\n" + program("os.getenv"))["inngest_client"]
    assert client.is_production is cloud


def test_every_program_is_tried() -> None:
    """A new example in the README needs a test here."""
    assert len(BLOCKS) == 6
