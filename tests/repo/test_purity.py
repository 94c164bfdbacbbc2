"""Pure modules compute: no clock, no chance, no I/O, not even through what they import."""

import ast
import sys
from collections.abc import Iterator

import pytest

from tests.repo.layers import PURE, PURE_OUTSIDE, WITHOUT_IO
from tests.repo.source import (
    GENERATED,
    PACKAGE,
    ROOT,
    Module,
    external,
    imports_in,
    internal,
    modules,
    within,
)

BANNED_MODULES = (
    *("asyncio", "concurrent", "contextvars", "multiprocessing", "queue", "sched", "selectors"),
    *("signal", "socket", "socketserver", "ssl", "subprocess", "threading", "_thread"),
    *("time", "random", "secrets", "os", "logging", "sys", "pathlib", "shutil", "tempfile"),
    *("glob", "fileinput", "http", "urllib.request", "ftplib", "smtplib", "sqlite3", "dbm"),
    *("importlib", "ctypes", "atexit", "platform", "getpass", "locale", "warnings"),
)
BANNED_CALLS = frozenset(
    {"open", "print", "input", "exec", "eval", "breakpoint", "__import__"}
    | {"datetime.now", "datetime.utcnow", "datetime.today", "date.today"}
    | {"uuid1", "uuid4", "uuid.uuid1", "uuid.uuid4"}
    | {"datetime.datetime.now", "datetime.datetime.utcnow", "datetime.date.today"}
)


def is_pure(name: str) -> bool:
    return any(within(name, f"{PACKAGE}.{prefix}") for prefix in PURE)


def dotted(node: ast.expr) -> str | None:
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        before = dotted(node.value)
        return None if before is None else f"{before}.{node.attr}"
    return None


def stains(module: Module) -> Iterator[str]:
    """What makes this one module impure, judged by itself."""
    for target in external(module):
        if any(within(target, banned) for banned in BANNED_MODULES):
            yield f"{module.where} imports {target}"
        elif target.split(".")[0] not in sys.stdlib_module_names and not any(
            within(target, allowed) for allowed in PURE_OUTSIDE
        ):
            yield f"{module.where} imports {target}, which is not known to be pure"
    for node in module.nodes:
        if isinstance(node, ast.Call) and (name := dotted(node.func)) in BANNED_CALLS:
            yield f"{module.where}:{node.lineno} calls {name}"
        elif isinstance(node, ast.Await | ast.AsyncFor | ast.AsyncWith | ast.AsyncFunctionDef):
            yield f"{module.where}:{node.lineno} waits; a pure module never does"
        elif isinstance(node, ast.Global | ast.Nonlocal):
            yield f"{module.where}:{node.lineno} keeps state between calls"


def reach(starts: list[str]) -> dict[str, list[str]]:
    """Every module of ours that `starts` import, however far, with a way there."""
    ways, open_ends = {start: [start] for start in starts}, [*starts]
    while open_ends:
        name = open_ends.pop()
        for target in internal(modules()[name]):
            if target in modules() and target not in ways:
                ways[target] = [*ways[name], target]
                open_ends.append(target)
    return ways


def test_pure_modules_reach_nothing_impure() -> None:
    pure = [name for name in modules() if is_pure(name) and name not in GENERATED]
    assert len(pure) > 100
    bad = [
        f"{stain} (by way of {' → '.join(way)})"
        for name, way in reach(pure).items()
        if name not in GENERATED
        for stain in stains(modules()[name])
    ]
    assert bad == []


@pytest.mark.parametrize("name", WITHOUT_IO)
def test_an_endpoint_without_its_shell_does_no_input_and_no_output(name: str) -> None:
    assert list(stains(modules()[f"{PACKAGE}.{name}"])) == []


def module_of(text: str) -> Module:
    tree = ast.parse(text)
    found = tuple(imports_in(tree, "stepwell.x", frozenset(), is_package=False))
    nodes = tuple(ast.walk(tree))
    path = ROOT / "stepwell/x.py"
    return Module(
        "stepwell.x", path, is_package=False, text=text, tree=tree, imports=found, nodes=nodes
    )


@pytest.mark.parametrize(
    "text",
    [
        "import time",
        "from os import environ",
        "import urllib.request",
        "import sqlalchemy",
        "from datetime import datetime\nnow = datetime.now()",
        "import uuid\nx = uuid.uuid4()",
        "async def f(): pass",
        "def f():\n    global x\n    x = 1",
        "print(1)",
    ],
)
def test_stains_are_seen(text: str) -> None:
    assert list(stains(module_of(text)))


def test_plain_code_has_no_stain() -> None:
    assert (
        list(stains(module_of("import hashlib\nfrom datetime import UTC, datetime\nx = 1"))) == []
    )
