"""Inside `sdk` and inside `server`, every import goes down: the floors are the law."""

import ast
import re
from collections.abc import Iterable
from pathlib import Path

import pytest

from tests.repo.layers import FLOORS
from tests.repo.source import PACKAGE, ROOT, Module, imports_in, internal, modules, written

PAGE = ROOT / "docs/architecture.md"


def room_of(name: str, package: str) -> str | None:
    """The room of a module: the name after the package's own; None outside of it."""
    inside = name.removeprefix(f"{PACKAGE}.{package}.")
    return None if inside == name else inside.split(".")[0]


def table(package: str) -> str:
    """The floors of a package, the highest first."""
    rows = [f"{n:>4}  {' | '.join(rooms)}" for n, rooms in enumerate(FLOORS[package], 1)]
    return f"the floors of {package}:\n" + "\n".join(reversed(rows))


def wrong_arrows(package: str, among: Iterable[Module]) -> list[str]:
    """Every import inside a package that leads up or sideways, and every room without a floor."""
    floor = {room: n for n, rooms in enumerate(FLOORS[package], 1) for room in rooms}
    bad: list[str] = []
    for module in among:
        here = room_of(module.name, package)
        if here is None:
            continue
        if here not in floor:
            bad.append(f"{module.where}: {here!r} has no floor; give it one")
            continue
        for target in internal(module):
            there = room_of(target, package)
            if there is None or there == here or floor.get(there, 0) < floor[here]:
                continue
            way = "up" if floor[there] > floor[here] else "to a neighbour"
            bad.append(f"{module.where} imports {where(target)}, {way}")
    return [*bad, table(package)] if bad else []


def where(name: str) -> str:
    """The file of a module of ours."""
    known = modules().get(name)
    return known.where if known is not None else name.replace(".", "/") + ".py"


@pytest.mark.parametrize("package", FLOORS)
def test_imports_inside_a_package_go_down(package: str) -> None:
    bad = wrong_arrows(package, written())
    assert bad == [], "\n".join(bad)


@pytest.mark.parametrize("package", FLOORS)
def test_every_room_on_a_floor_is_there(package: str) -> None:
    known = {room_of(name, package) for name in modules()}
    told = [room for rooms in FLOORS[package] for room in rooms]
    assert sorted(told) == sorted(room for room in known if room is not None)


def planted(name: str, text: str) -> Module:
    tree = ast.parse(text)
    found = tuple(imports_in(tree, name, frozenset(modules()), is_package=False))
    path = ROOT / Path(*name.split(".")).with_suffix(".py")
    nodes = tuple(ast.walk(tree))
    return Module(name, path, is_package=False, text=text, tree=tree, imports=found, nodes=nodes)


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        (
            "stepwell.sdk.send.planted",
            "from stepwell.sdk.client.client import Inngest",
            "stepwell/sdk/send/planted.py imports stepwell/sdk/client/client.py, up",
        ),
        (
            "stepwell.sdk.step.planted",
            "def f():\n    from stepwell.sdk.execution import replay",
            "stepwell/sdk/step/planted.py imports stepwell/sdk/execution/replay.py, up",
        ),
        (
            "stepwell.sdk.settings",
            "from stepwell.sdk.value.codec import PLAIN",
            "stepwell/sdk/settings.py imports stepwell/sdk/value/codec.py, to a neighbour",
        ),
        (
            "stepwell.server.ledger",
            "from stepwell.server.drivers import port",
            "stepwell/server/ledger.py imports stepwell/server/drivers/port.py, to a neighbour",
        ),
    ],
)
def test_a_planted_arrow_is_found(name: str, text: str, said: str) -> None:
    package = name.split(".")[1]
    assert wrong_arrows(package, [planted(name, text)]) == [said, table(package)]


def test_a_room_without_a_floor_is_found() -> None:
    found = wrong_arrows("sdk", [planted("stepwell.sdk.attic.planted", "")])
    assert found[0] == "stepwell/sdk/attic/planted.py: 'attic' has no floor; give it one"


def test_an_arrow_down_and_one_inside_a_room_are_none() -> None:
    text = "from stepwell.sdk.errors import Error\nfrom stepwell.sdk.send import outgoing"
    assert wrong_arrows("sdk", [planted("stepwell.sdk.send.planted", text)]) == []


def test_rooms_inside_rooms_are_told() -> None:
    rows = dict(
        re.findall(r"^\| `([^`]+)` \| (.+) \|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    )
    inside = [place.parent for place in ROOT.glob("stepwell/s*/*/*/__init__.py")]
    for room in inside:
        parent = room.parent.relative_to(ROOT / "stepwell").as_posix()
        if parent.split("/")[0] in FLOORS and parent.replace("/", ".") not in FLOORS:
            assert f"`{room.name}`" in rows[parent], room


def shown(package: str) -> list[tuple[str, ...]]:
    """The rooms of each floor as the page has them, from the lowest."""
    part = PAGE.read_text(encoding="utf-8").split(f"### The floors of `{package}`\n", 1)[1]
    found: list[tuple[str, ...]] = []
    for line in part.split("\n#", 1)[0].splitlines():
        row = re.match(r"\| (\d+) \| (.+?) \| [^|]+ \|$", line)
        if row is not None:
            assert int(row[1]) == len(FLOORS[package]) - len(found)
            found.append(tuple(re.findall(r"`(\w+)`", row[2])))
    return found[::-1]


@pytest.mark.parametrize("package", FLOORS)
def test_the_page_shows_the_floors_of_the_law(package: str) -> None:
    assert shown(package) == list(FLOORS[package])
