"""Tables of the pages list all there is, and nothing else."""

import inspect
import re
from collections.abc import Callable
from pathlib import Path

import pytest

import stepwell
from stepwell.connect import ConnectionState, connect
from stepwell.embedded import Engine
from stepwell.sdk.settings.serve import ServeOptions, resolve_serve
from stepwell.sdk.step.context import Step
from stepwell.server.api.app import ROUTES, WITH_TOKEN
from stepwell.server.api.v2.routes import ROUTES_V2

ROOT = Path(__file__).resolve().parents[2]


def page(name: str) -> str:
    return (ROOT / "docs" / name).read_text(encoding="utf-8")


def first_cells(name: str, heading: str) -> list[str]:
    """The first cell of each row of the table whose first line begins so."""
    lines = page(name).splitlines()
    start = next(at for at, line in enumerate(lines) if line.startswith(heading))
    rows: list[str] = []
    for line in lines[start + 2 :]:
        if not line.startswith("|"):
            break
        rows.append(line.strip("|").split(" | ")[0].strip())
    return rows


def named(cells: list[str]) -> set[str]:
    """What is written as code in these cells, without arguments."""
    return {word for cell in cells for word in re.findall(r"`([\w./-]+)", cell)}


def public(kind: type) -> set[str]:
    return {name for name in dir(kind) if not name.startswith("_")}


def keywords(function: Callable[..., object]) -> set[str]:
    parameters = inspect.signature(function).parameters.values()
    return {one.name for one in parameters if one.kind is one.KEYWORD_ONLY}


def test_every_step_is_in_the_table() -> None:
    ai = {f"step.ai.{name}" for name in ("infer", "wrap")}
    steps = {f"step.{name}" for name in public(Step)} - {"step.ai"}
    assert named(first_cells("functions.md", "| step |")) == steps | ai


def test_every_option_of_a_worker_is_told() -> None:
    text = page("workers.md")
    assert [name for name in keywords(connect) if not re.search(rf"`{name}[`=]", text)] == []
    options = {cell.split("=")[0] for cell in named(first_cells("workers.md", "| Option |"))}
    assert options - keywords(connect) == set()


def test_every_state_of_a_worker_is_told() -> None:
    assert set(first_cells("workers.md", "| State |")) == {state.value for state in ConnectionState}


def test_every_argument_of_the_engine_is_told() -> None:
    assert named(first_cells("embedded.md", "| argument |")) == keywords(Engine.__init__)


def test_every_hook_is_told() -> None:
    hooks = public(stepwell.BaseMiddleware) - {"id"}
    assert named(first_cells("middleware.md", "| transforms")) == hooks


def test_every_field_of_an_event_is_told() -> None:
    told = named(first_cells("events.md", "| field |"))
    assert told == set(stepwell.Event.model_fields)


def test_every_constructor_of_schemas_is_told() -> None:
    made = {name for name in public(stepwell.EventSchemas) if name.startswith("from_")}
    told = named(first_cells("events.md", "| method |"))
    assert told == made


def test_every_event_of_the_server_is_told() -> None:
    told = named(first_cells("events.md", "| event |"))
    assert told == {event.value for event in stepwell.InternalEvent}


@pytest.mark.parametrize(("method", "path"), [(one.method, one.path) for one in ROUTES])
def test_every_route_of_the_first_version_is_told(method: str, path: str) -> None:
    told = re.sub(r"\{[^}]*\}", "{}", page("server.md"))
    shown = re.sub(r"\{[^}]*\}", "{}", path)
    assert re.search(rf"`{method} [^`]*{re.escape(shown)}[`?]", told), f"{method} {path}"


def test_the_pages_name_no_route_that_is_not_there() -> None:
    paths = [*(one.path for one in ROUTES), *(path for path, _ in WITH_TOKEN)]
    known = {re.sub(r"\{[^}]*\}", "{}", path) for path in paths}
    known |= {f"/v2{re.sub(r'{[^}]*}', '{}', one.path)}" for one in ROUTES_V2}
    told = {
        (path, re.sub(r"\{[^}]*\}", "{}", found).partition("?")[0])
        for path in ("server.md", "security.md", "events.md", "embedded.md", "operations.md")
        for found in re.findall(r"`(?:GET|POST|DELETE|PUT) (/(?:v1|v2|api/v2)/[^`]*)`", page(path))
    }
    assert [one for one in told if one[1].replace("/api/v2", "/v2") not in known] == []


@pytest.mark.parametrize(
    ("said", "environ"),
    [
        ("Heroku", {"DYNO": "web.1"}),
        ("Render", {"RENDER": "true"}),
        ("Railway", {"RAILWAY_ENVIRONMENT": "production"}),
        ("Fly", {"FLY_APP_NAME": "shop"}),
        ("Cloud Run", {"K_SERVICE": "shop"}),
    ],
)
def test_the_proxies_that_are_believed_are_those_the_page_names(
    said: str, environ: dict[str, str]
) -> None:
    (sentence,) = re.findall(r"believed on ([^;]*);", page("platforms.md"))
    assert said in sentence
    assert resolve_serve(ServeOptions(), environ, "cloud").trust_proxy
    assert not resolve_serve(ServeOptions(), {}, "cloud").trust_proxy
